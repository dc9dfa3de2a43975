"""A release's whole answer for a record, in the shape that the API gives it."""

# scikit-learn and SciPy ship no types (1.9.1 and 1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.pipeline import Pipeline

from contract.answers import OutlierAnswer, Prediction, Reason
from contract.classifier import REASONS, decide
from contract.rules import broken_rules
from training.classifier.compiled import CompiledClassifier
from training.classifier.estimator import log_odds
from training.data.records import check_records
from training.outliers.detector import OutlierDetector

__all__ = ["Answerer"]


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """The fitted pipeline, the same as a release holds it, and the outlier detector.

    The probability is the pipeline's own; the release's content gives the interval and the reasons.
    """

    classifier: Pipeline
    compiled: CompiledClassifier
    outliers: OutlierDetector

    def logit(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the pipeline's log-odds for `n_rows` x 30.

        Raises:
            DatasetError: a record is not legal.
        """
        return log_odds(self.classifier, records)

    def answer(self, records: pd.DataFrame) -> list[Prediction]:
        """Answer for `n_rows` x 30, in their order.

        Raises:
            DatasetError: a record is not legal.
        """
        records = check_records(records)
        logit = self.logit(records)
        width = self.compiled.content["z"] * self.compiled.standard_errors(records)
        threshold = self.compiled.content["threshold"]
        columns = zip(
            *(expit(each).tolist() for each in (logit, logit - width, logit + width)),
            self._outliers(records),
            self._reasons(records),
            strict=True,
        )
        return [
            {
                "attrition_probability": probability,
                "interval": [low, high],
                "decision": decide(low, high, threshold, is_outlier=outlier["is_outlier"]),
                "outlier": outlier,
                "reasons": reasons,
            }
            for probability, low, high, outlier, reasons in columns
        ]

    def _outliers(self, records: pd.DataFrame) -> list[OutlierAnswer]:
        found = zip(
            self.outliers.predict(records).tolist(),
            self.outliers.score(records).tolist(),
            self.outliers.explain(records),
            records.to_dict("records"),
            strict=True,
        )
        return [
            {
                "is_outlier": is_outlier,
                "score": score,
                "features": list(features),
                "broken_rules": [
                    rule.name
                    for rule in broken_rules({str(key): value for key, value in record.items()})
                ],
            }
            for is_outlier, score, features, record in found
        ]

    def _reasons(self, records: pd.DataFrame) -> list[list[Reason]]:
        contributions = self.compiled.contributions(records)
        names = [str(name) for name in contributions.columns]
        return [_largest(names, row) for row in contributions.to_numpy(dtype=np.float64).tolist()]


def _largest(names: Sequence[str], contributions: Sequence[float]) -> list[Reason]:
    # Sorting is stable: of equal contributions the field that comes first in the release is named.
    ranked = sorted(zip(names, contributions, strict=True), key=lambda pair: -abs(pair[1]))
    return [{"feature": name, "contribution": value} for name, value in ranked[:REASONS]]
