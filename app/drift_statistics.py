"""The comparison of two lists of counts: p-values, effect sizes, and what is called drift.

They are those of `training.drift`, number by number (a test holds both against each other and
against SciPy), written with nothing but NumPy and `math`: SciPy would double the process's memory.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

from contract.drift import (
    FALSE_DISCOVERY_RATE,
    MINIMUM_EFFECT,
    MINIMUM_EXPECTED,
    MINIMUM_WINDOW,
    PSI_PRIOR,
    EffectKind,
    Status,
)

__all__ = [
    "DriftReport",
    "FeatureDrift",
    "Reference",
    "chi_squared_tail",
    "compare",
    "kolmogorov_tail",
]

_SERIES_TURN = 1.0
"""Of Kolmogorov's two series the one converges in few terms above this, the other below."""
_TERMS = 20

_Floats = npt.NDArray[np.float64]


class FeatureDrift(TypedDict):
    """One field's comparison, as `training.drift.detector.FeatureDrift`."""

    feature: str
    test: Literal["ks", "chi_squared"]
    p_value: float
    q_value: float
    effect_kind: EffectKind
    effect: float
    psi: float
    drifted: bool


class DriftReport(TypedDict):
    """A window's verdict; without enough data `features` is empty."""

    status: Status
    records: int
    features: list[FeatureDrift]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """A field's counts in the training table; categories have no `centres`.

    `centres` (`n_bins`) and `standard_deviation` are in the field's unit.
    """

    name: str
    counts: tuple[int, ...]
    centres: tuple[float, ...] | None
    standard_deviation: float


def compare(
    references: Sequence[Reference], window: Mapping[str, Sequence[int]], records: int
) -> DriftReport:
    """Compare a window's counts with the references', field by field."""
    if records < MINIMUM_WINDOW:
        return {"status": "not_enough_data", "records": records, "features": []}
    features = [_compare(reference, window[reference.name]) for reference in references]
    for feature, q_value in zip(
        features, _adjusted([each["p_value"] for each in features]), strict=True
    ):
        feature["q_value"] = q_value
        feature["drifted"] = (
            q_value <= FALSE_DISCOVERY_RATE
            and feature["effect"] >= MINIMUM_EFFECT[feature["effect_kind"]]
        )
    drifted = any(each["drifted"] for each in features)
    return {"status": "drift" if drifted else "ok", "records": records, "features": features}


def _compare(reference: Reference, window: Sequence[int]) -> FeatureDrift:
    """Compare one field; what depends on the other fields is filled in by `compare`."""
    before, now = np.array(reference.counts, dtype=np.float64), np.array(window, dtype=np.float64)
    found: FeatureDrift = {
        "feature": reference.name,
        "test": "chi_squared",
        "p_value": 1.0,
        "q_value": 1.0,
        "effect_kind": "cramers_v",
        "effect": 0.0,
        "psi": _psi(before, now),
        "drifted": False,
    }
    if reference.centres is None:
        found["p_value"], found["effect"] = _chi_squared(before, now), _cramers_v(before, now)
        return found
    gaps = np.abs(before.cumsum() / before.sum() - now.cumsum() / now.sum())
    distance = float((gaps[:-1] * np.diff(reference.centres)).sum())
    found["test"], found["effect_kind"] = "ks", "wasserstein_sd"
    found["p_value"] = _kolmogorov_smirnov(before, now, float(gaps.max()))
    found["effect"] = distance / reference.standard_deviation
    return found


def _kolmogorov_smirnov(before: _Floats, now: _Floats, statistic: float) -> float:
    """Return the smaller of two bounds of the p-value; `training.drift.counts` says why."""
    if statistic == 0:
        return 1.0
    sizes = (before.sum(), now.sum())
    scaled = statistic * math.sqrt(sizes[0] * sizes[1] / (sizes[0] + sizes[1]))
    below = (before + now).cumsum() / (sizes[0] + sizes[1])
    ends: list[float] = below[(below > 0) & (below < 1)].tolist()
    bound = 1.0
    if all(min(end, 1 - end) * min(sizes) >= MINIMUM_EXPECTED for end in ends):
        bound = sum(math.erfc(scaled / math.sqrt(2 * end * (1 - end))) for end in ends)
    return min(kolmogorov_tail(scaled), bound)


def kolmogorov_tail(scaled: float) -> float:
    """Return the chance that Kolmogorov's limit exceeds `scaled`.

    By its two series (Marsaglia, Tsang and Wang, 2003, J. Statistical Software 8).
    """
    if scaled <= 0:
        return 1.0
    orders = range(1, _TERMS)
    if scaled > _SERIES_TURN:
        return 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in orders)
    terms = sum(math.exp(-(((2 * k - 1) * math.pi / scaled) ** 2) / 8) for k in orders)
    return 1 - math.sqrt(2 * math.pi) / scaled * terms


def _chi_squared(before: _Floats, now: _Floats) -> float:
    """Return the p-value, rare categories pooled; `training.drift.counts` says how."""
    sizes = (float(before.sum()), float(now.sum()))
    expected = (before + now) * min(sizes) / sum(sizes)
    kept = expected >= MINIMUM_EXPECTED
    rest = float(expected[~kept].sum())
    if 0 < rest < MINIMUM_EXPECTED and kept.any():
        kept[np.where(kept, expected, np.inf).argmin()] = False
    cells = [np.append(counts[kept], counts[~kept].sum()) for counts in (before, now)]
    both = cells[0] + cells[1]
    weights = sizes[0] * sizes[1] / np.maximum(both, 1)
    statistic = float((((cells[0] / sizes[0]) - (cells[1] / sizes[1])) ** 2 * weights).sum())
    freedom = int(np.count_nonzero(both)) - 1
    return chi_squared_tail(statistic, freedom) if freedom > 0 else 1.0


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """Return the chance that a chi-square with `freedom` ≥ 1 degrees exceeds `statistic`.

    The closed form for whole degrees (Abramowitz and Stegun, 26.4.4 and 26.4.5).
    """
    half = statistic / 2
    odd = freedom % 2
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    term = math.exp(-half)
    if odd:
        # The first term is exp(-half) x half^(1/2) / Gamma(3/2).
        term *= math.sqrt(half) / math.gamma(1.5)
    order = 1.0 + odd / 2
    for _ in range(freedom // 2):
        total += term
        term *= half / order
        order += 1.0
    return total


def _psi(before: _Floats, now: _Floats) -> float:
    shares = [(each + PSI_PRIOR) / (each + PSI_PRIOR).sum() for each in (before, now)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _cramers_v(before: _Floats, now: _Floats) -> float:
    shares = (before / before.sum(), now / now.sum())
    both = shares[0] + shares[1]
    terms = (shares[0] - shares[1]) ** 2 / np.where(both > 0, both, 1.0)
    return math.sqrt(float(terms.sum()) / 2)


def _adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Benjamini and Hochberg's rule."""
    count, least = len(p_values), 1.0
    q_values = [1.0] * count
    ascending = sorted(range(count), key=lambda at: p_values[at])
    for rank in range(count, 0, -1):
        at = ascending[rank - 1]
        least = min(least, p_values[at] * count / rank)
        q_values[at] = least
    return q_values
