"""The evidence of a release: every figure, curve and hash, as one JSON document in its bundle.

What a gate reads from the registry's tags is a copy; this is the original. The bundle's manifest
carries its hash and the registry the manifest's, so that a changed figure is noticed when a release
is promoted. It holds counts and figures, no employee's record.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import TypedDict

__all__ = [
    "CalibrationPoint",
    "Curves",
    "DecisionPoint",
    "Effect",
    "EffectPoint",
    "Evidence",
    "Figure",
    "Interval",
    "Origin",
    "PrecisionRecallPoint",
    "RocPoint",
    "environment",
    "figure",
]

_PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")
_DIGITS = 6


class Figure(TypedDict):
    """A measured number and its 95 % interval; `low` and `high` are None where there is none."""

    value: float
    low: float | None
    high: float | None
    meaning: str


class Origin(TypedDict):
    """What the release was made of; hashes are SHA-256 in hexadecimal."""

    source: str
    licence: str
    rows: int
    leavers: int
    held_out_rows: int
    data_sha256: str
    code_sha256: str
    parameters: Mapping[str, int | float | bool]


class RocPoint(TypedDict):
    """A point of the ROC curve: shares of stayers and of leavers called at risk."""

    false_positive_rate: float
    true_positive_rate: float


class PrecisionRecallPoint(TypedDict):
    """`recall`: share of leavers found; `precision`: share of those called at risk who leave."""

    recall: float
    precision: float


class CalibrationPoint(TypedDict):
    """Records of similar probability: mean said, share seen with its 95 % interval, how many."""

    predicted: float
    observed: float
    low: float
    high: float
    records: int


class DecisionPoint(TypedDict):
    """What a threshold leads to: shares of all selected, of leavers found, of selected who leave.

    `cost` is the mean cost a record, in units of one needless approach.
    """

    threshold: float
    selected: float
    found: float
    precision: float
    cost: float


class Curves(TypedDict):
    """Curves over out-of-fold probabilities, records of all repeats pooled."""

    roc: list[RocPoint]
    precision_recall: list[PrecisionRecallPoint]
    calibration: list[CalibrationPoint]
    decision: list[DecisionPoint]


class EffectPoint(TypedDict):
    """What a field's value adds to the log-odds, less the training mean; share of records there."""

    value: int | str
    contribution: float
    share: float


class Effect(TypedDict):
    """One field's effect, averaged over the table's values of a field that it shares a term with.

    `importance` is the mean absolute contribution over the training table, in log-odds.
    """

    feature: str
    importance: float
    points: list[EffectPoint]


class Interval(TypedDict):
    """The probability's interval: its level, and what share of simulated truths it held."""

    level: float
    coverage: float
    relabellings: int
    replicates: int
    referred: float


class Evidence(TypedDict):
    """The whole document; `fairness`, `drift` and `outliers` are as their modules document them."""

    format: int
    origin: Origin
    environment: Mapping[str, str]
    figures: Mapping[str, Figure]
    curves: Curves
    missed_leaver_cost: float
    threshold: float
    interval: Interval
    effects: list[Effect]
    fairness: Mapping[str, object]
    drift: Mapping[str, object]
    outliers: Mapping[str, object]


def figure(
    value: float, meaning: str, *, low: float | None = None, high: float | None = None
) -> Figure:
    """Round a number and its interval to six digits after the point."""
    return {
        "value": round(float(value), _DIGITS),
        "low": None if low is None else round(float(low), _DIGITS),
        "high": None if high is None else round(float(high), _DIGITS),
        "meaning": meaning,
    }


def environment() -> dict[str, str]:
    """Return the versions that figures depend on: Python's, and those of the numeric packages."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
