"""The issuer's signing keys: fetched when first needed, kept, replaced when the issuer does.

Nobody waits for the issuer while there are keys that will do: a refresh that is due happens beside
the requests. An unknown key id asks the issuer at most once in `UNKNOWN_KEY_SECONDS`, whoever sends
how many of them, and everybody who has to wait waits for the same fetch.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.issuer import IssuerError, fetch_keys
from app.log import describe, emit

__all__ = [
    "FETCH_SECONDS",
    "LIFETIME_SECONDS",
    "MAX_AGE_SECONDS",
    "RETRY_SECONDS",
    "UNKNOWN_KEY_SECONDS",
    "IssuerKeys",
    "KeysUnavailableError",
]

LIFETIME_SECONDS = 3600.0
"""Keys of this age are asked for anew: so long may a withdrawn key be trusted."""
MAX_AGE_SECONDS = 24 * 3600.0
"""Keys of this age are trusted no longer, although the issuer does not answer: no token that it
signed before lives longer."""
UNKNOWN_KEY_SECONDS = 60.0
"""From one fetch to the next that an unknown key id, or an issuer that failed, can cause."""
RETRY_SECONDS = 5.0
"""The same as long as there is no key at all."""
FETCH_SECONDS = 5.0
"""Nobody waits longer for the issuer."""


class KeysUnavailableError(Exception):
    """There is no key to verify with, and the issuer does not give any."""


class IssuerKeys:
    """The keys of one issuer by key id; use it in one event loop."""

    def __init__(
        self,
        issuer: str,
        *,
        loopback_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._loopback_http = loopback_http
        self._clock = clock
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._may_ask_at = self._due_at = self._old_at = -float("inf")
        self._refresh: asyncio.Task[None] | None = None

    def current(self) -> Mapping[str, RSAPublicKey]:
        """Return the keys at hand: one object until they change. Starts a refresh that is due."""
        if self._keys and (now := self._clock()) >= self._due_at:
            if now >= self._old_at:
                self._keys = {}
            self._start(now)
        return self._keys

    async def find(self, key_id: str) -> RSAPublicKey | None:
        """Return the key, or None for one that the issuer does not have; asks it if it may.

        Raises:
            KeysUnavailableError: there is no key at all.
        """
        if key_id not in self.current():
            refresh = self._start(self._clock())
            if refresh is not None:
                # A caller who goes away must not take the others' fetch along.
                await asyncio.shield(refresh)
        if not self._keys:
            raise KeysUnavailableError
        return self._keys.get(key_id)

    def _start(self, now: float) -> asyncio.Task[None] | None:
        """Start a fetch, or join the one at work; None where it is too early for another."""
        if self._refresh is not None and not self._refresh.done():
            return self._refresh
        if now < self._may_ask_at:
            return None
        self._due_at = self._may_ask_at = now + self._pause()
        self._refresh = asyncio.create_task(self._fetch())
        return self._refresh

    async def _fetch(self) -> None:
        """Ask the issuer; whatever goes wrong is logged, and the keys stay as they are."""
        fetch = asyncio.to_thread(fetch_keys, self._issuer, loopback_http=self._loopback_http)
        try:
            keys = await asyncio.wait_for(fetch, FETCH_SECONDS)
        except IssuerError as error:
            emit("issuer_keys", outcome="kept", reason=str(error))
        except TimeoutError:
            emit("issuer_keys", outcome="kept", reason=f"no answer within {FETCH_SECONDS:g} s")
        except Exception as error:
            emit("issuer_keys", outcome="kept", **describe(error))
        else:
            self._take(keys)

    def _take(self, keys: Mapping[str, RSAPublicKey]) -> None:
        now = self._clock()
        self._due_at, self._old_at = now + LIFETIME_SECONDS, now + MAX_AGE_SECONDS
        if keys != self._keys:
            self._keys = keys
            emit("issuer_keys", outcome="changed", keys=len(keys))
        self._may_ask_at = now + self._pause()

    def _pause(self) -> float:
        return UNKNOWN_KEY_SECONDS if self._keys else RETRY_SECONDS
