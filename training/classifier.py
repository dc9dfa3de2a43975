"""The attrition classifier: a logistic regression that is a sum of one contribution per field.

Additive on purpose: such a model compiles exactly into tables (`scoring_table`), which the API
evaluates without scikit-learn, and every contribution is the exact reason for an answer. The
protected fields are not inputs. Categories and levels come from the contract, not from the data: a
value that the table happens not to hold is legal and contributes nothing.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from contract.employee import FIELDS, PROTECTED, Category, Field, Integer
from training.parameters import Parameters
from training.records import check_records

__all__ = ["attrition_probability", "make_classifier", "scoring_table"]

_ONE_HOT_MAXIMUM_VALUES = 5
"""Integer fields of at most so many legal values are levels: one coefficient for each value."""


def make_classifier(parameters: Parameters) -> Pipeline:
    """Build the unfitted pipeline; it takes frames of `n_rows` x 30 raw contract columns."""
    one_hot = [field for field in _inputs() if _is_one_hot(field)]
    scaled = [field for field in _inputs() if not _is_one_hot(field)]
    # Any: pyright takes scikit-learn's default "auto" for the parameter's type.
    categories: Any = [_values(field) for field in one_hot]
    encode = ColumnTransformer(
        [
            (
                "one_hot",
                OneHotEncoder(categories=categories, sparse_output=False),
                [field.name for field in one_hot],
            ),
            ("scaled", StandardScaler(), [field.name for field in scaled]),
        ]
    )
    logistic = LogisticRegression(C=parameters.regularisation_c, max_iter=1_000)
    return Pipeline(
        [("check", FunctionTransformer(check_records)), ("encode", encode), ("logistic", logistic)]
    )


def attrition_probability(classifier: Pipeline, records: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return each record's probability of leaving, `n_rows` numbers from 0 to 1.

    Raises:
        DatasetError: a record is not legal.
    """
    return np.asarray(classifier.predict_proba(records), dtype=np.float64)[:, 1]


def scoring_table(classifier: Pipeline, features: pd.DataFrame) -> dict[str, Any]:
    """Compile the fitted pipeline into `contract.release.CLASSIFIER`'s content.

    `logit = intercept + sum of contributions`; a term's contribution is `table[str(value)]` or
    `slope * value + offset`. `baseline` holds each term's mean contribution over `features`
    (`n_rows` x 30), in log-odds: the zero that reasons are told from.
    """
    encode, logistic = classifier.named_steps["encode"], classifier.named_steps["logistic"]
    one_hot, scaled = encode.named_transformers_["one_hot"], encode.named_transformers_["scaled"]
    coefficients = iter(logistic.coef_[0].tolist())
    terms: list[dict[str, Any]] = []
    for name, values in zip(one_hot.feature_names_in_, one_hot.categories_, strict=True):
        terms.append(
            {"feature": str(name), "table": {str(v): next(coefficients) for v in values.tolist()}}
        )
    moments = zip(scaled.mean_.tolist(), scaled.scale_.tolist(), strict=True)
    for name, (mean, scale) in zip(scaled.feature_names_in_, moments, strict=True):
        slope = next(coefficients) / scale
        terms.append({"feature": str(name), "slope": slope, "offset": -slope * mean})
    return {
        "intercept": float(logistic.intercept_[0]),
        "terms": terms,
        "baseline": {t["feature"]: _mean_contribution(t, features[t["feature"]]) for t in terms},
    }


def _mean_contribution(term: Mapping[str, Any], column: "pd.Series[Any]") -> float:
    if "table" in term:
        return float(column.astype("str").map(term["table"]).mean())
    return float((term["slope"] * column + term["offset"]).mean())


def _inputs() -> list[Field]:
    return [field for field in FIELDS if field.name not in PROTECTED]


def _is_one_hot(field: Field) -> bool:
    return isinstance(field, Category) or (
        field.maximum - field.minimum + 1 <= _ONE_HOT_MAXIMUM_VALUES
    )


def _values(field: Field) -> list[int] | list[str]:
    match field:
        case Integer():
            return list(range(field.minimum, field.maximum + 1))
        case Category():
            return list(field.categories)
