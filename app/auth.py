"""Who may ask for predictions: callers with an API key, or with a token of Entra ID.

The process knows the hashes of the accepted keys, never a key. A caller gives exactly one of the
headers `X-API-Key` and `Authorization`, once: given both, it is refused and neither is looked at,
so that no proxy and no log can take the caller for another one than this service does.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Sequence

from app.caller import AuthenticationError, Caller
from app.limits import RateLimit
from app.settings import Settings

__all__ = ["MAX_KEY_BYTES", "Authenticator", "Headers"]

Headers = Iterable[tuple[bytes, bytes]]
"""A request's headers as ASGI has them: names in lower case."""

MAX_KEY_BYTES = 512
_BEARER = b"bearer "
_REFUSALS_PER_SECOND, _REFUSALS_BURST = 50, 100
_ANYBODY = ""


class Authenticator:
    """Tells who calls, by what the settings accept; use it in one event loop.

    Refusals have a limit of their own, above which they are answered 429: clients that go wrong are
    told to slow down. It never keeps out a key that is accepted or a token that is known.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = _accepted(settings.api_key_sha256)
        self._tokens = None
        if settings.entra is not None:
            # Imported where it is needed: it takes 10 MB of memory.
            from app.entra import TokenVerifier

            self._tokens = TokenVerifier(settings.entra, now=now, clock=clock)
        self._refusals = RateLimit(_REFUSALS_PER_SECOND, _REFUSALS_BURST, callers=1, clock=clock)
        schemes = {"APIKey": bool(self._keys), "Bearer": self._tokens is not None}
        self._challenge = ", ".join(scheme for scheme, accepted in schemes.items() if accepted)

    async def authenticate(self, headers: Headers) -> Caller:
        """Return who sends this request.

        Raises:
            AuthenticationError: nobody who may; its status, detail and headers are the answer's.
        """
        key = authorization = None
        for name, value in headers:
            if name == b"x-api-key":
                if key is not None:
                    raise self._refusal("the header X-API-Key is given more than once")
                key = value
            elif name == b"authorization":
                if authorization is not None:
                    raise self._refusal("the header Authorization is given more than once")
                authorization = value
        if authorization is None:
            return self._caller_of_key(key)
        if key is not None:
            raise self._refusal("give X-API-Key or Authorization, not both")
        return await self._caller_of_token(authorization)

    def _caller_of_key(self, key: bytes | None) -> Caller:
        if key is None:
            raise self._refusal("a credential is missing: see WWW-Authenticate")
        if not self._keys:
            raise self._refusal("API keys are not accepted here")
        if not key or len(key) > MAX_KEY_BYTES:
            raise self._refusal(f"the header X-API-Key holds 1 to {MAX_KEY_BYTES} bytes")
        sha256, found = hashlib.sha256(key).digest(), None
        # All of them are compared, so that the time tells nothing of which one it was.
        for accepted, caller in self._keys:
            if hmac.compare_digest(sha256, accepted):
                found = caller
        if found is None:
            raise self._refusal("the key in X-API-Key is not known")
        return found

    async def _caller_of_token(self, authorization: bytes) -> Caller:
        if self._tokens is None:
            raise self._refusal("bearer tokens are not accepted here")
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise self._refusal("the header Authorization must hold a bearer token")
        try:
            return await self._tokens.caller(authorization[len(_BEARER) :])
        except AuthenticationError as error:
            refusal = self._limited(error) if error.status in (401, 403) else error
        raise refusal

    def _refusal(self, detail: str) -> AuthenticationError:
        return self._limited(AuthenticationError(401, detail, challenge=self._challenge))

    def _limited(self, error: AuthenticationError) -> AuthenticationError:
        wait = self._refusals.take(_ANYBODY)
        if wait is None:
            return error
        return AuthenticationError(
            429, "too many requests were refused; try again later", retry_after=wait
        )


def _accepted(api_key_sha256: Sequence[str]) -> tuple[tuple[bytes, Caller], ...]:
    return tuple((bytes.fromhex(sha256), Caller(f"key:{sha256[:8]}")) for sha256 in api_key_sha256)
