"""The HTTP interface: predictions, the release's identity, health."""

from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig

from app import page, problems
from app.auth import Authenticated
from app.deps import MAX_BODY_BYTES, Records, ServiceDep
from app.models import MAX_RECORDS, Answer, Problem, ReleaseAnswer, request_schema
from app.scoring import encode, predict
from app.service import Service
from app.telemetry import Telemetry
from contract.employee import EXAMPLE

__all__ = ["NO_TELEMETRY", "create_app"]

# FastAPI's own telemetry records validation errors with their input: none of it, whatever the
# environment says.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_DESCRIPTION = f"""Attrition probability of employees, how sure it is, a decision, and the reasons.

A request holds 1 to {MAX_RECORDS} records and at most {MAX_BODY_BYTES // 1024**2} MiB."""

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No known key in X-API-Key"},
    413: {"model": Problem, "description": "The request is too long"},
    422: {"model": Problem, "description": "Some records are not as the schema says"},
    503: {"model": Problem, "description": "The release did not answer its reference records"},
}
_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": request_schema(), "example": [dict(EXAMPLE)]},
        },
    }
}

_predictions = APIRouter(tags=["predictions"])
_health = APIRouter(tags=["health"])


def create_app(service: Service) -> FastAPI:
    """Build the application that serves `service`."""
    app = FastAPI(
        title="Employee attrition",
        description=_DESCRIPTION,
        version=service.settings.release_version,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    app.include_router(_predictions)
    app.include_router(_health)
    app.router.routes.extend(page.routes(MAX_RECORDS))
    problems.install(app)
    app.add_middleware(Telemetry, service=service)
    return app


@_predictions.post(
    "/predict",
    dependencies=[Authenticated],
    response_model=Answer,
    responses=_PROBLEMS,
    openapi_extra=_REQUEST_BODY,
)
async def _predict(service: ServiceDep, records: Records) -> JSONResponse:
    """Predict for each record of the array, in its order."""
    _require_ready(service)
    release = service.release
    codes = encode([vars(each) for each in records])
    return JSONResponse(
        {
            "release": service.settings.release_version,
            "predictions": predict(release.classifier, release.outliers, codes),
        }
    )


@_predictions.get("/release", response_model=ReleaseAnswer)
async def _release(service: ServiceDep) -> JSONResponse:
    """Say which release this process serves."""
    return JSONResponse(
        {
            "version": service.settings.release_version,
            "manifest_sha256": service.release.manifest_sha256,
        }
    )


@_health.get("/health/live")
async def _live() -> JSONResponse:
    """Answer as long as the process does."""
    return JSONResponse({"status": "live"})


@_health.get("/health/ready", responses={503: _PROBLEMS[503]})
async def _ready(service: ServiceDep) -> JSONResponse:
    """Answer once the release is loaded and has answered its reference records right."""
    _require_ready(service)
    return JSONResponse({"status": "ready", "release": service.settings.release_version})


def _require_ready(service: Service) -> None:
    if not service.ready:
        raise HTTPException(503, "the release did not answer its reference records as it should")
