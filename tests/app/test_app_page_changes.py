"""What would change an answer, and that nothing of it all is left anywhere, in a real browser."""

import json
from typing import Any

import pytest
from app_bundles import answer, record
from app_processes import KEY, Process
from app_silence import tells
from page_browser import MISSING, Browser, Keys
from page_journeys import (
    enter_key,
    paste,
    percent,
    submit,
    submit_example,
    table_of,
    without_fairness,
)

from app.page_fields import describe_record

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

CANARY_INCOME = 77_777  # No port.
CANARY_ID = "A-7731-Q"
WORDS = [CANARY_ID, KEY, KEY.replace(" ", "%20"), KEY.replace(" ", "+")]
CANARIES = [str(CANARY_INCOME), *WORDS]


def test_what_would_change_an_answer(page: Browser) -> None:
    row = without_fairness(record())
    enter_key(page)
    submit_example(page)
    page.wait_for_focus("#answer-title")
    page.requests()
    page.tab_to(".changes button")
    page.press(Keys.ENTER)
    page.wait_for_focus("h5")
    (request,) = [each for each in page.requests() if each["method"] == "POST"]
    # Nobody's records: they must not count as the population's.
    assert request["headers"]["X-Hypothetical"] == "true"
    first, *changed = json.loads(request["postData"])
    assert first == row
    fields = {each["name"]: each for each in describe_record(1000)["fields"]}
    tried: dict[str, set[Any]] = {}
    for each in changed:
        (name,) = [name for name in row if each[name] != row[name]]
        assert each.keys() == row.keys()
        tried.setdefault(name, set()).add(each[name])
    assert tried.keys() == {name for name, field in fields.items() if field["actionable"]}
    for name in tried.keys() - {"MonthlyIncome"}:
        assert tried[name] == {o["value"] for o in fields[name]["options"]} - {row[name]}
    assert all(500 <= income <= 100_000 for income in tried["MonthlyIncome"])
    assert_told_right(page, changed)


def assert_told_right(page: Browser, changed: list[dict[str, Any]]) -> None:
    """Compare both tables with the answers for what was tried, found without the service."""
    before = answer(record())
    fields = {each["alone"]: each["name"] for each in describe_record(1000)["fields"]}
    tables: list[list[list[str]]] = page.run(
        """return [...document.querySelectorAll(".changes-table")].map((table) =>
           [...table.tBodies[0].rows].map((row) => [row.cells[0].firstChild.innerText,
             row.cells[1].firstChild.nodeValue, row.cells[2].innerText]))"""
    )
    for sign, told in zip((-1, 1), tables, strict=True):
        best = best_of_each_field(before, changed, sign)
        assert [fields[label] for label, _, _ in told] == [*best][: len(told)]
        assert len(told) == min(len(best), 6)
        for (_, probability, decision), expected in zip(told, best.values(), strict=False):
            assert probability == percent(expected["attrition_probability"])
            assert ("stays" in decision) == (expected["decision"] == before["decision"])
    assert "not causes" in page.text(".changes .notice")
    assert "Works overtime" in [label for label, _, _ in tables[0]]


def best_of_each_field(before: Any, changed: list[dict[str, Any]], sign: int) -> dict[str, Any]:
    """Return a field's smallest move that changes the decision, else its largest; best first."""
    found: dict[str, list[tuple[float, Any]]] = {}
    for row in changed:
        after = answer({**record(), **row})
        (name,) = [name for name in row if row[name] != record()[name]]
        move = sign * (after["attrition_probability"] - before["attrition_probability"])
        if move > 0 and (before["outlier"]["is_outlier"] or not after["outlier"]["is_outlier"]):
            found.setdefault(name, []).append((move, after))
    best: list[tuple[float, str, Any]] = []
    for name, moves in found.items():
        deciding = [each for each in moves if each[1]["decision"] != before["decision"]]
        move, after = min(deciding, key=_size) if deciding else max(moves, key=_size)
        if deciding or move >= 0.005:
            best.append((move + (1 if deciding else 0), name, after))
    best.sort(key=lambda each: -each[0])
    return {name: after for _, name, after in best}


def _size(move: tuple[float, Any]) -> float:
    return move[0]


def test_nothing_of_a_record_or_the_key_is_left_anywhere(page: Browser, serving: Process) -> None:
    row = {"EmployeeNumber": CANARY_ID, **record(MonthlyIncome=CANARY_INCOME)}
    paste(page, table_of([row]))
    submit(page)
    page.wait_for_focus("#answer-title")
    page.tab_to("tbody .link")
    page.press(Keys.ENTER)
    page.tab_to(".changes button")
    page.press(Keys.ENTER)
    page.wait_for_focus("h5")
    requests = page.requests()
    url: str = serving.ask("status")["private_url"]
    assert {request["url"].removeprefix(url).partition("/")[0] for request in requests} == {""}
    assert len([request for request in requests if request["method"] == "POST"]) == 2
    for request in requests:
        bodiless = json.dumps({**request, "postData": None, "headers": None})
        assert [each for each in CANARIES if each in bodiless] == []
        assert CANARY_ID not in json.dumps(request)
        assert not request["headers"].get("Referer")
    kept = page.run(
        """return indexedDB.databases().then((databases) => [location.href, document.cookie,
           localStorage.length, sessionStorage.length, databases.length,
           JSON.stringify(history.state)])"""
    )
    assert kept == [f"{url}/", "", 0, 0, 0, "null"]
    assert [each for each in CANARIES if each in "".join(page.console())] == []
    log = serving.log.read_text()
    assert [each for each in WORDS if each in log] == []
    assert not tells(log, CANARY_INCOME)
    page.driver.refresh()
    page.wait(lambda: page.all("#fields input"))
    values = page.run(
        "return [...document.querySelectorAll('input, textarea, select')].map(e => e.value)"
    )
    assert set(values) == {"", "on"}
