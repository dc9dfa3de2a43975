"""Who is let in, and for how much at once: what every request passes before anything is read."""

from collections.abc import Mapping

from starlette.types import Scope

from app.body import MAX_BODY_BYTES
from app.caller import AuthenticationError
from app.problems import ProblemError
from app.service import Service

__all__ = ["admit", "make_room"]

_UNTOLD = frozenset((b"transfer-encoding", b"content-encoding"))
"""Headers with which Content-Length does not tell how much there will be to hold."""


async def admit(service: Service, scope: Scope) -> None:
    """Tell who asks, and note it on the exchange.

    Raises:
        ProblemError: of status 401, 403, 429 or 503.
    """
    try:
        caller = await service.authenticator.authenticate(scope["headers"])
    except AuthenticationError as error:
        raise ProblemError(error.status, error.detail, headers=error.headers) from None
    scope["state"]["exchange"].caller = caller.id
    wait = service.rate_limit.take(caller.id)
    if wait is not None:
        raise ProblemError(429, "more requests than agreed", headers={"Retry-After": str(wait)})


def make_room(service: Service, scope: Scope) -> int:
    """Count a request, and the body that it is about to send, among those at work.

    Return the body's size in bytes, which `service.in_flight.leave` takes when all is done.

    Raises:
        ProblemError: of status 503: as many are at work as there is room for.
    """
    headers: Mapping[bytes, bytes] = scope["state"]["exchange"].headers
    length = headers.get(b"content-length", b"")
    # A body in chunks has whatever length it comes to, and so has one that is unpacked.
    told = length.isdigit() and _UNTOLD.isdisjoint(headers)
    size = min(int(length), MAX_BODY_BYTES) if told else MAX_BODY_BYTES
    work = service.in_flight
    if (wait := work.enter()) is not None:
        raise _busy(wait)
    if (wait := work.hold(size)) is not None:
        work.leave()
        raise _busy(wait)
    return size


def _busy(wait: int) -> ProblemError:
    detail = "as much is being answered as there is room for"
    return ProblemError(503, detail, headers={"Retry-After": str(wait)})
