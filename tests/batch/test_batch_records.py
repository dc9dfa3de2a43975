"""The contract over columns must refuse what the API's models refuse, with the same words."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from app.models import BATCH, record_errors
from batch.records import ABSENT, errors, misfits, records
from contract.employee import EXAMPLE, FIELD_NAMES, FIELDS, INTEGERS, Integer

ROWS = 3_000


def around(random: np.random.Generator, field: Any) -> Any:
    """Draw a value that a typed column can hold: mostly legal, at the limits, beyond, missing."""
    if isinstance(field, Integer):
        low, high = field.minimum, field.maximum
        odd = [low, high, low - 1, high + 1, None, -(2**31), 2**53 + 1, 2**62]
        legal: Any = int(random.integers(low, high + 1))
    else:
        legal = field.categories[random.integers(len(field.categories))]
        odd = [
            None,
            "",
            legal.lower(),
            f" {legal}",
            legal + "\u00a0",
            legal.replace("a", "\u0430"),
            "1",
        ]
    return odd[random.integers(len(odd))] if random.random() < 0.02 else legal


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows as a worker gets them."""
    columns: dict[str, Any] = {}
    for field in FIELDS:
        cells = [row[field.name] for row in rows]
        if isinstance(field, Integer):
            columns[field.name] = pd.Series([ABSENT if c is None else c for c in cells], dtype="i8")
        else:
            columns[field.name] = pd.Series(cells, dtype="object")
    return pd.DataFrame(columns)


def refused_by_the_api(row: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        BATCH.validate_json(json.dumps([row]))
    except ValidationError as error:
        return record_errors(error)
    return []


def test_the_same_cells_are_refused_in_the_same_words() -> None:
    random = np.random.default_rng(3)
    rows = [{field.name: around(random, field) for field in FIELDS} for _ in range(ROWS)]
    wrong = misfits(frame(rows))
    ours = [[{"record": 0, **each} for each in errors(row)] for row in wrong]
    theirs = [refused_by_the_api(row) for row in rows]
    assert ours == theirs
    # Both kinds of row are there in numbers, or the comparison says little.
    refused = sum(map(bool, theirs))
    assert ROWS / 5 < refused < 4 * ROWS / 5


@pytest.mark.parametrize("dtype", ["object", "str"])
def test_a_missing_text_is_refused_in_whatever_pandas_calls_it(dtype: str) -> None:
    one = frame([dict(EXAMPLE)])
    one["Gender"] = pd.Series([None], dtype=dtype)
    assert errors(misfits(one)[0]) == [{"field": "Gender", "expected": "one of 'Female', 'Male'"}]


def test_nothing_legal_stands_for_a_missing_number() -> None:
    assert all(field.minimum > ABSENT for field in INTEGERS)


def test_records_are_the_plain_values_that_the_api_has() -> None:
    (found,) = records(frame([dict(EXAMPLE)]))
    assert found == dict(EXAMPLE)
    assert {type(value) for value in found.values()} == {int, str}
    assert tuple(found) == FIELD_NAMES
