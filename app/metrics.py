"""What Prometheus reads at /metrics: counts and durations, nothing of a record or a caller."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_RECORDS = (1, 10, 50, 100, 250, 500, 1_000)
_DRIFT = {"not_enough_data": -1, "ok": 0, "drift": 1}


class Metrics:
    """The metrics of one process; `release` is the version that it serves."""

    def __init__(self, release: str) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "attrition_requests", "Requests answered", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "attrition_request_seconds",
            "Duration of requests in seconds",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._records = Histogram(
            "attrition_records", "Records in a request", buckets=_RECORDS, registry=registry
        )
        self._answers = Counter(
            "attrition_answers", "Records answered, by decision", ("decision",), registry=registry
        )
        self._decisions = [
            self._answers.labels(decision) for decision in ("at_risk", "refer", "not_at_risk")
        ]
        self._outliers = Counter(
            "attrition_outliers", "Records that are outliers", registry=registry
        )
        self._drift = Gauge(
            "attrition_drift",
            "Drift of the last records: 1 drift, 0 none, -1 not enough data",
            registry=registry,
        )
        Gauge("attrition_release", "The release served", ("version",), registry=registry).labels(
            release
        ).set(1)
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request, by the template of its route and not by its path."""
        children = self._known.get((route, status))
        if children is None:
            children = (
                self._requests.labels(route, str(status)),
                self._seconds.labels(route),
            )
            self._known[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def answers(self, records: int, *, at_risk: int, referred: int, outliers: int) -> None:
        """Count the records of a request that was answered."""
        self._records.observe(records)
        for decision, count in zip(
            self._decisions, (at_risk, referred, records - at_risk - referred), strict=True
        ):
            if count:
                decision.inc(count)
        if outliers:
            self._outliers.inc(outliers)

    def text(self, drift: str) -> bytes:
        """Write all in Prometheus's text format; `drift` is the window's status as it is now."""
        self._drift.set(_DRIFT[drift])
        return generate_latest(self._registry)
