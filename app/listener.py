"""A listening socket that can stop accepting without losing a connection.

asyncio's own servers cannot: `Server.close()` drops connections that were accepted in the same turn
of the event loop (their transports assert that the server is open), and gives no way to stop
accepting first. Here accepting is one reader callback, so stopping is exact, and what was accepted
is carried to the end.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from app.log import describe, emit

__all__ = ["Listener", "Serve", "listen_on"]

_BACKLOG = 2048
_RETRY_SECONDS = 1.0

Serve = Callable[[socket.socket], Coroutine[Any, Any, object]]


def listen_on(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Bind and listen on a TCP address.

    Raises:
        OSError: the address is taken (EADDRINUSE) or not to be had.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is named: without it, every answer
    # on a kept-alive connection waits 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


class Listener:
    """Accepts on `listening`, which it owns, and runs `serve` for each connection as a task.

    The tasks live in `tasks`, which the caller owns and may share between listeners.
    """

    def __init__(
        self, listening: socket.socket, serve: Serve, tasks: set[asyncio.Task[object]]
    ) -> None:
        self._socket = listening
        self._serve = serve
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    @property
    def address(self) -> tuple[Any, ...]:
        """Host and port the socket is bound to, as the kernel spells them."""
        return self._socket.getsockname()[:2]

    def fileno(self) -> int:
        """Return the descriptor, to be passed to another process."""
        return self._socket.fileno()

    def close(self) -> None:
        """Take what already waits in the backlog, then stop accepting and close this copy.

        Another process's copy of the socket goes on accepting; without one, the port is closed.
        """
        self._loop.remove_reader(self._socket)
        while self._accept():
            pass
        self._socket.close()

    def _accept(self) -> bool:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            # Out of descriptors, most likely: the socket stays readable, so look away for a while.
            emit("accept_failed", **describe(error))
            self._loop.remove_reader(self._socket)
            self._loop.call_later(_RETRY_SECONDS, self._resume)
            return False
        connection.setblocking(False)
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)
