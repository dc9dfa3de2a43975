"""Frames of employee records: their canonical types, and the check that they are legal.

A message names column, row and what was expected, and never the value found: a value is somebody's
data, and messages end up in logs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.dataset import DatasetError
from contract.employee import (
    FAIRNESS_ONLY,
    FIELD_NAMES,
    FIELDS,
    Category,
    Field,
    Integer,
    expected,
)

__all__ = ["check_records", "misfits", "records_frame", "rows_affected"]


def records_frame(records: Sequence[Mapping[str, int | str]]) -> pd.DataFrame:
    """Return `n_records` x 30 in contract order, integers as int64 and categories as str."""
    frame = pd.DataFrame([dict(record) for record in records], columns=list(FIELD_NAMES))
    return frame.astype(
        {field.name: "int64" if isinstance(field, Integer) else "str" for field in FIELDS}
    )


def check_records(frame: pd.DataFrame, optional: Sequence[str] = FAIRNESS_ONLY) -> pd.DataFrame:
    """Return the contract's columns of `frame`, `n_rows` each, after checking every cell.

    It is the first step of every model, so that none answers for a record it cannot know. Columns
    named in `optional`, which the model does not look at, may be left out.

    Raises:
        DatasetError: no record, a missing column, or a cell that the contract does not allow.
    """
    present = [field for field in FIELDS if field.name in frame.columns]
    known = {field.name for field in present} | {*optional}
    if missing := [name for name in FIELD_NAMES if name not in known]:
        raise DatasetError(f"records: column {missing[0]!r} is missing")
    if frame.empty:
        raise DatasetError("records: there is none; expected at least one")
    for field in present:
        column = frame[field.name]
        wrong = (
            np.ones(len(column), dtype=np.bool_)
            if isinstance(field, Integer) and not pd.api.types.is_integer_dtype(column.dtype)
            else misfits(column, field)
        )
        if wrong.any():
            row = int(wrong.argmax()) + 1
            raise DatasetError(
                f"records: column {field.name!r}, row {row}: expected {expected(field)}; "
                f"{rows_affected(wrong)}"
            )
    return frame[[field.name for field in present]]


def misfits(column: "pd.Series[Any]", field: Field) -> npt.NDArray[np.bool_]:
    """Mark the cells of `column` (`n_rows`) that `field` does not allow; a missing cell is one."""
    match field:
        case Integer():
            legal = column.between(field.minimum, field.maximum)
        case Category():
            legal = column.isin(list(field.categories))
    return ~legal.to_numpy(dtype=np.bool_)


def rows_affected(wrong: npt.NDArray[np.bool_]) -> str:
    """Say how many rows `wrong` marks."""
    count = int(wrong.sum())
    return "1 row is affected" if count == 1 else f"{count:,} rows are affected"
