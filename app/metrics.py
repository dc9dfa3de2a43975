"""What Prometheus reads at /metrics: counts and durations, nothing of a record or a caller.

Counts are plain numbers until somebody reads them: Prometheus's own counters take a lock and a few
calls for each, several times a request.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from contract.classifier import Decision
from contract.drift import Status

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_RECORDS = (1, 10, 50, 100, 250, 500, 1_000)
_DRIFT: dict[Status, int] = {"not_enough_data": -1, "ok": 0, "drift": 1}
_DECISIONS: tuple[Decision, ...] = ("at_risk", "refer", "not_at_risk")


class Metrics(Collector):
    """The metrics of one process; `release` is the version that it serves.

    `drift` is the status of the last records; who reads the metrics has to see that it is new.
    """

    def __init__(self, release: str) -> None:
        self._release = release
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, _Histogram] = defaultdict(lambda: _Histogram(_SECONDS))
        self._records = _Histogram(_RECORDS)
        self._decisions: Counter[Decision] = Counter()
        self._outliers = 0
        self.drift: Status = "not_enough_data"
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request, by the template of its route and not by its path."""
        self._requests[route, status] += 1
        self._seconds[route].observe(seconds)

    def answers(
        self, records: Iterable[int], decisions: Mapping[Decision, int], outliers: int
    ) -> None:
        """Count the answers to requests of so many `records` each, and what they say."""
        for each in records:
            self._records.observe(each)
        self._decisions.update(decisions)
        self._outliers += outliers

    def text(self) -> bytes:
        """Write all in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all as they are now, as Prometheus's registry asks for them."""
        requests = CounterMetricFamily(
            "attrition_requests", "Requests answered", labels=("route", "status")
        )
        for (route, status), count in self._requests.items():
            requests.add_metric((route, str(status)), count)
        seconds = HistogramMetricFamily(
            "attrition_request_seconds", "Duration of requests in seconds", labels=("route",)
        )
        for route, histogram in self._seconds.items():
            histogram.add_to(seconds, route)
        records = HistogramMetricFamily("attrition_records", "Records in a request", labels=())
        self._records.add_to(records)
        answers = CounterMetricFamily(
            "attrition_answers", "Records answered, by decision", labels=("decision",)
        )
        for decision in _DECISIONS:
            answers.add_metric((decision,), self._decisions[decision])
        release = GaugeMetricFamily("attrition_release", "The release served", labels=("version",))
        release.add_metric((self._release,), 1)
        yield from (requests, seconds, records, answers)
        yield CounterMetricFamily(
            "attrition_outliers", "Records that are outliers", value=self._outliers
        )
        yield GaugeMetricFamily(
            "attrition_drift",
            "Drift of the last records: 1 drift, 0 none, -1 not enough data",
            value=_DRIFT[self.drift],
        )
        yield release


class _Histogram:
    """Counts of values up to each of `bounds`, those beyond them, and the sum of all."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, *labels: str) -> None:
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(
            labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum
        )
