"""The metrics as a collector gets them: those of /metrics, by OTLP, and nobody waits for them."""

import asyncio
import contextlib
import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from app_bundles import record
from app_processes import JSON, KEY, Process, Start
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from app.otlp import Exporter, converted

CANARY = "Canary-Ada-Lovelace"


class Collector:
    """Takes what is sent to it, or answers with another status, without an end, or not at all."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.status = 200
        self.seconds = 0.0
        self.drips = False
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.sent.append((self.path, body))
                outer.asked.set()
                outer.may_answer.wait()
                time.sleep(outer.seconds)
                if outer.drips:
                    self.drip()
                    return
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def drip(self) -> None:
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    while True:
                        self.wfile.write(b"x")
                        time.sleep(0.5)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def ask(process: Process, method: str, path: str, body: bytes = b"") -> bytes:
    connection = process.connect()
    connection.request(method, path, body, {**JSON, "X-API-Key": KEY})
    found = connection.getresponse().read()
    connection.close()
    return found


Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], Any]


def told(body: bytes) -> tuple[dict[str, str], Numbers]:
    """Return the sender, and each number by the name and labels that /metrics has for it."""
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    sender = {each.key: each.value.string_value for each in resource.resource.attributes}
    numbers: Numbers = {}
    for metric in resource.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        assert kind is not None
        data: Any = getattr(metric, kind)
        for point in data.data_points:
            labels = {each.key: each.value.string_value for each in point.attributes}
            key = tuple(sorted(labels.items()))
            if kind == "histogram":
                assert data.aggregation_temporality == 2
                assert (point.HasField("min"), point.HasField("max")) == (False, False)
                assert point.count == sum(point.bucket_counts)
                numbers[f"{metric.name}_count", key] = point.count
                numbers[f"{metric.name}_sum", key] = pytest.approx(point.sum)
                bounds = [*map(str, point.explicit_bounds), "+Inf"]
                up_to = 0
                for bound, count in zip(bounds, point.bucket_counts, strict=True):
                    up_to += count
                    at = tuple(sorted({**labels, "le": bound}.items()))
                    numbers[f"{metric.name}_bucket", at] = up_to
                continue
            if kind == "sum":
                assert (data.is_monotonic, data.aggregation_temporality) == (True, 2)
                assert 0 < point.start_time_unix_nano < point.time_unix_nano
            name = f"{metric.name}_total" if kind == "sum" else metric.name
            numbers[name, key] = point.as_double if point.HasField("as_double") else point.as_int
            assert point.time_unix_nano > 0
    return sender, numbers


def served(text: str) -> Numbers:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_collector_gets_what_metrics_has(start: Start, collector: Collector) -> None:
    process = start("A", OTLP_ENDPOINT=f"{collector.url}/").wait_ready()
    body = json.dumps([record(), record(TotalWorkingYears=60)]).encode()
    for _ in range(3):
        assert b'"predictions"' in ask(process, "POST", "/predict", body)
    ask(process, "POST", f"/predict?name={CANARY}", f'[{{"{CANARY}": 1}}]'.encode())
    ask(process, "GET", f"/{CANARY}")
    expected = served(ask(process, "GET", "/metrics").decode())
    assert collector.sent == []
    assert process.terminate() == 0
    ((path, sent),) = collector.sent
    assert path == "/v1/metrics"
    sender, found = told(sent)
    # /metrics itself, and what the tests ask to see that the process is ready, come on top.
    quiet = {key for key in expected if dict(key[1]).get("route", "/predict") == "/predict"}
    assert len(quiet) > 30
    assert {key: found[key] for key in quiet} == {key: expected[key] for key in quiet}
    assert found["attrition_records_sum", ()] == 6
    assert found["attrition_outliers_total", ()] == 3
    assert sender.pop("service.instance.id")
    assert sender["service.name"] == "employee-attrition"
    assert sender["service.version"] == "A"
    for secret in (CANARY, KEY, "key:"):
        assert secret.encode() not in sent


def test_what_is_counted_during_a_send_is_sent_at_the_stop(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.otlp._SECONDS", 0.0)
    collector.may_answer.clear()
    metrics = Metrics("7")
    metrics.request("/predict", 200, 0.001)

    async def run() -> None:
        exporter = Exporter(collector.url, "7", metrics.collect)
        exporter.start()
        assert await asyncio.to_thread(collector.asked.wait, 10)
        metrics.request("/predict", 200, 0.001)
        stopping = asyncio.create_task(exporter.stop())
        await asyncio.sleep(0)
        collector.may_answer.set()
        await stopping

    asyncio.run(run())
    labels = (("route", "/predict"), ("status", "200"))
    sent = [told(body)[1]["attrition_requests_total", labels] for _, body in collector.sent]
    assert sent == [1, 2]


@pytest.mark.parametrize(
    ("status", "seconds"),
    [(302, 0.0), (307, 0.0), (400, 0.0), (503, 0.0), (200, 30.0), (0, 0.0)],
)
def test_a_collector_that_fails_holds_nobody_up(
    start: Start, collector: Collector, status: int, seconds: float
) -> None:
    collector.status, collector.seconds = status, seconds
    if not status:
        collector.close()
    process = start("A", OTLP_ENDPOINT=collector.url).wait_ready()
    assert b'"live"' in ask(process, "GET", "/health/live")
    # This waits for less long than the slow collector takes.
    assert process.terminate() == 0
    assert any("opentelemetry" in logger for logger in loggers(process))


def test_an_answer_without_an_end_does_not_hold_up_the_stop(
    start: Start, collector: Collector
) -> None:
    collector.drips = True
    process = start("A", OTLP_ENDPOINT=collector.url).wait_ready()
    assert process.terminate() == 0
    assert loggers(process) == {"app.otlp"}


def loggers(process: Process) -> set[str]:
    """Return who complained in the log; nobody did by a traceback."""
    log = process.log.read_text()
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    return {line["logger"] for line in lines if line["event"] == "log"}


def test_without_a_collector_nothing_of_it_is_loaded(start: Start) -> None:
    process = start("A").wait_ready()
    assert "protobuf" not in Path(f"/proc/{process.popen.pid}/maps").read_text()


def test_what_was_never_counted_has_no_points() -> None:
    kinds = {
        converted(family, 1, 2).name: len(converted(family, 1, 2).data.data_points)
        for family in Metrics("7").collect()
    }
    assert kinds == {
        "attrition_requests": 0,
        "attrition_request_seconds": 0,
        "attrition_records": 1,
        "attrition_answers": 3,
        "attrition_outliers": 1,
        "attrition_drift": 1,
        "attrition_release": 1,
    }
