"""The log line `window`: counts of enough people, never of a few."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_bundles import REFERENCES, record
from app_clock import Clock
from app_processes import ROOT, Start, predict

from app.scoring import encode
from app.service import Service
from app.tally import Tally
from app.windows import WindowLines
from contract.telemetry import MINIMUM_RECORDS


@pytest.fixture
def clock(service: Service) -> Clock:
    clock = Clock()
    bins = service.release.drift
    lines = WindowLines(bins, "7", records=MINIMUM_RECORDS, seconds=60, clock=clock)
    service.tally = Tally(bins, lines, service.metrics, clock)
    return clock


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def people(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Make records of as many people, all in the same bins."""
    return [record(DailyRate=800 + number, **changes) for number in range(count)]


def answer(service: Service, *rows: dict[str, Any]) -> None:
    codes = encode(rows)
    service.tally.add(codes, service.score(codes))
    service.tally.settle()


def test_a_line_is_written_when_there_are_enough_and_it_is_time(
    service: Service, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(service, *people(19))
    clock.now = 61
    answer(service, *(record(**changes) for changes in REFERENCES))
    (line,) = lines(capfd)
    assert line.pop("time") >= line.pop("since")
    assert line == {
        "event": "window",
        "schema": 1,
        "release": "7",
        "records": 24,
        "counts": {
            "JobLevel": [1, 22, 0, 1, 0],
            "MonthlyIncome": [2, 21, 1],
            "OverTime": [2, 22],
        },
        "probabilities": line["probabilities"],
        "outliers": 2,
        "referred": line["referred"],
        "at_risk": line["at_risk"],
    }
    assert len(line["probabilities"]) == 10
    assert sum(line["probabilities"]) == 24
    assert line["referred"] + line["at_risk"] <= 24


@pytest.mark.parametrize(("records", "seconds"), [(19, 1_000), (500, 59)])
def test_neither_few_records_nor_little_time_make_a_line(
    service: Service,
    clock: Clock,
    capfd: pytest.CaptureFixture[str],
    records: int,
    seconds: float,
) -> None:
    answer(service, *people(records - 1))
    clock.now = seconds
    answer(service, record())
    assert lines(capfd) == []


def test_fewer_than_the_least_are_never_written(
    service: Service, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(service, *people(19))
    clock.now = 10_000
    service.tally.settle()
    service.tally.close()
    assert lines(capfd) == []
    eager = WindowLines(service.release.drift, "7", records=1, seconds=0, clock=clock)
    service.tally = Tally(service.release.drift, eager, service.metrics, clock)
    answer(service, record())
    service.tally.close()
    assert lines(capfd) == []


def test_a_line_begins_with_its_first_record(
    service: Service, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not when it is counted: the sum of all lines would have gaps."""
    codes = encode(people(20))
    service.tally.add(codes, service.score(codes))
    begun = datetime.now(UTC)
    clock.now = 60
    service.tally.settle()
    (line,) = lines(capfd)
    assert datetime.fromisoformat(line["since"]) <= begun
    assert line["records"] == 20


def test_the_next_line_begins_anew(
    service: Service, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(service, *people(20))
    service.tally.close()
    clock.now = 100
    answer(service, *people(20, JobLevel=5))
    clock.now = 159
    answer(service, record(JobLevel=5))
    assert len(lines(capfd)) == 1
    clock.now = 160
    service.tally.settle()
    (line,) = lines(capfd)
    assert line["records"] == 21
    assert line["counts"]["JobLevel"] == [0, 0, 0, 0, 21]


@pytest.mark.parametrize(("others", "told"), [(18, False), (19, True)])
def test_one_person_asked_about_again_and_again_is_still_one(
    service: Service, clock: Clock, capfd: pytest.CaptureFixture[str], others: int, told: bool
) -> None:
    for _ in range(30):
        answer(service, record())
    answer(service, *people(others))
    clock.now = 10_000
    service.tally.close()
    assert [line["records"] for line in lines(capfd)] == ([49] if told else [])


STEP = """
import os, time
of_day = time.time
time.time = lambda: of_day() - 3600 * os.path.exists("set-back")
"""
"""A clock that somebody sets back by an hour; Python imports a `sitecustomize` before all else."""


def test_a_line_is_written_though_the_clock_was_set_back(tmp_path: Path, start: Start) -> None:
    (tmp_path / "sitecustomize.py").write_text(STEP)
    path = f"{tmp_path}:{ROOT}"
    process = start("A", PYTHONPATH=path, WINDOW_SECONDS="1").wait_ready()
    (tmp_path / "set-back").touch()
    connection = process.connect()
    body = json.dumps(people(MINIMUM_RECORDS)).encode()
    assert predict(connection, body)[0] == 200
    connection.close()
    deadline = time.monotonic() + 10
    while '"window"' not in process.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
