"""What the classifier looks at: the columns that are made of a record, in groups.

The list is fixed; no run searches for columns: levels and categories as themselves, money and years
on a logarithmic scale, years as shares of longer years, first steps (a first year, no manager yet)
as flags, satisfaction as a whole. How much each group counts is learnt from the data
(`training.classifier.logistic`). How the list came about: docs/decisions/0015-classifier.md.

Categories and levels come from the contract, not from the data: a value that the table happens not
to hold is legal and contributes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.classifier import Column, Kind
from contract.employee import CATEGORIES, INTEGERS, PROTECTED, Category, Field, Integer

__all__ = ["DesignColumn", "column_values", "design", "design_matrix"]

_LEVELS = 5
"""Integer fields of at most so many legal values are levels: one column for each value."""

_CONDITIONS = ("BusinessTravel", "OverTime")
_POSITION = ("JobLevel", "StockOptionLevel")
"""Levels that the contract of employment fixes; the others are ratings, and tell less."""
_LOGARITHMIC = (
    "DistanceFromHome",
    "MonthlyIncome",
    "TotalWorkingYears",
    "YearsAtCompany",
    "YearsInCurrentRole",
    "YearsSinceLastPromotion",
    "YearsWithCurrManager",
)
_RATIOS = (
    ("YearsAtCompany", "TotalWorkingYears"),
    ("YearsInCurrentRole", "YearsAtCompany"),
    ("YearsSinceLastPromotion", "YearsAtCompany"),
    ("YearsWithCurrManager", "YearsAtCompany"),
)
_FLAGS = (
    ("DistanceFromHome", 11),
    ("JobLevel", 2),
    ("NumCompaniesWorked", 5),
    ("StockOptionLevel", 1),
    ("TotalWorkingYears", 2),
    ("TrainingTimesLastYear", 1),
    ("YearsAtCompany", 1),
    ("YearsAtCompany", 2),
    ("YearsInCurrentRole", 1),
    ("YearsWithCurrManager", 1),
)
"""Field and the number from which it counts: a commute over ten miles, beyond the entry level, five
employers, any stock option, past the first years, any training, role and manager for a year."""

_SINGLE_EMPLOYER = Column(kind="is", field="NumCompaniesWorked", against=1)
_SATISFACTION = (
    "EnvironmentSatisfaction",
    "JobInvolvement",
    "JobSatisfaction",
    "RelationshipSatisfaction",
    "WorkLifeBalance",
)
_LOWEST = 1


@dataclass(frozen=True, kw_only=True)
class DesignColumn:
    """A column of the design: the sum of `parts`, usually one; shrunk together with its `group`."""

    group: str
    parts: tuple[Column, ...]


def design(*, use_protected: bool = False) -> tuple[DesignColumn, ...]:
    """List the classifier's columns; `use_protected` adds age, sex and marital status."""
    categories = [field for field in CATEGORIES if field.name not in PROTECTED]
    levels = [field for field in INTEGERS if _is_level(field)]
    single = {
        "conditions": [_one_hot(field) for field in categories if field.name in _CONDITIONS],
        "categories": [_one_hot(field) for field in categories if field.name not in _CONDITIONS],
        "position": [_one_hot(field) for field in levels if field.name in _POSITION],
        "levels": [_one_hot(field) for field in levels if field.name not in _POSITION],
        "numbers": [[_column("value", field.name)] for field in INTEGERS if _is_number(field)],
        "logarithms": [[_column("log1p", name)] for name in _LOGARITHMIC],
        "ratios": [[_column("ratio", field, over)] for field, over in _RATIOS],
        "flags": [
            [*(_column("at_least", field, bound) for field, bound in _FLAGS), _SINGLE_EMPLOYER]
        ],
    }
    if use_protected:
        single["protected"] = _protected()
    columns = [
        DesignColumn(group=group, parts=(part,))
        for group, families in single.items()
        for family in families
        for part in family
    ]
    total = tuple(_column("value", name) for name in _SATISFACTION)
    lowest = tuple(_column("is", name, _LOWEST) for name in _SATISFACTION)
    columns += [DesignColumn(group="satisfaction", parts=parts) for parts in (total, lowest)]
    return tuple(columns)


def design_matrix(
    records: pd.DataFrame, columns: Sequence[DesignColumn]
) -> npt.NDArray[np.float64]:
    """Evaluate the columns for `n_rows` x 30 legal records: `n_rows` x `n_columns`."""
    return np.column_stack(
        [sum(column_values(records, part) for part in column.parts) for column in columns]
    ).astype(np.float64)


def column_values(records: pd.DataFrame, column: Column) -> npt.NDArray[np.float64]:
    """Evaluate one column for every record, as `Column.value` does for one: `n_rows` numbers."""
    found = records[column.field].to_numpy()
    if column.kind == "is":
        return np.asarray(found == column.against, dtype=np.float64)
    numbers = found.astype(np.float64)
    match column.kind:
        case "value":
            return numbers
        case "log1p":
            return np.log1p(numbers)
        case "at_least":
            return np.asarray(numbers >= float(column.against or 0), dtype=np.float64)
        case "ratio":
            return numbers / (1.0 + records[str(column.against)].to_numpy(dtype=np.float64))


def _protected() -> list[list[Column]]:
    fields = [field for field in CATEGORIES if field.name in PROTECTED]
    age = [_column("value", "Age"), _column("log1p", "Age")]
    return [age, *(_one_hot(field) for field in fields)]


def _column(kind: Kind, field: str, against: int | str | None = None) -> Column:
    return Column(kind=kind, field=field, against=against)


def _one_hot(field: Field) -> list[Column]:
    match field:
        case Integer():
            values: Sequence[int | str] = range(field.minimum, field.maximum + 1)
        case Category():
            values = field.categories
    return [_column("is", field.name, value) for value in values]


def _is_level(field: Integer) -> bool:
    return field.name not in PROTECTED and field.maximum - field.minimum < _LEVELS


def _is_number(field: Integer) -> bool:
    return field.name not in PROTECTED and field.name not in _LOGARITHMIC
