"""The API as it runs, asked about real records, and the log lines that it writes meanwhile."""

# pandas and its JSON writer are typed in part (2026-11).
# pyright: reportUnknownMemberType=false

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from monitoring_lines import BOUNDS, PLACE

from monitoring.local import LogStore, last_moment, read_log
from monitoring.queries import fill
from monitoring.reference import Reference
from monitoring.rules import ONLY_ALARMS, RULES
from tests.app.app_processes import JSON, KEY, Process, predict

LATENCY_MS = 1_000
"""The bound of the tests: an answer takes a millisecond, or five on a busy machine."""

_BATCH = 10
_WAIT_SECONDS = 10
_RULES = {rule.query: rule for rule in RULES}

Lines = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Live:
    """A serving process, the one that writes its log."""

    process: Process

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.process.log

    def answer(self, records: pd.DataFrame, **headers: str) -> None:
        """Ask about the records, ten at a time; all are answered."""
        connection = self.process.connect()
        for start in range(0, len(records), _BATCH):
            body = encoded(records.iloc[start : start + _BATCH])
            status, answer, _ = predict(connection, body, **headers)
            assert status == 200, answer
        connection.close()

    def answer_slowly(self, records: pd.DataFrame, times: int) -> None:
        """Ask so many times at once; each body takes longer than `LATENCY_MS` to arrive."""
        body = encoded(records)
        connections = [self.begin(body) for _ in range(times)]
        time.sleep(1.3 * LATENCY_MS / 1_000)
        for connection in connections:
            connection.send(body)
            assert connection.getresponse().status == 200
            connection.close()

    def begin(self, body: bytes) -> http.client.HTTPConnection:
        """Send a request as far as its body, for which the API then waits."""
        connection = self.process.connect()
        connection.putrequest("POST", "/predict")
        for name, value in {**JSON, "X-API-Key": KEY, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def status(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """Ask for anything; return the status alone."""
        connection = self.process.connect()
        connection.request(method, path, body, {**JSON, "X-API-Key": KEY, **headers})
        status = connection.getresponse().status
        connection.close()
        return status

    def lines(self) -> Lines:
        """Read the log as it is now, as monitoring does."""
        return list(read_log(self.log))

    def windows(self) -> Lines:
        """Read the windows in it."""
        return [line for line in self.lines() if line["event"] == "window"]

    def await_windows(self, records: int) -> Lines:
        """Wait until that many records are in windows."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while sum(window["records"] for window in self.windows()) < records:
            assert time.monotonic() < deadline, self.windows()
            time.sleep(0.05)
        return self.windows()

    def end(self) -> Lines:
        """Stop the process as Kubernetes does; return all that it wrote."""
        assert self.process.terminate() == 0
        return self.lines()


Serve = Callable[..., Live]
"""The fixture `serve`: starts another process of the release, with environment variables."""


def encoded(records: pd.DataFrame) -> bytes:
    return records.to_json(orient="records").encode()


def fired(reference: Reference, query: str, *replicas: Lines, minutes_later: int = 0) -> Lines:
    """Evaluate an alert rule over what replicas wrote, as Azure does: after the last line."""
    store = LogStore()
    for number, lines in enumerate(replicas):
        store.add_lines(lines, place=PLACE, pod=f"api-{number}")
    bounds = replace(BOUNDS, latency_ms=LATENCY_MS)
    span = _RULES[query].span
    text = fill(query, place=PLACE, reference=reference, bounds=bounds, span=span)
    now = last_moment(line for lines in replicas for line in lines)
    now += timedelta(minutes=minutes_later)
    return store.query(text + ONLY_ALARMS, now=now)
