# jsonschema has no types of its own (4.26.0, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_type_hints

import pytest
from app_bundles import REFERENCES, answer, parts, record
from app_client import Client
from app_processes import JSON, KEY, KEY_SHA256
from fastapi.telemetry import TelemetryConfig
from httpx import Response
from jsonschema import Draft202012Validator

from app.api import NO_TELEMETRY, Api
from app.service import Service
from contract.employee import CATEGORIES, DETECTED_NAMES, FIELDS, IGNORED, INTEGERS, expected

CANARY = "Canary-Ada-Lovelace"
CANARY_NUMBER = 987_654_321


def ask(client: Client, content: Any, key: str | None = KEY) -> Response:
    headers = {} if key is None else {"X-API-Key": key}
    return client.post("/predict", json=content, headers=headers)


def errors(response: Response) -> list[tuple[Any, Any, str]]:
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    return [(e["record"], e["field"], e["expected"]) for e in response.json()["errors"]]


def log_lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_predictions_come_in_the_order_of_the_records(client: Client) -> None:
    rows = [record(), *(record(**changes) for changes in REFERENCES)]
    response = ask(client, rows)
    assert response.status_code == 200
    assert response.json()["release"] == "7"
    for row, found in zip(rows, response.json()["predictions"], strict=True):
        (numbers, rest), (expected_numbers, expected_rest) = parts(found), parts(answer(row))
        assert numbers == pytest.approx(expected_numbers, rel=1e-12)
        assert rest == expected_rest


def test_an_answer_has_the_documented_shape(client: Client) -> None:
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/predict"]["post"]["responses"]
    schema = responses["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    rows = [record(), *(record(**changes) for changes in REFERENCES), {}]
    headers = {"X-API-Key": KEY}
    whole = client.post("/predict?on_error=report", json=rows, headers=headers).json()
    assert list(map(str, validator.iter_errors(whole))) == []
    assert whole["predictions"].pop() is None
    # The document says no more than the answers hold: every property is there, and no other.
    models = document["components"]["schemas"]
    outlier_found = whole["predictions"][-1]
    assert outlier_found["outlier"]["broken_rules"]
    for name, found in (
        ("Answer", whole),
        ("_Prediction", outlier_found),
        ("_Outlier", outlier_found["outlier"]),
        ("_Reason", outlier_found["reasons"][0]),
        ("_Drift", whole["drift"]),
    ):
        optional = ["errors"] if name == "Answer" else []
        required = {*models[name]["required"], *optional}
        assert found.keys() == models[name]["properties"].keys() == required


BROKEN_ANSWERS: list[Callable[[Any], object]] = [
    lambda found: found.update(decision="fire"),
    lambda found: found.update(interval=[0.5]),
    lambda found: found.update(interval=[0.1, 1.5]),
    lambda found: found.update(attrition_probability=-0.1),
    lambda found: found["outlier"].update(features=None),
    lambda found: found["outlier"].pop("broken_rules"),
    lambda found: found["reasons"][0].pop("contribution"),
]


@pytest.mark.parametrize("edit", BROKEN_ANSWERS)
def test_the_document_does_not_allow_any_answer(
    client: Client, edit: Callable[[Any], object]
) -> None:
    document = client.get("/openapi.json").json()
    reference = {"$ref": "#/components/schemas/Answer", "components": document["components"]}
    whole = ask(client, [record()]).json()
    edit(whole["predictions"][0])
    assert not Draft202012Validator(reference).is_valid(whole)


def test_the_ignored_columns_are_accepted_and_change_nothing(client: Client) -> None:
    ignored = dict.fromkeys(IGNORED, "anything")
    answers = ask(client, [record(), {**record(), **ignored}]).json()["predictions"]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("key", [None, "", "wrong", "\xe4\xf6"])
def test_without_a_known_key_there_is_nothing_to_see(client: Client, key: str | None) -> None:
    headers = {} if key is None else {b"X-API-Key": key.encode("latin-1")}
    response = client.post("/predict", content=b"no JSON", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "APIKey"
    assert response.json()["status"] == 401


def test_every_error_is_listed_with_its_place(client: Client) -> None:
    missing = record()
    del missing["OverTime"]
    rows = [record(), record(Age=17, Gender=CANARY), CANARY, missing]
    expectations = {field.name: expected(field) for field in FIELDS}
    assert errors(ask(client, rows)) == [
        (1, "Age", expectations["Age"]),
        (1, "Gender", expectations["Gender"]),
        (2, None, "a JSON object with the 30 fields of an employee record"),
        (3, "OverTime", expectations["OverTime"]),
    ]


@pytest.mark.parametrize("field", INTEGERS, ids=lambda field: field.name)
def test_whole_numbers_are_strict(client: Client, field: Any) -> None:
    legal = [record(**{field.name: value}) for value in (field.minimum, field.maximum)]
    assert ask(client, legal).status_code == 200
    wrong = [field.minimum - 1, field.maximum + 1, float(field.minimum), str(field.minimum), True]
    rows: list[Any] = [{**record(), field.name: value} for value in [*wrong, None]]
    assert errors(ask(client, rows)) == [(n, field.name, expected(field)) for n in range(len(rows))]


@pytest.mark.parametrize("field", CATEGORIES, ids=lambda field: field.name)
def test_categories_are_exact(client: Client, field: Any) -> None:
    legal = [record(**{field.name: value}) for value in field.categories]
    assert ask(client, legal).status_code == 200
    wrong: list[Any] = [field.categories[0].upper() + "!", field.categories[0] + " ", 1, None]
    rows: list[Any] = [{**record(), field.name: value} for value in wrong]
    assert errors(ask(client, rows)) == [(n, field.name, expected(field)) for n in range(len(rows))]


def test_unknown_fields_are_refused_without_repeating_them(client: Client) -> None:
    response = ask(client, [{**record(), CANARY: 1, "another": 2}, {**record(), "Attrition": "No"}])
    assert errors(response) == [
        (0, None, "no other fields than the 30 of an employee record"),
        (1, "Attrition", "not to be sent: it is what the answer predicts"),
    ]
    assert CANARY not in response.text


@pytest.mark.parametrize(
    "body",
    [b"null", b"{}", b"[]", b'"x"', b"7", b"true"],
)
def test_what_is_no_batch_is_said_to_be_none(client: Client, body: bytes) -> None:
    response = client.post("/predict", content=body, headers={**JSON, "X-API-Key": KEY})
    assert errors(response) == [(None, None, "a JSON array of 1 to 1000 employee records")]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "not JSON, at line 1 column 1"),
        (b"{", "not JSON, at line 1 column 2"),
        (b"[\n1,\n]", "not JSON, at line 3 column 1"),
        (b'["\xff"]', "not UTF-8, at byte 2"),
        (b"\x00", "not JSON"),
        (b"\xef\xbb\xbf[]", "not JSON"),
        (b"[NaN]", "JSON with a number that is none"),
        (b"[-Infinity]", "JSON with a number that is none"),
        (b"[1e400]", "JSON with a number that is none"),
        (b"[" * 5_000, "nested too deeply"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_said_to_be_none(client: Client, body: bytes, place: str) -> None:
    response = client.post("/predict", content=body, headers={**JSON, "X-API-Key": KEY})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert place in response.json()["detail"]


def test_a_batch_has_a_largest_size(client: Client) -> None:
    assert ask(client, [record()] * 1000).status_code == 200
    too_many = errors(ask(client, [record()] * 1001))
    assert too_many == [(None, None, "a JSON array of 1 to 1000 employee records")]


def test_a_body_has_a_largest_size(client: Client) -> None:
    padding = b" " * (2 * 1024 * 1024 - 2)
    headers = {**JSON, "X-API-Key": KEY}
    assert client.post("/predict", content=b"[" + padding + b"]", headers=headers).is_client_error
    response = client.post("/predict", content=b"[ " + padding + b"]", headers=headers)
    assert response.status_code == 413


def test_no_value_comes_back_or_reaches_the_log(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    everywhere = dict.fromkeys(record(), CANARY) | {CANARY: CANARY}
    numbers = dict.fromkeys(record(), CANARY_NUMBER)
    texts = [ask(client, [everywhere, numbers]).text, ask(client, CANARY).text]
    texts.append(client.get(f"/{CANARY}?name={CANARY}", headers={"X-Request-ID": CANARY}).text)
    texts.append(client.request(CANARY, "/predict").text)
    out, err = capfd.readouterr()
    for text in (*texts, out, err):
        assert CANARY not in text
        assert str(CANARY_NUMBER) not in text


def test_one_line_a_request(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    response = ask(client, [record()] * 3)
    (line,) = log_lines(capfd)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert 0 < line.pop("duration_ms") < 10_000
    assert line == {
        "event": "request",
        "schema": 1,
        "request_id": response.headers["x-request-id"],
        "release": "7",
        "caller": f"key:{KEY_SHA256[:8]}",
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "records": 3,
        "outliers": 0,
        "hypothetical": False,
    }


def test_an_unexpected_error_is_logged_by_type_and_place_alone(
    client: Client, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot score {CANARY}")

    monkeypatch.setattr(Service, "score", explode)
    response = ask(client, [record()])
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    out, err = capfd.readouterr()
    assert CANARY not in response.text + out + err
    error, request = [json.loads(line) for line in out.splitlines()]
    assert error["error"] == "RuntimeError"
    assert error["places"][-1].startswith("test_app_api.py:")
    assert error["request_id"] == request["request_id"] == response.headers["x-request-id"]
    assert request["status"] == 500


def test_a_wrong_release_is_live_but_not_ready(service: Service) -> None:
    service.ready = False
    client = Client(Api(service))
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert ask(client, [record()]).status_code == 503


def test_a_right_release_is_ready_and_named(client: Client, service: Service) -> None:
    assert client.get("/health/ready").json() == {"status": "ready", "release": "7"}
    headers = {"X-API-Key": KEY}
    assert client.get("/release", headers=headers).json() == {
        "version": "7",
        "manifest_sha256": service.release.manifest_sha256,
        "metrics": {"cv_roc_auc": 0.86},
        "model_card": "/release/model-card",
    }
    card = client.get("/release/model-card", headers=headers)
    assert card.headers["content-type"] == "text/markdown; charset=utf-8"
    assert card.text == "# Model card: attrition\n"


def test_the_frameworks_own_telemetry_is_off() -> None:
    """It would record what failed validation, values included."""
    switches = {n for n, kind in get_type_hints(TelemetryConfig).items() if kind is bool}
    assert switches >= {"tracing", "metrics", "logs", "operation_spans", "auto_configure"}
    assert dict.fromkeys(switches, False) == NO_TELEMETRY


def test_draining_closes_every_connection(client: Client, service: Service) -> None:
    assert "connection" not in ask(client, [record()]).headers
    service.draining = True
    for response in (ask(client, [record()]), ask(client, [{}]), client.get("/nowhere")):
        assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/x", 404), ("PUT", "/predict", 405)]
)
def test_other_errors_are_problems_too(client: Client, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"


def test_the_document_says_what_the_validator_does(client: Client) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert ask(client, content["example"]).status_code == 200
    assert (content["schema"]["minItems"], content["schema"]["maxItems"]) == (1, 1000)
    items = content["schema"]["items"]
    assert items["additionalProperties"] is False
    assert set(items["required"]) == {*DETECTED_NAMES}
    assert set(items["properties"]) == {*(field.name for field in FIELDS), *IGNORED}
    for field in INTEGERS:
        limits = items["properties"][field.name]
        assert (limits["minimum"], limits["maximum"]) == (field.minimum, field.maximum)
        assert limits["type"] == "integer"
    for field in CATEGORIES:
        assert tuple(items["properties"][field.name]["enum"]) == field.categories
    assert operation["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
    assert client.get("/docs").status_code == 200
