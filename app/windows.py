"""The log line `window`: what the records since the last one looked like, as counts.

Counts per field in the release's own bins, of at least 20 records that differ: the bins of one
person's record are that person's record, however often it is asked about. Fewer are never written,
not even when the process stops. Lines are disjoint: they may be summed, over time and replicas.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from app.drift import Bins, Counts
from app.log import emit
from app.scoring import Codes
from contract.answers import Prediction
from contract.classifier import Decision
from contract.telemetry import MINIMUM_RECORDS, SCHEMA

__all__ = ["WindowLines"]

_TENTHS = 10


class WindowLines:
    """Counts answered records, and writes them when there are enough and it is time.

    `seconds` is the least time between two lines, `records` the least that one holds; `clock` tells
    seconds that never go back.
    """

    def __init__(
        self,
        bins: Bins,
        release: str,
        *,
        records: int,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._bins = bins
        self._release = release
        self._least = max(records, MINIMUM_RECORDS)
        self._seconds = seconds
        self._clock = clock
        self._start()

    def begin(self) -> None:
        """Say that records are about to be counted: a line without any begins with them."""
        if not self._records:
            self._since, self._begun = datetime.now(UTC), self._clock()

    def add(
        self,
        codes: Codes,
        counts: Counts,
        predictions: Sequence[Prediction],
        decisions: Mapping[Decision, int],
        outliers: int,
    ) -> None:
        """Take records in: their codes and counts, the answers, and what is counted of these."""
        for person in codes.T if len(self._people) < MINIMUM_RECORDS else ():
            self._people.add(hash(person.tobytes()))
        self._counts += counts
        self._records += len(predictions)
        for prediction in predictions:
            tenth = int(prediction["attrition_probability"] * _TENTHS)
            self._probabilities[min(tenth, _TENTHS - 1)] += 1
        self._outliers += outliers
        self._referred += decisions.get("refer", 0)
        self._at_risk += decisions.get("at_risk", 0)

    def write_if_due(self) -> None:
        """Write the line if there are enough records and the time is up."""
        if self._clock() - self._begun >= self._seconds:
            self.write()

    def write(self) -> None:
        """Write the line if there are enough records, due or not: the process is about to end.

        Fewer are never told.
        """
        if self._records < self._least or len(self._people) < MINIMUM_RECORDS:
            return
        emit(
            "window",
            schema=SCHEMA,
            release=self._release,
            since=self._since,
            records=self._records,
            counts=self._bins.split(self._counts),
            probabilities=self._probabilities,
            outliers=self._outliers,
            referred=self._referred,
            at_risk=self._at_risk,
        )
        self._start()

    def _start(self) -> None:
        self._since, self._begun = datetime.now(UTC), self._clock()
        self._counts: Counts = np.zeros(self._bins.starts[-1], dtype=np.int64)
        self._probabilities = [0] * _TENTHS
        self._people: set[int] = set()
        self._records = self._outliers = self._referred = self._at_risk = 0
