"""One JSON object a line on stdout, and nothing in it that a client sent.

Messages of libraries are written without their arguments, and exceptions as type and places: an
exception's text may quote the value it tripped over.
"""

import contextlib
import logging
import os
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["configure_logging", "describe", "emit", "write"]

_STDOUT = 1
_encode = msgspec.json.Encoder().encode_lines
_PLACES = 12


def emit(event: str, **fields: Any) -> None:
    """Write one line, of this moment."""
    write([{"time": datetime.now(UTC), "event": event, **fields}])


def write(lines: Sequence[Mapping[str, Any]]) -> None:
    """Write lines; a log that cannot be written must not fail the request it is about."""
    text = memoryview(_encode(lines))
    with contextlib.suppress(OSError):
        # A signal ends a write into a full pipe early.
        while text:
            text = text[os.write(_STDOUT, text) :]


def describe(error: BaseException) -> dict[str, Any]:
    """Say what was raised and where, without the exception's own text."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__qualname__, "places": places}


def configure_logging() -> None:
    """Send what libraries log at warning and above through `emit`."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Lines()], force=True)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        emit(
            "log",
            level=record.levelname,
            logger=record.name,
            message=str(record.msg),
            **(describe(error) if error else {}),
        )
