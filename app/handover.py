"""The public port, and how it moves from one process to the next without losing a connection.

The wire protocol (its home; callers write their own client): connect to the Unix stream socket that
the process was given as `--control PATH`, send one JSON object and a newline, read one JSON object
and a newline. Every answer has `"ok"`; a refusal also has `"error"` (a word) and `"message"`.
Several commands may follow each other on one connection. Repeating any command is harmless.

`{"command": "status"}` answers
    instance     PATH's name without its suffix
    pid          of this process
    release      RELEASE_VERSION
    ready        whether the release answered its reference records right
    private_url  where this process alone answers, "http://127.0.0.1:40123"
    public       "host:port" as it was published, or null
    draining     whether every response closes its connection
    connections  open connections, idle ones and those on the private address included

`{"command": "publish", "host": "127.0.0.1", "port": 8000, "from": "other/control.sock"}`
    makes this process the one that accepts on host:port, takes the listening socket over from the
    process at `from` (null: nobody) if that one holds it, else binds a new one, and tells the
    process at `from` to retire from host:port. A port held before is closed last. Ends draining.
    Answers with `public`. Refusals: `not_ready`, `address_in_use`, `cannot_listen`,
    `handover_failed` (the old process goes on accepting; ask again), `stopping`, `bad_request`.

`{"command": "retire"}`, optionally with `host` and `port`
    closes the public port (with host and port: if it is that one) and starts draining.

Between processes: `{"command": "lend", "host": ..., "port": ...}` answers `"held"`, and where that
is true the listening socket travels with the answer (SCM_RIGHTS). Both processes then accept from
one kernel queue until the old one retires; what waits in the queue belongs to the socket, not to a
process, so nobody who connects meanwhile is turned away.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.control import Reply, ask
from app.listener import Listener, Serve, listen_on
from app.log import emit
from app.service import Service

__all__ = ["Handover", "Identity"]


class _RefusedError(Exception):
    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.answer = {"ok": False, "error": error, "message": message}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """How this process is called and reached: its control socket's path and private address."""

    instance: str
    control: str
    private_url: str


@dataclass(frozen=True, kw_only=True)
class _Address:
    name: str
    family: int
    sockaddr: tuple[Any, ...]


class Handover:
    """Holds the public listener of this process and answers the commands about it.

    Connections that it has accepted are in `arriving`, the server's, until `serve` has taken them.
    """

    def __init__(
        self,
        *,
        service: Service,
        identity: Identity,
        serve: Serve,
        arriving: set[asyncio.Task[object]],
        open_connections: Callable[[], int],
    ) -> None:
        self._service = service
        self._identity = identity
        self._serve = serve
        self._open_connections = open_connections
        self._arriving = arriving
        self._public: Listener | None = None
        self._public_name: str | None = None
        self._stopping = False
        self._publishing = asyncio.Lock()

    async def answer(self, command: dict[str, Any]) -> Reply:
        """Carry out one command."""
        try:
            match command:
                case {"command": "status"}:
                    return Reply(answer=self._status())
                case {"command": "publish"}:
                    return Reply(answer=await self._publish(command))
                case {"command": "retire", "host": _, "port": _}:
                    return Reply(answer=self._retire(await _resolve(command)))
                case {"command": "retire"}:
                    return Reply(answer=self._retire(None))
                case {"command": "lend"}:
                    return self._lend(await _resolve(command))
                case _:
                    raise _RefusedError("bad_request", "expected status, publish or retire")
        except _RefusedError as refused:
            return Reply(answer=refused.answer)

    def stop(self) -> None:
        """Leave the public port, whatever it is."""
        self._stopping = True
        self._retire(None)

    def _status(self) -> dict[str, Any]:
        return {
            "ok": True,
            "instance": self._identity.instance,
            "pid": os.getpid(),
            "release": self._service.settings.release_version,
            "ready": self._service.ready,
            "private_url": self._identity.private_url,
            "public": self._public_name,
            "draining": self._service.draining,
            "connections": self._open_connections() + len(self._arriving),
        }

    async def _publish(self, command: dict[str, Any]) -> dict[str, Any]:
        if not self._service.ready:
            raise _RefusedError("not_ready", "the release did not answer its reference records")
        address = await _resolve(command)
        source = self._source(command.get("from"))
        async with self._publishing:
            if not self._accepts_on(address):
                listening = await _borrow(source, command) if source else None
                if self._stopping:
                    raise _RefusedError("stopping", "this process was told to stop")
                self._accept_on(listening or _listen(address), address)
            self._service.draining = False
            if source:
                await _ask_source(source, {**_place(command), "command": "retire"})
        return {"ok": True, "public": self._public_name}

    def _source(self, path: Any) -> str | None:
        if path is not None and not isinstance(path, str):
            raise _RefusedError("bad_request", "expected a control socket's path, or null, in from")
        own = path and Path(path).exists() and Path(path).samefile(self._identity.control)
        return None if own else path

    def _accepts_on(self, address: _Address) -> bool:
        return self._public is not None and self._public.address == address.sockaddr[:2]

    def _accept_on(self, listening: socket.socket, address: _Address) -> None:
        old = self._public
        self._public = Listener(listening, self._serve, self._arriving)
        self._public_name = address.name
        emit("published", public=address.name, release=self._service.settings.release_version)
        if old:
            old.close()

    def _retire(self, only: _Address | None) -> dict[str, Any]:
        if only and not self._accepts_on(only):
            return {"ok": True}
        if self._public:
            self._public.close()
            emit("retired", public=self._public_name)
            self._public = self._public_name = None
        self._service.draining = True
        return {"ok": True}

    def _lend(self, address: _Address) -> Reply:
        if self._public is None or not self._accepts_on(address):
            return Reply(answer={"ok": True, "held": False})
        return Reply(answer={"ok": True, "held": True}, descriptor=self._public.fileno())


def _place(command: dict[str, Any]) -> dict[str, Any]:
    return {"host": command["host"], "port": command["port"]}


async def _resolve(command: dict[str, Any]) -> _Address:
    host, port = command.get("host"), command.get("port")
    if not isinstance(host, str) or not host or type(port) is not int or not 0 < port < 65_536:
        raise _RefusedError("bad_request", "expected host (text) and port (1 to 65535)")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _RefusedError("cannot_listen", f"{host}: no such host") from error
    family, _, _, _, sockaddr = found[0]
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return _Address(name=name, family=family, sockaddr=sockaddr)


def _listen(address: _Address) -> socket.socket:
    try:
        return listen_on(address.family, address.sockaddr)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"{address.name}: another process listens there"
            raise _RefusedError("address_in_use", message) from error
        raise _RefusedError("cannot_listen", f"{address.name}: {error.strerror}") from error


async def _borrow(source: str, command: dict[str, Any]) -> socket.socket | None:
    return await _ask_source(source, {**_place(command), "command": "lend"})


async def _ask_source(source: str, command: dict[str, Any]) -> socket.socket | None:
    """Ask the other process; one that is gone holds nothing and has nothing to retire from."""
    try:
        answer, listening = await asyncio.to_thread(ask, source, command)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except (OSError, ValueError) as error:
        raise _RefusedError(
            "handover_failed", f"{source}: no answer to {command['command']}; publish again"
        ) from error
    if not answer.get("ok"):
        raise _RefusedError("handover_failed", f"{source}: refused to {command['command']}")
    return listening
