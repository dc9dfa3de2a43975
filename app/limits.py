"""How much a caller may ask for, and how much is done at once: arithmetic, and no waiting.

Each answer is None, or the whole seconds to name in Retry-After. Nothing here is shared between
processes: with several replicas a caller may have several times as much.
"""

import math
import time
from collections.abc import Callable

__all__ = ["InFlight", "RateLimit"]

_ROUNDING_SECONDS = 1e-6
"""Sums of times are not exact, and a full bucket must be worth all of its burst."""
_RETRY_SECONDS = 1


class RateLimit:
    """A token bucket a caller, kept as one number: the time at which it will be full again.

    A bucket holds `burst` and gains `per_second`. The `callers` that were seen last are remembered;
    one that is forgotten begins with a full bucket.
    """

    __slots__ = ("_burst", "_callers", "_clock", "_full_at", "_interval", "_window")

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        callers: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second
        self._burst = burst
        self._window = burst * self._interval
        self._callers = callers
        self._clock = clock
        # In the order of use: the least recent first.
        self._full_at: dict[str, float] = {}

    def take(self, caller: str, cost: float = 1.0) -> int | None:
        """Draw `cost` and return None, or draw nothing and return the seconds until it can be had.

        A cost above the burst counts as the burst: it could never be had otherwise.
        """
        now = self._clock()
        full_at = self._full_at.pop(caller, now)
        if full_at < now:
            full_at = now
        drawn = full_at + (cost if cost < self._burst else self._burst) * self._interval
        late = drawn - now - self._window
        if late > _ROUNDING_SECONDS:
            self._full_at[caller] = full_at
            return math.ceil(late)
        self._full_at[caller] = drawn
        if len(self._full_at) > self._callers:
            del self._full_at[next(iter(self._full_at))]
        return None

    def wait(self, caller: str) -> int | None:
        """Return what `take` would for a cost of 1, and draw nothing."""
        now = self._clock()
        late = max(self._full_at.get(caller, now), now) + self._interval - now - self._window
        return math.ceil(late) if late > _ROUNDING_SECONDS else None


class InFlight:
    """How many requests are at work, and how many bytes of bodies they hold; both are bounded."""

    __slots__ = ("_max_body_bytes", "_max_requests", "body_bytes", "requests")

    def __init__(self, max_requests: int, max_body_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self.requests = 0
        self.body_bytes = 0

    def enter(self) -> int | None:
        """Count one request and return None, or the seconds after which to ask again."""
        if self.requests >= self._max_requests:
            return _RETRY_SECONDS
        self.requests += 1
        return None

    def hold(self, body_bytes: int) -> int | None:
        """Count bytes that a request has read, or is about to; a refusal counts none."""
        if self.body_bytes + body_bytes > self._max_body_bytes:
            return _RETRY_SECONDS
        self.body_bytes += body_bytes
        return None

    def leave(self, body_bytes: int = 0) -> None:
        """End one request that entered, and let go of all the bytes that were held for it."""
        self.requests -= 1
        self.body_bytes -= body_bytes
