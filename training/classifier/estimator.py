"""The attrition classifier: a scikit-learn pipeline from raw records to a probability.

Additive on purpose: the fitted pipeline is a sum of one contribution for each field, and a release
carries it as such (`contract.classifier`). The protected fields are not inputs unless asked for.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from contract.classifier import Column
from contract.employee import FAIRNESS_ONLY
from contract.parameters import Parameters
from training.classifier.design import DesignColumn, column_values, design, design_matrix
from training.classifier.logistic import GroupedLogisticRegression
from training.data.records import check_records

__all__ = [
    "Additive",
    "Refits",
    "additive",
    "attrition_probability",
    "log_odds",
    "make_classifier",
    "optional_columns",
]

_DEFAULTS = Parameters()
_LEARNT = 2
"""Steps before this one look at each record alone; those from it on learn from the table."""


def make_classifier(parameters: Parameters = _DEFAULTS) -> Pipeline:
    """Build the unfitted estimator; it takes frames of `n_rows` x 30 raw contract columns.

    Everything that is learnt from data is learnt inside it, the strength of its regularisation
    included, so that it can be cross-validated from outside.
    """
    columns = design(use_protected=parameters.use_protected)
    optional = () if parameters.use_protected else FAIRNESS_ONLY
    return Pipeline(
        [
            ("check", FunctionTransformer(check_records, kw_args={"optional": optional})),
            ("design", FunctionTransformer(design_matrix, kw_args={"columns": columns})),
            ("scale", StandardScaler()),
            ("logistic", GroupedLogisticRegression([column.group for column in columns])),
        ]
    )


def optional_columns(classifier: Pipeline) -> tuple[str, ...]:
    """Return the contract's columns that the pipeline neither needs nor looks at."""
    return classifier.named_steps["check"].kw_args["optional"]


def attrition_probability(classifier: Pipeline, records: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return each record's probability of leaving, `n_rows` numbers from 0 to 1.

    Raises:
        DatasetError: a record is not legal.
    """
    return np.asarray(classifier.predict_proba(records), dtype=np.float64)[:, 1]


def log_odds(classifier: Pipeline, records: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return each record's log-odds of leaving, `n_rows` numbers.

    Raises:
        DatasetError: a record is not legal.
    """
    return np.asarray(classifier.decision_function(records), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Additive:
    """The fitted pipeline as a sum: `intercept` plus `coefficients` x columns, in log-odds."""

    intercept: float
    columns: tuple[Column, ...]
    coefficients: npt.NDArray[np.float64]

    def matrix(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Evaluate the columns for `n_rows` x 30: `n_rows` x `n_columns`, in their own units."""
        return np.column_stack([column_values(records, column) for column in self.columns])


def additive(classifier: Pipeline) -> Additive:
    """Undo scaling and sums: the pipeline's coefficients for columns of one field, or one ratio.

    Columns that the design sums share its coefficient; those that it holds twice are added up.
    """
    scale, logistic = classifier.named_steps["scale"], classifier.named_steps["logistic"]
    slopes = logistic.coef_ / scale.scale_
    coefficients: dict[Column, float] = {}
    for column, slope in zip(_columns(classifier), slopes.tolist(), strict=True):
        for part in column.parts:
            coefficients[part] = coefficients.get(part, 0.0) + slope
    return Additive(
        intercept=float(logistic.intercept_ - slopes @ scale.mean_),
        columns=tuple(coefficients),
        coefficients=np.array(list(coefficients.values())),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Refits:
    """Fits of one pipeline to many samples of one table.

    Checking and the design look at each record alone and learn nothing: they are done once, and
    what learns is fitted anew every time.
    """

    classifier: Pipeline
    matrix: npt.NDArray[np.float64]

    @classmethod
    def of(cls, classifier: Pipeline, records: pd.DataFrame) -> "Refits":
        """Prepare refits of `classifier`, fitted or not, to `n_rows` x 30."""
        return cls(classifier=classifier, matrix=classifier[:_LEARNT].transform(records))

    def fit(self, rows: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> Pipeline:
        """Fit to `rows` of the table, whose outcomes are `target`; the pipeline takes records."""
        # Any: pyright takes a clone for any kind of container.
        learnt: Any = clone(self.classifier[_LEARNT:])
        learnt.fit(self.matrix[rows], target)
        return Pipeline([*self.classifier.steps[:_LEARNT], *learnt.steps])

    def probability(self, fitted: Pipeline, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the probability of leaving for `rows` of the table."""
        return np.asarray(fitted[_LEARNT:].predict_proba(self.matrix[rows]), dtype=np.float64)[:, 1]


def _columns(classifier: Pipeline) -> tuple[DesignColumn, ...]:
    return classifier.named_steps["design"].kw_args["columns"]
