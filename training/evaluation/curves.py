"""The curves by which people judge a classifier, over its out-of-fold probabilities."""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.metrics import precision_recall_curve, roc_curve

from training.evaluation.decision import decision_curve
from training.evaluation.evidence import CalibrationPoint, Curves, PrecisionRecallPoint, RocPoint
from training.evaluation.validation import OutOfFold

__all__ = ["curves"]

_POINTS = 101
_TENTHS = 10
_CONFIDENCE = 0.95
_DIGITS = 6

_Floats = npt.NDArray[np.float64]


def curves(scores: OutOfFold, missed_leaver_cost: float) -> Curves:
    """Draw the curves: those of ranks on 101 points, the calibration in tenths of the records."""
    target = np.tile(scores.target, len(scores.probabilities))
    said = scores.probabilities.ravel()
    return {
        "roc": _roc(target, said),
        "precision_recall": _precision_recall(target, said),
        "calibration": _calibration(scores),
        "decision": decision_curve(scores.target, scores.probabilities, missed_leaver_cost),
    }


def _roc(target: npt.NDArray[np.int64], said: _Floats) -> list[RocPoint]:
    false_positives, true_positives, _ = roc_curve(target, said)
    grid = np.linspace(0, 1, _POINTS)
    heights = np.interp(grid, false_positives, true_positives)
    # Where the curve rises at once, interpolation begins at the top of the rise.
    heights[0] = 0.0
    points = zip(grid, heights, strict=True)
    return [{"false_positive_rate": _round(x), "true_positive_rate": _round(y)} for x, y in points]


def _precision_recall(target: npt.NDArray[np.int64], said: _Floats) -> list[PrecisionRecallPoint]:
    precision, recall, _ = precision_recall_curve(target, said)
    grid = np.linspace(0, 1, _POINTS)
    # Precision is no line between two recalls: the next point that was reached is taken.
    reached = np.searchsorted(recall[::-1], grid)
    points = zip(grid, precision[::-1][reached], strict=True)
    return [{"recall": _round(x), "precision": _round(y)} for x, y in points]


def _calibration(scores: OutOfFold) -> list[CalibrationPoint]:
    """Compare said and seen in tenths of the records, each with its mean probability over repeats.

    The interval is Clopper and Pearson's (Biometrika 26, 1934).
    """
    said = scores.probabilities.mean(axis=0)
    points: list[CalibrationPoint] = []
    for rows in np.array_split(np.argsort(said, kind="stable"), _TENTHS):
        leavers = int(scores.target[rows].sum())
        stayers = len(rows) - leavers
        tail = (1 - _CONFIDENCE) / 2
        points.append(
            {
                "predicted": _round(said[rows].mean()),
                "observed": _round(leavers / len(rows)),
                "low": _round(beta.ppf(tail, leavers, stayers + 1)) if leavers else 0.0,
                "high": _round(beta.ppf(1 - tail, leavers + 1, stayers)) if stayers else 1.0,
                "records": len(rows),
            }
        )
    return points


def _round(value: Any) -> float:
    return round(float(value), _DIGITS)
