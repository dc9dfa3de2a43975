"""What the service sends of the page: the files, their headers, and what they must not hold."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from app_client import Client

from app.page import CONTENT_SECURITY_POLICY, FOLDER
from contract import employee
from contract.rules import RULES

FILES = sorted(path.name for path in FOLDER.iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
MAX_LINES = 300
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Tags(HTMLParser):
    """Collects a document's tags with their attributes, and the text within scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and data.strip():
            self.inline.append(data)


def path_of(name: str) -> str:
    return "/" if name == "index.html" else f"/page/{name}"


def contract(client: Client) -> dict[str, Any]:
    text = client.get("/page/contract.js").text
    return json.loads(text.removeprefix("export default ").rstrip(";\n"))


@pytest.mark.parametrize("name", [*FILES, "contract.js"])
def test_every_file_is_served_to_everybody_under_the_policy(client: Client, name: str) -> None:
    response = client.get(path_of(name))
    assert response.status_code == 200
    if name in FILES:
        assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["content-type"] == TYPES[name.rpartition(".")[2]]
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY == POLICY
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "set-cookie" not in response.headers
    head = client.request("HEAD", path_of(name))
    assert (head.status_code, head.content) == (200, b"")


def test_who_has_a_file_gets_it_no_second_time(client: Client) -> None:
    tag = client.get("/page/page.js").headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = client.get("/page/page.js", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["content-security-policy"] == POLICY
    other = client.get("/page/page.css", headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("file", ["nothing.js", "index.html", "..%2fpage.py", "page.py", "a/b.js"])
def test_nothing_else_is_served(client: Client, file: str) -> None:
    response = client.get(f"/page/{file}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_page_takes_nothing(client: Client) -> None:
    for path in ("/", "/page/page.js"):
        assert client.post(path, content=b"x").status_code == 405


def test_the_page_is_no_part_of_the_interface(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/predict" in paths
    assert not [path for path in paths if path == "/" or path.startswith("/page")]


def test_the_document_has_no_inline_script_or_style(client: Client) -> None:
    document = Tags(client.get("/").text)
    assert document.inline == []
    scripts = [attributes for tag, attributes in document.tags if tag == "script"]
    assert scripts
    assert all(each.get("src", "") for each in scripts)
    names = {name for _, attributes in document.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    # Without a name no field is part of what a browser would send, or put into an address.
    assert "name" not in {
        name for tag, attributes in document.tags if tag != "meta" for name in attributes
    }


def test_what_the_files_refer_to_is_there(client: Client) -> None:
    document = Tags(client.get("/").text)
    found = {
        str(a.get("src") or a.get("href")) for t, a in document.tags if t in ("script", "link")
    }
    for name in SCRIPTS:
        text = (FOLDER / name).read_text()
        found |= {f"/page/{module}" for module in re.findall(r'from "\./([^"]+)"', text)}
    assert {client.get(path).status_code for path in found} == {200}
    unused = {path_of(name) for name in FILES} - found
    assert unused == {"/"}


@pytest.mark.parametrize("name", FILES)
def test_no_file_reaches_beyond_the_page(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert len(text.splitlines()) <= MAX_LINES
    urls = set(re.findall(r"https?://[^\"'\s)]+", text))
    assert urls <= {"http://www.w3.org/2000/svg"}
    forbidden = (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("),
        *("localStorage", "sessionStorage", "indexedDB", ".cookie", "console.", "history."),
        *("location", "@import", "sendBeacon", "WebSocket"),
    )
    assert [each for each in forbidden if each in text] == []


def test_the_page_knows_the_contract(client: Client) -> None:
    told = contract(client)
    assert told["maxRecords"] == 1000
    fields = {field["name"]: field for field in told["fields"]}
    assert len(fields) == len(told["fields"]) == len(employee.FIELDS)
    for field in employee.FIELDS:
        said = fields[field.name]
        assert said["label"]
        assert said["expected"] == employee.expected(field)
        values = [option["value"] for option in said.get("options", [])]
        if isinstance(field, employee.Category):
            assert (said["kind"], values) == ("category", [*field.categories])
        else:
            numbers = (said["minimum"], said["maximum"], said["unit"])
            assert numbers == (field.minimum, field.maximum, field.unit)
            legal = [*range(field.minimum, field.maximum + 1)]
            assert values == (legal if field.unit == "level" else [])
    labels = [field["alone"] for field in told["fields"]]
    assert len(set(labels)) == len(labels)
    assert told["ignored"] == [*employee.IGNORED]
    assert told["target"] == employee.TARGET
    assert told["rules"] == {rule.name: rule.sentence for rule in RULES}
    assert told["example"] == dict(employee.EXAMPLE)


def test_travel_is_said_in_the_right_words(client: Client) -> None:
    (travel,) = [each for each in contract(client)["fields"] if each["name"] == "BusinessTravel"]
    assert {option["value"]: option["label"] for option in travel["options"]} == {
        "Non-Travel": "Does not travel",
        "Travel_Frequently": "Travels often",
        "Travel_Rarely": "Travels rarely",
    }


def test_what_is_asked_and_what_is_changed(client: Client) -> None:
    fields = contract(client)["fields"]
    unasked = {field["name"] for field in fields if not field["asked"]}
    assert unasked == {"Gender", "MaritalStatus"}
    changed = {field["name"] for field in fields if field["actionable"]}
    assert changed.isdisjoint(employee.PROTECTED)
    past = {
        field.name for field in employee.INTEGERS if field.unit in ("years", "times", "companies")
    }
    assert changed.isdisjoint({*past, "PerformanceRating", "PercentSalaryHike", "Education"})
    assert changed >= {"OverTime", "MonthlyIncome", "BusinessTravel", "StockOptionLevel"}
