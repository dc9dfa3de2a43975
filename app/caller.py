"""Who calls, and the one error for those who may not."""

from dataclasses import dataclass

__all__ = ["AuthenticationError", "Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever is let in; `id` may be logged: it is no credential and no client's own text.

    It is the application's id (a GUID), or `key:` and the first 8 hex digits of the key's sha-256.
    """

    id: str


class AuthenticationError(Exception):
    """A request that is not let in; every text in it is fixed and repeats nothing of the request.

    `status` is 401, 403 (the role is missing), 429 (too much was refused) or 503 (the issuer's keys
    cannot be had); `headers` are the answer's.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        challenge: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers: dict[str, str] = {}
        if challenge is not None:
            self.headers["WWW-Authenticate"] = challenge
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
