"""The HTTP interface: predictions, drift, the release's identity, health, metrics."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.types import Receive, Scope, Send

from app import docs, document, page, problems
from app.admission import admit
from app.metrics import CONTENT_TYPE
from app.models import MAX_RECORDS, DriftAnswer, ReleaseAnswer
from app.predict import PATH, Predict, require_ready
from app.service import Service
from app.telemetry import Telemetry

__all__ = ["NO_TELEMETRY", "Api"]

# FastAPI's own telemetry records validation errors with their input: none of it, whatever the
# environment says.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_DESCRIPTION = "Attrition probability of employees, how sure it is, a decision, and the reasons."
_CARD_PATH = "/release/model-card"

_asked = APIRouter(tags=["release"])
_health = APIRouter(tags=["health"])


class Api:
    """The whole application: predictions, and beside them what FastAPI serves.

    Predictions do not pass through FastAPI, which would take longer than they do; `fastapi` has
    their description all the same.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.fastapi = _fastapi(service)
        self._predict = Predict(service)
        self._telemetry = Telemetry(self._serve, service=service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        await self._telemetry(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._predict(scope, receive, send)
        else:
            await self.fastapi(scope, receive, send)


def _fastapi(service: Service) -> FastAPI:
    app = FastAPI(
        title="Employee attrition",
        description=_DESCRIPTION,
        version=service.settings.release_version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirection would be an answer without a document, to an address that the client names.
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    app.include_router(_asked)
    app.include_router(_health)
    document.install(app, service)
    if service.settings.docs_enabled:
        app.router.routes.extend(docs.routes(app.openapi))
    app.router.routes.extend(page.routes(MAX_RECORDS))
    problems.install(app)
    return app


class _Markdown(PlainTextResponse):
    media_type = "text/markdown"


async def _service(request: Request) -> Service:
    return request.app.state.service


async def _known(request: Request) -> Service:
    service: Service = request.app.state.service
    await admit(service, request.scope)
    return service


_Service = Annotated[Service, Depends(_service)]
_AskedService = Annotated[Service, Depends(_known)]
_REFUSED = document.problems(401, 403, 429, 503)


@_asked.get(
    "/drift", dependencies=document.CREDENTIALS, response_model=DriftAnswer, responses=_REFUSED
)
async def _drift(service: _AskedService) -> Response:
    """Compare the records that this process answered last with the training table."""
    return _json(service.tally.report())


@_asked.get(
    "/release", dependencies=document.CREDENTIALS, response_model=ReleaseAnswer, responses=_REFUSED
)
async def _release(service: _AskedService) -> Response:
    """Say which release this process serves, and how good it is."""
    figures = service.release.figures
    return _json(
        {
            "version": service.settings.release_version,
            "manifest_sha256": service.release.manifest_sha256,
            "metrics": {name: figures[name]["value"] for name in figures},
            "model_card": _CARD_PATH,
        }
    )


@_asked.get(
    _CARD_PATH,
    dependencies=document.CREDENTIALS,
    response_class=_Markdown,
    responses=_REFUSED,
)
async def _card(service: _AskedService) -> Response:
    """Return the release's model card, in Markdown."""
    return _Markdown(service.release.card)


@_health.get("/health/live")
async def _live() -> JSONResponse:
    """Answer as long as the process does."""
    return JSONResponse({"status": "live"})


@_health.get("/health/ready", responses=document.problems(503))
async def _ready(service: _Service) -> JSONResponse:
    """Answer once the release is loaded and has answered its reference records right."""
    require_ready(service)
    return JSONResponse({"status": "ready", "release": service.settings.release_version})


@_health.get("/metrics", response_class=PlainTextResponse)
async def _metrics(service: _Service) -> Response:
    """Return counts and durations in Prometheus's text format."""
    return Response(service.settled_metrics().text(), headers={"Content-Type": CONTENT_TYPE})


def _json(content: Mapping[str, object]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
