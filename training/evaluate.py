"""The figures of a release, all measured on records that the model in question did not learn from.

A single split's AUC has a standard deviation of .03 on this table: figures are means over repeats
of cross-validation, with their spread beside them.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from training.classifier import attrition_probability, make_classifier
from training.dataset import Dataset
from training.drift import DriftDetector
from training.outliers import OutlierDetector
from training.parameters import Parameters

__all__ = ["evaluate", "expected_calibration_error"]

_ECE_BINS = 10
_OUTLIER_FOLDS = 5
_DRIFT_WINDOWS = 40
_DRIFT_WINDOW_RECORDS = 200


def evaluate(dataset: Dataset, parameters: Parameters) -> dict[str, float]:
    """Return the release's metrics by name.

    `cv_roc_auc`, `cv_average_precision`, `cv_brier` and `cv_ece` are means over the repeats, each
    computed on a repeat's pooled out-of-fold probabilities; `…_sd` is their standard deviation over
    the repeats. `cv_outlier_rate` is the share of held-out records called outliers,
    `drift_false_alarm_rate` the share of windows of the table's own records called drift.
    """
    repeats = [
        _classifier_figures(dataset, parameters, seed=parameters.seed + repeat)
        for repeat in range(parameters.cv_repeats)
    ]
    metrics: dict[str, float] = {}
    for name in repeats[0]:
        values = [figures[name] for figures in repeats]
        metrics[f"cv_{name}"] = fmean(values)
        metrics[f"cv_{name}_sd"] = stdev(values)
    metrics["cv_outlier_rate"] = _outlier_rate(dataset.features, parameters.seed)
    metrics["drift_false_alarm_rate"] = _false_alarm_rate(dataset.features, parameters.seed)
    return metrics


def expected_calibration_error(
    target: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]
) -> float:
    """Return the mean gap between said and seen rate over ten equal-width bins, by their size."""
    bins = np.minimum((probability * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
    gaps = np.bincount(bins, weights=probability - target, minlength=_ECE_BINS)
    return float(np.abs(gaps).sum() / len(target))


def _classifier_figures(dataset: Dataset, parameters: Parameters, *, seed: int) -> dict[str, float]:
    target = np.asarray(dataset.target, dtype=np.int64)
    probability = np.empty(len(target))
    folds = StratifiedKFold(parameters.cv_folds, shuffle=True, random_state=seed)
    for fitted, held_out in folds.split(dataset.features, target):
        classifier = make_classifier(parameters)
        classifier.fit(dataset.features.iloc[fitted], target[fitted])
        probability[held_out] = attrition_probability(classifier, dataset.features.iloc[held_out])
    return {
        "roc_auc": float(roc_auc_score(target, probability)),
        "average_precision": float(average_precision_score(target, probability)),
        "brier": float(brier_score_loss(target, probability)),
        "ece": expected_calibration_error(target, probability),
    }


def _outlier_rate(features: pd.DataFrame, seed: int) -> float:
    flagged = 0
    for fitted, held_out in KFold(_OUTLIER_FOLDS, shuffle=True, random_state=seed).split(features):
        detector = OutlierDetector(seed=seed).fit(features.iloc[fitted])
        flagged += int(detector.predict(features.iloc[held_out]).sum())
    return flagged / len(features)


def _false_alarm_rate(features: pd.DataFrame, seed: int) -> float:
    # The window's records are taken out of the reference: left in, they would resemble it too well.
    records = min(_DRIFT_WINDOW_RECORDS, len(features) // 2)
    random = np.random.default_rng(seed)
    alarms = 0
    for _ in range(_DRIFT_WINDOWS):
        order = random.permutation(len(features))
        detector = DriftDetector().fit(features.iloc[order[records:]])
        alarms += detector.detect(features.iloc[order[:records]]).status == "drift"
    return alarms / _DRIFT_WINDOWS
