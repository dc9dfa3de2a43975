"""Errors as problem details (RFC 9457), in one shape, with nothing of the request in them."""

import http
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.models import RecordError

__all__ = ["FAILED_DETAIL", "MEDIA_TYPE", "METHOD_DETAIL", "ProblemError", "content", "install"]

MEDIA_TYPE = "application/problem+json"

_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 has them; Python 3.11 still has older ones."""


class ProblemError(Exception):
    """Why a request has no answer; `detail` says what to do, and repeats nothing of it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[RecordError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = errors


def content(error: ProblemError, request_id: str) -> bytes:
    """Write the body of the response for one error, as `app.models.Problem`."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": _PHRASES.get(error.status) or http.HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors is not None:
        problem["errors"] = error.errors
    return msgspec.json.encode(problem)


def install(app: FastAPI) -> None:
    """Make `app` answer its exceptions as problems."""
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(ProblemError)(_on_problem)
    # It answers, and Starlette raises the exception all the same: the telemetry logs it.
    app.exception_handler(Exception)(_on_exception)


FAILED_DETAIL = "the request failed; its id is in the log"
METHOD_DETAIL = "this path does not take this method; the header Allow has those that it takes"
_DETAILS = {
    404: "there is nothing at this path; /openapi.json has those that there are",
    405: METHOD_DETAIL,
}


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    # Starlette's own words may hold the path, which is the client's.
    detail = _DETAILS.get(error.status_code, "the request cannot be answered")
    return await _on_problem(
        request, ProblemError(error.status_code, detail, headers=error.headers)
    )


async def _on_exception(request: Request, _error: Exception) -> Response:
    return await _on_problem(request, ProblemError(500, FAILED_DETAIL))


async def _on_problem(request: Request, error: ProblemError) -> Response:
    return Response(
        content(error, request.scope["state"]["exchange"].request_id),
        error.status,
        error.headers,
        MEDIA_TYPE,
    )
