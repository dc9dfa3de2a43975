"""API keys: the process knows the hashes of the accepted keys, never a key."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyHeader

__all__ = ["Authenticated", "is_accepted"]

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)


def is_accepted(key: str, accepted_sha256: Sequence[str]) -> bool:
    """Compare the key's hash with every accepted one, in a time that tells nothing of them."""
    # Header bytes arrive as latin-1 text.
    sha256 = hashlib.sha256(key.encode("latin-1")).hexdigest()
    return any([hmac.compare_digest(sha256, accepted) for accepted in accepted_sha256])  # noqa: C419 the list compares with all of them


async def _authenticate(request: Request, key: Annotated[str | None, Depends(_HEADER)]) -> None:
    if key is None or not is_accepted(key, request.app.state.service.settings.api_key_sha256):
        raise HTTPException(
            401,
            "a known key is expected in the header X-API-Key",
            headers={"WWW-Authenticate": "APIKey"},
        )


Authenticated = Depends(_authenticate)
