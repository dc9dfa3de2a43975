"""What an issuer answers, as it should and otherwise, and where it may be asked."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_certificates import serve_tls
from app_issuer import (
    DISCOVERY,
    KEYS,
    Answer,
    Issuer,
    dripping,
    encoded,
    endless,
    fixed,
    jwk,
    no_http,
)

from app.issuer import MAX_BYTES, IssuerError, fetch_keys, is_trusted_address


def document(**changes: Any) -> Callable[[Issuer], Answer]:
    def made(issuer: Issuer) -> Answer:
        return fixed(200, json.dumps({**issuer.documents()[DISCOVERY], **changes}).encode())

    return made


WRONG: dict[str, tuple[str, Callable[[Issuer], Answer], str]] = {
    "redirect": (
        DISCOVERY,
        lambda issuer: fixed(302, Location=f"{issuer.base}{KEYS}"),
        "the discovery document: status 302",
    ),
    "redirected keys": (
        KEYS,
        lambda issuer: fixed(307, Location=f"{issuer.base}/elsewhere"),
        "the key set: status 307",
    ),
    "failure": (KEYS, lambda _: fixed(500), "the key set: status 500"),
    "long": (
        KEYS,
        lambda issuer: fixed(200, json.dumps(issuer.documents()[KEYS]).encode() + b" " * MAX_BYTES),
        f"the key set is longer than {MAX_BYTES} bytes",
    ),
    "endless": (KEYS, lambda _: endless, f"the key set is longer than {MAX_BYTES} bytes"),
    "cut": (KEYS, lambda _: fixed(200, b'{"keys": [', **{"Content-Length": "9000"}), "no JSON"),
    "no HTTP": (DISCOVERY, lambda _: no_http, "reached"),
    "no JSON": (KEYS, lambda _: fixed(200, b"<html>"), "the key set is no JSON object"),
    "deep": (KEYS, lambda _: fixed(200, b"[" * 100_000), "the key set is no JSON object"),
    "a list": (KEYS, lambda _: fixed(200, b"[]"), "the key set is no JSON object"),
    "no keys": (KEYS, lambda _: fixed(200, b"{}"), "the key set holds no list"),
    "many keys": (
        KEYS,
        lambda _: fixed(200, json.dumps({"keys": [{}] * 101}).encode()),
        "the key set holds no list",
    ),
    "another issuer": (DISCOVERY, document(issuer="https://other"), "is another issuer's"),
    "no address": (DISCOVERY, document(jwks_uri=None), "names no keys"),
    "a file": (DISCOVERY, document(jwks_uri="file:///etc/passwd"), "not https"),
    "in clear": (DISCOVERY, document(jwks_uri="http://example.com/keys"), "not https"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_an_error_that_says_why(issuer: Issuer, wrong: str) -> None:
    path, answer, reason = WRONG[wrong]
    issuer.answers[path] = answer(issuer)
    with pytest.raises(IssuerError, match=re.escape(reason)):
        fetch_keys(issuer.url, loopback_http=True)
    assert issuer.asked["/elsewhere"] == 0


def test_a_drip_ends_in_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.issuer.MAX_SECONDS", 0.3)
    issuer.answers[KEYS] = dripping
    with pytest.raises(IssuerError, match="no answer in time"):
        fetch_keys(issuer.url, loopback_http=True)


def test_other_keys_are_left_out(issuer: Issuer) -> None:
    issuer.keys = [
        jwk("one"),
        jwk("weak"),
        jwk("two", kid="cube", e=encoded(3)),
        jwk("two", kid="encrypts", use="enc"),
        jwk("two", kid="other algorithm", alg="PS256"),
        jwk("two", kid=None),
        jwk("two", kid=7),
        jwk("two", kid="no modulus", n=None),
        jwk("two", kid="number", n=7),
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "oct", "kid": "secret", "k": "AA"},
        "text",
        None,
        jwk("two", use=None, alg="RS256"),
    ]
    assert list(fetch_keys(issuer.url, loopback_http=True)) == ["one", "two"]


# Where it is asked


def test_keys_are_believed_over_tls_alone(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = serve_tls(issuer, tmp_path)
    with pytest.raises(IssuerError, match="cannot be reached: SSLCertVerificationError"):
        fetch_keys(issuer.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert list(fetch_keys(issuer.url)) == ["one", "two"]


def test_http_needs_the_switch_and_a_loopback_address(issuer: Issuer) -> None:
    with pytest.raises(IssuerError, match="not https"):
        fetch_keys(issuer.url)
    assert not issuer.asked


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [
        ("http://localhost:1/", True),
        ("http://192.168.0.1/", True),
        ("http://127.0.0.1.example.com/", True),
        ("http://127.0.0.1@example.com/", True),
        ("http://127.0.0.1/", False),
        ("ftp://127.0.0.1/", True),
        ("file:///etc/passwd", True),
        ("https://", False),
        ("https://user@login.microsoftonline.com/", False),
        ("https://login.microsoftonline.com/?x", False),
        ("https://login.microsoftonline.com/#x", False),
        ("https://login.microsoftonline.com:x/", False),
        ("https://[::1/", False),
        ("login.microsoftonline.com", False),
    ],
)
def test_an_address_that_is_not_trusted(url: str, in_clear: bool) -> None:
    assert not is_trusted_address(url, loopback_http=in_clear)


def test_an_address_that_is_trusted() -> None:
    assert is_trusted_address("https://login.microsoftonline.com/t/v2.0", loopback_http=False)
    assert is_trusted_address("http://127.0.0.1:80/", loopback_http=True)
    assert is_trusted_address("http://[::1]/", loopback_http=True)
