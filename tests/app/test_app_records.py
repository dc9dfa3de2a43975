"""The two ways of reading a body: what the short one takes, the long one takes alike."""

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from app_bundles import record
from hypothesis import given
from hypothesis import strategies as st

from app.records import Batch, InvalidRecordsError, MalformedError, RecordReader
from app.scoring import Codes, encode
from contract.employee import (
    CATEGORIES,
    DETECTED_NAMES,
    FAIRNESS_ONLY,
    FIELDS,
    IGNORED,
    INTEGERS,
    Integer,
    expected,
)

READER = RecordReader(frozenset(DETECTED_NAMES))
ALL = RecordReader(frozenset(field.name for field in FIELDS))


def value(field: Any) -> st.SearchStrategy[Any]:
    legal = (
        st.integers(field.minimum, field.maximum)
        if isinstance(field, Integer)
        else st.sampled_from(field.categories)
    )
    odd = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 100_005),
        st.floats(allow_nan=True, allow_infinity=True),
        st.text(max_size=3),
        st.just([]),
        st.just({}),
        st.just({field.name: 1}),
        st.just("41"),
        st.just(41.0),
    )
    # Mostly legal, or hardly a record of thirty would be.
    return st.integers(0, 99).flatmap(lambda chance: odd if chance == 0 else legal)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)
PAIRS = st.tuples(
    st.tuples(*(st.tuples(st.just(field.name), value(field)) for field in FIELDS)),
    st.lists(st.tuples(st.sampled_from(IGNORED), ANYTHING), max_size=3),
    st.lists(
        st.tuples(st.sampled_from([*DETECTED_NAMES[:3], "x", "Attrition"]), ANYTHING), max_size=1
    ),
    st.sets(st.sampled_from([*FAIRNESS_ONLY, "Age"]), max_size=1),
)
"""Fields, ignored ones (also twice), one that is none or comes twice, and one to leave out."""


def written(parts: Any, *, escaped: bool) -> str:
    fields, ignored, odd, left_out = parts
    pairs = [pair for pair in fields if pair[0] not in left_out] + [*ignored, *odd]
    names = [_escaped(name) if escaped else name for name, _ in pairs]
    members = [
        f'"{name}": {json.dumps(found)}' for name, (_, found) in zip(names, pairs, strict=True)
    ]
    return "{" + ", ".join(members) + "}"


def _escaped(name: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in name)


def arrayed(batch: Batch) -> Codes:
    """Return a batch's codes as an array, also where they are the list of a single record."""
    return np.array(batch.codes).reshape(len(FIELDS), len(batch.taken))


@given(st.lists(PAIRS, min_size=1, max_size=3), st.booleans())
def test_what_the_short_way_takes_the_long_way_takes_alike(parts: Any, escaped: bool) -> None:
    body = ("[" + ",".join(written(each, escaped=escaped) for each in parts) + "]").encode()
    short = READER.short_way(body)
    if short is None:
        return
    long = READER.long_way(body)
    assert long.errors == []
    assert np.array_equal(arrayed(short), arrayed(long))
    assert list(short.taken) == long.taken
    assert short.records == long.records == len(parts)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    assert READER.short_way(body) is None
    with pytest.raises((MalformedError, InvalidRecordsError)):
        READER.long_way(body)


@pytest.mark.parametrize("reader", [READER, ALL])
def test_plain_records_take_the_short_way(reader: RecordReader) -> None:
    ignored = {"Over18": "Y", "EmployeeCount": 1}
    rows = [record(), record(Age=59, OverTime="No"), {**record(), **ignored}]
    short = reader.short_way(json.dumps(rows).encode())
    assert short is not None
    long = reader.long_way(json.dumps(rows).encode())
    assert np.array_equal(arrayed(short), arrayed(long))


def test_fields_that_no_model_looks_at_go_no_further() -> None:
    batch = READER.short_way(json.dumps([record()]).encode())
    assert batch is not None
    assert np.array_equal(
        arrayed(batch), encode([{k: v for k, v in record().items() if k in DETECTED_NAMES}])
    )
    everything = ALL.short_way(json.dumps([record(MaritalStatus="Single")]).encode())
    assert everything is not None
    assert np.array_equal(arrayed(everything), encode([record(MaritalStatus="Single")]))


def test_they_may_be_left_out_and_are_checked_where_they_are_not() -> None:
    short = {k: v for k, v in record().items() if k not in FAIRNESS_ONLY}
    found = READER.short_way(json.dumps([short]).encode())
    assert found is not None
    rows = [{**short, "Gender": "male"}, {**short, "Gender": None}, short]
    batch = READER.long_way(json.dumps(rows).encode())
    gender = next(expected(field) for field in CATEGORIES if field.name == "Gender")
    assert [(e["record"], e["field"], e["expected"]) for e in batch.errors] == [
        (0, "Gender", gender),
        (1, "Gender", gender),
    ]
    assert batch.taken == [2]
    assert [e["field"] for e in ALL.long_way(json.dumps([short]).encode()).errors] == list(
        FAIRNESS_ONLY
    )


@pytest.mark.parametrize(
    ("name", "told"), [("Age", "Age"), ("Over18", "Over18"), ("A name of mine", None)]
)
def test_a_name_that_comes_twice_is_refused(name: str, told: str | None) -> None:
    row = {**record(), "Over18": "Y"}
    body = f"[{json.dumps(row)[:-1]}, {json.dumps(name)}: 1, {json.dumps(name)}: 41}}]".encode()
    assert READER.short_way(body) is None
    errors = READER.long_way(body).errors
    assert {"record": 0, "field": told, "expected": "this field once"} in errors


def test_the_same_name_twice_with_the_same_legal_value() -> None:
    body = f'[{json.dumps(record())[:-1]}, "Age": 41}}]'.encode()
    assert READER.short_way(body) is None
    assert READER.long_way(body).errors == [
        {"record": 0, "field": "Age", "expected": "this field once"}
    ]


def test_a_colon_in_an_ignored_text_is_no_name() -> None:
    rows = [{**record(), "Over18": "a: b"}, {**record(), "EmployeeNumber": {"a": {"b": [1]}}}]
    for row in rows:
        body = json.dumps([row]).encode()
        assert READER.short_way(body) is None
        assert READER.long_way(body).errors == []


@pytest.mark.parametrize("field", INTEGERS, ids=lambda field: field.name)
def test_a_number_has_one_spelling(field: Any) -> None:
    for text in (f"{field.minimum}.0", f"{field.minimum}e0", f'"{field.minimum}"', "true", "1e999"):
        body = json.dumps([record(**{field.name: "HERE"})]).replace('"HERE"', text).encode()
        assert READER.short_way(body) is None
        if text == "1e999":
            with pytest.raises(MalformedError):
                READER.long_way(body)
        else:
            assert [e["field"] for e in READER.long_way(body).errors] == [field.name]


def test_every_error_of_a_large_batch_is_told() -> None:
    errors = READER.long_way(b"[" + b",".join([b"{}"] * 1_000) + b"]").errors
    assert len(errors) == 1_000 * len(DETECTED_NAMES)


SWOLLEN = {
    "names": b"[{" + b",".join(b'"%x":1' % number for number in range(210_000)) + b"}]",
    "one name": b"[{" + b",".join([b'"":0'] * 400_000) + b"}]",
    "arrays": b"[" + b",".join([b"[]"] * 690_000) + b"]",
    "records": b"[" + b",".join([b'{"":0}'] * 290_000) + b"]",
}


@pytest.mark.parametrize("body", SWOLLEN.values(), ids=SWOLLEN)
def test_what_can_be_no_batch_is_not_parsed(body: bytes) -> None:
    """It would take a hundred times the memory of its bytes."""
    assert READER.short_way(body) is None
    with pytest.raises(InvalidRecordsError) as caught:
        READER.long_way(body)
    assert [each["record"] for each in caught.value.errors] == [None]


def test_names_that_are_not_known_are_one_error_and_take_no_room() -> None:
    names = {f"name {number}": 0 for number in range(90_000)}
    body = json.dumps([{**record(), **names}]).encode()
    tracemalloc.start()
    errors = READER.long_way(body).errors
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(each["record"], each["field"]) for each in errors] == [(0, None)]
    assert peak < 20 * len(body)


@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "9" * 5_000, "1" + "0" * 20])
def test_a_number_of_many_digits_is_out_of_range_and_hides_no_other_error(number: str) -> None:
    rows = [record(Age="HERE", EmployeeNumber="HERE"), record(Age=7)]
    body = json.dumps(rows).replace('"HERE"', number).encode()
    assert READER.short_way(body) is None
    found = READER.long_way(body)
    assert [(each["record"], each["field"]) for each in found.errors] == [(0, "Age"), (1, "Age")]
