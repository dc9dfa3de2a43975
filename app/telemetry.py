"""One log line a request, and what every response gets from outside the endpoints."""

import asyncio
import re
import secrets
import time
from datetime import UTC, datetime
from http import HTTPMethod
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth import Headers
from app.log import describe, emit
from app.problems import FAILED_DETAIL, MEDIA_TYPE, ProblemError, content
from app.service import Service
from contract.telemetry import SCHEMA

__all__ = ["Exchange", "Telemetry"]

_TOO_SLOW, _CLIENT_CLOSED = 408, 499
_STOPPING = "the process is stopping"
_DISCARD_BYTES = 16 * 1024 * 1024
_DISCARD_SECONDS = 5

_REQUEST_ID = re.compile(rb"(?i)[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID, with dashes or without: a text of the client's own could be about an employee."""

_METHODS = frozenset(HTTPMethod)
"""Another method is the client's own text."""

_SECURITY = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Headers that a response has where it says nothing else."""


class Telemetry:
    """ASGI middleware: a request id, a log line, `Connection: close` while draining.

    It catches every exception, so that none reaches a logger that would print its text.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(self._service, scope["headers"], receive, send)
        scope.setdefault("state", {})["exchange"] = exchange
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = _CLIENT_CLOSED
        except ProblemError as error:
            await exchange.fail(error, at_once=error.status == _TOO_SLOW)
        except asyncio.CancelledError:
            # A stop has waited long enough, and uvicorn would answer with a text of its own.
            stopping = ProblemError(503, _STOPPING, headers={"Retry-After": "1"})
            await exchange.fail(stopping, at_once=True)
        except Exception as error:
            emit("error", request_id=exchange.request_id, **describe(error))
            await exchange.fail(ProblemError(500, FAILED_DETAIL))
        finally:
            # The exchange holds uvicorn's functions, and they the scope: whoever waits for the
            # collector to find that would have it run every few dozen requests.
            del scope["state"]["exchange"]
            exchange.tell(scope)


class Exchange:
    """One request and its response, watched from outside; endpoints fill in what they know.

    `route` is the template of the path, `caller` who asked, as authentication has it; `records` and
    `outliers` are what was answered, of nobody in earnest where it is `hypothetical`.
    """

    def __init__(self, service: Service, headers: Headers, receive: Receive, send: Send) -> None:
        # Of a header that comes twice the last one counts.
        self.headers = dict(headers)
        self.request_id = _request_id(self.headers.get(b"x-request-id", b""))
        self.status: int | None = None
        self.route: str | None = None
        self.caller: str | None = None
        self.records = 0
        self.outliers = 0
        self.hypothetical = False
        self._started = time.perf_counter()
        self._service = service
        self._receive = receive
        self._send = send
        self._more_body = True
        self._begun = False
        self._at_once = False

    async def receive(self) -> Message:
        """Receive, and remember whether there is more."""
        message = await self._receive()
        self._begun = True
        self._more_body = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send, with the headers that every response has."""
        if message["type"] == "http.response.start":
            # Whoever expects `100 Continue` sends nothing before it has come.
            unread = self._at_once or (b"expect" in self.headers and not self._begun)
            if self._more_body and not unread:
                await self._discard_body()
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._headers(message["headers"])]
        await self._send(message)

    async def fail(self, error: ProblemError, *, at_once: bool = False) -> None:
        """Answer with a problem, unless an answer has begun.

        `at_once` leaves unread what is still to come of the request: it was waited for in vain.
        """
        if self.status is not None:
            return
        self._at_once = at_once
        body = content(error, self.request_id)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(name.lower().encode(), text.encode()) for name, text in error.headers.items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def tell(self, scope: Scope) -> None:
        """Write the log line and count the request."""
        seconds = time.perf_counter() - self._started
        route = self.route or getattr(scope.get("route"), "path", None)
        method: str = scope["method"]
        self._service.metrics.request(route or "", self.status or 0, seconds)
        self._service.journal.add(
            {
                "time": datetime.now(UTC),
                "event": "request",
                "schema": SCHEMA,
                "request_id": self.request_id,
                "release": self._service.settings.release_version,
                "caller": self.caller,
                "method": method if method in _METHODS else None,
                "route": route,
                "status": self.status,
                "duration_ms": round(seconds * 1000, 3),
                "records": self.records,
                "outliers": self.outliers,
                "hypothetical": self.hypothetical,
            }
        )

    def _headers(self, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name for name, _ in given}
        headers = [item for item in _SECURITY if item[0] not in names]
        headers.append((b"x-request-id", self.request_id.encode()))
        ends = self._service.draining or self._more_body
        if ends and b"connection" not in names:
            headers.append((b"connection", b"close"))
        return headers

    async def _discard_body(self) -> None:
        # Closing a connection with unread data resets it, and the client may lose the answer that
        # says why (401, 413): what it still sends is read first, within bounds.
        discarded = 0
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while self._more_body and discarded <= _DISCARD_BYTES:
                    message: dict[str, Any] = dict(await self.receive())
                    discarded += len(message.get("body", b""))
        except TimeoutError:
            return


def _request_id(given: bytes) -> str:
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
