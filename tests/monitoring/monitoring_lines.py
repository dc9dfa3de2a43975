"""Log lines exactly as the API writes them (schema 1), made of real records by a real release.

Records are rows of the packaged table, changed or not; bins, scores and outlier flags are those of
models that were fitted on it.
"""

# pandas and scikit-learn are typed in part (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.release import DRIFT
from monitoring.queries import Bounds, Place, Span
from monitoring.reference import Reference
from training.answers import Answerer
from training.drift.bins import Codes, encode
from training.drift.detector import DriftDetector
from training.outliers.detector import OutlierDetector

Ask = Callable[..., list[dict[str, Any]]]
"""The fixture `ask`: runs a query of the log store, as an alert of a day does."""

RELEASE = "7"
CALLER = "0a1b2c3d-0000-4000-8000-00000000beef"
PLACE = Place(cluster="/subscriptions/s/resourceGroups/rg/clusters/aks", namespace="attrition")
BOUNDS = Bounds(latency_ms=250, error_share=0.01)
LEAST = 20
"""Records in a window, at least: what the API keeps to."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Records as the API sees them, `n_records` each: bins by field, tenth of the score, flag."""

    codes: Codes
    tenths: "np.ndarray[Any, np.dtype[np.int64]]"
    outliers: "np.ndarray[Any, np.dtype[np.bool_]]"

    def __len__(self) -> int:
        return len(self.tenths)

    def take(self, rows: Any) -> "Scored":
        return Scored(
            codes=self.codes[rows], tenths=self.tenths[rows], outliers=self.outliers[rows]
        )


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted release, and its bundle in the folder `bundle`."""

    bundle: Path
    answerer: Answerer
    outliers: OutlierDetector
    drift: DriftDetector

    @property
    def reference(self) -> Reference:
        return Reference.of(RELEASE, json.loads((self.bundle / DRIFT).read_bytes()))

    def score(self, records: pd.DataFrame) -> Scored:
        probabilities = self.answerer.classifier.predict_proba(records)[:, 1]
        return Scored(
            codes=encode(records, tuple(self.drift.bins().values())),
            tenths=np.minimum((10 * probabilities).astype(np.int64), 9),
            outliers=self.outliers.predict(records),
        )

    def window(self, time: datetime, records: Scored, **changes: Any) -> dict[str, Any]:
        """Make the line of one window; there is none of fewer than `LEAST`."""
        assert len(records) >= LEAST
        fields = self.drift.bins().values()
        counts = {
            field.name: np.bincount(column, minlength=field.size).tolist()
            for field, column in zip(fields, records.codes.T, strict=True)
        }
        return {
            "time": stamp(time),
            "event": "window",
            "schema": 1,
            "release": RELEASE,
            "since": stamp(time - timedelta(seconds=61)),
            "records": len(records),
            "counts": counts,
            "probabilities": np.bincount(records.tenths, minlength=10).tolist(),
            "outliers": int(records.outliers.sum()),
            "referred": 0,
            "at_risk": int((records.tenths >= 4).sum()),
            **changes,
        }

    def windows(self, time: datetime, records: Scored, size: int = 60) -> list[dict[str, Any]]:
        """Make the lines of windows of `size` records, a second apart before `time`."""
        ends = range(size, len(records) + 1, size)
        parts = [range(end - size, end) for end in ends]
        if rest := len(records) % size:
            parts[-1:] = [range(parts[-1].start, len(records))] if parts else [range(rest)]
        return [
            self.window(time - timedelta(seconds=1 + number), records.take(list(part)))
            for number, part in enumerate(parts)
        ]


def request(time: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "time": stamp(time),
        "event": "request",
        "schema": 1,
        "request_id": uuid.uuid4().hex,
        "release": RELEASE,
        "caller": CALLER,
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "duration_ms": 1.234,
        "records": 1,
        "outliers": 0,
        "hypothetical": False,
        **changes,
    }


def requests(time: datetime, records: Scored, size: int = 5) -> list[dict[str, Any]]:
    """Make the lines of requests of `size` records, a second apart before `time`."""
    return [
        request(
            time - timedelta(seconds=1 + start // size),
            records=len(records.outliers[start : start + size]),
            outliers=int(records.outliers[start : start + size].sum()),
        )
        for start in range(0, len(records), size)
    ]


def probe(time: datetime) -> dict[str, Any]:
    """What Kubernetes' asking for health leaves in the log, every few seconds."""
    return request(time, method="GET", route="/health/ready", caller=None, records=0)


def stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def days(number: int) -> Span:
    """The last days, each a step: what an alert of one day would have seen on each of them."""
    return Span(minutes=number * 1440, step_minutes=1440)


def alarms(rows: Sequence[dict[str, Any]], key: str = "Time") -> set[Any]:
    return {row[key] for row in rows if row["Alarm"]}
