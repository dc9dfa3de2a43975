"""What `/openapi.json` says of `POST /predict`, which `app.predict` answers without FastAPI.

The models are those that judge the requests; the path operation below is described and never run.
"""

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query, Security
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from app.body import MAX_BODY_BYTES
from app.models import MAX_RECORDS, Answer, Problem, request_schema
from app.predict import PATH
from app.problems import MEDIA_TYPE
from app.service import Service
from contract.employee import EXAMPLE

__all__ = ["CREDENTIALS", "install", "problems"]

CREDENTIALS = [
    Security(APIKeyHeader(name="X-API-Key", auto_error=False, description="A key you were given")),
    Security(
        HTTPBearer(
            auto_error=False,
            bearerFormat="JWT",
            description="A token of Entra ID with the role Attrition.Predict, where it is set up",
        )
    ),
]
"""What the document says of authentication: either will do."""

_DESCRIPTIONS = {
    400: "The body is no JSON",
    401: "No known key in X-API-Key, and no valid token",
    403: "The token lacks the role Attrition.Predict",
    408: "The body took too long to arrive",
    413: "The request is too long",
    415: "The body is no application/json, or packed with anything but gzip",
    422: "Some records are not as the schema says",
    429: "Too many requests; Retry-After says when to come back",
    503: "The release did not answer its reference records, or too much is asked at once",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe problems as responses of a path operation."""
    return {status: {"model": Problem, "description": _DESCRIPTIONS[status]} for status in statuses}


def install(app: FastAPI, service: Service) -> None:
    """Make `app.openapi` describe all that `app` answers."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, _predict_route(service))
        return app.openapi_schema

    app.openapi = openapi


async def _described(
    on_error: Annotated[
        Literal["fail", "report"],
        Query(
            description="`fail`: one record that is wrong refuses the request. `report`: the "
            "others are answered, and `errors` lists every place that is wrong"
        ),
    ] = "fail",
    x_hypothetical: Annotated[
        Literal["true", "false"],
        Header(description="`true`: the records are nobody's, and count for drift in nothing"),
    ] = "false",
) -> None:
    """Predict for each record of the array, in its order."""


def _predict_route(service: Service) -> APIRoute:
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": request_schema(service.reader.record),
                "example": [
                    {name: EXAMPLE[name] for name in EXAMPLE if name in service.release.needed}
                ],
            }
        },
    }
    return APIRoute(
        PATH,
        _described,
        methods=["POST"],
        name="predict",
        tags=["predictions"],
        dependencies=CREDENTIALS,
        response_model=Answer,
        response_model_exclude_unset=True,
        responses=problems(*_DESCRIPTIONS),
        openapi_extra={"requestBody": body},
    )


def _document(app: FastAPI, predict: APIRoute) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=f"{app.description}\n\nA request holds 1 to {MAX_RECORDS} records and at most "
        f"{MAX_BODY_BYTES // 1024**2} MiB.",
        routes=[predict, *app.routes],
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                # FastAPI describes every response as one of the route's own kind.
                for kind, described in [*response.get("content", {}).items()]:
                    if described.get("schema", {}).get("$ref", "").endswith("/Problem"):
                        response["content"] = {MEDIA_TYPE: response["content"].pop(kind)}
    return document
