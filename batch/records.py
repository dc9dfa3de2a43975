"""The contract for a frame of rows: which cells break it, found column by column.

The API checks a request record by record; at a million rows that alone takes longer than scoring.
These are the same rules over columns (a test holds both against each other): a whole number within
its range, a category in its exact spelling, nothing missing.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from app.scoring import Codes
from contract.employee import FIELDS, Category, Integer, expected

__all__ = ["ABSENT", "codes", "errors", "misfits"]

ABSENT = -1
"""What stands for a missing whole number in a frame; below every field's minimum."""


def misfits(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mark the cells that break the contract: `n_rows` x 30, in the contract's order.

    `frame` has the 30 columns: whole numbers as int64 with `ABSENT` for a missing one, categories
    as text or None.
    """
    columns: list[npt.NDArray[np.bool_]] = []
    for field in FIELDS:
        column = frame[field.name]
        match field:
            case Integer():
                legal = column.between(field.minimum, field.maximum)
            case Category():
                legal = column.isin(list(field.categories))
        columns.append(~legal.to_numpy(dtype=np.bool_))
    return np.column_stack(columns)


def errors(wrong: npt.NDArray[np.bool_]) -> list[dict[str, str]]:
    """Say of one row of `misfits` which fields are wrong and what belongs there."""
    return [
        {"field": field.name, "expected": expected(field)}
        for field, is_wrong in zip(FIELDS, wrong.tolist(), strict=True)
        if is_wrong
    ]


def codes(frame: pd.DataFrame) -> Codes:
    """Return the codes of `n_rows` legal rows, fields first, as `app.scoring.encode` does."""
    columns = [
        pd.Index(field.categories).get_indexer(pd.Index(frame[field.name]))
        if isinstance(field, Category)
        else frame[field.name].to_numpy(dtype=np.int64)
        for field in FIELDS
    ]
    return np.stack(columns).astype(np.int64)
