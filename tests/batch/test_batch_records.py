"""The contract over columns must refuse what the API's models refuse, with the same words."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app.records import RecordReader
from app.scoring import encode
from batch.records import ABSENT, codes, errors, misfits
from contract.employee import EXAMPLE, FIELD_NAMES, FIELDS, INTEGERS, Integer

ROWS = 3_000
READER = RecordReader(frozenset(FIELD_NAMES))


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


def refused_by_the_api(row: dict[str, Any]) -> list[Any]:
    return [*READER.long_way(json.dumps([row]).encode()).errors]


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


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_the_codes_are_those_of_the_api(dtype: str) -> None:
    random = np.random.default_rng(4)
    rows = [legal(random, number) for number in range(ROWS)]
    columns = frame(rows)
    texts = [field.name for field in FIELDS if not isinstance(field, Integer)]
    found = codes(columns.astype(dict.fromkeys(texts, dtype)))
    assert found.dtype == np.int64
    assert np.array_equal(found, encode(rows))
    # Rows taken out of a frame keep their labels, which count for nothing.
    some = [7, 3, 2_000]
    assert np.array_equal(codes(columns.iloc[some]), found[:, some])


def test_no_row_has_no_codes() -> None:
    none = codes(frame([dict(EXAMPLE)]).iloc[:0])
    assert (none.shape, none.dtype) == ((len(FIELDS), 0), np.int64)


def legal(random: np.random.Generator, number: int) -> dict[str, Any]:
    """Draw a legal record; the first two are at the fields' ends."""
    row: dict[str, Any] = {}
    for field in FIELDS:
        if isinstance(field, Integer):
            drawn = int(random.integers(field.minimum, field.maximum + 1))
            row[field.name] = (field.minimum, field.maximum, drawn)[min(number, 2)]
        else:
            place = int(random.integers(len(field.categories)))
            row[field.name] = field.categories[(0, -1, place)[min(number, 2)]]
    return row
