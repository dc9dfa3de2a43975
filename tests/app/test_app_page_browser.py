"""Whole journeys through the page in a real browser, by keyboard alone, against a real process."""

import json
from pathlib import Path
from typing import Any

import pytest
from app_bundles import answer, record, write_bundle
from app_processes import Process
from page_browser import CHECKS, MISSING, Browser, Keys
from page_journeys import (
    enter_key,
    paste,
    percent,
    submit,
    submit_example,
    table_of,
    without_fairness,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

OUTLIER = record(DistanceFromHome=150, PercentSalaryHike=80, Age=70, YearsAtCompany=9)
INCOME = 54_321


def test_one_employee_typed_by_keyboard(page: Browser) -> None:
    row = without_fairness(record(MonthlyIncome=INCOME))
    enter_key(page)
    for name in page.run(
        "return [...document.querySelectorAll('#fields [id^=field-]')].map(e => e.id)"
    ):
        page.tab_to(f"#{name}")
        value = row[name.removeprefix("field-")]
        options = page.run("return [...(document.activeElement.options ?? [])].map(o => o.value)")
        if options:
            page.press(*[Keys.ARROW_DOWN] * options.index(str(value)))
        else:
            page.press(*str(value))
    page.press(Keys.ENTER)
    page.wait_for_focus("#answer-title")
    assert page.asked()[-1] == [row]
    expected = answer(record(MonthlyIncome=INCOME))
    assert page.text(".details .decision").endswith("Refer to a person")
    assert expected["decision"] == "refer"
    assert page.text(".probability").startswith(percent(expected["attrition_probability"]))
    low, high = (percent(each) for each in expected["interval"])
    assert f"{low} to {high}" in page.text(".details")
    assert page.text("#status") == "The answer is here."


def test_the_reasons_are_bars_to_either_side_with_their_numbers(page: Browser) -> None:
    enter_key(page)
    submit_example(page)
    page.wait_for_focus("#answer-title")
    expected = answer(record())["reasons"]
    rows = page.table(".reasons")
    bars = page.run(
        """return [...document.querySelectorAll(".reasons .bar rect")].map((bar) =>
           [bar.getAttribute("class"), parseFloat(bar.getAttribute("x")),
            parseFloat(bar.getAttribute("width"))])"""
    )
    largest = max(abs(reason["contribution"]) for reason in expected)
    assert {reason["contribution"] > 0 for reason in expected} == {True, False}
    for reason, (_, _, said), (kind, x, width) in zip(expected, rows, bars, strict=True):
        number = reason["contribution"]
        sign, word = ("+", "raises") if number > 0 else ("−", "lowers")  # noqa: RUF001 a minus
        assert said == f"{sign}{abs(number):.2f} {word}"
        assert kind == word
        assert width == pytest.approx(49 * abs(number) / largest)
        assert (x if number > 0 else x + width) == pytest.approx(50)
    assert rows[0][0] == "Works overtime Yes"


def test_an_outlier_is_said_in_words(page: Browser) -> None:
    paste(page, json.dumps(OUTLIER))
    submit(page)
    page.wait_for_focus("#answer-title")
    page.tab_to("tbody .link")
    page.press(Keys.ENTER)
    page.wait_for_focus(".details h3")
    said = page.text(".details")
    assert answer(OUTLIER)["outlier"]["broken_rules"] == ["tenure_within_working_years"]
    assert "The years at the company are at most the working years in all." in said
    assert "Years at this company: 9 years" in said
    assert "Distance from home to work: 150 miles" in said
    assert "unlike those that the release has learned from" in said


def test_a_wrong_field_is_said_at_its_place(page: Browser) -> None:
    enter_key(page)
    page.tab_to("#example")
    page.press(Keys.ENTER)
    page.tab_to("#field-OverTime")
    page.press(Keys.HOME)
    page.tab_to("#field-Age")
    page.press(Keys.CONTROL, "a")
    page.press("1", "7", Keys.ENTER)
    page.wait_for_focus("#problems h3")
    assert "2 things" in page.text("#problems h3")
    assert page.all("[aria-invalid=true]") == page.all("#field-OverTime, #field-Age")
    assert page.text("#error-OverTime") == "Expected: one of the list"
    assert page.text("#error-Age") == "Expected: a whole number from 18 to 80 (years)"
    page.tab_to("#problems .link")
    page.press(Keys.ENTER)
    assert page.focused("#field-Age")
    page.press(Keys.CONTROL, "a")
    page.press("4", "1")
    page.tab_to("#field-OverTime", back=True)
    page.press("Y", Keys.TAB)
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.all("[aria-invalid=true]") == []
    assert page.texts("#problems *") == []


def test_an_old_answer_is_marked_as_one(page: Browser) -> None:
    enter_key(page)
    submit_example(page)
    page.wait_for_focus("#answer-title")
    assert page.text("#stale") == ""
    page.tab_to("#field-Age", back=True)
    page.press("2")
    assert "changed" in page.text("#stale")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "Enter the API key first."),
        ("wrong", "does not know this key or token"),
        ("eyJhbGciOiJub25lIn0.e30.", "does not know this key or token"),
        ("key—with a dash", "a character that no key has"),
    ],
)
def test_a_wrong_key_is_said_at_the_key(page: Browser, key: str, words: str) -> None:
    enter_key(page, key)
    page.tab_to("#example")
    page.press(Keys.ENTER)
    submit(page)
    page.wait(lambda: page.text("#key-error"))
    assert words in page.text("#key-error")
    page.wait_for_focus("#key[aria-invalid=true]")
    sent = [request["headers"] for request in page.requests() if request["method"] == "POST"]
    assert len(sent) == ("know" in words)
    for headers in sent:
        kind = "Authorization" if key.startswith("eyJ") else "X-API-Key"
        assert headers[kind].endswith(key)
        assert len({"Authorization", "X-API-Key"} & headers.keys()) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(page: Browser, width: int, dark: bool) -> None:
    page.look(width, dark=dark)

    def check() -> None:
        found = page.run(CHECKS)
        assert found["wrong"] == []
        assert found["texts"] > 20

    check()
    enter_key(page)
    submit(page)
    page.wait_for_focus("#problems h3")
    check()
    page.tab_to("#example", back=True)
    page.press(Keys.ENTER)
    submit(page)
    page.wait_for_focus("#answer-title")
    page.tab_to(".changes button")
    page.press(Keys.ENTER)
    page.wait_for_focus("h5")
    check()
    page.tab_to("#one", back=True)
    page.press(Keys.ARROW_RIGHT)
    page.tab_to("#records")
    page.insert(table_of([record(), OUTLIER, record(OverTime="No")]))
    submit(page)
    page.wait_for_focus("#answer-title")
    page.tab_to("tbody tr:nth-child(2) .link")
    page.press(Keys.ENTER)
    page.wait_for_focus(".details h3")
    check()


def test_the_checks_find_what_is_wrong(page: Browser) -> None:
    page.run(
        """document.querySelector("main").innerHTML +=
           "<input><button></button><h6>x</h6><p id=one class=hint>x</p><table><th>x</th></table>";
           document.querySelector(".hint").style.color = "#999";
           document.querySelector("h2").style.width = "3000px";"""
    )
    found = "\n".join(page.run(CHECKS)["wrong"])
    for words in (
        *("no label: <input", "no name: <button", "level is left out", "twice: id one"),
        *("without scope", "contrast 2.", "wider than the window", "cut off: <h2"),
    ):
        assert words in found


def test_the_policy_is_enforced(browser: Browser, serving: Process) -> None:
    browser.open(serving.ask("status")["private_url"])
    browser.run(
        """const script = document.createElement("script");
           script.textContent = "window.ran = true";
           document.body.append(script);
           document.body.setAttribute("style", "color: red");
           document.body.append(Object.assign(new Image(), {src: "http://127.0.0.1:9/x.png"}));"""
    )
    browser.wait(lambda: len(browser.violations()) == 3)
    assert sorted(browser.violations()) == ["img-src", "script-src-elem", "style-src-attr"]
    assert browser.run("return window.ran ?? null") is None
    browser.console()


def test_a_service_that_is_not_ready(browser: Browser, tmp_path: Path) -> None:
    write_bundle(tmp_path / "wrong", wrong=True)
    process = Process(tmp_path, "w", tmp_path / "wrong").start()
    try:
        browser.wait(lambda: process.socket.exists() and process.ask("status"))
        browser.open(process.ask("status")["private_url"])
        enter_key(browser)
        submit_example(browser)
        browser.wait_for_focus("#problems h3")
        assert "not able to answer at the moment" in browser.text("#problems")
        process.kill()
        browser.tab_to("[type=submit]", back=True)
        browser.press(Keys.ENTER)
        browser.wait(lambda: "cannot be reached" in browser.text("#problems"))
        browser.wait_for_focus("#problems h3")
    finally:
        process.kill()


def test_too_many_requests_says_when_to_come_back(page: Browser) -> None:
    page.run(
        """window.fetch = async () => new Response("{}", {status: 429,
           headers: {"Retry-After": "7", "Content-Type": "application/problem+json"}})"""
    )
    enter_key(page)
    submit_example(page)
    page.wait_for_focus("#problems h3")
    assert page.text("#problems h3").endswith("Try again in 7 seconds.")


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (None, []),
        ({"status": "not_enough_data", "records": 12, "features": []}, ["Too few", "12 records"]),
        ({"status": "ok", "records": 412, "features": []}, ["412 records look like"]),
        (
            {"status": "drift", "records": 1412, "features": ["Age", "YearsAtCompany"]},
            ["has drifted", "1,412 records", "in Age, Years at this company."],
        ),
    ],
)
def test_drift_is_said_in_words(page: Browser, drift: Any, words: list[str]) -> None:
    whole = {"release": "7", "predictions": [answer(record())], "drift": drift}
    page.run(
        """const [answer, record] = arguments;
           return import("/page/results.js").then(
             (results) => results.showOne(answer, record, () => ""));""",
        whole,
        record(),
    )
    said = page.texts(".drift p")
    assert len(said) == (drift is not None)
    assert [word for word in words if word not in said[0]] == []
