"""One run at a time: an advisory lock of the operating system, and a note of who holds it.

The kernel drops the lock when its process dies, however it dies, so a lock cannot be left behind;
a note can, and then says whose run was cut short.
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from engine.errors import EngineError

__all__ = ["exclusive"]


@contextlib.contextmanager
def exclusive(path: Path, command: str) -> Generator[str | None]:
    """Hold the lock file `path` while the block runs; yield who left it behind, if anybody did.

    Raises:
        EngineError: another process holds it; the message says which, since when, doing what.
    """
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EngineError(
                f"another run is at work: {_note(path) or 'one that has just begun'}; wait for it, "
                "or end it and run again"
            ) from error
        left_by = _note(path)
        _write(path, _current(command))
        try:
            yield left_by
        finally:
            _write(path, "")


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> EngineError:
    return EngineError(f"the lock file {path} cannot be written: {error.strerror}")


def _current(command: str) -> str:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }
    return json.dumps(note)


def _note(path: Path) -> str | None:
    """Read who holds, or held, the lock; None where nobody is noted."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return f"process {note['pid']} on {note['host']} since {note['since']} ({note['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
