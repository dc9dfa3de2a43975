"""What the figures are made of: errors of known size, curves, and the answers' parts."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np
import pytest
from scipy import stats

from training.evaluation.curves import curves
from training.evaluation.validation import OutOfFold, corrected_interval, expected_calibration_error


def test_calibration_error_of_known_cases() -> None:
    target = np.array([0, 1, 1, 1])
    assert expected_calibration_error(target, np.array([0.0, 1.0, 1.0, 1.0])) == 0.0
    assert expected_calibration_error(target, np.full(4, 0.25)) == pytest.approx(0.5)


def test_the_corrected_interval_is_wider_than_a_students() -> None:
    scores = np.random.default_rng(1).normal(0.8, 0.03, size=(10, 5))
    mean, low, high = corrected_interval(scores)
    plain = stats.t.interval(0.95, 49, loc=mean, scale=scores.std(ddof=1) / np.sqrt(50))
    # Nadeau and Bengio: with 5 folds the variance is 1/50 + 1/4 in place of 1/50.
    ratio = np.sqrt((1 / 50 + 1 / 4) * 50)
    assert mean == pytest.approx(scores.mean())
    assert high - mean == pytest.approx((plain[1] - mean) * ratio)
    assert mean - low == pytest.approx(high - mean)


@pytest.fixture(scope="module")
def scores() -> OutOfFold:
    """Two repeats of calibrated probabilities for 1,000 records."""
    random = np.random.default_rng(2)
    said = random.beta(1, 4, size=(2, 1_000))
    target = (random.random(1_000) < said.mean(axis=0)).astype(np.int64)
    return OutOfFold(target=target, probabilities=said, scores={})


def test_curves_of_ranks_begin_and_end_where_they_must(scores: OutOfFold) -> None:
    found = curves(scores, 4.0)
    roc = found["roc"]
    assert len(roc) == 101
    assert (roc[0]["false_positive_rate"], roc[0]["true_positive_rate"]) == (0.0, 0.0)
    assert (roc[-1]["false_positive_rate"], roc[-1]["true_positive_rate"]) == (1.0, 1.0)
    rates = [point["true_positive_rate"] for point in roc]
    assert rates == sorted(rates)
    last = found["precision_recall"][-1]
    assert last["recall"] == 1.0
    assert last["precision"] == pytest.approx(scores.target.mean(), abs=0.02)


def test_the_calibration_curve_counts_everybody_once(scores: OutOfFold) -> None:
    points = curves(scores, 4.0)["calibration"]
    assert [point["records"] for point in points] == [100] * 10
    assert [p["predicted"] for p in points] == sorted(p["predicted"] for p in points)
    assert sum(p["observed"] * p["records"] for p in points) == pytest.approx(scores.target.sum())
    held = [point["low"] <= point["predicted"] <= point["high"] for point in points]
    assert sum(held) >= 8
    leavers = round(points[0]["observed"] * 100)
    exact = stats.binomtest(leavers, 100).proportion_ci(0.95, method="exact")
    assert points[0]["low"] == pytest.approx(exact.low, abs=1e-6)
    assert points[0]["high"] == pytest.approx(exact.high, abs=1e-6)
