"""Drift of the records that this process has answered, told from counts and nothing else.

The release has each field's bins and the training table's counts in them (`drift.json`); a window
is counts in the same bins, so that nobody's record is kept. The joint test of `training.drift`
needs more than counts and is left to the MLflow model.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from app.drift_statistics import DriftReport, Reference, compare
from app.scoring import Codes
from contract.drift import Status

__all__ = ["WINDOW_RECORDS", "Bins", "Counts", "Drift", "Window"]

WINDOW_RECORDS = 1_000
"""Records that a window holds at least, once so many have come; the oldest leave it by blocks."""

_BLOCK_RECORDS = 100

Counts = npt.NDArray[np.int64]


class Drift(TypedDict):
    """The verdict as an answer to a prediction has it: the names of the fields that drifted."""

    status: Status
    records: int
    features: list[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """The bins of all fields, laid end to end: where a record is counted.

    `cells` holds the bin of every legal value of the fields in the places `fields`; a value's
    entry is the field's `offsets` (`n_fields` x 1) plus its code. `starts` has each field's first
    bin, and then the number of all.
    """

    references: tuple[Reference, ...]
    fields: Codes
    offsets: Codes
    cells: npt.NDArray[np.int16]
    starts: tuple[int, ...]

    def count(self, codes: Codes) -> Counts:
        """Count 30 x `n_records` codes in the bins of all fields."""
        places = self.cells[codes[self.fields] + self.offsets]
        return np.bincount(places.ravel(), minlength=self.starts[-1])

    def split(self, counts: Counts) -> dict[str, list[int]]:
        """Return each field's own counts, by its name."""
        numbers: list[int] = counts.tolist()
        return {
            reference.name: numbers[start:end]
            for reference, start, end in zip(
                self.references, self.starts[:-1], self.starts[1:], strict=True
            )
        }


class Window:
    """The last records, as counts; `verdict` is what `report` found when it was asked last."""

    def __init__(self, bins: Bins) -> None:
        self._bins = bins
        self._counts: Counts = np.zeros(bins.starts[-1], dtype=np.int64)
        self._records = 0
        self._block: Counts = np.zeros_like(self._counts)
        self._block_records = 0
        self._blocks: deque[tuple[int, Counts]] = deque()
        self._changed = False
        self._report: DriftReport = {"status": "not_enough_data", "records": 0, "features": []}
        self.verdict: Drift = {"status": "not_enough_data", "records": 0, "features": []}

    def add(self, counts: Counts, records: int) -> None:
        """Take `records` more records in, and let the oldest go."""
        self._changed = True
        self._counts += counts
        self._records += records
        self._block += counts
        self._block_records += records
        if self._block_records < _BLOCK_RECORDS:
            return
        self._blocks.append((self._block_records, self._block))
        self._block, self._block_records = np.zeros_like(self._counts), 0
        while self._records - self._blocks[0][0] >= WINDOW_RECORDS:
            gone, oldest = self._blocks.popleft()
            self._counts -= oldest
            self._records -= gone

    def report(self) -> DriftReport:
        """Judge the window as it is now."""
        if self._changed:
            self._changed = False
            counts = self._bins.split(self._counts)
            self._report = compare(self._bins.references, counts, self._records)
            self.verdict = {
                "status": self._report["status"],
                "records": self._records,
                "features": [
                    each["feature"] for each in self._report["features"] if each["drifted"]
                ],
            }
        return self._report
