"""What a run leaves behind: verdicts, the results file, the table, the plot."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from tests.bench_api.figures import TARGETS, Figure, Machine, Results, percentile
from tests.bench_api.report import table, write

FIGURES = (
    Figure.ratio("p50_1_record", [0.33, 0.30, 0.36], [0.30, 0.30, 0.30], "ms"),
    Figure.ratio("p50_1000_records", [9.0, 12.0, 11.0], [10.0, 10.0, 10.0], "ms"),
    Figure.ratio("requests_per_second", [6e3, 6.5e3, 7e3], [5e3, 5e3, 5e3], "per_second"),
    Figure.measured("memory_growth", [-0.1, 0.0, 0.1]),
    Figure.missing("site_packages", "ModuleNotFoundError: nothing there"),
)


@pytest.fixture
def results() -> Results:
    machine = Machine(
        processors=2,
        python="3.11.7",
        platform="Linux",
        server_core=0,
        client_core=1,
        load=(0.1, 1.2),
    )
    return Results(begun="2026-11-27T12:00:00+00:00", rounds=3, machine=machine, figures=FIGURES)


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("p50_1_record", 0.95, "stretch"),
        ("p50_1_record", 1.15, "reached"),
        ("p50_1_record", 1.16, "missed"),
        ("requests_per_second", 1.2, "stretch"),
        ("requests_per_second", 0.85, "reached"),
        ("requests_per_second", 0.84, "missed"),
        ("memory_growth", 1.0, "reached"),
        ("memory_growth", 1.1, "missed"),
    ],
)
def test_a_figure_is_judged_by_its_bounds(name: str, value: float, verdict: str) -> None:
    assert TARGETS[name].verdict(value) == verdict
    assert (TARGETS[name].share(value) > 1) == (verdict == "missed")


def test_a_ratio_is_the_median_of_each_rounds_own() -> None:
    figure = Figure.ratio("p50_1_record", [2.0, 9.0, 4.0], [1.0, 3.0, 4.0], "ms")

    assert figure.samples == (2.0, 3.0, 1.0)
    assert (figure.low, figure.median, figure.high) == (1.0, 2.0, 3.0)
    assert figure.parts == {"api_ms": (2.0, 9.0, 4.0), "reference_ms": (1.0, 3.0, 4.0)}


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 0.99) == 198
    assert percentile(values, 0.5) == 100
    assert percentile([7.0], 0.99) == 7


def test_the_file_holds_what_was_measured(results: Results, tmp_path: Path) -> None:
    file, _ = write(results, tmp_path / "new" / "folder")
    written: dict[str, Any] = json.loads(file.read_bytes())

    assert Results.model_validate_json(file.read_bytes(), strict=True) == results
    assert set(written) == {"format", "begun", "rounds", "machine", "figures"}
    by_name = {figure["target"]["name"]: figure for figure in written["figures"]}
    assert by_name["p50_1_record"]["verdict"] == "reached"
    assert by_name["p50_1_record"]["target"]["reach"] == 1.15
    assert by_name["site_packages"]["median"] is None
    assert by_name["site_packages"]["reason"] == "ModuleNotFoundError: nothing there"
    assert set(Results.model_json_schema()["required"]) < set(written)


@pytest.mark.parametrize("change", [{"extra": 1}, {"format": 2}, {"rounds": "three"}])
def test_a_file_of_another_shape_is_refused(results: Results, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Results.model_validate(results.model_dump() | change)


def test_the_table_marks_what_is_missed_or_missing(results: Results) -> None:
    head, _, *rows = table(results)
    assert "3 rounds, servers on core 0, client on core 1, load 0.1 to 1.2" in head
    assert [row.split()[-1] for row in rows[:1]] == ["ms)"]
    assert "1.10      1.00      1.20   <= 1.15   <= 0.95  reached (0.33 over 0.3 ms)" in rows[0]
    assert "MISSED" in rows[1]
    assert "reached, and stretch (6,500 over 5,000 a second)" in rows[2]
    assert rows[3].endswith("0.00     -0.10      0.10      <= 1            reached")
    assert rows[4].endswith("not measured: ModuleNotFoundError: nothing there")


def test_the_plot_shows_every_figure(results: Results, tmp_path: Path) -> None:
    _, plot = write(results, tmp_path)
    first = plot.read_bytes()
    shown = " ".join("".join(ElementTree.fromstring(first).itertext()).split())

    for figure in results.figures:
        assert figure.target.title in shown
    assert "3 of 4 bounds reached" in shown
    assert "1.10 x floor, missed (0.90 to 1.20)" in shown
    assert "not measured" in shown
    write(results, tmp_path)
    assert plot.read_bytes() == first
