"""Errors as problem details (RFC 9457), in one shape, with nothing of the request in them."""

import http

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

__all__ = ["InvalidRecordsError", "install", "problem"]


class InvalidRecordsError(Exception):
    """The request's body is no batch of employee records."""

    def __init__(self, errors: list[dict[str, int | str | None]]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


def problem(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, int | str | None]] | None = None,
) -> Response:
    """Build the response for one error."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        content["errors"] = errors
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make `app` answer its exceptions as problems."""
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(InvalidRecordsError)(_on_invalid_records)


async def _on_http_exception(_request: Request, error: HTTPException) -> Response:
    return problem(error.status_code, error.detail, headers=dict(error.headers or {}))


async def _on_invalid_records(_request: Request, error: InvalidRecordsError) -> Response:
    detail = "the request is not a batch of employee records; `errors` lists every place"
    return problem(422, detail, errors=error.errors)
