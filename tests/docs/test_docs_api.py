"""The tables of docs/api.md against /openapi.json, the contract, and real answers."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from docs_asking import ask, predict
from docs_markdown import ROOT, Document, bare

from app.body import MAX_BODY_BYTES
from app.models import Answer
from contract.employee import FIELDS, IGNORED, expected
from contract.rules import RULES
from tests.app.app_bundles import record
from tests.app.app_processes import JSON, KEY, Process

API = Document(ROOT / "docs" / "api.md")
ROUTES = API.table("route", "credential", "answers")
PAGES = {"GET /", "GET /docs", "GET /openapi.json"}
"""Routes that the document of the API leaves out."""
EVERYWHERE = {404, 405, 500}


@pytest.fixture(scope="module")
def document(serving: Process) -> dict[str, Any]:
    return ask(serving, "GET /openapi.json").json


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", path, operation


# Routes, options, records


def test_the_routes_are_those_of_the_document_and_the_pages(document: dict[str, Any]) -> None:
    secured = {route: bool(each.get("security")) for route, _, each in operations(document)}
    assert len(ROUTES) == len(secured) + len(PAGES)
    assert {bare(route): credential == "yes" for route, credential, _ in ROUTES} == {
        **secured,
        **dict.fromkeys(PAGES, False),
    }


@pytest.mark.parametrize(("route", "credential"), [(bare(row[0]), row[1]) for row in ROUTES])
def test_a_route_asks_for_a_credential_where_it_says_so(
    serving: Process, route: str, credential: str
) -> None:
    assert ask(serving, route).status == (401 if credential == "yes" else 200)


def test_the_options_are_those_of_the_document(document: dict[str, Any]) -> None:
    found = {
        (each["name"], each["in"], *each["schema"]["enum"], each["schema"]["default"])
        for each in document["paths"]["/predict"]["post"]["parameters"]
    }
    rows = API.table("option", "where", "values", "else")
    assert found == {
        (
            bare(name).lower() if where == "header" else bare(name),
            where,
            *re.findall(r"`(\w+)`", values),
            *re.findall(r"^`(\w+)`", default),
        )
        for name, where, values, default in rows
    }


def test_another_value_of_an_option_does_what_it_says(serving: Process) -> None:
    assert predict(serving, record(), path="/predict?on_error=maybe").status == 422
    body = json.dumps([record()]).encode()
    headers = {**JSON, "X-API-Key": KEY}
    assert ask(serving, "POST /predict", body, **headers, **{"X-Hypothetical": "yes"}).status == 422
    for value, counted in (("true", 0), ("false", 1)):
        before = ask(serving, "GET /drift", None, **headers).json["records"]
        said = {**headers, "X-Hypothetical": value}
        assert ask(serving, "POST /predict", body, **said).status == 200
        assert ask(serving, "GET /drift", None, **headers).json["records"] == before + counted


def test_the_fields_are_the_contracts(document: dict[str, Any]) -> None:
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    schema = content["schema"]["items"]
    rows = API.table("field", "holds", "may be left out")
    assert [(bare(name), holds) for name, holds, _ in rows] == [
        (field.name, expected(field)) for field in FIELDS
    ]
    assert {bare(row[0]) for row in rows if row[2] == "no"} == set(schema["required"])
    assert {bare(row[0]) for row in rows} | {*IGNORED} == schema["properties"].keys()
    for name in IGNORED:
        assert f"`{name}`" in API.prose


def test_the_rules_are_the_contracts() -> None:
    rows = API.table("rule", "says")
    assert [(bare(name), says) for name, says in rows] == [(r.name, r.sentence) for r in RULES]


# Answers and errors


def test_the_answer_has_the_shape_of_a_real_one(serving: Process) -> None:
    (shown,) = (json.loads(b.code) for b in API.blocks if b.heading == "Answers")
    assert shape(shown) == shape(predict(serving, record()).json)
    Answer.model_validate(shown, strict=True)


def shape(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: shape(value) for name, value in cast("dict[str, Any]", content).items()}
    if isinstance(content, list):
        return [shape(value) for value in cast("list[Any]", content)]
    return content.__class__


def test_the_error_is_what_such_a_request_gets(serving: Process) -> None:
    (shown,) = (json.loads(b.code) for b in API.blocks if b.heading == "Errors")
    wrong = record(Age="41")
    del wrong["OverTime"]
    reply = predict(serving, record(), wrong)
    assert reply.headers["Content-Type"] in API.prose
    assert {**reply.json, "request_id": shown["request_id"]} == shown


def test_the_statuses_are_those_of_the_document(document: dict[str, Any]) -> None:
    secured = {path for _, path, each in operations(document) if each.get("security")}
    found: set[tuple[int, str]] = set()
    for status, places, _ in API.table("status", "from", "when"):
        if places == "any path":
            assert int(status) in EVERYWHERE
            continue
        paths = set(re.findall(r"`(/[^`]*)`", places))
        if "what asks for a credential" in places:
            paths |= secured
        found |= {(int(status), path) for path in paths}
    said = {
        (int(status), path)
        for _, path, each in operations(document)
        for status in each["responses"]
        if status != "200"
    }
    assert found == said
    named = {int(row[0]) for row in API.table("status", "from", "when")}
    assert named == EVERYWHERE | {status for status, _ in said}


@pytest.mark.parametrize(
    ("route", "body", "headers", "status"),
    [
        ("POST /predict", b"[", {}, 400),
        ("POST /predict", b"[]", {"X-API-Key": "wrong"}, 401),
        ("GET /nothing", None, {}, 404),
        ("GET /drift/", None, {}, 404),
        ("POST /predict/", b"[]", {}, 404),
        ("GET /predict", None, {}, 405),
        ("POST /release", None, {}, 405),
        ("POST /predict", b" " * (MAX_BODY_BYTES + 1), {}, 413),
        ("POST /predict", b"[]", {"Content-Type": "text/plain"}, 415),
        ("POST /predict", b"[]", {}, 422),
    ],
)
def test_a_refusal_has_the_one_shape(
    serving: Process, route: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    reply = ask(serving, route, body, **{**JSON, "X-API-Key": KEY, **headers})
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["X-Request-ID"] == reply.json["request_id"]
    assert reply.json.keys() - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert ("Allow" in reply.headers) == (status == 405)
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)
