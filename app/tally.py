"""What is counted of the answers: for drift, for the log and for Prometheus.

To count one record takes as long as to count a hundred, and no client has to wait for it. So
answers are kept until there are enough of them, until somebody asks, or for a second.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from app.drift import Bins, Drift, Window
from app.drift_statistics import DriftReport
from app.metrics import Metrics
from app.scoring import AnyCodes, Codes
from app.windows import WindowLines
from contract.answers import Prediction
from contract.classifier import Decision

__all__ = ["Tally"]

_ENOUGH = 100
"""Records: with more of them, the request that is the last would take noticeably longer."""

_VERDICT_SECONDS = 1.0
"""How long the verdict in an answer may lag behind: thirty tests for every record are too many."""


class Tally:
    """Counts the answers of one process; `clock` tells seconds that never go back."""

    def __init__(
        self, bins: Bins, lines: WindowLines, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._bins = bins
        self._window = Window(bins)
        self._lines = lines
        self._metrics = metrics
        self._clock = clock
        self._judged_at = -math.inf
        self._codes: list[AnyCodes] = []
        self._predictions: list[Prediction] = []

    def add(self, codes: AnyCodes, predictions: Sequence[Prediction]) -> None:
        """Take in the records of one request and the answers to them (`Service.score`)."""
        if not self._codes:
            self._lines.begin()
        self._codes.append(codes)
        self._predictions += predictions
        if len(self._predictions) >= _ENOUGH:
            self.settle()

    def settle(self) -> None:
        """Count what has been kept, and write the line `window` if it is due."""
        if self._codes:
            codes, predictions = self._codes, self._predictions
            self._codes, self._predictions = [], []
            joined = _joined(codes)
            counts = self._bins.count(joined)
            self._window.add(counts, len(predictions))
            decisions: Counter[Decision] = Counter([each["decision"] for each in predictions])
            outliers = sum([each["outlier"]["is_outlier"] for each in predictions])
            self._lines.add(joined, counts, predictions, decisions, outliers)
            self._metrics.answers([_records(each) for each in codes], decisions, outliers)
        self._lines.write_if_due()

    def close(self) -> None:
        """Count what has been kept, and write the line `window`, due or not."""
        self.settle()
        self._lines.write()

    def report(self) -> DriftReport:
        """Judge the last records as they are now."""
        self.settle()
        report = self._window.report()
        self._metrics.drift = report["status"]
        return report

    def drift(self) -> Drift:
        """Return the verdict in short, at most a second old."""
        now = self._clock()
        if now - self._judged_at >= _VERDICT_SECONDS:
            self._judged_at = now
            self.report()
        return self._window.verdict


def _joined(codes: Sequence[AnyCodes]) -> Codes:
    arrays = [each for each in codes if not isinstance(each, list)]
    if singles := [each for each in codes if isinstance(each, list)]:
        arrays.append(np.array(singles, dtype=np.int64).T)
    return np.concatenate(arrays, axis=1)


def _records(codes: AnyCodes) -> int:
    return 1 if isinstance(codes, list) else len(codes[0])
