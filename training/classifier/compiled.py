"""The classifier as a release holds it, made from the fitted pipeline, and read again over frames.

The API reads the same content with code of its own; tests hold both against each other and against
the pipeline.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from sklearn.pipeline import Pipeline

from contract.classifier import Column, ColumnContent, Content
from contract.employee import FIELD_NAMES
from contract.parameters import Parameters
from training.classifier.design import column_values
from training.classifier.estimator import additive
from training.classifier.interval import Uncertainty
from training.classifier.threshold import decision_threshold

__all__ = ["CompiledClassifier", "compile_classifier", "interval_width"]

_Matrix = npt.NDArray[np.float64]


def interval_width(level: float) -> float:
    """Return how many standard errors to each side hold the share `level` of a normal variable."""
    return float(norm.ppf((1 + level) / 2))


def compile_classifier(
    classifier: Pipeline, uncertainty: Uncertainty, features: pd.DataFrame, parameters: Parameters
) -> Content:
    """Write the fitted pipeline as `classifier.json`'s content; means are over `n_rows` x 30."""
    model = additive(classifier)
    means = model.matrix(features).mean(axis=0)
    columns = zip(
        model.columns,
        model.coefficients.tolist(),
        means.tolist(),
        uncertainty.columns.T.tolist(),
        strict=True,
    )
    return {
        "baseline": float(model.intercept + model.coefficients @ means),
        "columns": [_column_content(*column, features) for column in columns],
        "level": parameters.interval_level,
        "z": interval_width(parameters.interval_level),
        "at_baseline": uncertainty.at_baseline.tolist(),
        "remainder": uncertainty.remainder,
        "threshold": decision_threshold(parameters.missed_leaver_cost),
        "missed_leaver_cost": parameters.missed_leaver_cost,
    }


def _column_content(
    column: Column,
    coefficient: float,
    mean: float,
    uncertainty: list[float],
    features: pd.DataFrame,
) -> ColumnContent:
    is_ratio = column.kind == "ratio"
    numbers = features[column.field] if is_ratio else None
    others = features[str(column.against)] if is_ratio else None
    return {
        "kind": column.kind,
        "field": column.field,
        "against": column.against,
        "coefficient": coefficient,
        "mean": mean,
        "mean_field": None if numbers is None else float(numbers.mean()),
        "mean_inverse": None if others is None else float((1 / (1.0 + others)).mean()),
        "uncertainty": uncertainty,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledClassifier:
    """`classifier.json`'s content, evaluated for frames of `n_rows` x 30 legal records."""

    content: Content

    def logit(self, records: pd.DataFrame) -> _Matrix:
        """Return the log-odds of leaving, `n_rows` numbers."""
        coefficients = [column["coefficient"] for column in self.content["columns"]]
        return self._distances(records) @ np.array(coefficients) + self.content["baseline"]

    def standard_errors(self, records: pd.DataFrame) -> _Matrix:
        """Return the log-odds' standard errors, `n_rows` numbers."""
        uncertainty = Uncertainty(
            at_baseline=np.array(self.content["at_baseline"]),
            columns=np.array([column["uncertainty"] for column in self.content["columns"]]).T,
            remainder=self.content["remainder"],
        )
        return uncertainty.standard_errors(self._distances(records))

    def contributions(self, records: pd.DataFrame) -> pd.DataFrame:
        """Return what each field that is looked at contributes, `n_rows` x `n_fields`.

        The fields are in the contract's order; with the baseline they sum to the log-odds.
        """
        shares: dict[str, _Matrix] = {}
        distances = self._distances(records)
        for column, distance in zip(self.content["columns"], distances.T, strict=True):
            whole = column["coefficient"] * distance
            if column["kind"] == "ratio":
                own = _share(column, records, distance)
                other = str(column["against"])
                shares[other] = shares.get(other, 0.0) + whole - own
                whole = own
            shares[column["field"]] = shares.get(column["field"], 0.0) + whole
        return pd.DataFrame({name: shares[name] for name in FIELD_NAMES if name in shares})

    def _distances(self, records: pd.DataFrame) -> _Matrix:
        columns = self.content["columns"]
        return np.column_stack([column_values(records, _column(c)) - c["mean"] for c in columns])


def _share(column: ColumnContent, records: pd.DataFrame, distance: _Matrix) -> _Matrix:
    """Return the part of a ratio's contribution that its numerator has (`contract.classifier`)."""
    number = records[column["field"]].to_numpy(dtype=np.float64)
    other = records[str(column["against"])].to_numpy(dtype=np.float64)
    alone = number * cast(float, column["mean_inverse"])
    against = cast(float, column["mean_field"]) / (1.0 + other)
    return column["coefficient"] / 2 * (distance + alone - against)


def _column(content: ColumnContent) -> Column:
    return Column(kind=content["kind"], field=content["field"], against=content["against"])
