"""API keys: the process knows the hashes of the accepted keys, never a key."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.types import Scope

from app.body import headers_of
from app.problems import ProblemError
from app.settings import Settings

__all__ = ["authenticate", "is_accepted"]


def is_accepted(key: bytes, accepted_sha256: Sequence[str]) -> str | None:
    """Compare the key's hash with every accepted one, in a time that tells nothing of them."""
    sha256 = hashlib.sha256(key).hexdigest()
    found = [hmac.compare_digest(sha256, accepted) for accepted in accepted_sha256]
    return sha256 if any(found) else None


def authenticate(scope: Scope, settings: Settings) -> str:
    """Return who asks; raise ProblemError 401 for nobody that is known."""
    (key,) = headers_of(scope, b"x-api-key")
    sha256 = None if key is None else is_accepted(key, settings.api_key_sha256)
    if sha256 is None:
        raise ProblemError(
            401,
            "a known key is expected in the header X-API-Key",
            headers={"WWW-Authenticate": "APIKey"},
        )
    return f"key:{sha256[:8]}"
