"""What is counted of the answers, and when: many at once, and no later than somebody asks."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from app_bundles import REFERENCES, record
from app_clock import Clock

from app.compiling_detectors import compile_drift
from app.metrics import Metrics
from app.scoring import AnyCodes, encode
from app.service import Service
from app.tally import Tally
from app.windows import WindowLines
from training.data.dataset import load
from training.drift.detector import DriftDetector

ROWS = [record(DailyRate=800 + number, **changes) for number in range(4) for changes in REFERENCES]


def alone(row: dict[str, Any]) -> list[int]:
    """Return one record's codes as a list."""
    return encode([row])[:, 0].tolist()


def new_tally(service: Service) -> Tally:
    """Return one that writes a line for every 20 records, at once."""
    bins = service.release.drift
    lines = WindowLines(bins, "7", records=20, seconds=0, clock=Clock())
    return Tally(bins, lines, Metrics("7"), Clock())


def samples(metrics: Metrics) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in metrics.text().decode().splitlines()]
    return {name: float(value) for name, value in lines if not name.startswith("#")}


@pytest.mark.parametrize(
    "batches",
    [
        [encode(ROWS)],
        [alone(row) for row in ROWS],
        [encode(ROWS[:3]), alone(ROWS[3]), encode(ROWS[4:5]), alone(ROWS[5]), encode(ROWS[6:])],
    ],
    ids=["together", "alone", "mixed"],
)
def test_records_are_counted_alike_alone_and_together(
    service: Service, capfd: pytest.CaptureFixture[str], batches: list[AnyCodes]
) -> None:
    tally = new_tally(service)
    for codes in batches:
        tally.add(codes, service.score(codes))
    tally.settle()
    line = json.loads(capfd.readouterr().out)
    assert line["records"] == len(ROWS) == 20
    assert line["counts"] == {
        "JobLevel": [4, 12, 0, 4, 0],
        "MonthlyIncome": [8, 8, 4],
        "OverTime": [8, 12],
    }
    predictions = service.score(encode(ROWS))
    assert line["outliers"] == sum(each["outlier"]["is_outlier"] for each in predictions)
    assert line["referred"] == sum(each["decision"] == "refer" for each in predictions)
    assert line["at_risk"] == sum(each["decision"] == "at_risk" for each in predictions)


def test_answers_are_counted_when_there_are_enough(service: Service) -> None:
    def add(codes: AnyCodes) -> None:
        service.tally.add(codes, service.score(codes))

    for _ in range(99):
        add(alone(record()))
    assert samples(service.metrics)["attrition_records_count"] == 0
    add(alone(record()))
    assert samples(service.metrics)["attrition_records_count"] == 100
    add(encode([record()] * 250))
    found = samples(service.metrics)
    assert found["attrition_records_count"] == 101
    assert found['attrition_records_bucket{le="100.0"}'] == 100
    assert found['attrition_records_bucket{le="250.0"}'] == 101
    assert found["attrition_records_sum"] == 350
    decisions = ("at_risk", "refer", "not_at_risk")
    assert sum(found[f'attrition_answers_total{{decision="{each}"}}'] for each in decisions) == 350


@pytest.mark.parametrize("count", [Tally.report, Tally.settle, Tally.close])
def test_answers_are_counted_when_somebody_asks(
    service: Service, count: Callable[[Tally], Any]
) -> None:
    codes = alone(record())
    service.tally.add(codes, service.score(codes))
    count(service.tally)
    assert samples(service.metrics)["attrition_records_count"] == 1
    assert service.tally.report()["records"] == 1


def test_an_answer_has_a_verdict_of_the_last_second(service: Service) -> None:
    table: pd.DataFrame = load("package").features
    bins = compile_drift(json.loads(json.dumps(DriftDetector().fit(table).to_dict())))
    clock = Clock()
    lines = WindowLines(bins, "7", records=5_000, seconds=60, clock=clock)
    tally = Tally(bins, lines, service.metrics, clock)

    def add(frame: pd.DataFrame) -> None:
        for row in frame.to_dict("records"):
            codes = alone(row)  # pyright: ignore[reportArgumentType] columns have names
            tally.add(codes, service.score(codes))

    assert tally.drift() == {"status": "not_enough_data", "records": 0, "features": []}
    add(table.assign(Age=80).head(401))
    assert tally.drift()["records"] == 0
    clock.now = 1.0
    assert tally.drift() == {"status": "drift", "records": 401, "features": ["Age"]}
    add(table.head(649))
    clock.now = 1.9
    assert tally.drift()["records"] == 401
    clock.now = 2.0
    assert tally.drift()["records"] == 1_050
