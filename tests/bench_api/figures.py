"""The figures of the API, what they shall reach, and the file that holds what was measured."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["TARGETS", "Figure", "Machine", "Results", "Target", "percentile"]

Verdict = Literal["stretch", "reached", "missed", "not measured"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Target(_Frozen):
    """A figure's name and bounds; `stretch` is what would be better still, if anything is."""

    name: str
    title: str
    unit: str
    at_least: bool = False
    reach: float
    stretch: float | None

    def share(self, value: float) -> float:
        """Return how much of the bound `value` uses up: at most 1 where it is reached."""
        return self.reach / value if self.at_least else value / self.reach

    def verdict(self, value: float) -> Verdict:
        """Judge a figure."""
        if self.stretch is not None and self._meets(value, self.stretch):
            return "stretch"
        return "reached" if self._meets(value, self.reach) else "missed"

    def _meets(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


_FLOOR, _BARE, _MEGABYTES = "x floor", "x bare python", "MB"

TARGETS = {
    target.name: target
    for target in (
        Target(name="p50_1_record", title="p50, 1 record", unit=_FLOOR, reach=1.15, stretch=0.95),
        Target(
            name="p50_1000_records",
            title="p50, 1,000 records",
            unit=_FLOOR,
            reach=0.85,
            stretch=0.45,
        ),
        Target(
            name="requests_per_second",
            title="requests/s, 1 record, 8 connections",
            unit=_FLOOR,
            at_least=True,
            reach=0.85,
            stretch=1.2,
        ),
        Target(
            name="p99_1000_records",
            title="p99, 1,000 records",
            unit="x own p50",
            reach=2.5,
            stretch=1.8,
        ),
        Target(
            name="start_to_ready", title="process start to ready", unit=_BARE, reach=40, stretch=30
        ),
        Target(
            name="resident_memory", title="resident memory", unit=_MEGABYTES, reach=80, stretch=65
        ),
        Target(
            # The allocator keeps or gives back a fraction of a megabyte in either direction.
            name="memory_growth",
            title="… and its growth by as much again",
            unit=_MEGABYTES,
            reach=1,
            stretch=None,
        ),
        Target(
            name="site_packages",
            title="site-packages of the image",
            unit=_MEGABYTES,
            reach=115,
            stretch=40,
        ),
    )
}
"""By name, in the order in which they are shown. A megabyte is 10^6 bytes."""


class Figure(_Frozen):
    """A target and what was measured: a sample for each round, their median and range.

    `parts` holds what the samples were made of, round by round, by a name that ends in the unit.
    Without samples `reason` says why there are none.
    """

    target: Target
    samples: tuple[float, ...]
    median: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str | None
    parts: dict[str, tuple[float, ...]]

    @classmethod
    def measured(cls, name: str, samples: Sequence[float], **parts: Sequence[float]) -> "Figure":
        """Sum up the samples of the target `name`."""
        median = statistics.median(samples)
        return cls(
            target=TARGETS[name],
            samples=tuple(samples),
            median=median,
            low=min(samples),
            high=max(samples),
            verdict=TARGETS[name].verdict(median),
            reason=None,
            parts={part: tuple(values) for part, values in parts.items()},
        )

    @classmethod
    def ratio(cls, name: str, over: Sequence[float], under: Sequence[float], unit: str) -> "Figure":
        """Divide sample by sample; both sides are kept, in `unit`."""
        ratios = [a / b for a, b in zip(over, under, strict=True)]
        return cls.measured(name, ratios, **{f"api_{unit}": over, f"reference_{unit}": under})

    @classmethod
    def missing(cls, name: str, reason: str) -> "Figure":
        """Say why the target `name` could not be measured."""
        return cls(
            target=TARGETS[name],
            samples=(),
            median=None,
            low=None,
            high=None,
            verdict="not measured",
            reason=reason,
            parts={},
        )


class Machine(_Frozen):
    """Where it was measured; `load` is the one-minute load average before and after."""

    processors: int
    python: str
    platform: str
    server_core: int | None
    client_core: int | None
    load: tuple[float, float]


class Results(_Frozen):
    """One run of the benchmark, as the results file holds it."""

    format: Literal[1] = 1
    begun: str
    rounds: int
    machine: Machine
    figures: tuple[Figure, ...]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
