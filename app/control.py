"""The control socket: a Unix stream socket that takes one JSON object a line and answers in kind.

What may be asked is in `app.handover`; here are the socket, the lines, and both ends of them.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.listener import Listener
from app.log import describe, emit

__all__ = ["Control", "ControlError", "Reply", "ask", "bind"]

_MAX_PATH_BYTES = 107
_MAX_LINE_BYTES = 64 * 1024
_BACKLOG = 16
_ASK_SECONDS = 3.0


class ControlError(Exception):
    """The control socket cannot be made; the message names `--control`."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer, and the descriptor that goes with it."""

    answer: dict[str, Any]
    descriptor: int | None = None


_Answer = Callable[[dict[str, Any]], Awaitable[Reply]]


def bind(path: Path) -> socket.socket:
    """Make the control socket at `path`, for this user alone, and listen.

    Raises:
        ControlError: the path is too long, not writable, or another process answers there.
    """
    length = len(os.fsencode(path))
    if length > _MAX_PATH_BYTES:
        raise ControlError(
            f"--control: the path is {length} bytes long, a Unix socket's may be "
            f"{_MAX_PATH_BYTES}; give it relative to the working directory"
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        _remove_dead_socket(path)
        listening.bind(os.fspath(path))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ControlError(f"--control: {path}: {error.strerror}") from error
    except ControlError:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return listening


def ask(path: str, command: dict[str, Any]) -> tuple[dict[str, Any], socket.socket | None]:
    """Send one command to another process; return its answer and the socket it passed, if any.

    Raises:
        OSError: nobody answers at `path`, or not within 3 seconds.
        ValueError: the answer is no JSON object.
    """
    line, passed = b"", list[int]()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ASK_SECONDS)
        connection.connect(path)
        connection.sendall(json.dumps(command).encode() + b"\n")
        while not line.endswith(b"\n"):
            chunk, descriptors, _, _ = socket.recv_fds(connection, _MAX_LINE_BYTES, 1)
            passed += descriptors
            if not chunk:
                break
            line += chunk
    listening = socket.socket(fileno=passed[0]) if passed else None
    try:
        return dict(json.loads(line)), listening
    except (ValueError, TypeError) as error:
        if listening:
            listening.close()
        raise ValueError(f"{path}: no answer") from error


class Control:
    """Serves the control socket `listening`, made at `path` by `bind`."""

    def __init__(self, path: Path, listening: socket.socket, answer: _Answer) -> None:
        self._path = path
        self._inode = path.stat().st_ino
        self._answer = answer
        self._tasks: set[asyncio.Task[object]] = set()
        self._listener = Listener(listening, self._serve, self._tasks)

    def close(self) -> None:
        """Stop answering and remove the socket's file, unless another process's is there now."""
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        buffer = b""
        with connection, contextlib.suppress(OSError):
            while chunk := await loop.sock_recv(connection, _MAX_LINE_BYTES):
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    await _send(connection, await self._reply(line))
                if len(buffer) > _MAX_LINE_BYTES:
                    return

    async def _reply(self, line: bytes) -> Reply:
        try:
            command = dict[str, Any](json.loads(line))
        except (ValueError, TypeError):
            return Reply(
                answer={
                    "ok": False,
                    "error": "bad_request",
                    "message": "expected one JSON object a line",
                }
            )
        try:
            return await self._answer(command)
        except Exception as error:
            emit("error", **describe(error))
            return Reply(
                answer={"ok": False, "error": "internal", "message": type(error).__qualname__}
            )


async def _send(connection: socket.socket, reply: Reply) -> None:
    line = json.dumps(reply.answer).encode() + b"\n"
    if reply.descriptor is not None:
        # A short line into an empty buffer: it is sent at once, the descriptor with its first byte.
        socket.send_fds(connection, [line], [reply.descriptor])
    else:
        await asyncio.get_running_loop().sock_sendall(connection, line)


def _remove_dead_socket(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ControlError(f"--control: {path}: another process answers there")
