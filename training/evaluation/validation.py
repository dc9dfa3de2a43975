"""How good the classifier is, measured on records that it did not learn from.

A single split's AUC has a standard deviation of .03 on the IBM table: figures are means over
repeated cross-validation. The held-out part is looked at once, by a model that has not seen it, and
decides nothing.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from contract.parameters import Parameters
from training.classifier.estimator import Refits
from training.data.dataset import Dataset
from training.evaluation.evidence import Figure, figure

__all__ = [
    "HELD_OUT_SHARE",
    "OutOfFold",
    "corrected_interval",
    "cross_validate",
    "expected_calibration_error",
    "held_out_figures",
]

HELD_OUT_SHARE = 0.2
"""Share of the table in the held-out part, leavers and stayers alike."""

_ECE_BINS = 10
_RESAMPLES = 200
_CONFIDENCE = 0.95

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]
_Score = Callable[[_Rows, _Floats], float]

_SCORES: Mapping[str, tuple[_Score, str]] = {
    "roc_auc": (
        lambda target, said: float(roc_auc_score(target, said)),
        "chance that a leaver is given a higher probability than a stayer",
    ),
    "average_precision": (
        lambda target, said: float(average_precision_score(target, said)),
        "precision averaged over the ranks of the leavers",
    ),
    "brier": (
        lambda target, said: float(brier_score_loss(target, said)),
        "mean squared distance of the probability from the outcome",
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class OutOfFold:
    """`probabilities` is `n_repeats` x `n_rows`, `scores` has `n_repeats` x `n_folds` by name."""

    target: _Rows
    probabilities: _Floats
    scores: Mapping[str, _Floats]

    def figures(self) -> dict[str, Figure]:
        """Return means over all folds as `cv_…`, with corrected 95 % intervals.

        `cv_ece` is the mean over repeats of the pooled error; it has no interval, as neither the
        repeats nor a bootstrap's resamples are a sample of it.
        """
        figures: dict[str, Figure] = {}
        for name, (_, meaning) in _SCORES.items():
            mean, low, high = corrected_interval(self.scores[name])
            figures[f"cv_{name}"] = figure(mean, meaning, low=low, high=high)
        errors = [expected_calibration_error(self.target, said) for said in self.probabilities]
        meaning = "mean gap between said and seen rate over ten bins of probability"
        return figures | {"cv_ece": figure(float(np.mean(errors)), meaning)}


def cross_validate(classifier: Pipeline, dataset: Dataset, parameters: Parameters) -> OutOfFold:
    """Score the procedure that made `classifier` by repeated stratified cross-validation."""
    refits = Refits.of(classifier, dataset.features)
    target = np.asarray(dataset.target, dtype=np.int64)
    shape = (parameters.cv_repeats, parameters.cv_folds)
    probabilities = np.empty((parameters.cv_repeats, len(target)))
    scores = {name: np.empty(shape) for name in _SCORES}
    for repeat in range(parameters.cv_repeats):
        folds = StratifiedKFold(
            parameters.cv_folds, shuffle=True, random_state=parameters.seed + repeat
        )
        for fold, (fitted, held_out) in enumerate(folds.split(target, target)):
            model = refits.fit(fitted, target[fitted])
            said = refits.probability(model, held_out)
            probabilities[repeat, held_out] = said
            for name, (score, _) in _SCORES.items():
                scores[name][repeat, fold] = score(target[held_out], said)
    return OutOfFold(target=target, probabilities=probabilities, scores=scores)


def held_out_figures(
    classifier: Pipeline, dataset: Dataset, parameters: Parameters
) -> tuple[int, dict[str, Figure]]:
    """Fit the procedure to the rest of the table, and score the held-out part once.

    Returns its number of rows, and the figures with 95 % intervals from a stratified bootstrap of
    the held-out records (percentiles).
    """
    refits = Refits.of(classifier, dataset.features)
    target = np.asarray(dataset.target, dtype=np.int64)
    split: Any = train_test_split(
        np.arange(len(target)),
        test_size=HELD_OUT_SHARE,
        stratify=target,
        random_state=parameters.seed,
    )
    fitted, held_out = split
    said = refits.probability(refits.fit(fitted, target[fitted]), held_out)
    seen = target[held_out]
    samples = _stratified_resamples(seen, np.random.default_rng(parameters.seed))
    figures: dict[str, Figure] = {}
    for name, (score, meaning) in _SCORES.items():
        values = [score(seen[rows], said[rows]) for rows in samples]
        low, high = np.quantile(values, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
        figures[f"held_out_{name}"] = figure(score(seen, said), meaning, low=low, high=high)
    return len(seen), figures


def corrected_interval(scores: _Floats) -> tuple[float, float, float]:
    """Return mean and 95 % interval of `n_repeats` x `n_folds` scores of overlapping samples.

    The corrected resampled t statistic: the variance is enlarged by the ratio of records tested to
    records learnt from (Nadeau and Bengio, "Inference for the generalization error", Machine
    Learning 52, 2003).
    """
    mean, spread = float(scores.mean()), float(scores.std(ddof=1))
    error = spread * np.sqrt(1 / scores.size + 1 / (scores.shape[1] - 1))
    width = float(student.ppf((1 + _CONFIDENCE) / 2, scores.size - 1) * error)
    return mean, mean - width, mean + width


def expected_calibration_error(target: _Rows, probability: _Floats) -> float:
    """Return the mean gap between said and seen rate over ten equal-width bins, by their size."""
    bins = np.minimum((probability * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
    gaps = np.bincount(bins, weights=probability - target, minlength=_ECE_BINS)
    return float(np.abs(gaps).sum() / len(target))


def _stratified_resamples(target: _Rows, random: np.random.Generator) -> list[_Rows]:
    groups = [np.flatnonzero(target == outcome) for outcome in (0, 1)]
    return [
        np.concatenate([random.choice(rows, size=len(rows)) for rows in groups])
        for _ in range(_RESAMPLES)
    ]
