"""The job's rules on small tables, in one Spark session of this process."""

# pyarrow has no types, PySpark's are partly unknown (25.0.1 and 4.3.0, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import datetime as dt
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row, SparkSession

from batch.scoring import ANSWER
from contract.employee import TARGET
from tests.batch.batch_rows import KEY, SECRET, UNKNOWN, columns, read_rows, write_rows
from tests.batch.conftest import Run, Trained

pytestmark = pytest.mark.filterwarnings(
    # Databricks has pandas 2; what this job does with pandas 3 is what these tests look at.
    "ignore:PySpark does not yet fully support pandas:FutureWarning"
)

ROWS = 600
_DAY = dt.date(2026, 11, 1)
ANSWERS = ANSWER.names


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "rows.parquet"
    return write_rows(folder, ROWS, files=3, faults={5: {"Age": None}, 7: {"Gender": SECRET}})


def without_time(answers: Any) -> list[dict[str, Any]]:
    return answers.drop_columns(["scored_at"]).to_pylist()


def rows(session: SparkSession, table: str) -> list[dict[str, Any]]:
    found: list[Row] = session.table(table).orderBy(KEY).drop("scored_at").collect()
    return [row.asDict(recursive=True) for row in found]


def write(folder: Path, **changes: Any) -> Path:
    """Write a small table with some columns changed; None leaves a column out."""
    whole = {KEY: pa.array(range(4)), **columns(4, seed=9), **changes}
    folder.mkdir()
    kept = {name: column for name, column in whole.items() if column is not None}
    pq.write_table(pa.table(kept), folder / "part-0.parquet")
    return folder


def test_workers_do_not_see_the_project(session: SparkSession) -> None:
    """Or no test here would say whether the code was shipped."""

    def look(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for _ in frames:
            found = [str(importlib.util.find_spec(name)) for name in ("app", "batch", "contract")]
            yield pd.DataFrame({"found": found})

    seen = session.range(1).mapInPandas(look, "found string").collect()
    assert [row["found"] for row in seen] == ["None", "None", "None"]


@pytest.mark.usefixtures("session")
def test_partitions_change_nothing(run: Run, table: Path, tmp_path: Path) -> None:
    answers: list[Any] = []
    for partitions in ("", "5"):
        output = tmp_path / f"answers{partitions}"
        done = run(f"--table={table}", f"--output={output}", f"--partitions={partitions}",
                   "--version=1")  # fmt: skip
        assert done.code == 0, done.stderr
        assert done.summary["scored"] == ROWS - 2
        answers.append(without_time(read_rows(output)))
    assert answers[0] == answers[1]
    assert len(list((tmp_path / "answers5").glob("*.parquet"))) == 5


def test_tables_by_name_are_replaced_or_added_to(
    run: Run, session: SparkSession, table: Path
) -> None:
    name = "spark_catalog.default.employees"
    session.read.parquet(str(table)).write.saveAsTable(name)
    given = (f"--table={name}", "--stage=staging", "--output=")
    assert run(*given).summary["output"] == f"{name}_predictions"
    first = rows(session, f"{name}_predictions")
    assert len(first) == ROWS
    assert run(*given, "--mode=overwrite").summary["rows"] == ROWS
    assert rows(session, f"{name}_predictions") == first
    added = run(*given, "--mode=append").summary
    assert (added["rows"], added["refused"]) == (ROWS, 2)
    # Answers with other keys are other answers.
    refused = run(*given, "--mode=append", f"--key-column={UNKNOWN}")
    assert refused.code == 1
    assert "left as it is" in refused.stderr
    times = session.table(f"{name}_predictions").groupBy("scored_at").count().collect()
    assert [row["count"] for row in times] == [ROWS, ROWS]


@pytest.mark.usefixtures("session")
def test_keys_come_back_as_they_were(run: Run, tmp_path: Path) -> None:
    large = 2**60 + 1
    keys = {
        KEY: pa.array([1, None, large, 4]),
        "Site": pa.array(["Ulm", None, "Köln `1`", ""]),
        "as of.day": pa.array([_DAY, None, dt.date.max, dt.date.min]),
    }
    table = write(tmp_path / "rows.parquet", **keys)
    done = run(f"--table={table}", "--version=1", f"--key-column={KEY}, Site,as of.day")
    assert done.code == 0, done.stderr
    answers = pq.read_table(tmp_path / "rows_predictions")
    assert answers.schema.names == [*keys, "release", "scored_at", *ANSWERS]
    found = {tuple(row[name] for name in keys) for row in answers.to_pylist()}
    assert found == set(zip(*(column.to_pylist() for column in keys.values()), strict=True))
    assert answers.schema.field(KEY).type == pa.int64()


@pytest.mark.usefixtures("session")
def test_a_column_of_another_type_is_refused_row_by_row(run: Run, tmp_path: Path) -> None:
    table = write(
        tmp_path / "rows.parquet",
        Age=pa.array([41.0, 42.0, 43.0, 44.0]),
        OverTime=pa.array([True, False, True, False]),
        JobLevel=pa.array(["1", "2", "3", SECRET]),
    )
    done = run(f"--table={table}", "--version=1")
    assert done.code == 1
    assert "no row could be scored" in done.stderr
    assert "Age, JobLevel, OverTime" in done.stderr
    assert "Age is double, not whole numbers" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    answers = pq.read_table(tmp_path / "rows_predictions").to_pylist()
    assert [[each["field"] for each in row["error"]] for row in answers] == (
        [["Age", "JobLevel", "OverTime"]] * 4
    )


@pytest.mark.usefixtures("session")
def test_whole_numbers_of_any_width_are_read(run: Run, tmp_path: Path) -> None:
    widths = {
        "Age": pa.array([18, None, 80, 81], pa.int8()),
        "DailyRate": pa.array([1, None, 5_000, 5_001], pa.int16()),
        "MonthlyIncome": pa.array([500, None, 100_000, 100_001], pa.int32()),
        "MonthlyRate": pa.array([500, None, 100_000, 2**40], pa.int64()),
    }
    table = write(tmp_path / "rows.parquet", **widths)
    done = run(f"--table={table}", "--version=1")
    assert done.summary["scored"] == 2
    assert done.summary["refused_fields"] == dict.fromkeys(widths, 2)


@pytest.mark.usefixtures("session")
def test_an_empty_table_gives_an_empty_table(run: Run, tmp_path: Path) -> None:
    table = write(tmp_path / "rows.parquet")
    part = table / "part-0.parquet"
    pq.write_table(pq.read_table(part).slice(0, 0), part)
    summary = run(f"--table={table}", "--version=1").summary
    assert (summary["rows"], summary["scored"], summary["refused"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"Age": None, "OverTime": None}, [], "has no column Age, OverTime"),
        ({KEY: None}, [], f"has no column {KEY}"),
        ({}, ["--key-column=Age"], "Age is a field of the record"),
        ({TARGET: pa.array(["No"] * 4)}, [f"--key-column={TARGET}"], f"{TARGET} is a field"),
        ({"release": pa.array(["x"] * 4)}, ["--key-column=release"], "release is a field"),
        ({"Pay": pa.array([1.5] * 4)}, ["--key-column=Pay"], "Pay is double"),
    ],
)
@pytest.mark.usefixtures("session")
def test_a_table_that_cannot_be_scored_is_said_before_anything_is_written(
    run: Run, tmp_path: Path, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    table = write(tmp_path / "rows.parquet", **changes)
    done = run(f"--table={table}", "--version=1", *arguments)
    assert done.code == 1
    assert re.search(re.escape(said), done.stderr), done.stderr
    assert not (tmp_path / "rows_predictions").exists()


@pytest.mark.usefixtures("session")
def test_a_failing_worker_fails_the_run_without_saying_the_value(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quoting(*_: Any) -> None:
        raise ValueError(f"cannot score {SECRET}")

    given = (f"--table={table}", f"--output={tmp_path / 'answers'}", "--version=1")
    with monkeypatch.context() as patch:
        patch.setattr("batch.scoring.predict", quoting)
        done = run(*given)
    assert done.code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "see the log of Spark" in line
    assert SECRET not in done.stdout + done.stderr
    # What the failed run left behind does not stop the next one.
    assert run(*given).summary["rows"] == ROWS


@pytest.mark.usefixtures("session")
def test_a_missing_table_is_named(run: Run) -> None:
    done = run("--table=spark_catalog.default.nowhere", "--version=1")
    assert done.code == 1
    assert "`nowhere`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_no_table_of_answers_is_not_written_over(
    run: Run, session: SparkSession, table: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "diary.txt").write_text("keep me")
    session.range(3).write.saveAsTable("spark_catalog.default.precious")
    for output in (str(other), str(notes), "spark_catalog.default.precious"):
        done = run(f"--table={table}", f"--output={output}", "--version=1")
        assert done.code == 1
        assert "left as it is" in done.stderr
    assert pq.read_table(other).num_rows == 4
    assert (notes / "diary.txt").read_text() == "keep me"
    assert session.table("spark_catalog.default.precious").count() == 3


def test_the_release_is_the_one_that_serves(run: Run, trained: Trained, table: Path) -> None:
    """An alias nobody set, a version nobody made: said with what to do, before Spark starts."""
    for arguments, said in (
        (["--stage="], "stage production"),
        (["--stage=nightly"], "stage nightly"),
        (["--version=99"], "version 99"),
    ):
        done = run(f"--table={table}", *arguments)
        assert done.code == 1
        assert said in done.stderr
        assert "release to that stage first" in done.stderr
