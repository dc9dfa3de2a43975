"""Score the rows of a Spark table: what each worker does, and how the code gets there."""

# PySpark's types are partly unknown (4.3.0, 2026-11).
# pyright: reportUnknownMemberType=false

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pyspark import cloudpickle
from pyspark.sql import types

import app
import batch
import contract
from app.log import describe
from app.release import Release
from app.scoring import Classifier, Outliers, predict
from batch.records import codes, errors, misfits
from contract.answers import Prediction

__all__ = ["ANSWER", "answer", "scorer", "shipped_by_value"]

ANSWER = types.StructType(
    [
        types.StructField("attrition_probability", types.DoubleType()),
        types.StructField("interval_low", types.DoubleType()),
        types.StructField("interval_high", types.DoubleType()),
        types.StructField("decision", types.StringType()),
        types.StructField("is_outlier", types.BooleanType()),
        types.StructField("outlier_score", types.DoubleType()),
        types.StructField("outlier_features", types.ArrayType(types.StringType())),
        types.StructField("broken_rules", types.ArrayType(types.StringType())),
        types.StructField(
            "reasons",
            types.ArrayType(
                types.StructType(
                    [
                        types.StructField("feature", types.StringType()),
                        types.StructField("contribution", types.DoubleType()),
                    ]
                )
            ),
        ),
        types.StructField(
            "error",
            types.ArrayType(
                types.StructType(
                    [
                        types.StructField("field", types.StringType()),
                        types.StructField("expected", types.StringType()),
                    ]
                )
            ),
        ),
    ]
)
"""The columns of an answer: either `error` is null, or all the others are."""


@contextlib.contextmanager
def shipped_by_value() -> Generator[None]:
    """Send our functions and classes to the workers whole, not as names to import.

    On Databricks the code lies in workspace files that the driver alone has on its path.
    """
    packages = (app, batch, contract)
    for package in packages:
        cloudpickle.register_pickle_by_value(package)
    try:
        yield
    finally:
        for package in packages:
            cloudpickle.unregister_pickle_by_value(package)


def scorer(
    release: Release, keys: Sequence[str]
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Build the function for `mapInPandas`; it takes the key columns and the contract's 30."""
    # Only what the workers need: the reference records stay here.
    classifier, outliers = release.classifier, release.outliers

    def score(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            try:
                yield answer(frame, keys, classifier, outliers)
            except Exception as error:
                # An exception's own text may quote the value that it tripped over.
                raise RuntimeError(f"scoring failed: {describe(error)}") from None

    return score


def answer(
    frame: pd.DataFrame, keys: Sequence[str], classifier: Classifier, outliers: Outliers
) -> pd.DataFrame:
    """Answer for every row of `frame` (see `batch.records.misfits`), keys first, in its order."""
    wrong = misfits(frame)
    refused = np.asarray(wrong.any(axis=1), dtype=np.bool_)
    legal = np.flatnonzero(~refused)
    columns: dict[str, list[Any]] = {name: [None] * len(frame) for name in ANSWER.names}
    answers = predict(classifier, outliers, codes(frame.iloc[legal]))
    for row, prediction in zip(legal.tolist(), answers, strict=True):
        for name, value in _cells(prediction).items():
            columns[name][row] = value
    for row in np.flatnonzero(refused).tolist():
        columns["error"][row] = errors(wrong[row])
    cells = {name: pd.Series(values, dtype="object") for name, values in columns.items()}
    return pd.concat([frame[list(keys)].reset_index(drop=True), pd.DataFrame(cells)], axis=1)


def _cells(prediction: Prediction) -> dict[str, Any]:
    low, high = prediction["interval"]
    outlier = prediction["outlier"]
    return {
        "attrition_probability": prediction["attrition_probability"],
        "interval_low": low,
        "interval_high": high,
        "decision": prediction["decision"],
        "is_outlier": outlier["is_outlier"],
        "outlier_score": outlier["score"],
        "outlier_features": outlier["features"],
        "broken_rules": outlier["broken_rules"],
        "reasons": prediction["reasons"],
    }
