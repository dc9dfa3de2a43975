"""Bodies that are packed, too long, too slow or of another kind, and how much is done at once."""

import asyncio
import gzip
import http.client
import json
import time
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from app_bundles import record
from app_client import Client
from app_processes import JSON, KEY, Process
from app_silence import tells
from httpx import ASGITransport, AsyncClient, Response

from app import predict
from app.admission import make_room
from app.api import Api
from app.body import MAX_BODY_BYTES
from app.limits import InFlight, RateLimit
from app.records import Batch
from app.service import Service

BODY = json.dumps([record()]).encode()
HEADERS = {**JSON, "X-API-Key": KEY}


def ask(client: Client, content: bytes, **headers: str) -> Response:
    return client.post("/predict", content=content, headers={**HEADERS, **headers})


def problem(response: Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    assert content["request_id"] == response.headers["x-request-id"]
    return content["detail"]


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
)
def test_json_in_utf_8_is_read(client: Client, kind: str) -> None:
    assert ask(client, BODY, **{"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json; charset=latin-1", "application/x-ndjson", "json"]
)
def test_another_kind_is_refused(client: Client, kind: str) -> None:
    assert "application/json" in problem(ask(client, BODY, **{"Content-Type": kind}), 415)


def test_without_a_kind_it_is_refused(client: Client) -> None:
    response = client.post("/predict", content=BODY, headers={"X-API-Key": KEY})
    problem(response, 415)


def test_a_packed_body_is_unpacked(client: Client) -> None:
    plain = ask(client, BODY)
    packed = ask(client, gzip.compress(BODY), **{"Content-Encoding": "gzip"})
    assert packed.json()["predictions"] == plain.json()["predictions"]
    assert ask(client, BODY, **{"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_another_packing_is_refused(client: Client, encoding: str) -> None:
    problem(ask(client, BODY, **{"Content-Encoding": encoding}), 415)


PACKED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    "content",
    [PACKED[:-4], PACKED[:20], b"", BODY, PACKED + b"x", PACKED + PACKED, zlib.compress(BODY)],
    ids=["cut", "cut short", "nothing", "not packed", "more", "twice", "zlib"],
)
def test_what_gzip_did_not_make_is_refused(client: Client, content: bytes) -> None:
    problem(ask(client, content, **{"Content-Encoding": "gzip"}), 400)


def test_a_bomb_is_not_unpacked(client: Client) -> None:
    bomb = gzip.compress(b" " * (200 * MAX_BODY_BYTES))
    assert len(bomb) < MAX_BODY_BYTES
    problem(ask(client, bomb, **{"Content-Encoding": "gzip"}), 413)
    most = gzip.compress(b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]")
    assert ask(client, most, **{"Content-Encoding": "gzip"}).status_code == 422


def test_a_body_is_refused_while_it_is_read(client: Client) -> None:
    """Without a length nobody knows how much there would be."""
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536
            if sent > 20 * MAX_BODY_BYTES:
                return

    problem(client.post("/predict", content=chunks(), headers=HEADERS), 413)


def test_a_length_that_is_too_long_is_refused(serving: Process) -> None:
    connection = serving.connect()
    connection.request("POST", "/predict", b"[" + b" " * MAX_BODY_BYTES, HEADERS)
    assert connection.getresponse().status == 413
    connection.close()


def test_two_lengths_are_refused(serving: Process) -> None:
    """Whoever stands in between may see another end of the request."""
    connection = serving.connect()
    headers = {**HEADERS, "Content-Length": "1", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/predict", [BODY], headers, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, response.getheader("Connection")) == (400, "close")
    assert "not both" in json.loads(response.read())["detail"]
    connection.close()


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({b"content-length": b"10"}, 10),
        ({b"content-length": b"99999999"}, MAX_BODY_BYTES),
        ({b"content-length": b"10", b"content-encoding": b"gzip"}, MAX_BODY_BYTES),
        ({b"content-length": b"10", b"transfer-encoding": b"chunked"}, MAX_BODY_BYTES),
        ({b"transfer-encoding": b"chunked"}, MAX_BODY_BYTES),
        ({}, MAX_BODY_BYTES),
    ],
)
def test_room_is_made_for_all_that_may_come(
    service: Service, headers: dict[bytes, bytes], size: int
) -> None:
    exchange = SimpleNamespace(headers=headers)
    assert make_room(service, {"state": {"exchange": exchange}}) == size
    assert service.in_flight.body_bytes == size


def test_wrong_bodies_are_judged_one_after_the_other(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    judged = service.reader.long_way
    working = 0

    def long_way(body: bytes) -> Batch:
        nonlocal working
        working += 1
        at_once.append(working)
        time.sleep(0.01)
        working -= 1
        return judged(body)

    monkeypatch.setattr(service.reader, "long_way", long_way)

    async def ask_all() -> list[int]:
        transport = ASGITransport(app=Api(service))
        async with AsyncClient(transport=transport, base_url="http://test") as asking:
            asked = [asking.post("/predict", content=b"[{}]", headers=HEADERS) for _ in range(8)]
            return [response.status_code for response in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [422] * 8
    assert at_once == [1] * 8


def test_nothing_more_is_read_of_a_body_that_was_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "BODY_SECONDS", 0.05)
    api, read, sent = Api(service), 0, list[Any]()

    async def receive() -> Any:
        nonlocal read
        read += 1
        if read > 1:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": BODY[:10], "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b""}
    asyncio.run(api({**scope, "headers": raw}, receive, send))
    assert (sent[0]["status"], read) == (408, 2)
    assert (b"connection", b"close") in sent[0]["headers"]


def test_nobody_is_asked_for_a_body_that_is_refused(serving: Process) -> None:
    connection = serving.connect()
    connection.connect()
    connection.sock.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    assert connection.sock.recv(4096).startswith(b"HTTP/1.1 401 ")
    connection.close()


def test_a_slow_body_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "BODY_SECONDS", 0.05)
    client = Client(Api(service))

    async def slowly() -> Any:
        yield BODY[:10]
        await asyncio.sleep(0.3)
        yield BODY[10:]

    assert "longer than" in problem(client.post("/predict", content=slowly(), headers=HEADERS), 408)


@pytest.mark.parametrize("query", ["on_error=", "on_error=ignore", "on_error=fail&on_error=report"])
def test_the_query_is_strict(client: Client, query: str) -> None:
    response = client.post(f"/predict?{query}", content=BODY, headers=HEADERS)
    assert "on_error" in problem(response, 422)


@pytest.mark.parametrize("given", ["", "yes", "TRUE", "1"])
def test_a_header_of_ours_is_strict(client: Client, given: str) -> None:
    assert "X-Hypothetical" in problem(ask(client, BODY, **{"X-Hypothetical": given}), 422)


def test_hypothetical_records_do_not_drift(client: Client) -> None:
    many = json.dumps([record(OverTime="Yes")] * 60).encode()
    assert ask(client, many, **{"X-Hypothetical": "true"}).status_code == 200
    headers = {"X-API-Key": KEY}
    assert client.get("/drift", headers=headers).json()["records"] == 0
    assert ask(client, many, **{"X-Hypothetical": "false"}).status_code == 200
    assert client.get("/drift", headers=headers).json()["records"] == 60


def test_what_is_right_is_answered_beside_what_is_wrong(client: Client) -> None:
    rows: list[Any] = [record(Age=17), record(), {}, 7, record(JobLevel=5)]
    response = client.post("/predict?on_error=report", json=rows, headers=HEADERS)
    assert response.status_code == 200
    answer = response.json()
    assert [each is None for each in answer["predictions"]] == [True, False, True, True, False]
    assert {each["record"] for each in answer["errors"]} == {0, 2, 3}
    right = ask(client, json.dumps([rows[1], rows[4]]).encode()).json()["predictions"]
    assert [answer["predictions"][1], answer["predictions"][4]] == right
    failing = client.post("/predict", json=rows, headers=HEADERS)
    assert failing.json()["errors"] == answer["errors"]
    nothing = client.post("/predict?on_error=report", json=[{}], headers=HEADERS).json()
    assert nothing["predictions"] == [None]


def test_a_caller_has_a_rate_of_its_own(service: Service) -> None:
    service.rate_limit = RateLimit(1, 2)
    client = Client(Api(service))
    assert [ask(client, BODY).status_code for _ in range(3)] == [200, 200, 429]
    response = ask(client, BODY)
    problem(response, 429)
    assert int(response.headers["retry-after"]) >= 1
    assert client.get("/health/live").status_code == 200


def test_more_work_than_there_is_room_for_is_refused_at_once(service: Service) -> None:
    service.in_flight = InFlight(0, 10**9)
    client = Client(Api(service))
    response = ask(client, BODY)
    problem(response, 503)
    assert response.headers["retry-after"] == "1"
    assert client.get("/health/ready").status_code == 200
    service.in_flight = InFlight(1, len(BODY) - 1)
    problem(ask(client, BODY), 503)
    service.in_flight = InFlight(1, len(BODY))
    for content, status in ((BODY, 200), (b"{", 400), (b"[{}]", 422), (BODY, 200)):
        assert ask(client, content).status_code == status
    assert (service.in_flight.requests, service.in_flight.body_bytes) == (0, 0)


@pytest.mark.parametrize("given", ["a" * 32, "0F8FAD5B-D9CB-469F-A165-70867728950E"])
def test_a_request_id_is_kept(client: Client, given: str) -> None:
    assert ask(client, BODY, **{"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "Ada Lovelace", "a" * 33, "g" * 32, "a" * 31])
def test_another_request_id_is_replaced(client: Client, given: str) -> None:
    made = ask(client, BODY, **{"X-Request-ID": given}).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("path", ["/predict", "/health/live", "/nowhere", "/docs", "/drift"])
def test_every_response_has_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "no-store" in headers["cache-control"]
    assert "server" not in headers


def test_docs_load_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/docs").text
    assert "://" not in page
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert client.get(f"/docs/{name}").status_code == 200
        assert name in page
    assert client.get("/docs/__init__.py").status_code == 404


def test_docs_can_be_switched_off(service: Service) -> None:
    object.__setattr__(service.settings, "docs_enabled", False)
    client = Client(Api(service))
    for path in ("/docs", "/docs/start.js", "/openapi.json"):
        assert client.get(path).status_code == 404
    assert ask(client, BODY).status_code == 200


def test_metrics_tell_nothing_of_records_or_callers(client: Client) -> None:
    ask(client, json.dumps([record(MonthlyIncome=98_765), record(Age=79)]).encode())
    ask(client, b"[{}]")
    text = client.get("/metrics").text
    assert 'attrition_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'attrition_requests_total{route="/predict",status="422"} 1.0' in text
    assert "attrition_records_count 1.0" in text
    assert 'attrition_release{version="7"} 1.0' in text
    assert "attrition_drift -1.0" in text
    assert not tells(text, 98_765)
    for secret in (KEY, "key:"):
        assert secret not in text


def test_drift_needs_a_caller_and_tells_features(client: Client) -> None:
    assert client.get("/drift").status_code == 401
    ask(client, json.dumps([record(OverTime="Yes")] * 60).encode())
    found = client.get("/drift", headers={"X-API-Key": KEY}).json()
    assert found["status"] == "drift"
    assert [each["feature"] for each in found["features"]] == [
        "JobLevel",
        "MonthlyIncome",
        "OverTime",
    ]
    answer = ask(client, BODY).json()["drift"]
    assert answer["records"] in (60, 61)
    assert {"JobLevel", "OverTime"} <= {*answer["features"]}


def test_a_broken_request_line_is_refused_by_the_server(serving: Process) -> None:
    connection: http.client.HTTPConnection = serving.connect()
    connection.connect()
    connection.sock.sendall(b"NONSENSE\r\n\r\n")
    assert b" 400 " in connection.sock.recv(4096)
    connection.close()
