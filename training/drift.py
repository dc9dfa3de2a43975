"""The drift detector: does a window of records look like the table the models learnt from?

It asks field by field. It keeps the table as counts per value, so that no person's record is in it.
"""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from scipy import special, stats

from contract.employee import FIELDS, Integer

__all__ = [
    "FALSE_DISCOVERY_RATE",
    "MINIMUM_EFFECT",
    "MINIMUM_WINDOW",
    "DriftDetector",
    "DriftReport",
    "FeatureDrift",
    "Status",
]

MINIMUM_WINDOW = 50
"""Records: below, the tests miss all but crude shifts, and silence would read as stability."""

FALSE_DISCOVERY_RATE = 0.05
"""Expected share of false findings among a window's findings (Benjamini and Hochberg, 1995)."""

MINIMUM_EFFECT = 0.1
"""Smaller effects are not called drift: with enough records any difference is significant."""

Status = Literal["not_enough_data", "stable", "drift"]


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """One field's comparison.

    `test` is `ks` (two-sample Kolmogorov-Smirnov; effect: its statistic) or `chi_squared` (effect:
    total variation distance). Effects run from 0 to 1, whatever the window's size. `q_value` is the
    adjusted `p_value`.
    """

    feature: str
    test: str
    p_value: float
    q_value: float
    effect: float
    drifted: bool


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """A window's verdict; `features` is empty when there was not enough data."""

    status: Status
    window: int
    features: tuple[FeatureDrift, ...]


class DriftDetector:
    """Compares a window of records with the counts of the training table."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def fit(self, records: pd.DataFrame) -> Self:
        """Count each field's values in `n_rows` x 30."""
        self._counts = {field.name: _counts(records[field.name]) for field in FIELDS}
        return self

    def detect(self, window: pd.DataFrame) -> DriftReport:
        """Compare `n_records` x 30 with the table, field by field."""
        if len(window) < MINIMUM_WINDOW:
            return DriftReport(status="not_enough_data", window=len(window), features=())
        p_values: list[float] = []
        effects: list[float] = []
        for field in FIELDS:
            compare = _compare_numbers if isinstance(field, Integer) else _compare_categories
            p_value, effect = compare(self._counts[field.name], _counts(window[field.name]))
            p_values.append(p_value)
            effects.append(effect)
        q_values: list[float] = stats.false_discovery_control(p_values).tolist()
        features = tuple(
            FeatureDrift(
                feature=field.name,
                test="ks" if isinstance(field, Integer) else "chi_squared",
                p_value=p_value,
                q_value=q_value,
                effect=effect,
                drifted=q_value <= FALSE_DISCOVERY_RATE and effect >= MINIMUM_EFFECT,
            )
            for field, p_value, q_value, effect in zip(
                FIELDS, p_values, q_values, effects, strict=True
            )
        )
        status: Status = "drift" if any(feature.drifted for feature in features) else "stable"
        return DriftReport(status=status, window=len(window), features=features)

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted detector as JSON content: field, then value as text, then count."""
        return {"counts": self._counts}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a fitted detector from what `to_dict` returned."""
        detector = cls()
        detector._counts = {name: dict(counts) for name, counts in content["counts"].items()}
        return detector


def _counts(column: "pd.Series[Any]") -> dict[str, int]:
    counts = Counter(column.tolist())
    return {str(value): counts[value] for value in sorted(counts)}


def _compare_numbers(
    reference: Mapping[str, int], window: Mapping[str, int]
) -> tuple[float, float]:
    """Return p-value and statistic of the two-sample Kolmogorov-Smirnov test, from counts.

    The p-value is the limiting distribution's (Smirnov, 1948); ties make it too large, never too
    small, so that fields of few values raise fewer false alarms.
    """
    values = sorted(reference.keys() | window.keys(), key=int)
    table = np.array([[counts.get(value, 0) for value in values] for counts in (reference, window)])
    sizes = table.sum(axis=1)
    cumulative = table.cumsum(axis=1) / sizes[:, np.newaxis]
    statistic = float(np.abs(cumulative[0] - cumulative[1]).max())
    effective_size = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
    return float(special.kolmogorov(np.sqrt(effective_size) * statistic)), statistic


def _compare_categories(
    reference: Mapping[str, int], window: Mapping[str, int]
) -> tuple[float, float]:
    """Return p-value of the chi-squared test, and total variation distance, from counts."""
    values = sorted(reference.keys() | window.keys())
    if len(values) == 1:
        return 1.0, 0.0
    table = np.array([[counts.get(value, 0) for value in values] for counts in (reference, window)])
    result: Any = stats.chi2_contingency(table, correction=False)
    shares = table / table.sum(axis=1, keepdims=True)
    return float(result.pvalue), float(np.abs(shares[0] - shares[1]).sum() / 2)
