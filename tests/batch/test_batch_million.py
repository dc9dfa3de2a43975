"""A million rows through the job, started as on Databricks, against the API's single answers."""

# pyarrow has no types (25.0.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contract.employee import FIELD_NAMES, FIELDS, expected
from contract.rules import RULES
from tests.app.app_processes import Process, predict
from tests.batch.batch_rows import (
    FAULTS,
    KEY,
    SECRET,
    as_the_api_says,
    read_rows,
    write_rows,
)
from tests.batch.batch_runs import Outcome, run_job
from tests.batch.conftest import Trained

ANSWERS = (
    "attrition_probability",
    "interval_low",
    "interval_high",
    "decision",
    "is_outlier",
    "outlier_score",
    "outlier_features",
    "broken_rules",
    "reasons",
)
ROWS = 1_000_000
SAMPLE = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Million:
    """The table, the job's outcome, and what it wrote; both tables in the order of the key."""

    rows: Any
    answers: Any
    outcome: Outcome
    started: datetime


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory, java: str, trained: Trained) -> Million:
    folder = tmp_path_factory.mktemp("million")
    table = write_rows(folder / "rows.parquet", ROWS, files=8, faults=FAULTS)
    started = datetime.now(UTC)
    outcome = run_job(
        folder, java, *trained.arguments, "--table", str(table), "--stage", "staging", "--version="
    )
    assert outcome.code == 0, outcome.stderr
    return Million(
        rows=read_rows(table),
        answers=read_rows(folder / "rows_predictions"),
        outcome=outcome,
        started=started,
    )


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("api"), "1", trained.bundle).start()
    yield process.wait_ready()
    process.kill()


def record(million: Million, row: int) -> dict[str, Any]:
    (whole,) = million.rows.slice(row, 1).to_pylist()
    return {name: whole[name] for name in FIELD_NAMES}


def answer(million: Million, row: int) -> dict[str, Any]:
    (whole,) = million.answers.slice(row, 1).to_pylist()
    assert whole[KEY] == row
    return whole


def test_every_row_is_answered_once(million: Million) -> None:
    assert np.array_equal(million.answers.column(KEY).to_numpy(), np.arange(ROWS))
    assert million.answers.schema.names == [
        KEY,
        "release",
        "scored_at",
        *ANSWERS,
        "error",
    ]


def test_every_legal_row_has_a_probability_and_a_score(million: Million) -> None:
    for name in ("attrition_probability", "interval_low", "interval_high", "outlier_score"):
        column = million.answers.column(name)
        assert column.null_count == len(FAULTS)
        assert np.isfinite(column.drop_null().to_numpy()).all()
    probabilities = million.answers.column("attrition_probability").drop_null().to_numpy()
    assert probabilities.min() > 0
    assert probabilities.max() < 1
    low, high = (
        million.answers.column(f"interval_{end}").drop_null().to_numpy() for end in ("low", "high")
    )
    assert ((low < probabilities) & (probabilities < high)).all()
    # A constant would pass all of the above.
    assert len(np.unique(probabilities)) > 0.99 * ROWS
    outliers = million.answers.column("is_outlier").drop_null().to_numpy()
    assert 0 < outliers.sum() <= ROWS


def test_the_answers_are_those_of_the_api(million: Million, api: Process) -> None:
    sample = random.Random(7).sample(sorted(set(range(ROWS)) - FAULTS.keys()), SAMPLE)
    connection = api.connect()
    for row in sample:
        status, content, _ = predict(connection, json.dumps([record(million, row)]).encode())
        assert status == 200
        (single,) = content["predictions"]
        ours = answer(million, row)
        assert ours["release"] == content["release"]
        assert ours["error"] is None
        assert as_the_api_says(ours) == single
    connection.close()


@pytest.mark.parametrize("row", FAULTS)
def test_a_row_is_refused_as_the_api_refuses_it(million: Million, api: Process, row: int) -> None:
    connection = api.connect()
    status, content, _ = predict(connection, json.dumps([record(million, row)]).encode())
    connection.close()
    ours = answer(million, row)
    assert status == 422
    assert {each["field"] for each in ours["error"]} == FAULTS[row].keys()
    assert [{"record": 0, **each} for each in ours["error"]] == content["errors"]
    assert [ours[name] for name in ANSWERS] == [None] * len(ANSWERS)


def test_release_and_time_are_on_every_row(million: Million) -> None:
    assert million.answers.column("release").unique().to_pylist() == ["1"]
    (moment,) = million.answers.column("scored_at").cast("int64").unique().to_pylist()
    unit = million.answers.schema.field("scored_at").type.unit
    scored_at = datetime.fromtimestamp(moment / {"us": 1e6, "ns": 1e9}[unit], UTC)
    assert million.started < scored_at < million.started + timedelta(minutes=20)


def test_the_summary_counts(million: Million) -> None:
    summary = million.outcome.summary
    assert summary["rows"] == ROWS
    assert summary["refused"] == len(FAULTS)
    assert summary["scored"] == ROWS - len(FAULTS)
    assert summary["release"] == "1"
    assert summary["seconds"] > ROWS / summary["rows_per_second"]
    wrong = [name for changes in FAULTS.values() for name in changes]
    assert summary["refused_fields"] == {name: wrong.count(name) for name in wrong}


def test_no_cell_is_said_or_copied(million: Million) -> None:
    """All text in the answers is the contract's own, so that none can be a row's."""
    assert SECRET not in million.outcome.stdout + million.outcome.stderr
    assert texts(million, "reasons", "feature") <= set(FIELD_NAMES)
    assert set(names(million, "outlier_features")) <= set(FIELD_NAMES)
    assert set(names(million, "broken_rules")) == {rule.name for rule in RULES}
    decisions = million.answers.column("decision").drop_null().unique().to_pylist()
    assert set(decisions) <= {"at_risk", "not_at_risk", "refer"}
    assert texts(million, "error", "field") == {name for each in FAULTS.values() for name in each}
    assert texts(million, "error", "expected") <= {expected(field) for field in FIELDS}


def names(million: Million, column: str) -> list[str]:
    return million.answers.column(column).combine_chunks().flatten().unique().to_pylist()


def texts(million: Million, column: str, field: str) -> set[str]:
    structures = million.answers.column(column).combine_chunks().flatten()
    return set(structures.field(field).unique().to_pylist())
