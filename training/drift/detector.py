"""The drift detector: does a window of records look like the table the models learnt from?

It asks field by field, and of all fields together. It keeps the table as counts and moments, so
that no person's record is in it. It never judges one record: that is the outlier detector's part.

Level: of windows without drift at most 5 % are called drift. 3 % of it is for the 28 fields, whose
p-values Benjamini and Hochberg's rule adjusts, and 1 % for the joint test, which as the 29th of
them would have to be nearly as certain as the surest must. 1 % is margin, for every p-value here is
a limit's: at 50 records the joint test errs in 1.5 % of windows.
"""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from contract.drift import (
    FALSE_DISCOVERY_RATE,
    MINIMUM_EFFECT,
    MINIMUM_WINDOW,
    EffectKind,
    Status,
)
from contract.employee import DETECTED_NAMES
from training.data.records import check_records
from training.drift.bins import (
    MOST_BINS,
    CategoryBins,
    Counts,
    FieldBins,
    IntegerBins,
    count_codes,
    encode,
    learn_bins,
)
from training.drift.counts import (
    chi_squared_from_counts,
    cramers_v,
    ks_from_counts,
    psi,
    wasserstein_sd,
)
from training.drift.joint import JointTest

__all__ = [
    "FALSE_ALARM_LEVEL",
    "JOINT_LEVEL",
    "JOINT_MINIMUM_EFFECT",
    "DriftDetector",
    "DriftReport",
    "FeatureDrift",
    "FieldComparison",
    "JointDrift",
    "compare_fields",
    "joint_drifted",
]

FALSE_ALARM_LEVEL = 0.05
"""Share of windows without drift that may be called drift, whatever their size."""

JOINT_LEVEL = 0.01
"""Share of windows without drift that the joint test alone may call drift."""

JOINT_MINIMUM_EFFECT = 0.02
"""As `MINIMUM_EFFECT`, for the joint test: incomes exchanged among a sixth of the records.

Among all, they have .15. The smallest effect that 1,000 records can show is .018.
"""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """One field's comparison.

    `test` is `ks` (two-sample Kolmogorov-Smirnov, whole numbers) or `chi_squared` (categories).
    `effect` is of the kind `effect_kind`: `wasserstein_sd`, the distance in the table's standard
    deviations, or `cramers_v`, from 0 to 1; `psi` is the population stability index. `q_value` is
    the adjusted `p_value`. See `training.drift.counts`.
    """

    feature: str
    test: str
    p_value: float
    q_value: float
    effect_kind: EffectKind
    effect: float
    psi: float
    drifted: bool


@dataclass(frozen=True, kw_only=True)
class JointDrift:
    """All fields' comparison at once; see `training.drift.joint` for `effect`."""

    p_value: float
    effect: float
    drifted: bool


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """A window's verdict; without enough data `features` is empty and `joint` is None."""

    status: Status
    window: int
    features: tuple[FeatureDrift, ...]
    joint: JointDrift | None


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldComparison:
    """The fields' comparisons, `... x n_fields` each: one window or many at a time."""

    p_values: _Floats
    q_values: _Floats
    effects: _Floats
    psi: _Floats
    drifted: npt.NDArray[np.bool_]


class DriftDetector:
    """Compares a window of records with what is kept of the training table."""

    def __init__(self) -> None:
        self._bins: tuple[FieldBins, ...] = ()
        self._counts: Counts = np.zeros((0, MOST_BINS), dtype=np.int64)
        self._joint: JointTest | None = None

    def fit(self, records: pd.DataFrame) -> Self:
        """Learn bins, counts and moments from `n_rows` x `n_fields`, in whatever order.

        Raises:
            DatasetError: a record that the contract does not allow.
            ValueError: fewer than `MINIMUM_WINDOW` records, or all of them alike.
        """
        if len(records) < MINIMUM_WINDOW:
            raise ValueError(f"{len(records)} records; expected at least {MINIMUM_WINDOW}")
        records = check_records(records)
        self._bins = learn_bins(records)
        codes = encode(records, self._bins)
        self._counts = count_codes(codes)
        self._joint = JointTest.fit(codes, self._bins)
        return self

    def bins(self) -> Mapping[str, FieldBins]:
        """Return each field's bins, by its name, in contract order."""
        return {field.name: field for field in self._bins}

    def detect(self, window: pd.DataFrame) -> DriftReport:
        """Compare `n_records` x `n_fields` with the table.

        Raises:
            DatasetError: a record that the contract does not allow.
            RuntimeError: the detector is not fitted.
        """
        if self._joint is None:
            raise RuntimeError("the detector is not fitted; call `fit` or `from_dict` first")
        if len(window) < MINIMUM_WINDOW:
            return DriftReport(
                status="not_enough_data", window=len(window), features=(), joint=None
            )
        codes = encode(check_records(window), self._bins)
        features = _features(
            self._bins, compare_fields(self._bins, self._counts, count_codes(codes))
        )
        p_value, effect = self._joint.compare(codes)
        drifted = bool(joint_drifted(np.array(p_value), np.array(effect)))
        joint = JointDrift(p_value=p_value, effect=effect, drifted=drifted)
        drift = joint.drifted or any(feature.drifted for feature in features)
        return DriftReport(
            status="drift" if drift else "ok",
            window=len(window),
            features=features,
            joint=joint,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted detector as JSON content.

        `fields` has each field's bins and its `counts` in them, `joint` the joint test.

        Raises:
            RuntimeError: the detector is not fitted.
        """
        if self._joint is None:
            raise RuntimeError("the detector is not fitted; call `fit` or `from_dict` first")
        fields = {
            field.name: field.to_dict() | {"counts": counts[: field.size].tolist()}
            for field, counts in zip(self._bins, self._counts, strict=True)
        }
        return {"fields": fields, "joint": self._joint.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a fitted detector from what `to_dict` returned."""
        detector = cls()
        fields: Mapping[str, Mapping[str, Any]] = content["fields"]
        # JSON written with sorted keys has lost the contract's order, which codes go by.
        by_name = {
            name: (CategoryBins if "categories" in field else IntegerBins).from_dict(name, field)
            for name, field in fields.items()
        }
        detector._bins = tuple(by_name[name] for name in DETECTED_NAMES)
        detector._counts = np.zeros((len(DETECTED_NAMES), MOST_BINS), dtype=np.int64)
        for row, field in enumerate(detector._bins):
            detector._counts[row, : field.size] = fields[field.name]["counts"]
        detector._joint = JointTest.from_dict(content["joint"], detector._bins)
        return detector


def compare_fields(bins: Sequence[FieldBins], reference: Counts, window: Counts) -> FieldComparison:
    """Compare counts, `... x n_fields x MOST_BINS` each (see `count_codes`), field by field."""
    columns = [
        _compare(field, reference[..., row, : field.size], window[..., row, : field.size])
        for row, field in enumerate(bins)
    ]
    p_values, effects, indices = (np.stack(parts, axis=-1) for parts in zip(*columns, strict=True))
    q_values = np.asarray(stats.false_discovery_control(p_values, axis=-1), dtype=np.float64)
    minima = np.array([MINIMUM_EFFECT[_effect_kind(field)] for field in bins])
    return FieldComparison(
        p_values=p_values,
        q_values=q_values,
        effects=effects,
        psi=indices,
        drifted=(q_values <= FALSE_DISCOVERY_RATE) & (effects >= minima),
    )


def joint_drifted(p_values: _Floats, effects: _Floats) -> npt.NDArray[np.bool_]:
    """Mark the joint tests, `...`, that speak of drift."""
    return (p_values <= JOINT_LEVEL) & (effects >= JOINT_MINIMUM_EFFECT)


def _compare(
    field: FieldBins, reference: Counts, window: Counts
) -> tuple[_Floats, _Floats, _Floats]:
    """Return p-value, effect and PSI."""
    index = psi(reference, window)
    if isinstance(field, CategoryBins):
        return chi_squared_from_counts(reference, window)[1], cramers_v(reference, window), index
    distance = wasserstein_sd(
        reference,
        window,
        centres=np.array(field.centres),
        standard_deviation=field.standard_deviation,
    )
    return ks_from_counts(reference, window)[1], distance, index


def _effect_kind(field: FieldBins) -> EffectKind:
    return "cramers_v" if isinstance(field, CategoryBins) else "wasserstein_sd"


def _features(bins: Sequence[FieldBins], found: FieldComparison) -> tuple[FeatureDrift, ...]:
    return tuple(
        FeatureDrift(
            feature=field.name,
            test="chi_squared" if isinstance(field, CategoryBins) else "ks",
            p_value=float(found.p_values[row]),
            q_value=float(found.q_values[row]),
            effect_kind=_effect_kind(field),
            effect=float(found.effects[row]),
            psi=float(found.psi[row]),
            drifted=bool(found.drifted[row]),
        )
        for row, field in enumerate(bins)
    )
