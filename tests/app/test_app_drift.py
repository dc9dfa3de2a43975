"""Drift in the service: the numbers of training's detector and of SciPy, from counts alone."""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from app.compiling_detectors import compile_drift
from app.drift import WINDOW_RECORDS, Bins, Window
from app.drift_statistics import chi_squared_tail, compare, kolmogorov_tail
from app.scoring import encode
from contract.drift import MINIMUM_WINDOW
from training.data.dataset import load
from training.drift.detector import DriftDetector, DriftReport


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return load("package").features


@pytest.fixture(scope="module")
def detector(table: pd.DataFrame) -> DriftDetector:
    return DriftDetector().fit(table)


@pytest.fixture(scope="module")
def bins(detector: DriftDetector) -> Bins:
    return compile_drift(json.loads(json.dumps(detector.to_dict())))


def codes(frame: pd.DataFrame) -> Any:
    return encode(frame.to_dict("records"))  # pyright: ignore[reportArgumentType] columns have names


def test_kolmogorovs_tail_is_scipys() -> None:
    for scaled in [0.0, 0.05, *np.linspace(0.1, 6, 120)]:
        assert kolmogorov_tail(float(scaled)) == pytest.approx(
            float(special.kolmogorov(scaled)), rel=1e-10, abs=1e-15
        )


@pytest.mark.parametrize("freedom", range(1, 20))
def test_the_chi_squared_tail_is_scipys(freedom: int) -> None:
    for statistic in [0.0, 1e-6, *np.linspace(0.1, 80, 60)]:
        assert chi_squared_tail(float(statistic), freedom) == pytest.approx(
            float(stats.chi2.sf(statistic, freedom)), rel=1e-9
        )


def windows(table: pd.DataFrame) -> list[pd.DataFrame]:
    random = np.random.default_rng(3)
    drawn = [table.sample(size, random_state=size) for size in (50, 73, 400, 1_000)]
    shifted = table.sample(200, random_state=1)
    odd = table.sample(60, random_state=2).assign(
        Department="Human Resources", MonthlyIncome=90_000
    )
    mixed = table.sample(900, random_state=3)
    return [
        *drawn,
        shifted.assign(Age=(shifted["Age"] + 8).clip(upper=80)),
        odd,
        mixed.assign(OverTime=np.where(random.random(900) < 0.5, "Yes", mixed["OverTime"])),
    ]


def test_every_number_is_that_of_training(
    table: pd.DataFrame, detector: DriftDetector, bins: Bins
) -> None:
    verdicts: set[bool] = set()
    for frame in windows(table):
        theirs: DriftReport = detector.detect(frame)
        counts = bins.split(bins.count(codes(frame)))
        ours = compare(bins.references, counts, len(frame))
        assert ours["records"] == theirs.window
        for found, wanted in zip(ours["features"], theirs.features, strict=True):
            numbers = ("p_value", "q_value", "effect", "psi")
            assert [found[name] for name in numbers] == pytest.approx(
                [getattr(wanted, name) for name in numbers], rel=1e-9, abs=1e-12
            )
            same = ("feature", "test", "effect_kind", "drifted")
            assert [found[name] for name in same] == [getattr(wanted, name) for name in same]
            verdicts.add(found["drifted"])
    assert verdicts == {True, False}


def test_one_record_is_counted_once_in_every_field(table: pd.DataFrame, bins: Bins) -> None:
    counts = bins.split(bins.count(codes(table.head(1))))
    assert {sum(each) for each in counts.values()} == {1}
    assert len(counts) == len(bins.references)


def test_the_table_counted_record_by_record_is_the_reference(
    table: pd.DataFrame, bins: Bins
) -> None:
    total = bins.count(codes(table))
    by_one = sum(bins.count(codes(table.iloc[[row]])) for row in range(len(table)))
    assert np.array_equal(total, by_one)
    wanted = {reference.name: list(reference.counts) for reference in bins.references}
    assert bins.split(total) == wanted


def test_a_window_says_first_that_there_is_not_enough(table: pd.DataFrame, bins: Bins) -> None:
    window = Window(bins)
    few = table.head(MINIMUM_WINDOW - 1)
    window.add(bins.count(codes(few)), len(few))
    assert window.report() == {
        "status": "not_enough_data",
        "records": MINIMUM_WINDOW - 1,
        "features": [],
    }
    one = table.iloc[[100]]
    window.add(bins.count(codes(one)), 1)
    assert window.report()["status"] == "ok"
    assert len(window.report()["features"]) == len(bins.references)


def test_the_oldest_records_leave_the_window(table: pd.DataFrame, bins: Bins) -> None:
    window = Window(bins)
    old = table.assign(Age=80).head(150)
    for row in range(150):
        window.add(bins.count(codes(old.iloc[[row]])), 1)
    assert window.report()["status"] == "drift"
    fresh = table.sample(3_000, replace=True, random_state=4)
    for start in range(0, 3_000, 60):
        part = fresh.iloc[start : start + 60]
        window.add(bins.count(codes(part)), len(part))
        assert window.report()["records"] <= WINDOW_RECORDS + 200
    assert window.report()["status"] == "ok"
    assert window.report()["records"] >= WINDOW_RECORDS
    assert math.isfinite(window.report()["features"][0]["p_value"])


def test_a_batch_as_large_as_the_window_is_the_window(table: pd.DataFrame, bins: Bins) -> None:
    window = Window(bins)
    for frame in (table.assign(Age=80).head(1_000), table.head(1_000)):
        window.add(bins.count(codes(frame)), 1_000)
    report = window.report()
    assert report == compare(
        bins.references, bins.split(bins.count(codes(table.head(1_000)))), 1_000
    )
