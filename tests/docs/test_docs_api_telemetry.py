"""The limits, log lines and metrics of docs/api.md against the code and what it really writes."""

import ast
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_asking import ask, predict
from docs_markdown import ROOT, Document, bare

from app.auth import MAX_KEY_BYTES
from app.body import BODY_SECONDS, MAX_BODY_BYTES
from app.drift import WINDOW_RECORDS
from app.entra import MAX_TOKEN_BYTES
from app.models import MAX_RECORDS
from app.records import MAX_COMMAS
from app.server import GRACE_SECONDS, KEEP_ALIVE_SECONDS
from app.service import Service
from app.settings import Settings
from contract.drift import MINIMUM_WINDOW
from contract.telemetry import MINIMUM_RECORDS, SCHEMA
from tests.app.app_bundles import record
from tests.app.app_processes import Process

API = Document(ROOT / "docs" / "api.md")
JSON_TYPES = {
    **{str: "string", int: "integer", float: "number", bool: "boolean"},
    **{list: "array", dict: "object"},
}


def test_the_limits_are_the_codes(bundle: Path) -> None:
    rows = API.table("what", "limit", "config key", "over it")
    bodies: int = Service.open(settings(bundle)).in_flight._max_body_bytes  # pyright: ignore[reportPrivateUsage] - the bound itself
    assert [row[1] for row in rows] == [
        f"1 to {MAX_RECORDS:,}",
        f"{MAX_BODY_BYTES:,}",
        f"{MAX_COMMAS:,}",
        f"{BODY_SECONDS:g}",
        f"{MAX_KEY_BYTES:,}",
        f"{MAX_TOKEN_BYTES:,}",
        f"{Settings.rate_limit_per_second}",
        f"{Settings.rate_limit_burst}",
        f"{Settings.max_in_flight}",
        f"{bodies:,}",
        f"{KEEP_ALIVE_SECONDS}",
        f"{GRACE_SECONDS}",
    ]
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    keys = {bare(row[2]): row[1] for row in rows if row[2].startswith("`")}
    assert keys == {key: str(config[key]["default"]) for key in keys}
    assert len(keys) == 3
    assert f"about the last {WINDOW_RECORDS:,}" in API.prose
    assert f"below {MINIMUM_WINDOW} records" in API.prose
    assert f"at least {MINIMUM_RECORDS} records" in API.prose
    assert f"form, now {SCHEMA};" in API.prose


def settings(bundle: Path) -> Settings:
    return Settings(
        release_dir=bundle, release_version="7", release_sha256=None, api_key_sha256=("0" * 64,)
    )


@pytest.fixture(scope="module")
def lines(serving: Process) -> list[dict[str, Any]]:
    """Real log lines: answers, refusals, an unknown path and method, and a window."""
    rows = [record(TotalWorkingYears=60, DailyRate=800 + n) for n in range(MINIMUM_RECORDS)]
    predict(serving, *rows)
    ask(serving, "GET /nothing")
    ask(serving, "BREW /release")
    # A window that is due is written beside the requests, and counted after its answer is sent.
    deadline = time.monotonic() + 10
    while '"event":"window"' not in serving.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [json.loads(line) for line in serving.log.read_text().splitlines()]


@pytest.mark.parametrize("event", ["request", "window"])
def test_a_log_line_has_the_fields_that_the_table_says(
    lines: list[dict[str, Any]], event: str
) -> None:
    rows = API.table(f"field of `{event}`", "JSON type", "meaning")
    types = {bare(name): set(kinds.split(" or ")) for name, kinds, _ in rows}
    found = [line for line in lines if line["event"] == event]
    assert found
    seen: dict[str, set[str]] = {name: set() for name in types}
    for line in found:
        assert [*line] == [*types]
        for name, value in line.items():
            seen[name].add("null" if value is None else JSON_TYPES[type(value)])
    # A request that the process ended with has no status; none of these is one.
    seen["status"] = types["status"] if event == "request" else set()
    assert {name: kinds for name, kinds in seen.items() if kinds} == types
    assert all(line["schema"] == SCHEMA for line in found)


def test_the_other_lines_are_those_that_the_code_writes() -> None:
    written = {
        node.args[0].value
        for path in (ROOT / "app").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "emit"
        and isinstance(node.args[0], ast.Constant)
    }
    named = {name for row in API.table("event", "when") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == written - {"request", "window"}


def test_the_metrics_are_those_that_are_served(
    serving: Process, lines: list[dict[str, Any]]
) -> None:
    assert lines
    text = ask(serving, "GET /metrics").body.decode()
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    found: dict[str, set[str]] = {name: set() for name in names if not name.endswith("_created")}
    for name, labels in re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?\{(.+)\} ", text, re.MULTILINE):
        if name in found:
            found[name] |= set(re.findall(r'(\w+)="', labels)) - {"le"}
    rows = API.table("metric", "labels", "counts")
    assert {bare(name): set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in rows} == found
