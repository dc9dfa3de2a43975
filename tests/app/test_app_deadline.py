"""A deadline: who is late is told so, and nobody else is."""

import asyncio
import time

import pytest

from app.deadline import Deadline


async def after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def test_whoever_is_in_time_gets_what_there_is() -> None:
    async def run() -> list[str]:
        deadline = Deadline(5)
        return [await deadline.run(after(0)), await deadline.run(after(0.01))]

    assert asyncio.run(run()) == ["done", "done"]


def test_each_task_has_its_own_end() -> None:
    """The later ones have a timer too, and those that are done need none."""

    async def run() -> list[object]:
        deadline = Deadline(0.2)

        async def begin(wait: float, seconds: float) -> object:
            await asyncio.sleep(wait)
            try:
                return await deadline.run(after(seconds))
            except TimeoutError:
                return "late"

        pauses = [(0.0, 0.05), (0.0, 5.0), (0.1, 5.0), (0.15, 0.1), (0.25, 5.0)]
        return await asyncio.gather(*(begin(*each) for each in pauses))

    assert asyncio.run(run()) == ["done", "late", "late", "done", "late"]


def test_a_late_task_goes_on() -> None:
    async def run() -> str:
        deadline = Deadline(0.02)
        with pytest.raises(TimeoutError):
            await deadline.run(after(5))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return await after(0.01)

    assert asyncio.run(run()) == "done"


@pytest.mark.parametrize("seconds", [0.02, 5.0])
def test_who_is_cancelled_by_others_is_cancelled(seconds: float) -> None:
    """Also where it is late at the same moment."""

    async def run() -> None:
        deadline = Deadline(seconds)
        task = asyncio.create_task(deadline.run(after(10)))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.02, task.cancel)
        # The loop stands still until both timers, or that one, are due.
        time.sleep(0.04)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_errors_pass_through() -> None:
    async def fail() -> None:
        raise KeyError("what it raised")

    async def run() -> None:
        await Deadline(5).run(fail())

    with pytest.raises(KeyError, match="what it raised"):
        asyncio.run(run())


def test_another_event_loop_has_its_own_timer() -> None:
    deadline = Deadline(0.02)
    assert asyncio.run(deadline.run(after(0))) == "done"
    with pytest.raises(TimeoutError):
        asyncio.run(deadline.run(after(5)))
