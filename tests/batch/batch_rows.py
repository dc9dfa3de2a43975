"""Employee tables for batch tests: legal rows in any number, and rows that break the contract."""

# pyarrow has no types (25.0.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.employee import FIELDS, TARGET, Integer

KEY = "EmployeeNumber"
UNKNOWN = "Kudos"
"""A column that no contract knows."""

SECRET = "Zanzibar-4711"
"""A cell's content that must not come out anywhere."""

FAULTS: Mapping[int, Mapping[str, int | str | None]] = {
    17: {"Age": 17},
    250_001: {"MonthlyIncome": 100_001},
    333_333: {"Department": SECRET},
    500_000: {"JobRole": None},
    654_321: {"YearsAtCompany": None, "Gender": "female"},
    999_999: {"OverTime": "Yes ", "StockOptionLevel": -1, "WorkLifeBalance": 5},
}
"""Row numbers of a table of a million rows, and what is wrong there."""


def columns(rows: int, seed: int) -> dict[str, Any]:
    """Draw `rows` legal records: every field on its own, over all that the contract allows."""
    random = np.random.default_rng(seed)
    drawn: dict[str, Any] = {}
    for field in FIELDS:
        if isinstance(field, Integer):
            low, high = field.minimum, field.maximum + 1
            drawn[field.name] = pa.array(random.integers(low, high, rows, dtype=np.int32))
        else:
            codes = pa.array(random.integers(0, len(field.categories), rows, dtype=np.int32))
            coded = pa.DictionaryArray.from_arrays(codes, pa.array(field.categories))
            drawn[field.name] = coded.cast(pa.string())
    return drawn


def write_rows(
    folder: Path,
    rows: int,
    *,
    files: int = 1,
    seed: int = 1,
    faults: Mapping[int, Mapping[str, int | str | None]] | None = None,
) -> Path:
    """Write `rows` numbered records, and columns that no model reads, as `files` Parquet files."""
    folder.mkdir(parents=True)
    each = rows // files
    for number in range(files):
        first = number * each
        drawn = columns(each, seed + number)
        for row, changes in (faults or {}).items():
            if first <= row < first + each:
                for name, value in changes.items():
                    drawn[name] = replaced(drawn[name], row - first, value)
        drawn = {
            KEY: pa.array(np.arange(first, first + each)),
            **drawn,
            TARGET: pa.array(["Yes"] * each),
            UNKNOWN: pa.array([SECRET] * each),
        }
        pq.write_table(pa.table(drawn), folder / f"part-{number:02}.parquet")
    return folder


def replaced(column: Any, row: int, value: int | str | None) -> Any:
    one = pa.array([value], column.type)
    return pa.concat_arrays([column.slice(0, row), one, column.slice(row + 1)])


def read_rows(folder: Path) -> Any:
    """Read all Parquet files of `folder` as one Arrow table, in the order of the key."""
    return pq.read_table(folder).sort_by(KEY)


def as_the_api_says(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of answers in the shape that the API gives them."""
    return {
        "attrition_probability": row["attrition_probability"],
        "interval": [row["interval_low"], row["interval_high"]],
        "decision": row["decision"],
        "outlier": {
            "is_outlier": row["is_outlier"],
            "score": row["outlier_score"],
            "features": row["outlier_features"],
            "broken_rules": row["broken_rules"],
        },
        "reasons": row["reasons"],
    }
