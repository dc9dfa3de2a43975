"""The answers to a frame, without Spark: row by row what the API says, or what is wrong."""

from typing import Any

import pandas as pd
import pytest

from app.release import Release, load
from app.scoring import encode, predict
from batch.records import ABSENT
from batch.scoring import ANSWER, answer, scorer
from contract.employee import FIELDS, expected
from tests.app.app_bundles import REFERENCES, record, write_bundle
from tests.batch.batch_rows import SECRET, as_the_api_says, columns

_EXPECTED = {field.name: expected(field) for field in FIELDS}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder)
    return load(folder)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows as a worker gets them, the key as text first."""
    return pd.DataFrame([{"key_0": f"k{number}", **row} for number, row in enumerate(rows)])


def answers(rows: pd.DataFrame, release: Release) -> list[dict[str, Any]]:
    found = answer(rows, ["key_0"], release.classifier, release.outliers)
    assert list(found.columns) == ["key_0", *ANSWER.names]
    assert found["key_0"].tolist() == rows["key_0"].tolist()
    return found.drop(columns="key_0").to_dict("records")  # pyright: ignore[reportReturnType] columns have names


def test_every_row_is_answered_as_the_api_does(release: Release) -> None:
    """To the last bit, and as Python's own numbers and texts."""
    drawn = {name: column.to_pylist() for name, column in columns(500, seed=3).items()}
    rows = [record(**changes) for changes in REFERENCES]
    rows += [dict(zip(drawn, values, strict=True)) for values in zip(*drawn.values(), strict=True)]
    found = answers(frame(rows), release)
    for row, ours in zip(rows, found, strict=True):
        (single,) = predict(release.classifier, release.outliers, encode([row]))
        assert ours["error"] is None
        assert as_the_api_says(ours) == single
        assert type(ours["is_outlier"]) is bool
        assert type(ours["attrition_probability"]) is float
    assert {ours["decision"] for ours in found} == {"at_risk", "not_at_risk", "refer"}


def test_refused_rows_stay_in_their_places(release: Release) -> None:
    rows = [
        record(Age=17),
        record(),
        record(Gender=SECRET, MonthlyIncome=ABSENT),
        record(**REFERENCES[4]),
        record(OverTime="yes"),
    ]
    found = answers(frame(rows), release)
    wrong = [["Age"], None, ["Gender", "MonthlyIncome"], None, ["OverTime"]]
    for row, ours, fields in zip(rows, found, wrong, strict=True):
        if fields is None:
            (single,) = predict(release.classifier, release.outliers, encode([row]))
            assert as_the_api_says(ours) == single
            continue
        assert ours.pop("error") == [{"field": f, "expected": _EXPECTED[f]} for f in fields]
        assert list(ours.values()) == [None] * (len(ANSWER.names) - 1)


def test_a_frame_of_refused_rows_alone_has_errors_alone(release: Release) -> None:
    for ours in answers(frame([record(Age=17), record(Age=81)]), release):
        assert ours["error"] == [{"field": "Age", "expected": _EXPECTED["Age"]}]
        assert [ours[name] for name in ANSWER.names[:-1]] == [None] * (len(ANSWER.names) - 1)


def test_an_empty_frame_gives_an_empty_frame(release: Release) -> None:
    assert answers(frame([record()]).iloc[:0], release) == []


def test_every_frame_of_a_partition_is_answered(release: Release) -> None:
    rows = frame([record()] * 3)
    parts = [rows.iloc[:2], rows.iloc[:0], rows]
    found = list(scorer(release, ["key_0"])(iter(parts)))
    assert [len(each) for each in found] == [2, 0, 3]


def test_a_frame_keeps_its_own_labels_to_itself(release: Release) -> None:
    """A filtered frame's index has gaps; rows must not slide into each other's answers."""
    rows = frame([record(), record(Age=17), record(**REFERENCES[4])])
    found = answers(rows.iloc[[2, 1]], release)
    assert [bool(ours["broken_rules"]) for ours in found] == [True, False]
    assert [bool(ours["error"]) for ours in found] == [False, True]
