"""A time limit for many tasks, each from its own beginning.

`asyncio.timeout` makes a timer for each, and cancels almost all of them again, at a price that
shows in the time of a small request. Where all have the same time one timer does: for the first.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Deadline"]

_T = TypeVar("_T")


class Deadline:
    """Gives every task that runs a coroutine `seconds`; use it in one event loop at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # The earliest end first.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Return what the coroutine does; a task can wait for one at a time.

        Raises:
            TimeoutError: it took too long, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can have a deadline")
        end = loop.time() + self._seconds
        if loop is not self._loop:
            self._ends.clear()
            self._wait(loop, end)
        self._ends[task] = end
        try:
            return await coroutine
        except asyncio.CancelledError:
            # Whoever was late is no longer waited for; another may have cancelled the task as well.
            if task in self._ends or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            self._ends.pop(task, None)

    def _wait(self, loop: asyncio.AbstractEventLoop, end: float) -> None:
        self._loop = loop
        loop.call_at(end, self._cancel, loop)

    def _cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = None
        now = loop.time()
        for task in [task for task, end in self._ends.items() if end <= now]:
            del self._ends[task]
            task.cancel()
        if self._ends:
            self._wait(loop, next(iter(self._ends.values())))
