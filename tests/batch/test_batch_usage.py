"""The command line: what is refused before a registry is asked or Spark started."""

import ast
from pathlib import Path

import pytest

from batch.__main__ import main
from batch.errors import BatchError
from batch.tables import Place, overlap

GIVEN = ["--tracking-uri=sqlite:///x.db", "--model-name=attrition", "--table=a.b.c"]
PACKAGE = Path(__file__).resolve().parents[2] / "batch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage=staging", "--version=7"], "give one of them"),
        (["--version=latest"], "a version's number"),
        (["--partitions=many"], "a whole number"),
        (["--mode=ignore"], "invalid choice"),
        (["--table="], "--table: a value is needed"),
        (["--model-name="], "--model-name: a value is needed"),
    ],
)
def test_wrong_usage_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*GIVEN, *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "output", "said"),
    [
        ("a.b.c", "A.B.C", "--output: A.B.C is where the rows come from"),
        ("/data/rows", "/data/rows/", "--output: /data/rows is where the rows come from"),
        ("/data/rows", "/data", "--output: /data is where the rows come from"),
        ("a.b.c.d", "", "--table: expected CATALOG.SCHEMA.TABLE"),
        ("a..c", "", "--table: expected CATALOG.SCHEMA.TABLE"),
        ("a; drop table b", "", "--table: expected CATALOG.SCHEMA.TABLE"),
        ("a.b.c", "abfss://x@y/z", "--output: abfss:// addresses"),
    ],
)
def test_wrong_places_are_said(
    table: str, output: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*GIVEN, f"--table={table}", f"--output={output}"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.b.c", "a.b.d", False),
        ("a.b.c", "b.c", True),
        ("a.b.c", "d.c", False),
        ("a.b.c", "./c", False),
        ("./rows", "./rows_predictions", False),
    ],
)
def test_places_overlap_when_one_write_would_touch_the_other(
    one: str, other: str, expected: bool
) -> None:
    assert overlap(Place.parse(one, "--a"), Place.parse(other, "--b")) is expected


@pytest.mark.parametrize("text", ["main.hr.employees", "dbw-hr.hr.year-2026", "/Volumes/a/b/c"])
def test_places_are_read_and_written_alike(text: str) -> None:
    assert str(Place.parse(text, "--table")) == text


def test_names_are_quoted() -> None:
    assert Place.parse("dbw-hr.hr.t", "--table").sql_name == "`dbw-hr`.`hr`.`t`"
    with pytest.raises(BatchError):
        Place.parse("a.b`.c", "--table")


def test_nothing_is_used_that_spark_connect_lacks() -> None:
    """Serverless compute has no JVM at hand, no SparkContext and no RDDs."""
    lacking = {"sparkContext", "rdd", "_jvm", "_jdf", "_sc", "cache", "persist", "broadcast"}
    used = {
        node.attr
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert "mapInPandas" in used
    assert not used & lacking
