"""Score employee records: probability, interval, decision, reasons, distance from the population.

Every field is a bounded integer or a category, so all that a release knows of a single field is a
table over its legal values, and records are scored by looking up rows and adding them: the same few
array operations for one record and for a thousand. Arrays have the fields first: a field's codes
lie side by side, which is what the look-ups run over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.answers import OutlierAnswer, Prediction, Reason
from contract.classifier import REASONS, decide
from contract.employee import FIELD_NAMES, FIELDS, Category
from contract.outliers import STRIKING_FIELDS, STRIKING_SHARE
from contract.rules import RULES

__all__ = [
    "CATEGORY_CODES",
    "AnyCodes",
    "Classifier",
    "Codes",
    "Outliers",
    "Value",
    "Wide",
    "encode",
    "predict",
    "probability",
    "striking",
]

Value = int | str
Codes = npt.NDArray[np.int64]
"""30 x `n_records`, in the contract's order: a whole number as it is, a category by its place. A
field that no model looks at may hold anything."""

AnyCodes = Codes | list[int]
"""The same, or of one record the list of its 30: `app.scoring_one` takes these."""

_Floats = npt.NDArray[np.float64]

CATEGORY_CODES: tuple[Mapping[str, int] | None, ...] = tuple(
    {category: place for place, category in enumerate(field.categories)}
    if isinstance(field, Category)
    else None
    for field in FIELDS
)
"""By field, in the contract's order: each category's code; None where a number is its own."""

_AT_ONCE = 256
"""Records: more at a time take more memory than a processor keeps at hand, and no less time."""

_LOWER = np.array([FIELD_NAMES.index(rule.lower) for rule in RULES])
_UPPER = np.array([FIELD_NAMES.index(rule.upper) for rule in RULES])
_OFFSET = np.array([[rule.offset] for rule in RULES])


@dataclass(frozen=True, kw_only=True, eq=False)
class Wide:
    """Columns of fields with too many legal values for a table.

    The columns are functions of the numbers in `fields`: first the numbers, then, from `logarithms`
    on, ln(1 + number). Their `means` (`n_columns` x 1) are taken off; `weights`, `n_columns` x 1 x
    (1 + `n_directions`), are for the log-odds, then the directions.
    """

    fields: Codes
    logarithms: int
    means: _Floats
    weights: _Floats

    def moves(self, codes: Codes) -> _Floats:
        """Return what the columns add: `n_columns` x `n_records` x (1 + `n_directions`)."""
        numbers = codes[self.fields].astype(np.float64)
        logarithms = numbers[self.logarithms :]
        np.log1p(logarithms, out=logarithms)
        numbers -= self.means
        return numbers[:, :, np.newaxis] * self.weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """A sum of one contribution for each field, in log-odds, and the spread of that sum.

    `table` is `n_entries` x (1 + `n_directions`): for every legal value of a field, and every pair
    of values of two that share a ratio, the contribution to the log-odds and to the interval's
    directions. There are `n_rows` such fields and pairs, `singles` fields first. The entry is the
    code of the first field in `axes` (2 x `n_rows`) times the first of `strides` (2 x `n_rows` x
    1), plus those of the second, plus `offsets` (`n_rows` x 1). A single field is its own first and
    second, with strides 1 and 0.

    A pair's contribution is shared by its fields: `shares` (`n_entries`) is what of it is the first
    field's. So what is contributed comes in pieces: the rows' shares, then what the pairs have
    beside their shares, then the columns of `wide`. Each of the fields called `names`, in the
    contract's order, has the piece that `firsts` says, and some have `others`: (field, piece) each.
    `baseline` is what all are told from: the log-odds, then the directions.
    """

    names: tuple[str, ...]
    singles: int
    axes: Codes
    strides: Codes
    offsets: Codes
    table: _Floats
    shares: _Floats
    wide: Wide
    firsts: Codes
    others: tuple[tuple[int, int], ...]
    baseline: _Floats
    remainder: float
    z: float
    threshold: float

    def evaluate(self, codes: Codes) -> tuple[_Floats, _Floats, _Floats]:
        """Return log-odds, their standard errors, and contributions (`n_fields` x `n_records`)."""
        entries = codes[self.axes[0]] * self.strides[0]
        entries += codes[self.axes[1]] * self.strides[1]
        entries += self.offsets
        rows, shares = self.table[entries], self.shares[entries]
        moves = self.wide.moves(codes)
        # No matrix products and no `reduceat`: their sums depend on how many records there are.
        sums = np.add.reduce(rows, axis=0)
        for each in moves:
            sums += each
        sums += self.baseline
        rest = rows[self.singles :, :, 0] - shares[self.singles :]
        pieces = np.concatenate((shares, rest, moves[:, :, 0]))
        contributions = pieces[self.firsts]
        for field, piece in self.others:
            contributions[field] += pieces[piece]
        directions = sums[:, 1:]
        errors = np.sqrt(np.add.reduce(directions * directions, axis=1) + self.remainder)
        return sums[:, 0], errors, contributions


@dataclass(frozen=True, kw_only=True, eq=False)
class Outliers:
    """What each field's value adds to a record's score, given those of at most two other fields.

    `fields`, called `names`, are the places of the `n_fields` looked at. `bins` holds the bin of
    every legal value: a value's entry is the field's `offsets` (`n_fields` x 1) plus its code. A
    term's place in `terms` is `bases` (`n_fields` x 1) plus the bins of up to three fields, `axes`
    (3 x `n_fields`), each times its `strides` (3 x `n_fields` x 1).
    """

    names: tuple[str, ...]
    fields: Codes
    bins: npt.NDArray[np.uint8]
    offsets: Codes
    terms: _Floats
    bases: Codes
    axes: Codes
    strides: Codes
    threshold: float

    def evaluate(self, codes: Codes) -> _Floats:
        """Return every field's term, `n_fields` x `n_records`."""
        bins = self.bins.take(codes[self.fields] + self.offsets).astype(np.int64)
        places = self.bases + bins * self.strides[0]
        for axis, strides in zip(self.axes[1:], self.strides[1:], strict=True):
            places += bins[axis] * strides
        return self.terms[places]


def encode(records: Sequence[Mapping[str, Value]]) -> Codes:
    """Return the codes of legal records; what else they hold is left out, what they lack is 0."""
    rows = [
        [
            0 if (value := record.get(name)) is None else value if places is None else places[value]  # pyright: ignore[reportArgumentType] a legal record's category is text
            for record in records
        ]
        for name, places in zip(FIELD_NAMES, CATEGORY_CODES, strict=True)
    ]
    return np.array(rows, dtype=np.int64)


def predict(classifier: Classifier, outliers: Outliers, codes: Codes) -> list[Prediction]:
    """Answer for 30 x `n_records` codes, in their order."""
    predictions: list[Prediction] = []
    for start in range(0, len(codes[0]), _AT_ONCE):
        predictions += _predictions(classifier, outliers, codes[:, start : start + _AT_ONCE])
    return predictions


def _predictions(classifier: Classifier, outliers: Outliers, codes: Codes) -> list[Prediction]:
    logit, errors, contributions = classifier.evaluate(codes)
    width = classifier.z * errors
    probabilities = probability(np.array((logit, logit - width, logit + width)))
    found = _outliers(outliers, codes)
    reasons = _reasons(classifier.names, contributions)
    threshold = classifier.threshold
    return [
        {
            "attrition_probability": likely,
            "interval": [low, high],
            "decision": decide(low, high, threshold, is_outlier=outlier["is_outlier"]),
            "outlier": outlier,
            "reasons": why,
        }
        for likely, low, high, outlier, why in zip(
            *probabilities.tolist(), found, reasons, strict=True
        )
    ]


def probability(logit: _Floats) -> _Floats:
    """Turn log-odds into probabilities."""
    # exp of a large positive number overflows: each sign has its own form.
    odds = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, odds) / (1.0 + odds)


def _outliers(outliers: Outliers, codes: Codes) -> list[OutlierAnswer]:
    terms = outliers.evaluate(codes)
    scores = np.add.reduce(terms, axis=0)
    broken = codes[_LOWER] + _OFFSET > codes[_UPPER]
    flagged = (scores > outliers.threshold) | np.logical_or.reduce(broken, axis=0)
    found: list[OutlierAnswer] = [
        {"is_outlier": False, "score": each, "features": [], "broken_rules": []}
        for each in scores.tolist()
    ]
    for at in np.flatnonzero(flagged).tolist():
        rules = broken[:, at].tolist()
        found[at] = {
            "is_outlier": True,
            "score": found[at]["score"],
            "features": striking(outliers.names, terms[:, at].tolist(), rules, outliers.threshold),
            "broken_rules": [
                rule.name for rule, is_broken in zip(RULES, rules, strict=True) if is_broken
            ],
        }
    return found


def striking(
    names: Sequence[str], terms: Sequence[float], broken: Sequence[bool], threshold: float
) -> list[str]:
    """Name the fields that make one record an outlier (`contract.outliers`)."""
    score = sum(terms)
    ruled = {
        name
        for rule, is_broken in zip(RULES, broken, strict=True)
        if is_broken
        for name in rule.fields
    }
    least = STRIKING_SHARE * score if score > threshold else np.inf
    # Sorting is stable: of equal terms the field that comes first.
    ranked = sorted(zip(names, terms, strict=True), key=lambda pair: -pair[1])
    named = [name for name, _ in ranked if name in ruled]
    named += [name for name, term in ranked if term >= least and name not in ruled]
    return named[:STRIKING_FIELDS]


def _reasons(names: Sequence[str], contributions: _Floats) -> list[list[Reason]]:
    """Name each record's largest contributions; of equal ones the field that comes first."""
    records = contributions.shape[1]
    sizes: _Floats = np.abs(contributions)
    every = np.arange(records, dtype=np.int64)
    ranks: list[list[Reason]] = []
    for _ in range(min(REASONS, len(names))):
        # Of equal ones it finds the first.
        largest = sizes.argmax(axis=0)
        sizes[largest, every] = -1.0
        places: list[int] = largest.tolist()
        values: list[float] = contributions[largest, every].tolist()
        ranks.append(
            [
                {"feature": names[at], "contribution": value}
                for at, value in zip(places, values, strict=True)
            ]
        )
    if not ranks:
        return [[] for _ in range(records)]
    return [*map(list, zip(*ranks, strict=True))]
