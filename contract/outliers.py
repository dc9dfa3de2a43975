"""The outlier detector as a release holds it: one table for each field, and what it leads to.

A field's value becomes a bin: the place in `categories`, or how many of `edges` are at most the
number. Its term is `table[own]`, `table[parent][own]` or `table[parent][parent][own]`, every index
a bin. A record's score is the sum of its terms; it is an outlier when the score exceeds
`threshold`, or when it breaks a rule of `contract.rules`.

An outlier's features are the fields of its broken rules, and then, if the score exceeds the
threshold, those with at least `STRIKING_SHARE` of it; of either the larger terms first, and of
equal terms the field that comes first; `STRIKING_FIELDS` in all.
"""

from typing import Any, NotRequired, TypedDict

__all__ = [
    "MOST_PARENTS",
    "OUTLIER_SHARE",
    "STRIKING_FIELDS",
    "STRIKING_SHARE",
    "FieldContent",
    "OutliersContent",
]

OUTLIER_SHARE = 0.01
"""Share of new records of the same population that the threshold lets be called outliers."""

MOST_PARENTS = 2
STRIKING_FIELDS = 3
STRIKING_SHARE = 0.1


class FieldContent(TypedDict):
    """A field in `outliers.json`; it has `edges` or `categories`, and at most `MOST_PARENTS`."""

    name: str
    edges: NotRequired[list[int]]
    categories: NotRequired[list[str]]
    parents: list[str]
    table: list[Any]


class OutliersContent(TypedDict):
    """`outliers.json`: the fields in the contract's order, the score that an outlier exceeds."""

    fields: list[FieldContent]
    threshold: float
