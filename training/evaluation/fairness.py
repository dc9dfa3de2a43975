"""How the classifier treats men and women, ages and marital statuses: rates, ratios, calibration.

A record is selected when its probability reaches the decision threshold. The table's fields `Age`,
`Gender` and `MaritalStatus` are read here and nowhere else in training, and what leaves this module
are figures of groups. What is gated, and why: docs/decisions/0014-fairness.md.

Three ratios compare the groups of an attribute; 1 is equal treatment, and a ratio above 1 counts
as 1:

- selection ratio: the lowest selection rate over the highest (four-fifths rule: EEOC Uniform
  Guidelines, 29 CFR 1607.4 D);
- opportunity ratio: the same of the rates at which leavers are found (equal opportunity: Hardt,
  Price and Srebro, 2016, "Equality of opportunity in supervised learning", NeurIPS);
- adjusted ratio: the smallest, over all pairs of groups, of the one's selection rate over the
  other's, divided by the ratio of their leave rates where that is below 1. A group may be selected
  less often than another only as far as it leaves less often; of two that leave alike it is the
  selection ratio.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.evaluation.evidence import Figure, figure

__all__ = [
    "MINIMUM_LEAVERS",
    "MINIMUM_RECORDS",
    "AttributeFairness",
    "Estimate",
    "Fairness",
    "Floats",
    "GroupFairness",
    "Ratio",
    "fairness",
]

MINIMUM_RECORDS = 30
"""Fewer records are reported and not judged: a selection rate of theirs is about ± .16."""

MINIMUM_LEAVERS = 10
"""With fewer leavers likewise: the share of them that is found is about ± .25."""

_AGE_BANDS: Mapping[int, str] = {18: "18-29", 30: "30-39", 40: "40-49", 50: "50 and over"}
"""Youngest age of each band, in years, and the band's name."""

_ATTRIBUTES: Mapping[str, str] = {
    "Gender": "gender",
    "MaritalStatus": "marital_status",
    "Age": "age",
}
"""The attributes and what they are called in the names of figures."""

_QUANTILES = (0.025, 0.975)
_NORMAL_QUANTILE = 1.959964
"""Of the 97.5 % point: intervals are 95 % ones."""

_REPLICATES = 2_000
_WEIGHTS_AT_ONCE = 4_000_000
"""Weights that are held at a time: 32 MB; all of a large table's would fill gigabytes."""

_DIGITS = 6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Ratio(Estimate):
    """A rate of `group` over that of `reference`; the interval is that of these two."""

    group: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class GroupFairness:
    """One group's figures; rates are means over the repeats, and None where nobody is counted.

    `calibration_gap` is the mean probability said less the share that left. Intervals are over
    records: Wilson's for the rates, which is a little wide for a mean of repeats, and the bootstrap
    for the gap. A group that is not `judged` is too small to compare.
    """

    name: str
    records: int
    leavers: int
    judged: bool
    leave_rate: Estimate
    selection_rate: Estimate
    true_positive_rate: Estimate | None
    false_positive_rate: Estimate | None
    calibration_gap: Estimate


@dataclass(frozen=True, kw_only=True)
class AttributeFairness:
    """The groups of one attribute and their ratios; None where fewer than two groups are judged.

    `four_fifths` is the smallest adjusted ratio of those that chance does not explain, which is to
    say whose interval stays below 1; None where there is no such pair.
    """

    groups: tuple[GroupFairness, ...]
    selection_ratio: Ratio | None
    opportunity_ratio: Ratio | None
    adjusted_ratio: Ratio | None
    four_fifths: Ratio | None


@dataclass(frozen=True, kw_only=True)
class Fairness:
    """The report on one classifier: `attributes` by the name of their field."""

    threshold: float
    repeats: int
    attributes: Mapping[str, AttributeFairness]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON content, numbers rounded to six digits after the point."""
        return json.loads(json.dumps(asdict(self)), parse_float=_rounded)

    def figures(self) -> dict[str, Figure]:
        """Return the headline figures by name; one that cannot be measured is left out.

        That is so where fewer than two groups of an attribute are large enough to be judged, and
        for the calibration gap where no group is. A gate on a figure that is missing refuses.
        """
        found: dict[str, Figure] = {}
        for name, short in _ATTRIBUTES.items():
            of = self.attributes[name]
            _add(found, f"fairness_selection_ratio_{short}", of.selection_ratio, "selection rates")
            _add(
                found, f"fairness_opportunity_ratio_{short}", of.opportunity_ratio, "leavers found"
            )
        adjusted = _smallest(of.adjusted_ratio for of in self.attributes.values())
        _add(found, "fairness_adjusted_ratio", adjusted, "selection given leave rates")
        if adjusted is not None:
            adverse = _smallest(of.four_fifths for of in self.attributes.values())
            _add(found, "fairness_four_fifths", adverse, "selection given leave rates")
            if adverse is None:
                meaning = "no group is selected too seldom for its leave rate beyond chance"
                found["fairness_four_fifths"] = figure(1.0, meaning)
        gaps = [
            (abs(group.calibration_gap.value), group)
            for of in self.attributes.values()
            for group in of.groups
            if group.judged
        ]
        if gaps:
            _, group = max(gaps, key=lambda gap: gap[0])
            found["fairness_calibration_gap"] = _absolute(group.calibration_gap, group.name)
        return found


def fairness(
    features: pd.DataFrame,
    target: pd.Series | npt.NDArray[np.int64],
    probabilities: Floats,
    threshold: float,
    *,
    seed: int = 0,
) -> Fairness:
    """Measure out-of-fold `probabilities`, `n_repeats` x `n_rows`, against what happened.

    `features` is `n_rows` x 30, of which the three attributes are read; `target` holds `n_rows` 0s
    and 1s. `seed` drives the bootstrap, which draws records: how the probabilities would differ had
    the models been fitted on other records is not in the intervals.

    Raises:
        ValueError: the three are not of the same number of records.
    """
    left = np.asarray(target, dtype=np.float64)
    if probabilities.shape[1:] != left.shape or len(features) != len(left):
        raise ValueError(
            f"fairness: {len(features)} records, {len(left)} outcomes and probabilities of shape "
            f"{probabilities.shape}; expected n_rows, n_rows and n_repeats x n_rows"
        )
    selected = (probabilities >= threshold).mean(axis=0)
    counted = (np.ones(len(left)), left, selected, selected * left, probabilities.mean(axis=0))
    labels = {name: _labels(features, name) for name in _ATTRIBUTES}
    names = {name: [str(group) for group in np.unique(of)] for name, of in labels.items()}
    masks = [labels[name] == group for name, groups in names.items() for group in groups]
    columns = np.column_stack([mask * values for values in counted for mask in masks])
    sums = _resampled(columns, seed).reshape(1 + _REPLICATES, len(counted), len(masks))
    attributes: dict[str, AttributeFairness] = {}
    first = 0
    for name, groups in names.items():
        attributes[name] = _attribute(groups, sums[:, :, first : first + len(groups)])
        first += len(groups)
    return Fairness(threshold=threshold, repeats=len(probabilities), attributes=attributes)


def _labels(features: pd.DataFrame, attribute: str) -> npt.NDArray[np.str_]:
    values = features[attribute].to_numpy()
    if attribute != "Age":
        return values.astype(np.str_)
    youngest = np.array([*_AGE_BANDS])
    bands = (values.astype(np.int64)[:, None] >= youngest).sum(axis=1) - 1
    return np.array([*_AGE_BANDS.values()])[bands]


def _resampled(columns: Floats, seed: int) -> Floats:
    """Sum each of `n_columns` over the table, then over each bootstrap replicate of its records."""
    random = np.random.default_rng(seed)
    shares = np.full(len(columns), 1 / len(columns))
    sums = [columns.sum(axis=0, keepdims=True)]
    at_once = max(1, _WEIGHTS_AT_ONCE // len(columns))
    for done in range(0, _REPLICATES, at_once):
        size = min(at_once, _REPLICATES - done)
        sums.append(random.multinomial(len(columns), shares, size=size) @ columns)
    return np.concatenate(sums)


def _attribute(names: Sequence[str], sums: Floats) -> AttributeFairness:
    """Judge groups by sums, 1 + `n_replicates` x 5 x `n_groups`; the first are the table's."""
    groups = tuple(_group(name, sums[:, :, column]) for column, name in enumerate(names))
    judged = [column for column, group in enumerate(groups) if group.judged]
    if len(judged) < 2:
        return AttributeFairness(
            groups=groups,
            selection_ratio=None,
            opportunity_ratio=None,
            adjusted_ratio=None,
            four_fifths=None,
        )
    records, leavers, selected, found, _ = np.moveaxis(sums[:, :, judged], 1, 0)
    selection = _pairs(_rate(selected, records))
    leaving = _pairs(_rate(leavers, records))
    compared = [names[column] for column in judged]
    adjusted = _ratios(_over(selection, np.minimum(leaving, 1.0)), compared)
    return AttributeFairness(
        groups=groups,
        selection_ratio=_smallest(_ratios(selection, compared)),
        opportunity_ratio=_smallest(_ratios(_pairs(_rate(found, leavers)), compared)),
        adjusted_ratio=_smallest(adjusted),
        four_fifths=_smallest(ratio for ratio in adjusted if ratio.high < 1.0),
    )


def _group(name: str, sums: Floats) -> GroupFairness:
    records, leavers, selected, found, said = sums[0].tolist()
    gaps = _rate(sums[:, 4] - sums[:, 1], sums[:, 0])
    low, high = np.nanquantile(gaps[1:], _QUANTILES).tolist()
    return GroupFairness(
        name=name,
        records=round(records),
        leavers=round(leavers),
        judged=records >= MINIMUM_RECORDS and leavers >= MINIMUM_LEAVERS,
        leave_rate=_wilson(leavers, records),
        selection_rate=_wilson(selected, records),
        true_positive_rate=_wilson(found, leavers) if leavers else None,
        false_positive_rate=(
            _wilson(selected - found, records - leavers) if records > leavers else None
        ),
        calibration_gap=Estimate(value=(said - leavers) / records, low=low, high=high),
    )


def _wilson(hits: float, of: float) -> Estimate:
    """Return the share with Wilson's score interval (Wilson, 1927, JASA 22)."""
    share, z2 = hits / of, _NORMAL_QUANTILE**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = (z2 * (share * (1 - share) + z2 / (4 * of)) / of) ** 0.5 / (1 + z2 / of)
    # At a share of 0 or 1 an end is the share itself, but for rounding.
    return Estimate(value=share, low=min(share, centre - half), high=max(share, centre + half))


def _rate(hits: Floats, of: Floats) -> Floats:
    """Divide; not a number where a replicate drew nobody to count."""
    return np.divide(hits, of, out=np.full_like(hits, np.nan), where=of > 0)


def _pairs(rates: Floats) -> Floats:
    """Divide every group's rate by every other's: `n_replicates` x `n_groups` x `n_groups`."""
    return _over(rates[:, :, None], rates[:, None, :])


def _over(share: Floats, reference: Floats) -> Floats:
    """Divide; 1 where both are nothing: where nobody is selected nobody is selected less often."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = share / reference
    return np.where((share == 0) & (reference == 0), 1.0, ratio)


def _ratios(pairs: Floats, names: Sequence[str]) -> list[Ratio]:
    """Return every group's ratio to every other, at most 1, with the interval of these two."""
    lows, highs = np.nanquantile(np.minimum(pairs[1:], 1.0), _QUANTILES, axis=0)
    return [
        Ratio(
            value=min(1.0, float(pairs[0, group, reference])),
            low=float(lows[group, reference]),
            high=float(highs[group, reference]),
            group=names[group],
            reference=names[reference],
        )
        for group in range(len(names))
        for reference in range(len(names))
        if group != reference
    ]


def _smallest(ratios: Iterable[Ratio | None]) -> Ratio | None:
    known = [ratio for ratio in ratios if ratio is not None]
    return min(known, key=lambda ratio: (ratio.value, ratio.low), default=None)


def _add(figures: dict[str, Figure], name: str, ratio: Ratio | None, what: str) -> None:
    if ratio is not None:
        meaning = f"{what}: {ratio.group} against {ratio.reference}"
        figures[name] = figure(ratio.value, meaning, low=ratio.low, high=ratio.high)


def _absolute(gap: Estimate, group: str) -> Figure:
    ends = sorted((abs(gap.low), abs(gap.high)))
    meaning = f"probability said less share that left: {group}; its size"
    low = 0.0 if gap.low <= 0.0 <= gap.high else ends[0]
    return figure(abs(gap.value), meaning, low=low, high=ends[1])


def _rounded(number: str) -> float:
    return round(float(number), _DIGITS)
