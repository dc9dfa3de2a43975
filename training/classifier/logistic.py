"""Logistic regression whose groups of columns are shrunk as much as the data ask for.

Ridge regression has one strength for all coefficients, found by trying many. Here each group has
its own, and the evidence (the likelihood with the coefficients integrated out) says which: one fit
in place of a search, and inside the estimator, so that whoever cross-validates it from outside
validates that choice too.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["GroupedLogisticRegression"]

_UPDATES = 12
"""Updates of the strengths; later ones move the figures by less than their spread."""

_NEWTON_STEPS = 50
_NEWTON_TOLERANCE = 1e-10
_HALVINGS = 20
_INITIAL_PRECISION = 10.0
_MAXIMUM_PRECISION = 1e6

_PRIOR_COEFFICIENTS = 1.0
_PRIOR_SQUARES = 0.005
"""Hyperprior of a group's precision: as if one more coefficient of the group had been seen, of size
0.07. Without it the evidence removes groups of weak columns, and cross-validated AUC falls."""

_Matrix = npt.NDArray[np.float64]

# Any: pyright takes the default "no_validation" for the arguments' type.
_validate: Any = validate_data


class GroupedLogisticRegression(ClassifierMixin, BaseEstimator):
    """Binary logistic regression with one Gaussian prior for each group of columns.

    `groups` names each column's group (`n_columns` texts). The precisions follow MacKay's update
    ("Bayesian interpolation", Neural Computation 4, 1992) on Laplace's approximation, with gamma
    hyperpriors as in Tipping (JMLR 1, 2001). Columns should be standardised; the intercept is not
    shrunk. Fitted: `coef_` (`n_columns`), `intercept_`, `precisions_` by group, `classes_`.
    """

    def __init__(self, groups: Sequence[str] = ()) -> None:
        self.groups = groups

    def fit(self, X: _Matrix, y: npt.NDArray[Any]) -> Self:
        """Fit to `n_rows` x `n_columns` and two classes, the positive the second in sorted order.

        Raises:
            ValueError: not two classes, not finite, or not as many columns as `groups`.
        """
        checked = _validate(self, X=X, y=y, dtype=np.float64)
        rows, labels = checked
        self.classes_ = np.unique(labels)
        if len(self.classes_) != 2:
            raise ValueError(f"expected two classes, found {len(self.classes_)}")
        if len(self.groups) != rows.shape[1]:
            raise ValueError(f"{len(self.groups)} groups named for {rows.shape[1]} columns")
        names, codes = np.unique(np.asarray(self.groups), return_inverse=True)
        target = (labels == self.classes_[1]).astype(np.float64)
        precisions, weights = _fit(rows, target, codes, len(names))
        self.coef_, self.intercept_ = weights[:-1], float(weights[-1])
        self.precisions_ = dict(zip(names.tolist(), precisions.tolist(), strict=True))
        return self

    def decision_function(self, X: _Matrix) -> _Matrix:
        """Return the log-odds of the positive class, `n_rows` numbers."""
        check_is_fitted(self)
        rows = _validate(self, X=X, dtype=np.float64, reset=False)
        return rows @ self.coef_ + self.intercept_

    def predict_proba(self, X: _Matrix) -> _Matrix:
        """Return the probabilities of both classes, `n_rows` x 2."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: _Matrix) -> npt.NDArray[Any]:
        """Return the likelier class, `n_rows`."""
        return self.classes_[(self.decision_function(X) > 0).astype(np.int64)]


def _fit(
    columns: _Matrix, target: _Matrix, codes: npt.NDArray[np.int64], n_groups: int
) -> tuple[_Matrix, _Matrix]:
    """Return the groups' precisions, and the coefficients with the intercept last."""
    rows = np.column_stack([columns, np.ones(len(columns))])
    precisions = np.full(n_groups, _INITIAL_PRECISION)
    weights = np.zeros(rows.shape[1])
    weights[-1] = np.log(target.mean() / (1 - target.mean()))
    for _ in range(_UPDATES):
        # One step is enough here: the precisions are still on their way.
        weights, covariance = _newton(rows, target, np.append(precisions[codes], 0.0), weights, 1)
        variances = np.diag(covariance)[:-1]
        determined = np.bincount(codes, 1 - precisions[codes] * variances, minlength=n_groups)
        squares = np.bincount(codes, weights[:-1] ** 2, minlength=n_groups)
        precisions = np.minimum(
            (np.maximum(determined, 0.0) + _PRIOR_COEFFICIENTS) / (squares + _PRIOR_SQUARES),
            _MAXIMUM_PRECISION,
        )
    penalties = np.append(precisions[codes], 0.0)
    weights, _ = _newton(rows, target, penalties, weights, _NEWTON_STEPS)
    return precisions, weights


def _newton(
    rows: _Matrix, target: _Matrix, penalties: _Matrix, weights: _Matrix, steps: int
) -> tuple[_Matrix, _Matrix]:
    """Minimise the penalised loss from `weights`; return where it came to, and the covariance.

    The covariance is Laplace's: the inverse Hessian before the last step.
    """
    loss = _loss(rows, target, penalties, weights)
    covariance = np.empty(0)
    for _ in range(steps):
        probability = expit(rows @ weights)
        # A table that a column separates would leave nothing in the intercept's row.
        spread = np.maximum(probability * (1 - probability), np.finfo(np.float64).eps)
        scaled = rows * np.sqrt(spread)[:, np.newaxis]
        covariance = np.linalg.inv(scaled.T @ scaled + np.diag(penalties))
        step = covariance @ (rows.T @ (target - probability) - penalties * weights)
        for _ in range(_HALVINGS):
            candidate = weights + step
            reached = _loss(rows, target, penalties, candidate)
            if reached <= loss:
                break
            step = step / 2
        else:
            break
        weights, loss = candidate, reached
        if float(np.abs(step).max()) < _NEWTON_TOLERANCE:
            break
    return weights, covariance


def _loss(rows: _Matrix, target: _Matrix, penalties: _Matrix, weights: _Matrix) -> float:
    logit = rows @ weights
    likelihood = np.logaddexp(0.0, logit) - target * logit
    return float(likelihood.sum() + (penalties * weights**2).sum() / 2)
