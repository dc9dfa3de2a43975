"""The texts that reach Azure: valid KQL, documented, small enough, and the same everywhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from monitoring_lines import BOUNDS, PLACE, Model

from monitoring import queries
from monitoring.local import LogStore
from monitoring.queries import QUERIES, Bounds, Place, Span, fill, header, kusto_span
from monitoring.reference import CountsError, Reference
from monitoring.rules import ONLY_ALARMS, RULES
from monitoring.workbook import WorkbookFacts, workbook

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = Path(queries.__file__).parent
DAY = Span.one_step(1440)
RULE_BYTES = 64 * 1024
"""All properties of an alert rule together (Azure Monitor's service limits)."""


@pytest.fixture(scope="session")
def book(model: Model) -> dict[str, Any]:
    facts = WorkbookFacts(
        log_workspace_id="/subscriptions/s/workspaces/logs",
        place=PLACE,
        reference=model.reference,
        bounds=BOUNDS,
    )
    return json.loads(workbook(facts))


def filled(name: str, reference: Reference, span: Span, **changes: Any) -> str:
    arguments: dict[str, Any] = {"place": PLACE, "bounds": BOUNDS, **changes}
    return fill(name, reference=reference, span=span, **arguments)


@pytest.fixture(scope="session")
def texts(model: Model, book: dict[str, Any]) -> dict[str, str]:
    """Every text that is deployed, by where it goes."""
    reference = model.reference
    search = {
        name: filled(name, reference, Span(minutes=1440, step_minutes=60)) for name in QUERIES
    }
    rules = {r.query: filled(r.query, reference, r.span) + ONLY_ALARMS for r in RULES}
    items = {each["name"]: each["content"]["query"] for each in book["items"] if each["type"] == 3}
    return {
        **{f"search {name}": text for name, text in search.items()},
        **{f"rule {name}": text for name, text in rules.items()},
        **{f"workbook {name}": text for name, text in items.items()},
    }


def checked(texts: dict[str, str]) -> dict[str, list[str]]:
    """Ask Microsoft's language service for errors and warnings."""
    if not shutil.which("node"):
        pytest.skip("there is no node on the PATH")
    if not (HERE / "node_modules").exists():
        pytest.skip("the language service is not installed: run make kql")
    found = subprocess.run(
        ["node", HERE / "check_kql.js"],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_microsoft_s_language_service_finds_no_fault(texts: dict[str, str]) -> None:
    problems = checked(texts)
    assert problems.keys() == texts.keys()
    assert {name: found for name, found in problems.items() if found} == {}


def test_the_language_service_would_find_one(texts: dict[str, str]) -> None:
    good = texts["search requests"]
    head = good[: good.index("// Question")]
    wrong = {
        "Lines | where Nothing == 1": "Nothing",
        "Lines | extend x = tostring(Line, 1)": "expects 1 argument",
        "Lines | summarise count()": "operator expected",
        "Lins | count": "Lins",
    }
    found = checked({query: head + query for query in wrong})
    for query, said in wrong.items():
        assert any(said in text for text in found[query]), query


def test_duckdb_runs_every_text(texts: dict[str, str]) -> None:
    store, now = LogStore(), datetime(2026, 11, 27, tzinfo=UTC)
    small = {name for name in texts if name.startswith("workbook drift-")} - {"workbook drift-Age"}
    for name in texts.keys() - small:
        rows = store.query(texts[name], now=now)
        assert bool(rows) == ("silence" in name or "verdict" in name), name


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_says_its_question_columns_and_threshold(name: str) -> None:
    words = header(name)
    parts = re.fullmatch(r"Question: (.+)\nColumns: (.+)\nThreshold: (.+)", words, re.DOTALL)
    assert parts, words
    assert parts[1].rstrip().endswith("?")
    code = (FOLDER / "queries" / f"{name}.kql").read_text()
    last = re.findall(r"\| project ([^;|]+)", code)[-1]
    columns = {part.split("=")[0].strip() for part in re.sub(r"\([^)]*\)", "", last).split(",")}
    named = set(re.findall(r"[A-Z]\w+", re.sub(r"\([^)]*\)", "", parts[2])))
    assert columns == named


def test_every_query_with_an_alarm_has_one_rule() -> None:
    watched = [rule.query for rule in RULES]
    assert len(set(watched)) == len(watched)
    alarming = {name for name in QUERIES if "Alarm" in header(name)}
    assert set(watched) == alarming
    assert set(QUERIES) - alarming == {"requests"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.query)
def test_a_rule_is_one_that_azure_takes(rule: Any) -> None:
    """Frequencies and windows are of a fixed list; no line may fall between two evaluations."""
    lengths = {5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440, 2880}
    assert rule.window_minutes in lengths
    assert rule.every_minutes in lengths
    assert rule.every_minutes < rule.window_minutes
    assert 0 <= rule.severity <= 4


def test_a_text_fits_into_an_alert_rule(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert len(text.encode()) < RULE_BYTES / 4, name


def test_the_workbook_asks_the_same_queries(book: dict[str, Any], model: Model) -> None:
    """Each item's text begins with a query as it is in its file."""
    bodies = [(FOLDER / "queries" / f"{name}.kql").read_text() for name in QUERIES]
    items = [each for each in book["items"] if each["type"] == 3]
    for item in items:
        assert any(body in item["content"]["query"] for body in bodies), item["name"]
        assert item["content"]["crossComponentResources"] == ["/subscriptions/s/workspaces/logs"]
    names = [each["name"] for each in book["items"]]
    assert len(set(names)) == len(names)
    assert {f"drift-{name}" for name in model.reference.features} <= set(names)
    assert {f"{rule.query}-verdict" for rule in RULES} <= set(names)
    tables = [each["name"] for each in items if each["content"]["visualization"] == "table"]
    assert tables == ["restarts"]


def test_a_small_chart_carries_its_own_counts_alone(book: dict[str, Any]) -> None:
    (age,) = [each for each in book["items"] if each["name"] == "drift-Age"]
    assert '"Age":[' in age["content"]["query"]
    assert "MonthlyIncome" not in age["content"]["query"]


# Filling in


def test_a_query_gets_the_parameters_that_it_uses(model: Model) -> None:
    span = Span.one_step(15)
    lets = {
        name: set(re.findall(r"^let (\w+) = [^\n]*;$", filled(name, model.reference, span), re.M))
        for name in ("requests", "latency", "drift", "outliers", "restarts")
    }
    common = {"cluster", "namespace", "over", "step"}
    assert lets["requests"] == common
    assert lets["latency"] == common | {"latency_limit_ms"}
    assert lets["drift"] >= common | {"release", "reference"}
    assert lets["outliers"] >= common | {"release", "expected_outliers"}
    assert lets["restarts"] == {"cluster", "namespace", "over"}


def test_the_release_and_its_counts_are_in_the_text(model: Model) -> None:
    text = filled("drift", model.reference, Span.one_step(1440))
    assert "let release = '7';" in text
    assert "let step = 1d;" in text
    counts = json.loads(text.split("dynamic(")[1].split(");")[0])
    assert counts == model.reference.counts


def test_bounds_are_numbers_of_the_right_type(model: Model) -> None:
    bounds = Bounds(latency_ms=300, error_share=0.02)
    span = Span.one_step(15)
    assert "let latency_limit_ms = 300.0;" in filled(
        "latency", model.reference, span, bounds=bounds
    )
    assert "let error_share = 0.02;" in filled("errors", model.reference, span, bounds=bounds)


@pytest.mark.parametrize("text", ["x' or true", "a\\b", "a\nb", "a;b", 'a"b'])
def test_a_text_that_would_end_its_literal_is_refused(model: Model, text: str) -> None:
    place = Place(cluster=text, namespace="attrition")
    with pytest.raises(ValueError, match="cannot stand in a query"):
        filled("requests", model.reference, Span.one_step(15), place=place)


def test_there_is_no_other_query(model: Model) -> None:
    with pytest.raises(ValueError, match=r"no query 'drfit', only drift, .*silence"):
        filled("drfit", model.reference, Span.one_step(15))


@pytest.mark.parametrize(("minutes", "text"), [(15, "15m"), (1440, "1d"), (20_160, "14d")])
def test_a_length_of_time_is_written_as_kusto_does(minutes: int, text: str) -> None:
    assert kusto_span(minutes) == text


# The reference


def test_the_reference_is_what_the_release_s_detector_counted(model: Model) -> None:
    reference = model.reference
    drift = json.loads((model.bundle / "drift.json").read_bytes())
    assert reference.features == tuple(sorted(drift["fields"]))
    assert len(reference.features) == 28
    assert {sum(counts) for counts in reference.counts.values()} == {1470}
    assert len(reference.counts["score"]) == 10


def test_counts_come_back_from_an_engine_as_they_were(model: Model) -> None:
    reference = model.reference
    floats = {name: [float(count) for count in reference.counts[name]] for name in reference.counts}
    assert Reference.checked("7", floats) == reference


def test_an_engine_that_keeps_no_order_of_keys_changes_no_text(
    model: Model,
) -> None:
    reference = model.reference
    shuffled = Reference.checked("7", dict(reversed(list(reference.counts.items()))))
    for name in ("drift", "scores"):
        assert filled(name, shuffled, DAY) == filled(name, reference, DAY)
    assert shuffled.features == reference.features
    assert tuple(shuffled.counts)[-1] == "score"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no `fields`"),
        ([], "no `fields`"),
        ({"fields": {"Age": {"upper": [1]}}}, "no `fields` with `counts`"),
        ({"fields": {"Age": {"counts": [1, -1]}}}, "Age: its counts"),
        ({"fields": {"Age": {"counts": [1, 0.5]}}}, "Age: its counts"),
        ({"fields": {"Age": {"counts": [0, 0]}}}, "Age: its counts"),
        ({"fields": {"Age": {"counts": ["1"]}}}, "Age: its counts"),
        ({"fields": {"Age": {"counts": []}}}, "Age: no counts"),
        ({"fields": {"Age": {"counts": 3}}}, "Age: no counts"),
    ],
)
def test_counts_that_are_none_are_refused(content: Any, message: str) -> None:
    with pytest.raises(CountsError, match=message):
        Reference.of("7", content)


# The documents


def test_the_runbook_says_of_every_alert_what_it_means_and_what_to_do() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", runbook, re.M | re.DOTALL))
    for rule in RULES:
        section = sections[rule.title]
        parts = re.findall(r"^- \*\*(.+?)\.\*\*", section, re.M)
        assert parts == ["Meaning", "First look", "Query", "Fix"], rule.title
        assert f"`{rule.query}.kql`" in section, rule.title
    named = set(re.findall(r"`(\w+)\.kql`", runbook))
    assert named == set(QUERIES)


def test_deploying_needs_no_duckdb() -> None:
    """The program imports the texts; what runs them on a laptop stays on the laptop."""
    code = "import sys; sys.modules.update(duckdb=None, duckdb_kql=None); import infra.alerts"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
