"""Asks an OpenID issuer for its signing keys: two documents, within bounds, no redirects.

What an issuer says decides who is let in, so it is believed over TLS alone; tests may let it answer
in clear on a loopback address.
"""

import base64
import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

__all__ = ["MAX_BYTES", "MAX_SECONDS", "IssuerError", "fetch_keys", "is_trusted_address"]

MAX_BYTES = 256 * 1024
"""Of one document; Entra's are about 2 and 15 KiB."""
MAX_SECONDS = 4.0
"""Of one document's body; each wait for the network is half of that at most."""
_MAX_KEYS = 100
_KEY_BITS = range(2048, 8192 + 1)
_EXPONENT = 65537


class IssuerError(Exception):
    """The issuer gives no keys; the message says why and repeats nothing that it sent."""


def is_trusted_address(url: str, *, loopback_http: bool) -> bool:
    """Whether keys may be asked for there: https, or http on a loopback address for tests."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (
        loopback_http and parts.scheme == "http" and _is_loopback(host)
    )


def fetch_keys(issuer: str, *, loopback_http: bool = False) -> dict[str, RSAPublicKey]:
    """Return the issuer's RS256 keys by key id; keys of other kinds are left out. Blocks.

    Raises:
        IssuerError: the issuer does not answer, or not as it should.
    """
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    discovery = _get(address, "the discovery document", loopback_http)
    if discovery.get("issuer") != issuer:
        raise IssuerError("the discovery document is another issuer's")
    address = discovery.get("jwks_uri")
    if not isinstance(address, str):
        raise IssuerError("the discovery document names no keys")
    entries: Any = _get(address, "the key set", loopback_http).get("keys")
    if not isinstance(entries, list) or len(cast("list[Any]", entries)) > _MAX_KEYS:
        raise IssuerError(f"the key set holds no list of at most {_MAX_KEYS} keys")
    return dict(filter(None, map(_key, cast("list[Any]", entries))))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _get(url: str, what: str, loopback_http: bool) -> Mapping[str, Any]:
    if not is_trusted_address(url, loopback_http=loopback_http):
        raise IssuerError(f"{what} has an address that is not https")
    try:
        body = _read(url, what)
    except urllib.error.HTTPError as error:
        error.close()
        raise IssuerError(f"{what}: status {error.code}") from None
    except TimeoutError:
        raise IssuerError(f"{what}: no answer in time") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise IssuerError(f"{what}: cannot be reached: {type(reason).__name__}") from None
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise IssuerError(f"{what} is no JSON object")
    return cast("dict[str, Any]", document)


def _read(url: str, what: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 checked by the caller
    deadline, body = time.monotonic() + MAX_SECONDS, bytearray()
    with _opener(url).open(request, timeout=MAX_SECONDS / 2) as response:
        while chunk := response.read1(64 * 1024):
            body += chunk
            if len(body) > MAX_BYTES:
                raise IssuerError(f"{what} is longer than {MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
    return bytes(body)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Make an opener that knows http or https and nothing else: no redirect, no file, no ftp."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "attrition-api")]
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    if url.lower().startswith("https:"):
        opener.add_handler(urllib.request.ProxyHandler())
        opener.add_handler(urllib.request.HTTPSHandler())
    else:
        opener.add_handler(urllib.request.HTTPHandler())
    return opener


def _key(entry: Any) -> tuple[str, RSAPublicKey] | None:
    """Return id and key of one entry of a key set, or None for one that signs no RS256 token."""
    try:
        if (entry["kty"], entry.get("use", "sig"), entry.get("alg", "RS256")) != (
            "RSA",
            "sig",
            "RS256",
        ):
            return None
        key_id, modulus, exponent = entry["kid"], _number(entry["n"]), _number(entry["e"])
        if not isinstance(key_id, str) or modulus.bit_length() not in _KEY_BITS:
            return None
        if exponent != _EXPONENT:
            return None
        return key_id, RSAPublicNumbers(exponent, modulus).public_key()
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=="))
