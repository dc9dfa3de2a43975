"""The whole way: the API as it runs, its real log, and the same queries over it.

Each kind of traffic has a process of its own: what the alerts look at is a day, and a test has
seconds.
"""

# pandas is typed in part (2026-11).
# pyright: reportUnknownMemberType=false

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pandas as pd
import pytest
from monitoring_changes import RECORDS, drawn, more_sales, odd, older
from monitoring_lines import RELEASE, Model
from monitoring_live import LATENCY_MS, Live, Serve, encoded, fired
from monitoring_page import TILES, lay_out_release, run, verdicts

from contract.employee import CATEGORIES
from contract.telemetry import MINIMUM_RECORDS, SCHEMA, RequestLine, WindowLine
from monitoring.rules import RULES
from tests.app.app_processes import KEY, Process
from tests.app.app_silence import tells
from tests.training.training_evidence import made_up_evidence
from training.release import seal_bundle

LEAST = 50
FIELDS = {"request": set(get_type_hints(RequestLine)), "window": set(get_type_hints(WindowLine))}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """The fitted release, as the API takes it."""
    folder = tmp_path_factory.mktemp("live") / "bundle"
    shutil.copytree(model.bundle, folder)
    seal_bundle(folder, made_up_evidence(), "attrition")
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, release: Path) -> Iterator[Serve]:
    """Start serving processes; each is gone in the end."""
    started: list[Process] = []

    def serve(**changes: str) -> Live:
        windows = {"WINDOW_RECORDS": str(LEAST), "WINDOW_SECONDS": "1"}
        folder = tmp_path_factory.mktemp("serving")
        process = Process(folder, RELEASE, release, {**windows, **changes}).start()
        started.append(process)
        return Live(process=process.wait_ready())

    yield serve
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def calm(serve: Serve, features: pd.DataFrame) -> Live:
    """People as in the table, asked about; the process has ended."""
    live = serve()
    live.answer(drawn(features, np.random.default_rng(1)))
    live.end()
    return live


@pytest.fixture(scope="module")
def aged(serve: Serve, features: pd.DataFrame) -> list[Live]:
    """Two replicas, asked about halves of a population that is older."""
    replicas = [serve(), serve()]
    records = older(features, np.random.default_rng(2))
    for replica, start in zip(replicas, (0, RECORDS // 2), strict=True):
        replica.answer(records.iloc[start : start + RECORDS // 2])
        replica.end()
    return replicas


# What fires, and what does not


@pytest.mark.parametrize("query", [rule.query for rule in RULES])
def test_people_as_in_the_table_raise_no_alarm(calm: Live, model: Model, query: str) -> None:
    lines = calm.lines()
    assert sum(line["records"] for line in lines if line["event"] == "request") == RECORDS
    assert sum(line["records"] for line in calm.windows()) > RECORDS - LEAST
    assert fired(model.reference, query, lines) == []


def test_a_field_that_moves_is_drift_over_both_replicas(aged: list[Live], model: Model) -> None:
    (found,) = fired(model.reference, "drift", *(live.lines() for live in aged))
    assert found["Feature"] == "Age"
    assert found["Records"] > RECORDS - 2 * LEAST


def test_a_mix_that_moves_is_drift(serve: Serve, features: pd.DataFrame, model: Model) -> None:
    live = serve()
    live.answer(more_sales(features, np.random.default_rng(3)))
    found = fired(model.reference, "drift", live.end())
    assert {"Department", "JobRole"} <= {row["Feature"] for row in found}


def test_scores_that_move_are_seen(serve: Serve, features: pd.DataFrame, model: Model) -> None:
    live = serve()
    live.answer(drawn(features, np.random.default_rng(4)).assign(OverTime="Yes"))
    lines = live.end()
    assert {row["Feature"] for row in fired(model.reference, "drift", lines)} == {"OverTime"}
    assert len(fired(model.reference, "scores", lines)) == 10


def test_outliers_are_counted(serve: Serve, features: pd.DataFrame, model: Model) -> None:
    live = serve()
    random = np.random.default_rng(5)
    planted = odd(features, random)
    live.answer(pd.concat([drawn(features, random), planted]))
    (found,) = fired(model.reference, "outliers", live.end())
    assert found["Records"] == RECORDS + len(planted)
    assert found["Outliers"] > len(planted) / 2


def test_what_is_nobodys_is_no_outlier(serve: Serve, features: pd.DataFrame, model: Model) -> None:
    """What the page tries, and what proves a release: most of its records are odd on purpose."""
    live = serve()
    live.answer(odd(features, np.random.default_rng(5)), **{"X-Hypothetical": "true"})
    live.answer(drawn(features, np.random.default_rng(6)))
    lines = live.end()
    assert {line["hypothetical"] for line in lines if line["event"] == "request"} == {True, False}
    assert not fired(model.reference, "outliers", lines)


def test_what_the_caller_does_wrong_is_refused_and_no_alarm(
    serve: Serve, features: pd.DataFrame, model: Model
) -> None:
    live = serve()
    wrong: list[tuple[int, tuple[Any, ...], dict[str, str]]] = [
        (400, ("POST", "/predict", b"{"), {}),
        (401, ("POST", "/predict", b"[]"), {"X-API-Key": "another"}),
        (404, ("GET", "/nothing"), {}),
        (405, ("GET", "/predict"), {}),
        (413, ("POST", "/predict", b" " * 3_000_000), {"Connection": "close"}),
        (415, ("POST", "/predict", b"[]"), {"Content-Type": "text/csv"}),
        (422, ("POST", "/predict", encoded(features.head(1).assign(Age=7))), {}),
    ]
    for status, asked, headers in 5 * wrong:
        assert live.status(*asked, **headers) == status
    lines = live.end()
    assert [line["status"] for line in lines] == 5 * [status for status, _, _ in wrong]
    assert {line["records"] for line in lines} == {0}
    assert [rule.query for rule in RULES if fired(model.reference, rule.query, lines)] == []


def test_what_the_api_fails_at_is_an_alarm(
    serve: Serve, features: pd.DataFrame, model: Model
) -> None:
    live = serve(MAX_IN_FLIGHT="1")
    body = encoded(features.head(1))
    live.answer(features.head(200))
    held = live.begin(body)
    # Whether the one at work is, is seen by the first that finds no room.
    while live.status("POST", "/predict", body) == 200:
        pass
    assert {live.status("POST", "/predict", body) for _ in range(9)} == {503}
    held.send(body)
    assert held.getresponse().status == 200
    held.close()
    (found,) = fired(model.reference, "errors", live.end())
    assert (found["Release"], found["Errors"], found["Refused"]) == (RELEASE, 10, 0)


def test_slow_answers_are_an_alarm(serve: Serve, features: pd.DataFrame, model: Model) -> None:
    live = serve()
    live.answer_slowly(features.head(1), times=20)
    (found,) = fired(model.reference, "latency", live.end())
    assert found["Requests"] == 20
    assert found["P95"] > LATENCY_MS


def test_an_api_that_has_ended_falls_silent(calm: Live, model: Model) -> None:
    lines = calm.lines()
    assert fired(model.reference, "silence", lines, minutes_later=14) == []
    (found,) = fired(model.reference, "silence", lines, minutes_later=16)
    assert found["SilentMinutes"] == pytest.approx(16, abs=0.1)


# The page


@pytest.mark.parametrize("which", ["calm", "aged"])
def test_the_page_is_made_of_the_live_log(
    tmp_path: Path, model: Model, calm: Live, aged: list[Live], which: str
) -> None:
    lay_out_release(tmp_path, model)
    (tmp_path / "logs").mkdir()
    logs = [live.log for live in ([calm] if which == "calm" else aged)]
    text = "".join(log.read_text() for log in logs)
    (tmp_path / "logs" / "api.log").write_text(text)
    made = run(tmp_path, "--latency-ms", str(LATENCY_MS))
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "monitor.html").read_text()
    well = dict.fromkeys(TILES, "well")
    assert verdicts(page) == (well if which == "calm" else {**well, "drift": "alarm"})
    assert f"drifted: {'none' if which == 'calm' else 'Age'}." in page
    assert "No window yet" not in page


# What a line holds


def test_every_line_has_exactly_the_documented_fields(calm: Live, aged: list[Live]) -> None:
    for live in (calm, *aged):
        written = [json.loads(line) for line in live.log.read_text().splitlines()]
        assert written == live.lines()
        assert {line["event"] for line in written} == {"request", "window"}
        for line in written:
            assert line.keys() == FIELDS[line["event"]]
            assert (line["schema"], line["release"]) == (SCHEMA, RELEASE)
            kind = RequestLine if line["event"] == "request" else WindowLine
            assert msgspec.convert(line, kind, strict=True) == line


def test_a_window_s_counts_are_of_its_records(calm: Live, model: Model) -> None:
    reference = model.reference
    for window in calm.windows():
        assert window["records"] >= LEAST
        assert tuple(sorted(window["counts"])) == reference.features
        for name, counts in window["counts"].items():
            assert sum(counts) == window["records"]
            assert len(counts) == len(reference.counts[name])
        assert sum(window["probabilities"]) == window["records"]


def test_nothing_of_an_employee_or_a_client_is_in_the_log(
    serve: Serve, features: pd.DataFrame
) -> None:
    live = serve()
    numbers = {"MonthlyIncome": 77_777, "MonthlyRate": 66_666}
    records = features.head(LEAST).assign(**numbers)
    canary = "Ada-Lovelace"
    live.answer(records, **{"X-Request-Id": canary, "User-Agent": canary, "Referer": canary})
    live.answer(records.head(1), **{"X-Request-Id": "77777777" * 4})
    named = json.dumps([{"Name": canary}, {**records.iloc[0].to_dict(), "Department": canary}])
    assert live.status("POST", f"/predict?name={canary}", named.encode()) == 422
    assert live.status("GET", f"/employees/{canary}", b"", **{"X-API-Key": canary}) == 404
    assert live.status(canary, "/predict") == 405
    lines = live.end()
    assert sum(window["records"] for window in live.windows()) >= LEAST
    text = json.dumps(lines)
    words = {f'"{word}"' for field in CATEGORIES for word in field.categories} | {canary, KEY}
    assert [word for word in words if word in text] == []
    assert [number for number in numbers.values() if tells(text, number)] == []
    assert canary not in live.log.read_text()


# How few


def test_fewer_than_twenty_are_never_told_not_when_the_process_stops_either(
    serve: Serve, features: pd.DataFrame
) -> None:
    live = serve(WINDOW_RECORDS=str(MINIMUM_RECORDS))
    live.answer(features.head(19))
    # A window of their own is made in the same time, and written.
    other = serve(WINDOW_RECORDS=str(MINIMUM_RECORDS))
    other.answer(features.head(20))
    assert [window["records"] for window in other.await_windows(20)] == [20]
    other.answer(features.tail(19))
    for process in (live, other):
        process.end()
    assert live.windows() == []
    assert [window["records"] for window in other.windows()] == [20]


def test_what_is_missing_to_twenty_may_come_later(serve: Serve, features: pd.DataFrame) -> None:
    live = serve(WINDOW_RECORDS=str(MINIMUM_RECORDS))
    for record in range(19):
        live.answer(features.iloc[[record]])
    # What nobody is asked about in earnest fills no window.
    live.answer(features.tail(30), **{"X-Hypothetical": "true"})
    assert live.windows() == []
    live.answer(features.iloc[[19]])
    (window,) = live.await_windows(20)
    assert window["records"] == 20
    assert sum(line["records"] for line in live.end() if line["event"] == "request") == 50


def test_enough_are_told_when_the_process_stops(serve: Serve, features: pd.DataFrame) -> None:
    live = serve(WINDOW_SECONDS="3600")
    live.answer(features.head(LEAST + 1))
    assert live.windows() == []
    live.end()
    (window,) = live.windows()
    assert window["records"] == LEAST + 1


def test_a_process_that_is_told_so_never_writes_fewer_than_config_says(
    serve: Serve, features: pd.DataFrame
) -> None:
    live = serve()
    live.answer(features.head(LEAST - 1))
    live.end()
    assert live.windows() == []
