"""The log lines `request`: written a few hundredths of a second late, and several at once.

Nobody waits for a line, and writing takes a call into the system: one for each would show in the
time of a small request. A process that is killed takes the lines of that moment with it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.log import write

__all__ = ["Journal"]

_SECONDS = 0.02


class Journal:
    """Keeps lines, and writes them soon; use it in one event loop at a time."""

    def __init__(self) -> None:
        self._lines: list[Mapping[str, Any]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in a line (`contract.telemetry.RequestLine`)."""
        self._lines.append(line)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            loop.call_later(_SECONDS, self.write)

    def write(self) -> None:
        """Write what there is."""
        self._loop = None
        lines, self._lines = self._lines, []
        if lines:
            write(lines)
