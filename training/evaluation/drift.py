"""How often the drift detector errs: false alarms without drift, and power on planted drift.

Both are measured on the table alone, in two ways, for want of a second table:

- False alarms: a window is drawn from the table without replacement and compared with the remaining
  records. Windows of 1,000 leave a reference of 470 of the 1,470, a third of what a release has.
- Power: window and reference are drawn with replacement, the table being the population, so that
  the reference has the size it has in a release.

Bins are the table's. What the joint test learns it learns from reference records, in rounds: the
windows of a round share the whitening. Counts and mean features are made anew for each window.
"""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from contract.employee import DETECTED_NAMES, INTEGERS
from training.drift.bins import (
    CategoryBins,
    Codes,
    Counts,
    FieldBins,
    count_codes,
    encode,
    learn_bins,
)
from training.drift.detector import compare_fields, joint_drifted
from training.drift.joint import LEARNING_PART, Spread, Whitening, mean_features
from training.evaluation.evidence import Figure, figure

__all__ = [
    "PLANTED",
    "WINDOW_SIZES",
    "Alarms",
    "Change",
    "DriftFigures",
    "Power",
    "Rate",
    "drift_figures",
]

WINDOW_SIZES = (50, 200, 1_000)
"""Records of the windows that are judged."""

Change = Literal["shift", "mix", "correlation"]

PLANTED: tuple[tuple[Change, str], ...] = (
    ("shift", "Age"),
    ("shift", "DistanceFromHome"),
    ("shift", "JobSatisfaction"),
    ("shift", "MonthlyIncome"),
    ("shift", "YearsAtCompany"),
    ("mix", "Department"),
    ("mix", "JobRole"),
    ("mix", "OverTime"),
    ("correlation", "Department"),
    ("correlation", "MonthlyIncome"),
    ("correlation", "YearsAtCompany"),
)
"""What is planted in which field: wide, skewed, narrow ones; of few and of many categories."""

_SHIFT = 0.3
"""Standard deviations that `shift` adds; narrow fields are rounded at random, to keep the mean."""

_MIX = 0.1
"""Share of the records that `mix` adds to a field's second most frequent category."""

_CHANGES: Mapping[Change, str] = {
    "shift": "0.3 standard deviations added to",
    "mix": "10 points moved in",
    "correlation": "shuffled",
}

_LEAST_REFERENCE = 100
"""Records that a window must leave of the table, to be looked at for false alarms."""

_CONFIDENCE = 0.95

_ALARM_ROUNDS, _ALARM_WINDOWS = 25, 500
"""Windows of a round resemble each other; many rounds of few keep the intervals honest."""

_POWER_ROUNDS, _POWER_WINDOWS = 4, 60

_SPREAD_ROWS = 500
"""Reference records that each round's spread is measured on: most of the time goes there."""

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of `windows`, with its 95 % interval (Clopper and Pearson, 1934)."""

    hits: int
    windows: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.windows

    def to_dict(self) -> dict[str, float]:
        """Return the share, its interval, and the number of windows."""
        found = stats.binomtest(self.hits, self.windows).proportion_ci(_CONFIDENCE, "exact")
        return {
            "value": self.value,
            "low": float(found.low),
            "high": float(found.high),
            "windows": self.windows,
        }


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """False alarms among windows of `window` records against `reference` records.

    `status` counts windows called drift; the others those in which a field of the test's kind, or
    the joint test, was.
    """

    window: int
    reference: int
    status: Rate
    ks: Rate
    chi_squared: Rate
    joint: Rate


@dataclass(frozen=True, kw_only=True)
class Power:
    """Planted drift found in windows of `window` records.

    `status` counts windows called drift, `field` those in which the field of the plant was named,
    and `joint` those in which the joint test was.
    """

    change: Change
    feature: str
    window: int
    status: Rate
    field: Rate
    joint: Rate


@dataclass(frozen=True, kw_only=True)
class DriftFigures:
    """All that was measured."""

    alarms: tuple[Alarms, ...]
    power: tuple[Power, ...]

    def figures(self) -> dict[str, Figure]:
        """Return the headline numbers by name.

        `drift_false_alarm_rate` is the largest over the window sizes,
        `drift_power_{shift,mix,correlation}_{50,200,1000}` the smallest over the fields.
        """
        worst = max(self.alarms, key=lambda alarms: alarms.status.value)
        meaning = f"windows of {worst.window:,} without drift that were called drift"
        found = {"drift_false_alarm_rate": _figure(worst.status, meaning)}
        for change, size in itertools.product(_CHANGES, WINDOW_SIZES):
            weakest = min(
                (p for p in self.power if (p.change, p.window) == (change, size)),
                key=lambda power: power.status.value,
            )
            meaning = f"windows of {size:,} called drift, {_CHANGES[change]} {weakest.feature}"
            found[f"drift_power_{change}_{size}"] = _figure(weakest.status, meaning)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON content, each rate with its interval."""
        return {
            "alarms": [_with_intervals(alarms) for alarms in self.alarms],
            "power": [_with_intervals(power) for power in self.power],
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Verdicts:
    """What was found in `n_windows`: fields, and joint test."""

    fields: npt.NDArray[np.bool_]
    joint: npt.NDArray[np.bool_]

    @property
    def status(self) -> npt.NDArray[np.bool_]:
        return self.fields.any(axis=1) | self.joint


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reference:
    """A reference for each window of a round: counts and mean features, and what they share."""

    whitening: Whitening
    spread: Spread
    counts: Counts
    features: _Floats
    records: int


def drift_figures(features: pd.DataFrame, *, seed: int) -> DriftFigures:
    """Measure on `n_rows` x 30, at least 200; some 5 s of one core.

    False alarms are looked for at those of `WINDOW_SIZES` that leave 100 records of the table.
    """
    bins = learn_bins(features)
    codes = encode(features, bins)
    alarms = [
        _false_alarms(codes, bins, size, np.random.default_rng([seed, size]))
        for size in WINDOW_SIZES
        if len(codes) - size >= _LEAST_REFERENCE
    ]
    return DriftFigures(
        alarms=tuple(alarms),
        power=tuple(_powers(features, codes, bins, np.random.default_rng([seed, 0]))),
    )


def _false_alarms(
    codes: Codes, bins: Sequence[FieldBins], size: int, random: np.random.Generator
) -> Alarms:
    verdicts: list[_Verdicts] = []
    for _ in range(_ALARM_ROUNDS):
        shuffled = random.permutation(codes)
        learning = (len(codes) - size) // LEARNING_PART
        whitening, pool = Whitening.learn(shuffled[:learning], bins), shuffled[learning:]
        coordinates = whitening.apply(pool)
        drawn = [
            random.choice(len(pool), size, replace=False)
            for _ in range(_ALARM_WINDOWS // _ALARM_ROUNDS)
        ]
        counts = np.stack([count_codes(pool[rows]) for rows in drawn])
        features = np.stack([mean_features(coordinates[rows]) for rows in drawn])
        left = len(pool) - size
        reference = _Reference(
            whitening=whitening,
            spread=Spread.measure(coordinates[:_SPREAD_ROWS]),
            counts=count_codes(codes) - counts,
            features=(mean_features(coordinates) * len(pool) - features * size) / left,
            records=left,
        )
        verdicts.append(_judge(reference, bins, counts, features, size))
    categories = np.array([isinstance(field, CategoryBins) for field in bins])
    fields = np.concatenate([found.fields for found in verdicts])
    return Alarms(
        window=size,
        reference=len(codes) - size,
        status=_rate(found.status for found in verdicts),
        ks=_rate([np.asarray(fields[:, ~categories].any(axis=1))]),
        chi_squared=_rate([np.asarray(fields[:, categories].any(axis=1))]),
        joint=_rate(found.joint for found in verdicts),
    )


def _powers(
    records: pd.DataFrame, codes: Codes, bins: Sequence[FieldBins], random: np.random.Generator
) -> list[Power]:
    found: dict[tuple[Change, str, int], list[_Verdicts]] = {}
    for _ in range(_POWER_ROUNDS):
        windows = _POWER_WINDOWS // _POWER_ROUNDS
        reference = _drawn_reference(codes, bins, windows, random)
        # Smaller windows begin as the larger do: their comparison is then less a matter of chance.
        drawn = random.integers(len(codes), size=(windows, max(WINDOW_SIZES)))
        for change, name in PLANTED:
            planted = _planted(change, name, records, codes, bins, random)
            coordinates = reference.whitening.apply(planted)
            for size in WINDOW_SIZES:
                rows = drawn[:, :size]
                features = (
                    _broken(planted, DETECTED_NAMES.index(name), rows, reference.whitening, random)
                    if change == "correlation"
                    else np.stack([mean_features(coordinates[chosen]) for chosen in rows])
                )
                counts = np.stack([count_codes(planted[chosen]) for chosen in rows])
                verdicts = _judge(reference, bins, counts, features, size)
                found.setdefault((change, name, size), []).append(verdicts)
    return [
        Power(
            change=change,
            feature=name,
            window=size,
            status=_rate(found.status for found in verdicts),
            field=_rate(found.fields[:, DETECTED_NAMES.index(name)] for found in verdicts),
            joint=_rate(found.joint for found in verdicts),
        )
        for (change, name, size), verdicts in found.items()
    ]


def _drawn_reference(
    codes: Codes, bins: Sequence[FieldBins], windows: int, random: np.random.Generator
) -> _Reference:
    """Draw as many references as `windows`, of the table's size; a third of each is in all."""
    learning = len(codes) // LEARNING_PART
    size = (windows, len(codes) - learning)
    learnt, drawn = (
        random.integers(len(codes), size=learning),
        random.integers(len(codes), size=size),
    )
    whitening = Whitening.learn(codes[learnt], bins)
    coordinates = whitening.apply(codes)
    return _Reference(
        whitening=whitening,
        spread=Spread.measure(coordinates[drawn[0, :_SPREAD_ROWS]]),
        counts=count_codes(codes[learnt]) + np.stack([count_codes(codes[rows]) for rows in drawn]),
        features=np.stack([mean_features(coordinates[rows]) for rows in drawn]),
        records=size[1],
    )


def _planted(
    change: Change,
    name: str,
    records: pd.DataFrame,
    codes: Codes,
    bins: Sequence[FieldBins],
    random: np.random.Generator,
) -> Codes:
    """Return the population, `n_rows` x `n_fields`, shifted or mixed; a break is made later."""
    column = DETECTED_NAMES.index(name)
    planted = codes.copy()
    if change == "shift":
        field = next(field for field in INTEGERS if field.name == name)
        values = records[name]
        moved = np.floor(values + _SHIFT * values.std() + random.random(len(values)))
        planted[:, column] = bins[column].encode(moved.clip(field.minimum, field.maximum))
    elif change == "mix":
        shares = np.bincount(codes[:, column]) / len(codes)
        category = int(shares.argsort()[-2])
        # Of those outside the category the share that makes up a tenth of all.
        joins = random.random(len(codes)) < _MIX / (1 - shares[category])
        planted[joins, column] = category
    return planted


def _broken(
    codes: Codes, column: int, rows: _Rows, whitening: Whitening, random: np.random.Generator
) -> _Floats:
    """Return mean features of windows, `n_windows x n_records`, a field shuffled within each."""
    features: list[_Floats] = []
    for chosen in rows:
        window = codes[chosen]
        window[:, column] = random.permutation(window[:, column])
        features.append(mean_features(whitening.apply(window)))
    return np.stack(features)


def _judge(
    reference: _Reference, bins: Sequence[FieldBins], counts: Counts, features: _Floats, size: int
) -> _Verdicts:
    """Judge windows of `size` records as `DriftDetector.detect` does, many at a time."""
    spread, sizes = reference.spread, {"reference": reference.records, "window": size}
    distances = np.square(features - reference.features).sum(axis=1)
    joint = joint_drifted(spread.p_value(distances, **sizes), spread.effect(distances, **sizes))
    fields = compare_fields(bins, reference.counts, counts).drifted
    return _Verdicts(fields=fields, joint=joint)


def _rate(marks: Iterable[npt.NDArray[np.bool_]]) -> Rate:
    marked = np.concatenate([*marks])
    return Rate(hits=int(marked.sum()), windows=len(marked))


def _figure(rate: Rate, meaning: str) -> Figure:
    content = rate.to_dict()
    return figure(content["value"], meaning, low=content["low"], high=content["high"])


def _with_intervals(figures: Alarms | Power) -> dict[str, Any]:
    return asdict(figures) | {
        name: rate.to_dict() for name, rate in vars(figures).items() if isinstance(rate, Rate)
    }
