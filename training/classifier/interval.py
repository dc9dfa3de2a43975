"""How sure a probability is: the bootstrap of the whole fit, and how often it holds the truth.

The classifier is fitted to resampled tables, its choice of regularisation included. How far the
log-odds of a record move between those fits is its standard error.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.pipeline import Pipeline

from contract.parameters import Parameters
from training.classifier.estimator import Additive, Refits, additive
from training.data.dataset import Dataset

__all__ = ["RELABELLINGS", "Uncertainty", "bootstrap", "coverage"]

_DIRECTIONS = 24
"""Directions of movement that a release keeps one by one; the rest counts with its mean."""

RELABELLINGS = 20
"""Tables with made-up outcomes by which the coverage is measured."""

_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncertainty:
    """The bootstrap's spread of the log-odds, linear in the columns' distances from their means.

    `at_baseline` has `n_directions` numbers, `columns` is `n_directions` x `n_columns`; `remainder`
    is the mean variance over the table that these directions leave out.
    """

    at_baseline: _Matrix
    columns: _Matrix
    remainder: float

    def standard_errors(self, distances: _Matrix) -> _Matrix:
        """Return standard errors of the log-odds for `n_rows` x `n_columns` distances."""
        moves = distances @ self.columns.T + self.at_baseline
        return np.sqrt(self.remainder + (moves**2).sum(axis=1))


def bootstrap(classifier: Pipeline, dataset: Dataset, parameters: Parameters) -> Uncertainty:
    """Measure the spread of the fitted `classifier` over resamples of the table (Efron, 1979)."""
    refits = Refits.of(classifier, dataset.features)
    target = np.asarray(dataset.target, dtype=np.int64)
    random = np.random.default_rng(parameters.seed)
    fitted = additive(classifier)
    matrix = fitted.matrix(dataset.features)
    means = matrix.mean(axis=0)
    moves: list[_Matrix] = []
    while len(moves) < parameters.replicates:
        rows = random.integers(len(target), size=len(target))
        # Such a sample of a small table is possible, and no model can be fitted to it.
        if 0 < target[rows].sum() < len(rows):
            replicate = additive(refits.fit(rows, target[rows]))
            moves.append(_centred(replicate, means) - _centred(fitted, means))
    return _directions(np.array(moves), matrix - means)


def coverage(
    classifier: Pipeline,
    uncertainty: Uncertainty,
    dataset: Dataset,
    *,
    z: float,
    seed: int,
) -> float:
    """Return the share of true probabilities that the intervals hold where the truth is known.

    The fitted model is taken for the truth: outcomes are drawn from its probabilities, the whole
    procedure is fitted to them, and its intervals (+/- `z` standard errors) are held against that
    truth, for every record. Shrinkage counts as an error as well, which the bootstrap cannot see.
    """
    refits = Refits.of(classifier, dataset.features)
    random = np.random.default_rng(seed)
    fitted = additive(classifier)
    matrix = fitted.matrix(dataset.features)
    truth = matrix @ fitted.coefficients + fitted.intercept
    bounds = z * uncertainty.standard_errors(matrix - matrix.mean(axis=0))
    rows = np.arange(len(matrix))
    held = 0.0
    for _ in range(RELABELLINGS):
        outcomes = (random.random(len(truth)) < expit(truth)).astype(np.int64)
        again = additive(refits.fit(rows, outcomes))
        logit = matrix @ again.coefficients + again.intercept
        held += float((np.abs(logit - truth) <= bounds).mean())
    return held / RELABELLINGS


def _centred(model: Additive, means: _Matrix) -> _Matrix:
    """Return the log-odds at the columns' means, and then the coefficients."""
    return np.append(model.intercept + model.coefficients @ means, model.coefficients)


def _directions(moves: _Matrix, distances: _Matrix) -> Uncertainty:
    """Turn replicates into few directions that explain the most of the log-odds' variance."""
    rows = np.column_stack([np.ones(len(distances)), distances])
    logits = moves @ rows.T / np.sqrt(len(moves) * len(rows))
    left, sizes, _ = np.linalg.svd(logits, full_matrices=False)
    # The sign of a direction means nothing, and a library may choose either.
    left = left * np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    kept = left[:, :_DIRECTIONS].T @ moves / np.sqrt(len(moves))
    return Uncertainty(
        at_baseline=kept[:, 0],
        columns=kept[:, 1:],
        remainder=float((sizes[_DIRECTIONS:] ** 2).sum()),
    )
