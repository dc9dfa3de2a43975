"""What is no token: garbage, and signed nonsense, are refused and make nothing fail."""

import contextlib
import json
from typing import Any

import pytest
from app_issuer import APPLICATION, Issuer, part, sign
from app_tokens import Asked
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.caller import AuthenticationError, Caller
from app.entra import MAX_TOKEN_BYTES


def deep(length: int) -> bytes:
    return part(b"[" * length)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"x",
        b"..",
        b"a.b.c",
        b"a.b.c.d",
        b"\xff\x00.\xfe.\xfd",
        part(b"[]") + b".e30.e30",
        part(b'{"alg":"RS256","kid":"one"') + b".e30.e30",
        part(b'\xff\xfe{"alg"') + b".e30.e30",
        deep(1500) + b".e30.e30",
        part(b'{"alg":"RS256","kid":"one"}') + b"." + deep(9000) + b".e30",
        b"A" * MAX_TOKEN_BYTES,
    ],
    ids=lambda token: f"{len(token)} bytes, {token[:6]!r}",
)
def test_garbage_is_refused(asked: Asked, token: bytes) -> None:
    error = asked.refused(token)
    assert error.status == 401


def test_a_token_of_100_kb_is_not_looked_at(asked: Asked, issuer: Issuer) -> None:
    error = asked.refused(sign(issuer.v2(more="x" * 75_000)))
    assert (error.status, str(MAX_TOKEN_BYTES) in error.detail) == (401, True)
    assert issuer.fetches == 0


def test_a_long_token_is_accepted(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2(groups=["g" * 36] * 200))
    assert 8_000 < len(token) <= MAX_TOKEN_BYTES
    assert asked.caller(token)


def test_whatever_character_is_changed_the_token_is_refused(asked: Asked, issuer: Issuer) -> None:
    token = sign(issuer.v2())
    assert asked.caller(token)
    for place in range(len(token)):
        changed = bytearray(token)
        changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
        asked.clock.passed += 0.02
        with pytest.raises(AuthenticationError) as raised:
            asked.caller(bytes(changed))
        assert raised.value.status == 401, place


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@examples(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(("aud", "iss", "exp", "nbf", "iat", "tid", "azp", "roles", "sub", "jti")),
    value=JSON,
)
def test_no_signed_claim_makes_it_fail(asked: Asked, issuer: Issuer, name: str, value: Any) -> None:
    asked.clock.passed += 0.1
    with contextlib.suppress(AuthenticationError):
        assert asked.caller(sign({**issuer.v2(), name: value})) == Caller(APPLICATION)


@examples(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    header=st.dictionaries(st.sampled_from(("alg", "kid", "typ", "crit", "b64")), JSON),
    payload=st.binary(max_size=40),
    signature=st.binary(max_size=40),
)
def test_no_header_makes_it_fail(
    asked: Asked, header: dict[str, Any], payload: bytes, signature: bytes
) -> None:
    header = {"alg": "RS256", "kid": "one", **header}
    asked.clock.passed += 0.1
    token = b".".join((part(json.dumps(header).encode()), part(payload), part(signature)))
    with pytest.raises(AuthenticationError) as raised:
        asked.caller(token)
    assert raised.value.status == 401
