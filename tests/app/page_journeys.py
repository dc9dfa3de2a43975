"""Steps that journeys through the page share, and what it should say, in its own format."""

import csv
import io
from typing import Any

from app_processes import KEY
from page_browser import Browser, Keys

from contract import employee

__all__ = [
    "enter_key",
    "paste",
    "percent",
    "submit",
    "submit_example",
    "table_of",
    "without_fairness",
]

_ASKED = [name for name in employee.FIELD_NAMES if name not in employee.FAIRNESS_ONLY]


def enter_key(page: Browser, key: str = KEY) -> None:
    page.tab_to("#key")
    page.press(Keys.CONTROL, "a")
    page.insert(key)


def paste(page: Browser, text: str, key: str = KEY) -> None:
    """Enter the key, go to the table's form, and paste into it."""
    enter_key(page, key)
    page.tab_to("#one")
    page.press(Keys.ARROW_RIGHT)
    page.tab_to("#records")
    page.insert(text)


def submit(page: Browser) -> None:
    page.tab_to("[type=submit]")
    page.press(Keys.ENTER)


def submit_example(page: Browser) -> None:
    page.tab_to("#example")
    page.press(Keys.ENTER)
    submit(page)


def without_fairness(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _ASKED}


def table_of(rows: list[dict[str, Any]], separator: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], delimiter=separator, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def percent(probability: float) -> str:
    return f"{100 * probability:.1f}%"
