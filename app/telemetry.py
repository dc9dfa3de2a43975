"""One log line a request, and the two headers every response gets from outside the endpoints."""

import asyncio
import time
import uuid
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.log import describe, emit
from app.problems import problem
from app.service import Service

__all__ = ["Telemetry"]

_CLIENT_CLOSED = 499
_DISCARD_BYTES = 16 * 1024 * 1024
_DISCARD_SECONDS = 5


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
        started = time.perf_counter()
        exchange = _Exchange(self._service, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = _CLIENT_CLOSED
        except Exception as error:
            emit("error", request_id=exchange.request_id, **describe(error))
            if exchange.status is None:
                answer = problem(500, "the request failed; its id is in the log")
                await answer(scope, exchange.receive, exchange.send)
        finally:
            emit(
                "request",
                request_id=exchange.request_id,
                route=getattr(scope.get("route"), "path", None),
                status=exchange.status,
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
                records=scope.get("state", {}).get("records", 0),
                release=self._service.settings.release_version,
            )


class _Exchange:
    """One request and its response, watched from outside."""

    def __init__(self, service: Service, receive: Receive, send: Send) -> None:
        self.request_id = uuid.uuid4().hex
        self.status: int | None = None
        self._service = service
        self._receive = receive
        self._send = send
        self._more_body = True

    async def receive(self) -> Message:
        message = await self._receive()
        self._more_body = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._discard_body()
            message = {**message, "headers": [*message["headers"], *self._headers()]}
        await self._send(message)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = [(b"x-request-id", self.request_id.encode())]
        if self._service.draining or self._more_body:
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
