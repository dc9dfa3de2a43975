"""The classifier as a release holds it: a sum of simple columns, in log-odds.

    logit = baseline + sum over columns of coefficient x (column's value - its mean)

A column is a function of one field, or the ratio of two. So a reader needs no numeric package,
every contribution is the exact reason for an answer, and all are told from one baseline: the mean
of the training table's log-odds.

The probability's interval is the logit +/- `z` standard errors, the standard error being the length
of a vector that is linear in the same columns:

    variance = remainder + sum over k of (at_baseline[k] + sum over columns of
               uncertainty[k] x (column's value - its mean)) ** 2

A ratio a / (b + 1) belongs to two fields, which have few pairs of legal values (a reader makes a
table of them). Its contribution is split by Shapley's rule, with the
other field drawn from the training table, and the constant halved:

    share of a = coefficient / 2 x (a / (b + 1) - mean + a x mean_inverse - mean_field / (b + 1))
    share of b = the rest
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

__all__ = [
    "REASONS",
    "Column",
    "ColumnContent",
    "Content",
    "Decision",
    "Kind",
    "decide",
]

REASONS = 3
"""Fields named as an answer's reasons: the largest contributions, by absolute value."""

Decision = Literal["at_risk", "not_at_risk", "refer"]
"""`refer`: there is not enough evidence for either, a person has to look."""

Kind = Literal["is", "value", "log1p", "at_least", "ratio"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: a function of the record's `field`.

    `is` and `at_least` are 1 or 0 by comparison with `against`; `value` is the number itself;
    `log1p` is ln(1 + number); `ratio` is the number over 1 + the number in the field `against`.
    """

    kind: Kind
    field: str
    against: int | str | None = None

    def value(self, record: Mapping[str, int | str]) -> float:
        """Evaluate the column for one legal record."""
        found = record[self.field]
        if self.kind == "is":
            return float(found == self.against)
        number = float(found)
        match self.kind:
            case "value":
                return number
            case "log1p":
                return math.log1p(number)
            case "at_least":
                return float(number >= float(self.against or 0))
            case "ratio":
                return number / (1.0 + float(record[str(self.against)]))


class ColumnContent(TypedDict):
    """A column in `classifier.json`, with what the fit found.

    `mean` is the column's over the training table; `mean_field` and `mean_inverse`, of a ratio
    alone, are the means of the field and of 1 / (1 + the other field).
    """

    kind: Kind
    field: str
    against: int | str | None
    coefficient: float
    mean: float
    mean_field: float | None
    mean_inverse: float | None
    uncertainty: list[float]


class Content(TypedDict):
    """`classifier.json`; the module says what the numbers mean.

    `level` is the share of true probabilities that the interval is meant to hold, `z` the number of
    standard errors to each side, `threshold` the probability from which an employee is at risk.
    """

    baseline: float
    columns: list[ColumnContent]
    level: float
    z: float
    at_baseline: list[float]
    remainder: float
    threshold: float
    missed_leaver_cost: float


def decide(low: float, high: float, threshold: float, *, is_outlier: bool) -> Decision:
    """Decide by the probability's interval, from `low` to `high`; abstain for want of evidence.

    That is where the interval holds the threshold, and where the record is like none of the table.
    """
    if is_outlier or low < threshold <= high:
        return "refer"
    return "at_risk" if low >= threshold else "not_at_risk"
