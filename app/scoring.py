"""Score employee records: probability, interval, decision, reasons, distance from the population.

Every field is a bounded integer or a category, so all that a release knows of a single field is a
table over its legal values, and records are scored by looking up rows and adding them: the same few
array operations for one record and for a thousand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.answers import Prediction, Reason
from contract.classifier import REASONS, decide
from contract.employee import FIELD_NAMES, FIELDS, Category
from contract.outliers import STRIKING_FIELDS, STRIKING_SHARE
from contract.rules import RULES

__all__ = [
    "Classifier",
    "Codes",
    "Outliers",
    "Ratio",
    "Value",
    "Wide",
    "encode",
    "predict",
]

Value = int | str
Codes = npt.NDArray[np.int64]
"""`n_records` x 30 in the contract's order: a whole number as it is, a category by its place."""

_Floats = npt.NDArray[np.float64]

_PLACES: tuple[Mapping[str, int] | None, ...] = tuple(
    {category: place for place, category in enumerate(field.categories)}
    if isinstance(field, Category)
    else None
    for field in FIELDS
)
_RULES = tuple(
    (rule.name, FIELD_NAMES.index(rule.lower), rule.offset, FIELD_NAMES.index(rule.upper))
    for rule in RULES
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wide:
    """A column of a field with too many legal values for a table: its number or ln(1 + number).

    `weights` has 1 + `n_directions` entries: the coefficient, then what the interval needs.
    """

    field: int
    logarithmic: bool
    mean: float
    weights: _Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratio:
    """A column of two fields, number / (1 + other); see `contract.classifier` for the means."""

    number: int
    other: int
    mean: float
    mean_number: float
    mean_inverse: float
    weights: _Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A sum of one contribution for each field, in log-odds, and the spread of that sum.

    `table` is `n_entries` x (1 + `n_directions`): for every legal value of the fields `tabled` the
    contribution to the log-odds and to the interval's directions. An entry's row is the field's
    `offsets` plus the value's code. `fields` are those that contribute, `baseline` what all are
    told from: the log-odds, then the directions.
    """

    fields: tuple[int, ...]
    tabled: Codes
    offsets: Codes
    table: _Floats
    wide: tuple[Wide, ...]
    ratios: tuple[Ratio, ...]
    baseline: _Floats
    remainder: float
    z: float
    threshold: float

    def evaluate(self, codes: Codes) -> tuple[_Floats, _Floats, _Floats]:
        """Return log-odds and their standard errors (`n_records`), contributions (x `n_fields`)."""
        rows = self.table[codes[:, self.tabled] + self.offsets]
        sums = rows.sum(axis=1) + self.baseline
        contributions = np.zeros((len(codes), len(FIELDS)))
        contributions[:, self.tabled] = rows[:, :, 0]
        for column in self.wide:
            numbers = codes[:, column.field].astype(np.float64)
            distance = (np.log1p(numbers) if column.logarithmic else numbers) - column.mean
            sums += distance[:, np.newaxis] * column.weights
            contributions[:, column.field] += distance * column.weights[0]
        for ratio in self.ratios:
            number = codes[:, ratio.number].astype(np.float64)
            inverse = 1.0 / (1.0 + codes[:, ratio.other])
            distance = number * inverse - ratio.mean
            sums += distance[:, np.newaxis] * ratio.weights
            # Shapley's rule: what a field does alone, the other drawn from the training table.
            alone = number * ratio.mean_inverse - ratio.mean_number * inverse
            half = ratio.weights[0] / 2
            contributions[:, ratio.number] += half * (distance + alone)
            contributions[:, ratio.other] += half * (distance - alone)
        errors = np.sqrt(self.remainder + (sums[:, 1:] ** 2).sum(axis=1))
        return sums[:, 0], errors, contributions[:, self.fields]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outliers:
    """What each field's value adds to a record's score, given those of at most two other fields.

    `fields` are the places of the `n_fields` looked at. `bins` holds the bin of every legal value:
    a value's entry is the field's `offsets` plus its code. A term's place in `terms` is `bases`
    plus the record's bins times `strides` (`n_fields` x `n_fields`).
    """

    fields: Codes
    bins: npt.NDArray[np.int64]
    offsets: Codes
    terms: _Floats
    bases: Codes
    strides: Codes
    threshold: float

    def evaluate(self, codes: Codes) -> _Floats:
        """Return every field's term, `n_records` x 30: 0 for those that are not looked at."""
        bins = self.bins[codes[:, self.fields] + self.offsets]
        terms = np.zeros(codes.shape)
        terms[:, self.fields] = self.terms[bins @ self.strides + self.bases]
        return terms


def encode(records: Sequence[Mapping[str, Value]]) -> Codes:
    """Return the codes of legal records; what else they hold is left out."""
    rows = [
        [
            record[name] if places is None else places[record[name]]  # pyright: ignore[reportArgumentType] a legal record's category is text
            for name, places in zip(FIELD_NAMES, _PLACES, strict=True)
        ]
        for record in records
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, len(FIELDS))


def predict(classifier: Classifier, outliers: Outliers, codes: Codes) -> list[Prediction]:
    """Answer for `n_records` x 30 codes, in their order."""
    logit, errors, contributions = classifier.evaluate(codes)
    width = classifier.z * errors
    terms = outliers.evaluate(codes)
    scores = terms.sum(axis=1)
    over = scores > outliers.threshold
    broken = _broken(codes)
    columns = zip(
        *(_probability(each).tolist() for each in (logit, logit - width, logit + width)),
        scores.tolist(),
        (over | broken.any(axis=1)).tolist(),
        _reasons(classifier.fields, contributions),
        strict=True,
    )
    return [
        {
            "attrition_probability": probability,
            "interval": [low, high],
            "decision": decide(low, high, classifier.threshold, is_outlier=is_outlier),
            "outlier": {
                "is_outlier": is_outlier,
                "score": score,
                "features": _striking(terms[row], broken[row], over=bool(over[row]))
                if is_outlier
                else [],
                "broken_rules": _names(broken[row]) if is_outlier else [],
            },
            "reasons": reasons,
        }
        for row, (probability, low, high, score, is_outlier, reasons) in enumerate(columns)
    ]


def _probability(logit: _Floats) -> _Floats:
    # exp of a large positive number overflows: each sign has its own form.
    odds = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, odds) / (1.0 + odds)


def _broken(codes: Codes) -> npt.NDArray[np.bool_]:
    """Mark the rules that records break, `n_records` x `n_rules`."""
    return np.column_stack(
        [codes[:, lower] + offset > codes[:, upper] for _, lower, offset, upper in _RULES]
    )


def _names(broken: npt.NDArray[np.bool_]) -> list[str]:
    return [name for (name, *_), is_broken in zip(_RULES, broken, strict=True) if is_broken]


def _striking(terms: _Floats, broken: npt.NDArray[np.bool_], *, over: bool) -> list[str]:
    """Name the fields that make one record an outlier (`contract.outliers`)."""
    ruled = {
        field
        for (_, lower, _, upper), is_broken in zip(_RULES, broken, strict=True)
        if is_broken
        for field in (lower, upper)
    }
    striking: set[int] = set()
    if over:
        striking.update(np.flatnonzero(terms >= STRIKING_SHARE * terms.sum()).tolist())
    order: list[int] = np.argsort(-terms, kind="stable").tolist()
    named = [at for at in order if at in ruled]
    named += [at for at in order if at in striking - ruled]
    return [FIELD_NAMES[at] for at in named[:STRIKING_FIELDS]]


def _reasons(fields: Sequence[int], contributions: _Floats) -> list[list[Reason]]:
    """Name each record's largest contributions; of equal ones the field that comes first."""
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :REASONS]
    values = np.take_along_axis(contributions, order, axis=1)
    names = [FIELD_NAMES[field] for field in fields]
    return [
        [
            {"feature": names[at], "contribution": value}
            for at, value in zip(some, others, strict=True)
        ]
        for some, others in zip(_nested(order), _nested(values), strict=True)
    ]


def _nested(table: npt.NDArray[Any]) -> Any:
    # Any: pyright does not know how deep the lists of an array are.
    return table.tolist()
