"""Bearer tokens: real RS256 signatures of a local issuer, and every way to be refused."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from app_issuer import (
    APPLICATION,
    AUDIENCE,
    AUDIENCE_URI,
    TENANT,
    Issuer,
    jwk,
    part,
    private_key,
    sign,
)
from app_tokens import Asked, assert_silent
from cryptography.hazmat.primitives import serialization

from app.caller import Caller
from app.entra import LEEWAY_SECONDS, ROLE

OTHER_TENANT = TENANT.replace("1", "2")


# Let in


@pytest.mark.parametrize("audience", [AUDIENCE, AUDIENCE_URI])
@pytest.mark.parametrize("key", ["one", "two"])
def test_a_v2_token_tells_the_application(
    asked: Asked, issuer: Issuer, key: str, audience: str
) -> None:
    assert asked.caller(sign(issuer.v2(aud=audience), key)) == Caller(APPLICATION)


def test_a_v1_token_tells_the_application(asked: Asked, issuer: Issuer) -> None:
    assert asked.caller(sign(issuer.v1())) == Caller(APPLICATION)


def test_further_roles_and_capitals_change_nothing(asked: Asked, issuer: Issuer) -> None:
    claims = issuer.v2(roles=["Other", ROLE], azp=APPLICATION.upper())
    assert asked.caller(sign(claims)) == Caller(APPLICATION)


def test_a_clock_may_differ_by_the_leeway(asked: Asked, issuer: Issuer) -> None:
    now = int(asked.clock.now())
    within = LEEWAY_SECONDS - 5
    assert asked.caller(sign(issuer.v2(exp=now - within)))
    assert asked.caller(sign(issuer.v2(nbf=now + within)))


def test_a_token_needs_no_nbf(asked: Asked, issuer: Issuer) -> None:
    assert asked.caller(sign(issuer.v2(nbf=None, iat=None)))


# Refused for what is signed


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "audience": ({"aud": "api://another"}, 401, "audience"),
    "audiences": ({"aud": [AUDIENCE]}, 401, "audience"),
    "no audience": ({"aud": None}, 401, "claim"),
    "issuer": ({"iss": "https://login.microsoftonline.com/common/v2.0"}, 401, "issuer"),
    "issuer of another tenant": (
        {"iss": f"https://sts.windows.net/{OTHER_TENANT}/"},
        401,
        "issuer",
    ),
    "issuer as a list": ({"iss": [f"https://sts.windows.net/{TENANT}/"]}, 401, "issuer"),
    "no issuer": ({"iss": None}, 401, "claim"),
    "tenant": ({"tid": OTHER_TENANT}, 401, "tenant"),
    "no tenant": ({"tid": None}, 401, "tenant"),
    "expiry as a text": ({"exp": str(int(time.time()) + 600)}, 401, "claim"),
    "expiry true": ({"exp": True}, 401, "claim"),
    "expiry of 400 digits": ({"exp": 10**400}, 401, "claim"),
    "expiry never": ({"exp": float("inf")}, 401, "claim"),
    "expiry no number": ({"exp": float("nan")}, 401, "claim"),
    "no expiry": ({"exp": None}, 401, "claim"),
    "beginning as a text": ({"nbf": "0"}, 401, "claim"),
    "no application": ({"azp": None}, 401, "application"),
    "application of no id": ({"azp": "x\n{}"}, 401, "application"),
    "application as a list": ({"azp": [APPLICATION]}, 401, "application"),
    "no roles": ({"roles": None}, 403, ROLE),
    "another role": ({"roles": ["Attrition.Read"]}, 403, ROLE),
    "longer role": ({"roles": [f"{ROLE}.Not"]}, 403, ROLE),
    "roles as a text": ({"roles": ROLE}, 403, ROLE),
    "roles as an object": ({"roles": {ROLE: True}}, 403, ROLE),
    "subject as a number": ({"sub": 7}, 401, ""),
}


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_claim_is_refused(asked: Asked, issuer: Issuer, wrong: str, version: str) -> None:
    changes, status, word = WRONG[wrong]
    changes = {"appid": None, **changes} if "azp" in changes else changes
    claims = (issuer.v1 if version == "v1" else issuer.v2)(**changes)
    error = asked.refused(sign(claims))
    assert (error.status, word in error.detail) == (status, True)
    code = "insufficient_scope" if status == 403 else "invalid_token"
    assert error.headers == {"WWW-Authenticate": f'Bearer error="{code}"'}


def test_an_expired_token_is_refused(asked: Asked, issuer: Issuer) -> None:
    error = asked.refused(sign(issuer.v2(exp=int(asked.clock.now() - LEEWAY_SECONDS - 1))))
    assert (error.status, error.detail) == (401, "the bearer token has expired")


def test_a_token_that_is_not_valid_yet_is_refused_until_it_is(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2(nbf=int(asked.clock.now() + LEEWAY_SECONDS + 30)))
    assert asked.refused(token).detail == "the bearer token is not valid yet"
    asked.clock.passed += 31
    assert asked.caller(token)


# Refused for how it is signed


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    return b".".join(part(json.dumps(each).encode()) for each in (header, claims))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, ["RS256"], 7])
def test_an_unsigned_token_is_refused(asked: Asked, issuer: Issuer, algorithm: Any) -> None:
    for signature in (b"", b"e30"):
        token = unsigned({"alg": algorithm, "kid": "one"}, issuer.v2()) + b"." + signature
        assert asked.refused(token).status == 401
    assert asked.refused(sign(issuer.v2(), header={"alg": algorithm})).status == 401


@pytest.mark.parametrize("said", ["HS256", "RS256"])
def test_the_public_key_is_no_secret(asked: Asked, issuer: Issuer, said: str) -> None:
    public = private_key("one").public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, pem.strip(), json.dumps(jwk("one")).encode()):
        signed = unsigned({"alg": said, "kid": "one"}, issuer.v2())
        signature = hmac.new(secret, signed, hashlib.sha256).digest()
        error = asked.refused(signed + b"." + part(signature))
        expected = "RS256" if said == "HS256" else "signature"
        assert (error.status, expected in error.detail) == (401, True)


@pytest.mark.parametrize("algorithm", ["RS384", "PS256", "ES256", "EdDSA", "rs256"])
def test_rs256_alone_is_accepted(asked: Asked, issuer: Issuer, algorithm: str) -> None:
    error = asked.refused(sign(issuer.v2(), header={"alg": algorithm}))
    assert error.detail == "the bearer token must be signed with RS256"


def test_a_signature_by_another_key_is_refused(asked: Asked, issuer: Issuer) -> None:
    for name in ("two", "stranger"):
        error = asked.refused(sign(issuer.v2(), name, header={"kid": "one"}))
        assert (error.status, error.detail) == (401, "the bearer token's signature is wrong")


def test_a_key_that_the_token_brings_along_is_not_looked_at(asked: Asked, issuer: Issuer) -> None:
    brought: dict[str, Any] = {"jwk": jwk("stranger"), "jku": f"{issuer.base}/mine"}
    error = asked.refused(sign(issuer.v2(), "stranger", header={**brought, "kid": "one"}))
    assert error.status == 401
    assert asked.refused(sign(issuer.v2(), "stranger", header=brought)).status == 401
    assert issuer.asked["/mine"] == 0


def test_an_unknown_key_is_refused(asked: Asked, issuer: Issuer) -> None:
    error = asked.refused(sign(issuer.v2(), "stranger"))
    assert (error.status, "the issuer does not have" in error.detail) == (401, True)


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": 1},
        {"kid": ["one"]},
        {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]},
        {"x": "y" * 3000},
    ],
    ids=str,
)
def test_a_header_that_will_not_do_is_refused(
    asked: Asked, issuer: Issuer, header: dict[str, Any]
) -> None:
    assert asked.refused(sign(issuer.v2(), header=header)).status == 401
    assert issuer.fetches == 0


# Known tokens


def test_a_known_token_asks_nobody_until_it_expires(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2(exp=int(asked.clock.now()) + 1800))
    assert asked.caller(token)
    issuer.close()
    asked.clock.passed = 1800 + LEEWAY_SECONDS - 2
    assert asked.caller(token)
    asked.clock.passed += 3
    for _ in range(2):
        assert asked.refused(token).detail == "the bearer token has expired"


def test_a_known_token_is_not_verified_again(
    asked: Asked, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = sign(issuer.v2()), sign(issuer.v2(jti="2"))
    assert asked.caller(known)
    monkeypatch.setattr("app.entra._judge", None)
    assert asked.caller(known)
    with pytest.raises(TypeError):
        asked.caller(unknown)


def test_a_refusal_is_remembered(
    asked: Asked, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign(issuer.v2(roles=[]))
    first = asked.refused(token)
    monkeypatch.setattr("app.entra._judge", None)
    assert asked.refused(token).detail == first.detail


def test_no_more_tokens_are_remembered_than_intended(
    asked: Asked, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.entra._KNOWN_TOKENS", 2)
    monkeypatch.setattr("app.entra._KNOWN_REFUSALS", 2)
    asked = Asked(issuer)
    one, two, three = (sign(issuer.v2(jti=str(number))) for number in range(3))
    for token in (one, two, one, three, one):
        assert asked.caller(token)
    for number in range(5):
        asked.refused(sign(issuer.v2(jti=str(number), roles=[])))
    monkeypatch.setattr("app.entra._judge", None)
    assert asked.caller(one)
    assert asked.caller(three)
    with pytest.raises(TypeError):
        asked.caller(two)
    held = vars(asked.verifier)
    assert (len(held["_verified"]), len(held["_refused"])) == (2, 2)
    asked.runner.close()


def test_tokens_themselves_are_not_kept(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2())
    assert asked.caller(token)
    held = vars(asked.verifier)["_verified"]
    assert list(held) == [hashlib.sha256(token).digest()]
    assert base64.b64encode(token) not in base64.b64encode(repr(held).encode())
    assert_silent(repr(held), token)


# Floods


def test_failed_verifications_are_limited_and_known_callers_do_not_notice(
    asked: Asked, issuer: Issuer
) -> None:
    known, new = sign(issuer.v2()), sign(issuer.v2(jti="new"))
    assert asked.caller(known)
    statuses = [
        asked.refused(sign(issuer.v2(jti=str(number)), "two", header={"kid": "one"})).status
        for number in range(110)
    ]
    assert statuses == [401] * 100 + [429] * 10
    error = asked.refused(new)
    assert (error.status, error.headers) == (429, {"Retry-After": "1"})
    assert asked.caller(known)
    asked.clock.passed += 1
    assert asked.caller(new)
