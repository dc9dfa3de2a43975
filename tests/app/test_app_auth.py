"""The one entry: which header is looked at, what is refused, and what a refusal says."""

import asyncio
import hashlib
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_client import Client
from app_issuer import APPLICATION, AUDIENCE, AUDIENCE_URI, TENANT, Issuer, sign
from app_processes import JSON, KEY, ROOT, Start
from app_tokens import Clock, assert_silent

from app.api import Api
from app.auth import MAX_KEY_BYTES, Authenticator
from app.caller import AuthenticationError, Caller
from app.entra import MAX_TOKEN_BYTES
from app.service import Service
from app.settings import EntraSettings, Settings

KEYS = (b"the first of two keys", b"the second of two keys")
HASHES = tuple(hashlib.sha256(key).hexdigest() for key in KEYS)
USUAL = [
    (b"host", b"attrition.example"),
    (b"content-type", b"application/json"),
    (b"accept", b"*/*"),
]


class Asked:
    """An authenticator in an event loop of its own, on a clock that stands still."""

    def __init__(self, folder: Path, entra: EntraSettings | None, *, keys: bool = True) -> None:
        settings = Settings(
            release_dir=folder,
            release_version="7",
            release_sha256=None,
            api_key_sha256=HASHES if keys else (),
            entra=entra,
        )
        self.clock = Clock()
        self.authenticator = Authenticator(settings, now=self.clock.now, clock=self.clock)
        self.runner = asyncio.Runner()

    def caller(self, *headers: tuple[bytes, bytes]) -> Caller:
        return self.runner.run(self.authenticator.authenticate([*USUAL, *headers]))

    def refused(self, *headers: tuple[bytes, bytes]) -> AuthenticationError:
        with pytest.raises(AuthenticationError) as raised:
            self.caller(*headers)
        error = raised.value
        written = "".join(traceback.format_exception(error)) + repr(error.headers) + error.detail
        for _, value in headers:
            assert_silent(written, value)
        assert error.__context__ is None
        return error


def key(value: bytes) -> tuple[bytes, bytes]:
    return b"x-api-key", value


def bearer(token: bytes, scheme: bytes = b"Bearer ") -> tuple[bytes, bytes]:
    return b"authorization", scheme + token


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path, None)
    yield made
    made.runner.close()


@pytest.fixture
def both(tmp_path: Path, issuer: Issuer) -> Iterator[Asked]:
    made = Asked(tmp_path, issuer.settings)
    yield made
    made.runner.close()


@pytest.fixture
def tokens(tmp_path: Path, issuer: Issuer) -> Iterator[Asked]:
    made = Asked(tmp_path, issuer.settings, keys=False)
    yield made
    made.runner.close()


# API keys


def test_each_key_is_a_caller_of_its_own(keys: Asked, both: Asked) -> None:
    for asked in (keys, both):
        for value, sha256 in zip(KEYS, HASHES, strict=True):
            assert asked.caller(key(value)) == Caller(f"key:{sha256[:8]}")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"wrong",
        KEYS[0] + b" ",
        KEYS[0][:-1],
        KEYS[0].upper(),
        HASHES[0].encode(),
        b"\xff\xfe",
        b"k" * (MAX_KEY_BYTES + 1),
    ],
    ids=lambda value: f"{len(value)} bytes {value[:5]!r}",
)
def test_a_wrong_key_is_refused(keys: Asked, value: bytes) -> None:
    error = keys.refused(key(value))
    assert (error.status, error.headers) == (401, {"WWW-Authenticate": "APIKey"})


@pytest.mark.parametrize(
    ("length", "accepted"), [(MAX_KEY_BYTES, True), (MAX_KEY_BYTES + 1, False)]
)
def test_a_key_has_a_greatest_length_whatever_is_accepted(
    keys: Asked, monkeypatch: pytest.MonkeyPatch, length: int, accepted: bool
) -> None:
    value = b"k" * length
    known = ((hashlib.sha256(value).digest(), Caller("key:long")),)
    monkeypatch.setattr(keys.authenticator, "_keys", known)
    if accepted:
        assert keys.caller(key(value)) == Caller("key:long")
    else:
        assert str(MAX_KEY_BYTES) in keys.refused(key(value)).detail


def test_every_accepted_hash_is_compared(keys: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(found: bytes, accepted: bytes) -> bool:
        compared.append(accepted)
        return found == accepted

    monkeypatch.setattr("hmac.compare_digest", compare)
    for value in KEYS:
        compared.clear()
        assert keys.caller(key(value))
        assert [each.hex() for each in compared] == list(HASHES)


def test_tokens_are_not_accepted_unless_configured(keys: Asked, issuer: Issuer) -> None:
    error = keys.refused(bearer(sign(issuer.v2())))
    assert (error.status, error.detail) == (401, "bearer tokens are not accepted here")
    assert error.headers == {"WWW-Authenticate": "APIKey"}


# Bearer tokens


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER "])
def test_a_token_is_a_caller(both: Asked, tokens: Asked, issuer: Issuer, scheme: bytes) -> None:
    for asked in (both, tokens):
        assert asked.caller(bearer(sign(issuer.v2()), scheme)) == Caller(APPLICATION)


def test_keys_are_not_accepted_unless_configured(tokens: Asked) -> None:
    error = tokens.refused(key(KEYS[0]))
    assert (error.status, error.detail) == (401, "API keys are not accepted here")
    assert error.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer  x",
        b"Basic dXNlcjpwYXNzd29yZA==",
        b"Bearer\tx",
        b"Bearer " + b"A" * (MAX_TOKEN_BYTES + 1),
        b"\xff" * 20,
    ],
    ids=lambda value: f"{len(value)} bytes {value[:9]!r}",
)
def test_what_is_no_token_is_refused(both: Asked, issuer: Issuer, value: bytes) -> None:
    error = both.refused((b"authorization", value))
    assert error.status == 401
    assert "Bearer" in error.headers["WWW-Authenticate"]
    assert issuer.fetches == 0


def test_a_token_without_the_role_is_forbidden(both: Asked, issuer: Issuer) -> None:
    error = both.refused(bearer(sign(issuer.v2(roles=[]))))
    assert error.status == 403
    assert error.headers == {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


# Neither, both, several


def test_nothing_is_refused_with_what_would_do(keys: Asked, both: Asked) -> None:
    assert keys.refused().headers == {"WWW-Authenticate": "APIKey"}
    error = both.refused()
    assert (error.status, error.headers) == (401, {"WWW-Authenticate": "APIKey, Bearer"})


def test_given_both_neither_is_looked_at(keys: Asked, both: Asked, issuer: Issuer) -> None:
    right = bearer(sign(issuer.v2()))
    for asked in (keys, both):
        for headers in ([key(KEYS[0]), right], [right, key(KEYS[0])]):
            error = asked.refused(*headers)
            assert error.detail == "give X-API-Key or Authorization, not both"
    assert issuer.fetches == 0


def test_a_header_given_twice_is_refused(both: Asked, issuer: Issuer) -> None:
    assert "more than once" in both.refused(key(KEYS[0]), key(KEYS[0])).detail
    token = bearer(sign(issuer.v2()))
    assert "more than once" in both.refused(token, token).detail


# Floods


def test_refusals_are_limited_and_accepted_callers_do_not_notice(
    both: Asked, issuer: Issuer
) -> None:
    token = bearer(sign(issuer.v2()))
    assert both.caller(token)
    wrong: list[Any] = [key(b"wrong"), bearer(b"garbage"), bearer(sign(issuer.v2(roles=[])))]
    statuses = {both.refused(wrong[number % 3]).status for number in range(100)}
    assert statuses == {401, 403}
    for headers in (*((each,) for each in wrong), ()):
        error = both.refused(*headers)
        assert (error.status, error.headers) == (429, {"Retry-After": "1"})
    assert both.caller(key(KEYS[1]))
    assert both.caller(token)
    assert both.caller(bearer(sign(issuer.v2(jti="a new one"))))
    both.clock.passed += 1
    assert both.refused().status == 401


# In a request


def test_a_request_is_let_in_by_a_token(service: Service, issuer: Issuer) -> None:
    service.authenticator = Authenticator(replace(service.settings, entra=issuer.settings))
    client = Client(Api(service))

    def ask(token: bytes) -> httpx.Response:
        authorization = {"Authorization": f"Bearer {token.decode()}"}
        return client.post("/predict", json=[{}], headers=authorization)

    assert ask(sign(issuer.v2())).status_code == 422
    for token, status in ((sign(issuer.v2(exp=1)), 401), (sign(issuer.v2(roles=[])), 403)):
        response = ask(token)
        assert response.status_code == status
        assert response.json()["status"] == status
        assert "Bearer" in response.headers["WWW-Authenticate"]
        assert_silent(response.text, token)


def test_a_process_lets_in_by_key_and_by_token_and_writes_nothing_of_them(
    start: Start, issuer: Issuer
) -> None:
    process = start(
        "7",
        ENTRA_TENANT_ID=TENANT,
        ENTRA_AUDIENCE=f"{AUDIENCE},{AUDIENCE_URI}",
        ENTRA_ISSUER=issuer.url,
        ENTRA_LOOPBACK_HTTP="true",
    ).wait_ready()
    right, v1 = sign(issuer.v2()), sign(issuer.v1(), "two")
    wrong, forbidden = sign(issuer.v2(), "stranger"), sign(issuer.v2(roles=None))
    connection = process.connect()

    def ask(**headers: str) -> int:
        connection.request("POST", "/predict", b"[{}]", {**JSON, **headers})
        response = connection.getresponse()
        response.read()
        return response.status

    def ask_with(token: bytes) -> int:
        return ask(Authorization=f"Bearer {token.decode()}")

    assert [ask_with(token) for token in (right, v1, right)] == [422] * 3
    assert [ask_with(token) for token in (wrong, forbidden)] == [401, 403]
    assert ask(**{"X-API-Key": KEY}) == 422
    assert ask() == 401
    connection.close()
    assert process.terminate() == 0
    log = process.log.read_text()
    assert log.count('"event":"request"') == 7
    assert KEY not in log
    for token in (right, v1, wrong, forbidden):
        assert_silent(log, token)


_KEYS_ALONE = """
import pathlib, sys
from app.auth import Authenticator
from app.settings import Settings
Authenticator(
    Settings(
        release_dir=pathlib.Path(),
        release_version="7",
        release_sha256=None,
        api_key_sha256=("ab" * 32,),
    )
)
print(*(sys.modules.keys() & {"app.entra", "app.issuer", "cryptography", "jwt"}))
"""


def test_a_process_that_accepts_keys_alone_imports_nothing_of_entra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KEYS_ALONE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
