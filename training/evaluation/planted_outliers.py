"""Outliers of a known kind, planted into real records to measure who finds them.

Every kind changes some fields of a record, and leaves each field within the contract's range. The
amounts were fixed before any detector was measured.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.employee import CATEGORIES, INTEGERS

__all__ = ["KINDS", "SWAPPED", "Plant"]

Plant = Callable[[pd.DataFrame, np.random.Generator], tuple[pd.DataFrame, list[tuple[str, ...]]]]
"""Takes the table, `n_rows` x 30; returns `n_planted` x 30 under the table's index and, per record,
the fields that it concerns."""

SWAPPED: tuple[tuple[str, str], ...] = (
    ("Age", "HourlyRate"),
    ("Age", "TotalWorkingYears"),
    ("DailyRate", "MonthlyIncome"),
    ("MonthlyIncome", "MonthlyRate"),
    ("HourlyRate", "PercentSalaryHike"),
    ("DistanceFromHome", "TotalWorkingYears"),
    ("PercentSalaryHike", "YearsAtCompany"),
    ("NumCompaniesWorked", "YearsAtCompany"),
)
"""Pairs of integer columns whose values are swapped: like in name, unit or size."""

_EXCESS_YEARS = 5
"""An impossible number of years exceeds its limit by 1 to this many."""
_YOUNG = (18, 22)
"""Years of age of those whose working life is as long as their life, less at most:"""
_CHILDHOOD_YEARS = 4
_PAY_FACTORS = (3.0, 5.0)
"""Pay far over (times) or under (divided by) that of the same person."""
_HIGHEST_LEVEL_FOR_HIGH_PAY = 3
_LOWEST_LEVEL_FOR_LOW_PAY = 2

_LIMITS = {field.name: field for field in INTEGERS}
_DEPARTMENTS = next(field.categories for field in CATEGORIES if field.name == "Department")


def _plant(
    records: pd.DataFrame, values: Mapping[str, npt.NDArray[np.int64]]
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Return `records` with `values` as columns, without the rows that became illegal or stayed."""
    legal = np.zeros(len(records), dtype=np.bool_)
    for name, column in values.items():
        legal |= column != records[name].to_numpy(dtype=np.int64)
    for name, column in values.items():
        legal &= (column >= _LIMITS[name].minimum) & (column <= _LIMITS[name].maximum)
    planted = records.assign(**dict(values))[legal]
    return planted, [tuple(values)] * len(planted)


def _numbers(records: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
    return records[name].to_numpy(dtype=np.int64)


def _exceeding(field: str, limit: str) -> Plant:
    """Set `field` to 1 to 5 years more than `limit`."""

    def plant(
        records: pd.DataFrame, random: np.random.Generator
    ) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
        excess = random.integers(1, _EXCESS_YEARS + 1, len(records))
        planted, _ = _plant(records, {field: _numbers(records, limit) + excess})
        return planted, [(field, limit)] * len(planted)

    return plant


def _young_with_long_career(
    records: pd.DataFrame, random: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Set ages from 18 to 22 with 14 to 22 working years, and no fewer than at the company."""
    age = random.integers(_YOUNG[0], _YOUNG[1] + 1, len(records))
    career = age - random.integers(0, _CHILDHOOD_YEARS + 1, len(records))
    career = np.maximum(career, _numbers(records, "YearsAtCompany"))
    return _plant(records, {"Age": age, "TotalWorkingYears": career})


def _swapped_columns(
    records: pd.DataFrame, random: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Swap one pair of `SWAPPED` in each record; equal or then illegal values are left out."""
    pair = random.integers(0, len(SWAPPED), len(records))
    frames: list[pd.DataFrame] = []
    fields: list[tuple[str, ...]] = []
    for number, (first, second) in enumerate(SWAPPED):
        chosen = records.iloc[np.flatnonzero(pair == number)]
        swapped = {first: _numbers(chosen, second), second: _numbers(chosen, first)}
        planted, concerned = _plant(chosen, swapped)
        frames.append(planted)
        fields += concerned
    return pd.concat(frames), fields


def _extreme_pay_high(
    records: pd.DataFrame, random: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Multiply the pay of levels 1 to 3 by 3 to 5."""
    chosen = records[records["JobLevel"] <= _HIGHEST_LEVEL_FOR_HIGH_PAY]
    pay = _numbers(chosen, "MonthlyIncome") * random.uniform(*_PAY_FACTORS, len(chosen))
    return _plant(chosen, {"MonthlyIncome": pay.astype(np.int64)})


def _extreme_pay_low(
    records: pd.DataFrame, random: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Divide the pay of levels 2 to 5 by 3 to 5."""
    chosen = records[records["JobLevel"] >= _LOWEST_LEVEL_FOR_LOW_PAY]
    pay = _numbers(chosen, "MonthlyIncome") / random.uniform(*_PAY_FACTORS, len(chosen))
    return _plant(chosen, {"MonthlyIncome": pay.astype(np.int64)})


def _role_outside_department(
    records: pd.DataFrame, random: np.random.Generator
) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Move a record to another department, if the table has its role in one department alone."""
    seen = records.groupby("JobRole")["Department"].agg(["nunique", "first"])
    homes = seen.loc[seen["nunique"] == 1, "first"]
    chosen = records[records["JobRole"].isin(list(homes.index))]
    step = random.integers(1, len(_DEPARTMENTS), len(chosen))
    home = pd.Index(_DEPARTMENTS).get_indexer(pd.Index(chosen["Department"]))
    moved = np.array(_DEPARTMENTS, dtype=object)[(home + step) % len(_DEPARTMENTS)]
    planted = chosen.assign(Department=pd.Series(moved, index=chosen.index, dtype="str"))
    return planted, [("Department", "JobRole")] * len(planted)


KINDS: Mapping[str, Plant] = MappingProxyType(
    {
        "role_exceeds_tenure": _exceeding("YearsInCurrentRole", "YearsAtCompany"),
        "tenure_exceeds_working_years": _exceeding("YearsAtCompany", "TotalWorkingYears"),
        "young_with_long_career": _young_with_long_career,
        "swapped_columns": _swapped_columns,
        "extreme_pay_high": _extreme_pay_high,
        "extreme_pay_low": _extreme_pay_low,
        "role_outside_department": _role_outside_department,
    }
)
"""What plants each kind; the first three break a business rule, swapped columns sometimes do."""
