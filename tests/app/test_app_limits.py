"""Rate limit and bound on concurrent work, on a clock that tests set."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.limits import InFlight, RateLimit


@dataclass
class Clock:
    time: float = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_let_through_and_then_the_rate(clock: Clock) -> None:
    limit = RateLimit(10, 5, clock=clock)
    assert [limit.take("a") for _ in range(6)] == [None] * 5 + [1]
    clock.time += 0.1
    assert [limit.take("a") for _ in range(2)] == [None, 1]
    clock.time += 60
    assert [limit.take("a") for _ in range(6)] == [None] * 5 + [1]


def test_the_seconds_to_wait_are_enough_and_not_too_many(clock: Clock) -> None:
    limit = RateLimit(0.25, 1, clock=clock)
    assert limit.take("a") is None
    assert limit.take("a") == 4
    clock.time += 1.5
    assert limit.take("a") == 3
    clock.time += 2.5
    assert limit.take("a") is None


def test_callers_do_not_share(clock: Clock) -> None:
    limit = RateLimit(1, 1, clock=clock)
    assert limit.take("a") is None
    assert limit.take("a") == 1
    assert limit.take("b") is None


def test_a_refusal_draws_nothing(clock: Clock) -> None:
    limit = RateLimit(1, 2, clock=clock)
    assert [limit.take("a") for _ in range(50)] == [None] * 2 + [1] * 48
    clock.time += 1
    assert limit.take("a") is None


def test_a_cost_may_be_of_records(clock: Clock) -> None:
    limit = RateLimit(100, 1000, clock=clock)
    assert limit.take("a", 999) is None
    assert limit.take("a", 2) == 1
    assert limit.take("a", 1) is None
    assert limit.take("a", 500) == 5


def test_a_cost_above_the_burst_takes_all_of_it(clock: Clock) -> None:
    limit = RateLimit(100, 200, clock=clock)
    assert limit.take("a", 1000) is None
    assert limit.take("a") == 1
    assert limit.take("a", 1000) == 2
    clock.time += 2
    assert limit.take("a", 1000) is None


def test_waiting_draws_nothing(clock: Clock) -> None:
    limit = RateLimit(1, 2, clock=clock)
    assert [limit.wait("a") for _ in range(9)] == [None] * 9
    assert [limit.take("a") for _ in range(2)] == [None] * 2
    assert [limit.wait("a") for _ in range(9)] == [1] * 9


def test_the_callers_seen_last_are_remembered(clock: Clock) -> None:
    limit = RateLimit(1, 1, callers=3, clock=clock)
    assert [limit.take(caller) for caller in "abc"] == [None] * 3
    assert limit.take("a") == 1, "a refusal too is a way to be seen"
    assert limit.take("d") is None
    assert [limit.take(caller) for caller in "acd"] == [1, 1, 1]
    assert limit.take("b") is None, "forgotten, and so full again"
    assert len(limit._full_at) == 3  # pyright: ignore[reportPrivateUsage] - what is tested


@dataclass
class Bucket:
    """The textbook's token bucket."""

    per_second: float
    burst: float
    level: float = field(init=False)
    filled: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.level = self.burst

    def take(self, now: float, cost: float) -> float:
        """Return the seconds to wait; less than 0 where the cost could be had before."""
        self.level = min(self.burst, self.level + (now - self.filled) * self.per_second)
        self.filled = now
        lacking = cost - self.level
        if lacking <= 1e-6 * self.per_second:
            self.level -= cost
        return lacking / self.per_second


@given(
    per_second=st.sampled_from((0.1, 1, 7, 100, 1e6)),
    burst=st.integers(1, 500),
    steps=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 400), st.sampled_from((0, 0.01, 1, 30))),
        max_size=40,
    ),
)
def test_it_is_a_token_bucket(
    per_second: float, burst: int, steps: list[tuple[str, int, float]]
) -> None:
    clock = Clock()
    limit = RateLimit(per_second, burst, clock=clock)
    buckets = defaultdict[str, Bucket](lambda: Bucket(per_second, burst))
    for caller, cost, pause in steps:
        clock.time += pause
        late = buckets[caller].take(clock.time, min(cost, burst))
        found = limit.take(caller, cost)
        if abs(late) < 1e-5:
            # Sums of floats: whichever it was, both must go on from the same.
            if (found is None) != (late <= 1e-6):
                return
        elif late < 0:
            assert found is None
        else:
            assert found in {math.ceil(late - 1e-5), math.ceil(late + 1e-5)}


def test_so_many_requests_are_at_work_at_once() -> None:
    flight = InFlight(2, 100)
    assert [flight.enter() for _ in range(4)] == [None, None, 1, 1]
    flight.leave()
    assert [flight.enter() for _ in range(2)] == [None, 1]
    for _ in range(2):
        flight.leave()
    assert (flight.requests, flight.body_bytes) == (0, 0)


def test_so_many_bytes_are_held_at_once() -> None:
    flight = InFlight(10, 100)
    assert flight.enter() is None
    assert flight.hold(60) is None
    assert flight.hold(40) is None
    assert flight.hold(1) == 1
    flight.leave(100)
    assert flight.hold(101) == 1
    assert flight.hold(100) is None
    assert flight.body_bytes == 100
