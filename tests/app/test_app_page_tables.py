"""Pasted and opened tables, and the table of their answers, in a real browser."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_bundles import answer, record
from page_browser import MISSING, Browser, Keys
from page_journeys import (
    paste,
    percent,
    submit,
    table_of,
    without_fairness,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

ROWS = [record(), record(OverTime="No", JobLevel=4), record(MonthlyIncome=1000, Age=24)]
NUMBERED = [{"EmployeeNumber": f"E-{n}", **row} for n, row in enumerate(ROWS)]


def excel(rows: list[dict[str, Any]]) -> str:
    """Write as spreadsheets do: a byte order mark, quoted cells, blank lines at the end."""
    quoted = [{f'"{name}"': f'"{value}"' for name, value in row.items()} for row in rows]
    lines = [";".join(quoted[0]), *(";".join(row.values()) for row in quoted)]
    return "\ufeff" + "\r\n".join([*lines, "", ";" * len(rows), ""])


FORMS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "commas": table_of,
    "semicolons": lambda rows: table_of(rows, ";", "\r\n"),
    "tabs": lambda rows: table_of(rows, "\t"),
    "a spreadsheet": excel,
    "JSON": lambda rows: json.dumps(rows, indent=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_is_read_alike(page: Browser, form: str) -> None:
    target = {"Attrition": "Yes", "Over18": "Y"}
    paste(page, FORMS[form]([{**row, **target} for row in NUMBERED]))
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.asked() == [ROWS]
    assert page.text("#status").startswith("The answers for 3 records are here. Not sent: ")
    not_sent = page.text("#status").partition("Not sent: ")[2].rstrip(".").split(", ")
    assert set(not_sent) == {"Attrition", "EmployeeNumber", "Over18"}
    rows = page.table(".answers")
    assert [row[0] for row in rows] == ["1: employee E-0", "2: employee E-1", "3: employee E-2"]
    assert [row[1] for row in rows] == [
        percent(answer(each)["attrition_probability"]) for each in ROWS
    ]


def test_one_json_object_is_one_record(page: Browser) -> None:
    paste(page, json.dumps(without_fairness(record())))
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.asked() == [[without_fairness(record())]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There are no records yet"),
        ("Ada,Grace\n1,2\n", "has to be a header of the IBM column names"),
        (table_of([{**record(), "Name": "Ada"}]), "Columns that are not known: Name."),
        (table_of([{"Age": 41, "OverTime": "No"}]), "Columns that are missing: Department"),
        ("Age," + table_of([record()]), "Columns that are twice: Age."),
        (table_of([record()]) + "1,2\n", "Line 3 has 2 cells, but the header has 30."),
        (table_of([record()]) + '"\n', "The quotation marks in line 3 do not fit together."),
        (table_of([record()]).splitlines()[0], "There are no records below the header."),
        ('[{"Age": 41,}]', "This starts like JSON but is none"),
        (json.dumps([0] * 10_001), "this page takes 10000 at a time"),
    ],
    ids=lambda value: value[:30],
)
def test_a_text_that_is_no_table_is_not_sent(page: Browser, text: str, words: str) -> None:
    paste(page, text)
    submit(page)
    page.wait_for_focus("#problems h3")
    assert words in page.text("#problems h3")
    assert page.asked() == []


def test_a_wrong_row_is_said_and_found(page: Browser) -> None:
    rows = [NUMBERED[0], {**NUMBERED[1], "Age": "forty", "OverTime": ""}, NUMBERED[2]]
    paste(page, table_of(rows))
    submit(page)
    page.wait_for_focus("#problems h3")
    place = "Record 2, line 3, employee E-1"
    assert page.table("#problems") == [
        [place, "Age", "a whole number from 18 to 80 (years)"],
        [place, "Works overtime", "one of 'No', 'Yes'"],
    ]
    assert page.all(".answers") == []
    page.tab_to("#problems .link")
    page.press(Keys.ENTER)
    script = """const area = document.activeElement;
                return area.value.slice(area.selectionStart, area.selectionEnd)"""
    assert page.run(script) == table_of(rows).splitlines()[2]


def test_records_that_are_none_are_said(page: Browser) -> None:
    paste(page, json.dumps([record(), 5, {**record(), "Name": "Ada"}]))
    submit(page)
    page.wait_for_focus("#problems h3")
    found = [row[:2] for row in page.table("#problems")]
    assert found == [["Record 2", "The record"], ["Record 3", "The record"]]


def many(count: int) -> list[dict[str, Any]]:
    return [record(Age=18 + n % 60, MonthlyIncome=600 + 7 * n) for n in range(count)]


def test_more_records_than_a_request_may_hold(page: Browser) -> None:
    rows = many(1003)
    paste(page, table_of(rows))
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.asked() == [rows[:1000], rows[1000:]]
    assert page.text("#status") == "The answers for 1,003 records are here."
    answers = [answer(row) for row in rows]
    tally = {name: sum(a["decision"] == name for a in answers) for name in ("at_risk", "refer")}
    assert page.texts(".counts span")[:2] == [
        f"▲ At risk: {tally['at_risk']}",
        f"? Refer to a person: {tally['refer']}",
    ]
    page.tab_to("th:nth-child(2) .sort")
    page.press(Keys.ENTER)
    probabilities = sorted((a["attrition_probability"] for a in answers), reverse=True)
    assert [row[1] for row in page.table(".answers")] == [percent(p) for p in probabilities[:100]]
    assert page.texts("[aria-sort]") == ["Probability"]
    assert page.all("[aria-sort=descending]")
    page.press(Keys.ENTER)
    assert [row[1] for row in page.table(".answers")] == [
        percent(p) for p in probabilities[: -100 - 1 : -1]
    ]
    assert page.all("[aria-sort=ascending]")
    page.tab_to(".scroll + button")
    page.press(Keys.ENTER)
    assert len(page.table(".answers")) == 200


def test_an_error_beyond_the_first_request_has_its_place(page: Browser) -> None:
    rows = many(1003)
    rows[2]["Age"], rows[1002]["Age"] = 17, 99
    paste(page, table_of(rows))
    submit(page)
    page.wait_for_focus("#problems h3")
    assert [row[0] for row in page.table("#problems")] == [
        "Record 3, line 4",
        "Record 1003, line 1004",
    ]


def test_details_and_back(page: Browser) -> None:
    paste(page, table_of(NUMBERED))
    submit(page)
    page.wait_for_focus("#answer-title")
    page.tab_to("tbody tr:nth-child(3) .link")
    page.press(Keys.ENTER)
    page.wait_for_focus(".details h3")
    assert page.text(".details h3") == "Record 3, line 4, employee E-2"
    expected = percent(answer(ROWS[2])["attrition_probability"])
    assert page.text(".probability") == f"{expected} probability of leaving"
    page.tab_to(".details .buttons button")
    page.press(Keys.ENTER)
    assert page.focused("tbody tr:nth-child(3) .link")


def test_the_answers_as_a_file(page: Browser) -> None:
    ids = ["=1+1", 'a "b", c', "<img src=x>"]
    numbered = [{**row, "EmployeeNumber": id_} for row, id_ in zip(ROWS, ids, strict=True)]
    paste(page, table_of(numbered))
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.table(".answers")[2][0] == "3: employee <img src=x>"
    page.tab_to("#results .buttons button")
    page.press(Keys.ENTER)
    path = page.downloads / "attrition-answers.csv"
    page.wait(path.exists)
    with path.open(newline="") as file:
        found = [*csv.DictReader(file)]
    path.unlink()
    assert [row["EmployeeNumber"] for row in found] == ["'=1+1", *ids[1:]]
    for row, given in zip(found, ROWS, strict=True):
        expected = answer(given)
        assert row["release"] == "7"
        assert row["decision"] == expected["decision"]
        assert row["is_outlier"] == str(expected["outlier"]["is_outlier"]).lower()
        numbers = [row[name] for name in ("attrition_probability", "interval_low", "interval_high")]
        assert [*map(float, numbers)] == pytest.approx(
            [expected["attrition_probability"], *expected["interval"]]
        )
        for n, reason in enumerate(expected["reasons"], start=1):
            assert row[f"reason_{n}"] == reason["feature"]
            assert float(row[f"contribution_{n}"]) == pytest.approx(reason["contribution"])
        assert given.keys().isdisjoint(row)


def test_a_file_is_opened(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table_of(ROWS))
    paste(page, "")
    page.tab_to("#file")
    page.all("#file")[0].send_keys(str(tmp_path / "table.csv"))
    page.wait(lambda: "in the text field" in page.text("#status"))
    submit(page)
    page.wait_for_focus("#answer-title")
    assert page.asked() == [ROWS]
