"""The outlier detector: how far a record's numbers lie from the table's, all fields together.

Squared Mahalanobis distance over the integer fields; categories have no distance.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import KFold

from contract.employee import INTEGERS

__all__ = ["OUTLIER_SHARE", "OutlierDetector"]

OUTLIER_SHARE = 0.01
"""Share of new records of the same population that the threshold lets be called outliers."""

_FOLDS = 5
_RIDGE = 0.01
"""Added to the correlation matrix's diagonal: keeps it invertible when fields nearly coincide."""


class OutlierDetector:
    """Flags records whose squared distance exceeds that of 99 % of records it was not fitted on.

    The threshold is a percentile of out-of-fold distances: in-sample distances are too short, and
    would call more than 1 % of new records outliers. `seed` shuffles the folds.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._fields = [field.name for field in INTEGERS]
        self._mean: npt.NDArray[np.float64] = np.zeros(len(self._fields))
        self._precision: npt.NDArray[np.float64] = np.eye(len(self._fields))
        self._threshold = np.inf

    def fit(self, records: pd.DataFrame) -> Self:
        """Learn centre, precision matrix and threshold from `n_rows` x 30."""
        rows = self._rows(records)
        distances = np.empty(len(rows))
        folds = KFold(_FOLDS, shuffle=True, random_state=self._seed)
        for fitted, held_out in folds.split(rows):
            distances[held_out] = _distances(rows[held_out], *_moments(rows[fitted]))
        self._threshold = float(np.quantile(distances, 1 - OUTLIER_SHARE))
        self._mean, self._precision = _moments(rows)
        return self

    def score(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return each record's squared distance from the table's centre, `n_rows` numbers ≥ 0."""
        return _distances(self._rows(records), self._mean, self._precision)

    def predict(self, records: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Mark the outliers among `n_rows` records."""
        return self.score(records) > self._threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted detector as JSON content: fields, mean, precision, threshold."""
        return {
            "fields": list(self._fields),
            "mean": self._mean.tolist(),
            "precision": self._precision.tolist(),
            "threshold": self._threshold,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Rebuild a fitted detector from what `to_dict` returned."""
        detector = cls()
        detector._fields = list(content["fields"])
        detector._mean = np.array(content["mean"], dtype=np.float64)
        detector._precision = np.array(content["precision"], dtype=np.float64)
        detector._threshold = float(content["threshold"])
        return detector

    def _rows(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        return records[self._fields].to_numpy(dtype=np.float64)


def _moments(
    rows: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean (`n_fields`) and precision (`n_fields` x `n_fields`) in the fields' units."""
    scale = rows.std(axis=0, ddof=1)
    # A column that never varies has no scale; one unit of its own stands in.
    scale[scale == 0] = 1.0
    mean = rows.mean(axis=0)
    standardised = (rows - mean) / scale
    correlation = standardised.T @ standardised / (len(rows) - 1)
    inverse = np.linalg.inv(correlation + _RIDGE * np.eye(rows.shape[1]))
    symmetric = (inverse + inverse.T) / 2
    return mean, symmetric / np.outer(scale, scale)


def _distances(
    rows: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    precision: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    centred = rows - mean
    return np.asarray(((centred @ precision) * centred).sum(axis=1), dtype=np.float64)
