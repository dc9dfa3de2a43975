"""The metrics as OpenTelemetry has them, sent to a collector once a minute (OTLP over HTTP).

They are those of `/metrics`, by the same names and from the same counts, and always count from the
process's begin: what did not arrive is in what arrives next. No request waits for it.
"""

# The exporter's types are partial (opentelemetry 1.45.2, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise
from typing import Any

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample
from requests import RequestException, Response, Session

from app.log import describe, emit

__all__ = ["Exporter", "converted"]

_SECONDS = 60.0
_TIMEOUT_SECONDS = 2.0
"""To connect, and for each piece of an answer: a collector is near or it is not there."""
_STOP_SECONDS = 4.0
"""In all, for a send that is under way and the last one: many small pieces take any time."""

_log = logging.getLogger(__name__)


class Exporter:
    """Sends what `read` returns to the collector at `endpoint`; `release` is the version served.

    `endpoint` is the collector's base address, to which OTLP's own path is added.
    """

    def __init__(self, endpoint: str, release: str, read: Callable[[], Iterable[Family]]) -> None:
        self._read = read
        self._begun = time.time_ns()
        self._resource = Resource(
            {
                "service.name": "employee-attrition",
                "service.version": release,
                "service.instance.id": str(uuid.uuid4()),
            }
        )
        session = Session()
        session.hooks["response"].append(_refuse_redirect)
        self._exporter = OTLPMetricExporter(
            f"{endpoint.rstrip('/')}/v1/metrics",
            timeout=_TIMEOUT_SECONDS,
            compression=Compression.Gzip,
            session=session,
        )
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send what there is, as far as the time allows, and then no more."""
        self._stopping.set()
        if self._task:
            try:
                await asyncio.wait_for(self._task, _STOP_SECONDS)
            except TimeoutError:
                _log.error("Failed to send the last metrics in time")
        self._exporter.shutdown()

    async def _run(self) -> None:
        last = False
        while not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _SECONDS)
            # A send that a stop overtakes lacks what was counted since it began.
            last = self._stopping.is_set()
            try:
                await self._send()
            except Exception as error:
                emit("error", **describe(error))

    async def _send(self) -> None:
        metrics = [converted(family, self._begun, time.time_ns()) for family in self._read()]
        scope = ScopeMetrics(InstrumentationScope("app"), metrics, schema_url="")
        data = MetricsData([ResourceMetrics(self._resource, [scope], schema_url="")])
        # Not `to_thread`: the process could not end before the answer does.
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def export() -> None:
            try:
                # A failure is logged where it happens.
                self._exporter.export(data)
            except Exception as error:
                emit("error", **describe(error))
            # The loop is closed when the stop did not wait for this.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=export, daemon=True).start()
        await done.wait()


def _refuse_redirect(response: Response, **_: Any) -> None:
    # The exporter follows none, and takes every answer below 400 for success.
    if 300 <= response.status_code < 400:
        raise RequestException("the collector redirects")


def converted(family: Family, begun: int, now: int) -> Metric:
    """Return a metric of Prometheus as OpenTelemetry's; times are nanoseconds since 1970."""
    unit = "s" if family.name.endswith("_seconds") else "1"
    return Metric(family.name, family.documentation, unit, _data(family, begun, now))


def _data(family: Family, begun: int, now: int) -> Sum | Gauge | Histogram:
    if family.type == "histogram":
        points = [
            _distribution(labels, list(samples), begun, now)
            for labels, samples in groupby(family.samples, key=_labels)
        ]
        return Histogram(points, AggregationTemporality.CUMULATIVE)
    numbers = [
        NumberDataPoint(sample.labels, begun, now, sample.value) for sample in family.samples
    ]
    if family.type == "counter":
        return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Gauge(numbers)


def _distribution(
    labels: dict[str, str], samples: list[Sample], begun: int, now: int
) -> HistogramDataPoint:
    # As a family has them: the counts up to each bound, the count and the sum of all.
    *buckets, count, total = samples
    up_to = [int(sample.value) for sample in buckets]
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=begun,
        time_unix_nano=now,
        count=int(count.value),
        sum=total.value,
        bucket_counts=[after - before for before, after in pairwise([0, *up_to])],
        explicit_bounds=[float(sample.labels["le"]) for sample in buckets[:-1]],
        # Nobody keeps them, and OpenTelemetry's form has them optional, if not its class.
        min=None,  # pyright: ignore[reportArgumentType]
        max=None,  # pyright: ignore[reportArgumentType]
    )


def _labels(sample: Sample) -> dict[str, str]:
    return {name: value for name, value in sample.labels.items() if name != "le"}
