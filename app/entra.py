"""Bearer tokens of Microsoft Entra ID: who they let in, and why not.

A token is verified once; after that its sha-256 is enough until it expires. That is safe: the hash
covers every byte of the token, its signature included, and whether a token lets in depends on those
bytes, the settings (fixed for the process), the time (asked for every time) and the issuer's keys
alone; when the keys change, everything that was known is forgotten. No token is kept.
"""

import base64
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.caller import AuthenticationError, Caller
from app.issuer_keys import IssuerKeys, KeysUnavailableError
from app.limits import RateLimit
from app.settings import EntraSettings

__all__ = ["LEEWAY_SECONDS", "MAX_TOKEN_BYTES", "ROLE", "TokenVerifier"]

ROLE = "Attrition.Predict"
"""The app role that a caller must have been given, in the claim `roles`."""
LEEWAY_SECONDS = 60.0
"""How far the issuer's clock may be from ours."""
MAX_TOKEN_BYTES = 16 * 1024
"""An application's token has about 1.5 KiB, a person's with 200 groups about 12."""

_MAX_HEADER_BYTES = 2048
_KNOWN_TOKENS = 4096
_KNOWN_REFUSALS = 1024
_FAILURES_PER_SECOND, _FAILURES_BURST = 50, 100
"""Of tokens that were looked into in vain: 0.7 ms each at most, so less than 4 % of a core."""
_ANYBODY = ""
_END_OF_TIME = 1e11
_RETRY_SECONDS = 5

_TOKEN = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_APPLICATION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INVALID = 'Bearer error="invalid_token"'
_FORBIDDEN = 'Bearer error="insufficient_scope"'
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a token is refused; `lasting` if it will be refused until the keys change."""

    detail: str
    status: int = 401
    challenge: str = _INVALID
    lasting: bool = True

    def error(self) -> AuthenticationError:
        return AuthenticationError(self.status, self.detail, challenge=self.challenge)


_TOO_LONG = _Refusal(f"a bearer token may have {MAX_TOKEN_BYTES} bytes", lasting=False)
_MALFORMED = _Refusal("the bearer token is no signed JSON web token with a key id")
_ALGORITHM = _Refusal("the bearer token must be signed with RS256")
_UNKNOWN_KEY = _Refusal(
    "the bearer token is signed with a key that the issuer does not have", lasting=False
)
_SIGNATURE = _Refusal("the bearer token's signature is wrong")
_ISSUER = _Refusal("the bearer token is from another issuer")
_TENANT = _Refusal("the bearer token is from another tenant")
_AUDIENCE = _Refusal("the bearer token is for another audience")
_EXPIRED = _Refusal("the bearer token has expired")
_EARLY = _Refusal("the bearer token is not valid yet", lasting=False)
_CLAIMS = _Refusal("the bearer token lacks a claim, or has a wrong one")
_APPLICATION_ID = _Refusal("the bearer token names no application (azp, appid)")
_ROLE = _Refusal(f"the caller lacks the app role {ROLE}", 403, _FORBIDDEN)


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    until: float


class TokenVerifier:
    """Lets in who has a token of one tenant, for this API, with the role; use it in one event loop.

    `now` is the time of day, in seconds since 1970; `clock` only measures how long things take.
    """

    def __init__(
        self,
        settings: EntraSettings,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._now = now
        self._keys = IssuerKeys(settings.issuer, loopback_http=settings.loopback_http, clock=clock)
        self._failures = RateLimit(_FAILURES_PER_SECOND, _FAILURES_BURST, callers=1, clock=clock)
        self._seen_keys = self._keys.current()
        self._verified = _Recent[_Verified](_KNOWN_TOKENS)
        self._refused = _Recent[_Refusal](_KNOWN_REFUSALS)

    async def caller(self, token: bytes) -> Caller:
        """Return who the token stands for.

        Raises:
            AuthenticationError: the token lets nobody in, or it cannot be verified now.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise _TOO_LONG.error()
        digest = hashlib.sha256(token).digest()
        self._forget_if_keys_changed(self._keys.current())
        known = self._verified.get(digest)
        if known is not None:
            if self._now() < known.until:
                self._verified.move_to_end(digest)
                return known.caller
            del self._verified[digest]
        refusal = self._refused.get(digest)
        if refusal is None:
            found = await self._verify(token, digest)
            if isinstance(found, Caller):
                return found
            refusal = found
        raise refusal.error()

    async def _verify(self, token: bytes, digest: bytes) -> Caller | _Refusal:
        """Look into a token that is not known, and remember what it was worth."""
        key_id = _key_id(token)
        if isinstance(key_id, _Refusal):
            return key_id
        wait = self._failures.wait(_ANYBODY)
        if wait is not None:
            raise AuthenticationError(
                429, "too many bearer tokens were refused; try again later", retry_after=wait
            )
        key = await self._find(key_id)
        self._forget_if_keys_changed(self._keys.current())
        found = _UNKNOWN_KEY if key is None else _judge(token, key, self._settings, self._now())
        if isinstance(found, _Verified):
            self._verified.put(digest, found)
            return found.caller
        self._failures.take(_ANYBODY)
        if found.lasting:
            self._refused.put(digest, found)
        return found

    async def _find(self, key_id: str) -> RSAPublicKey | None:
        try:
            return await self._keys.find(key_id)
        except KeysUnavailableError:
            pass
        raise AuthenticationError(
            503,
            "bearer tokens cannot be verified now: the issuer gives no keys",
            retry_after=_RETRY_SECONDS,
        )

    def _forget_if_keys_changed(self, keys: Mapping[str, RSAPublicKey]) -> None:
        if keys is not self._seen_keys:
            self._seen_keys = keys
            self._verified.clear()
            self._refused.clear()


def _key_id(token: bytes) -> str | _Refusal:
    """Return the id of the key that the token says it is signed with; nothing is proven yet."""
    header = token.partition(b".")[0]
    if len(header) > _MAX_HEADER_BYTES or not _TOKEN.fullmatch(token):
        return _MALFORMED
    try:
        fields: Any = json.loads(base64.urlsafe_b64decode(header + b"=="))
    except (ValueError, RecursionError):
        return _MALFORMED
    # RFC 7515: `crit` names extensions without which a token must not be accepted; we know none.
    if not isinstance(fields, dict) or "crit" in fields:
        return _MALFORMED
    header_fields = cast("dict[str, Any]", fields)
    if header_fields.get("alg") != "RS256":
        return _ALGORITHM
    key_id = header_fields.get("kid")
    return key_id if isinstance(key_id, str) and key_id else _MALFORMED


def _judge(
    token: bytes, key: RSAPublicKey, settings: EntraSettings, now: float
) -> _Verified | _Refusal:
    """Verify the signature, then what is signed; the role last: 403 means that all else is well."""
    claims = _signed_claims(token, key, settings)
    if isinstance(claims, _Refusal):
        return claims
    audience, expires, begins = claims["aud"], claims["exp"], claims.get("nbf", 0)
    if not isinstance(audience, str) or audience not in settings.audiences:
        return _AUDIENCE
    if claims.get("tid") != settings.tenant_id:
        return _TENANT
    if not (_is_time(expires) and _is_time(begins)):
        return _CLAIMS
    if now >= expires + LEEWAY_SECONDS:
        return _EXPIRED
    if now < begins - LEEWAY_SECONDS:
        return _EARLY
    application, roles = claims.get("azp", claims.get("appid")), claims.get("roles")
    if not isinstance(application, str) or not _APPLICATION.fullmatch(application.lower()):
        return _APPLICATION_ID
    # A text would hold the role's name as a part of another one.
    if not isinstance(roles, list) or ROLE not in roles:
        return _ROLE
    return _Verified(Caller(application.lower()), expires + LEEWAY_SECONDS)


def _is_time(value: Any) -> bool:
    """Whether it is seconds since 1970: true is a number to Python, and JSON has endless ones."""
    return type(value) in (int, float) and 0 <= value < _END_OF_TIME


def _signed_claims(
    token: bytes, key: RSAPublicKey, settings: EntraSettings
) -> dict[str, Any] | _Refusal:
    """Return what the issuer signed. Returned, not raised: PyJWT's errors quote the token."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=settings.issuers,
            # Audience and times are checked by `_judge`: one text, and by a clock that tests set.
            options={
                "require": ["aud", "exp", "iss"],
                "verify_aud": False,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidSignatureError:
        return _SIGNATURE
    except jwt.InvalidIssuerError:
        return _ISSUER
    except jwt.MissingRequiredClaimError:
        return _CLAIMS
    except Exception:
        # Whatever else a token makes the library trip over.
        return _MALFORMED


class _Recent(OrderedDict[bytes, _V], Generic[_V]):
    """At most `size` entries; the one that was used the longest ago goes first."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def put(self, key: bytes, value: _V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._size:
            self.popitem(last=False)
