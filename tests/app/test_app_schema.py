"""The API's document against the API: whatever schemathesis makes of it is answered as it says."""

# schemathesis has no types of its own for what is used here (4.32.5, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedFunctionDecorator=false

import warnings
from pathlib import Path
from typing import Any

import pytest
from app_bundles import write_bundle
from app_processes import KEY, KEY_SHA256
from hypothesis import HealthCheck, Phase, settings

with warnings.catch_warnings():
    # Its own dependencies warn when they are first imported (2026-11).
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

from app.api import Api
from app.service import Service
from app.settings import Settings

# Starlette's test client, which schemathesis calls ASGI applications by, warns of httpx.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("described")
    write_bundle(folder)
    service = Service.open(
        Settings(
            release_dir=folder,
            release_version="7",
            release_sha256=None,
            api_key_sha256=(KEY_SHA256,),
            rate_limit_per_second=1_000_000,
            rate_limit_burst=1_000_000,
        )
    )
    return schemathesis.openapi.from_asgi("/openapi.json", Api(service))


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=(HealthCheck.filter_too_much, HealthCheck.too_slow),
)
def test_the_api_is_as_its_document_says(case: "schemathesis.Case[Any]") -> None:
    response = case.call(headers={**(case.headers or {}), "X-API-Key": KEY})
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
            checks.negative_data_rejection,
        ],
    )
