"""Settings of the API itself: who may call it beside the holders of its key, and how much."""

from dataclasses import dataclass
from typing import Any

from contract.telemetry import MINIMUM_RECORDS
from infra.collector import CollectorError, check_collector
from stacks.reader import Reader

__all__ = ["ApiSettings", "read_api"]

_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_AUDIENCES = r"[^\s,]{1,256}(, ?[^\s,]{1,256}){0,7}"


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """What every stack that serves the API has."""

    entra_tenant_id: str
    entra_audience: str
    rate_limit_per_second: int
    rate_limit_burst: int
    max_in_flight: int
    window_records: int
    window_seconds: int
    api_docs: bool
    otlp_endpoint: str

    @property
    def api_environment(self) -> dict[str, str]:
        """The environment variables that say so to the process (`python -m app --help`)."""
        entra = {"ENTRA_TENANT_ID": self.entra_tenant_id, "ENTRA_AUDIENCE": self.entra_audience}
        return {
            **(entra if self.entra_tenant_id else {}),
            "RATE_LIMIT_PER_SECOND": str(self.rate_limit_per_second),
            "RATE_LIMIT_BURST": str(self.rate_limit_burst),
            "MAX_IN_FLIGHT": str(self.max_in_flight),
            "WINDOW_RECORDS": str(self.window_records),
            "WINDOW_SECONDS": str(self.window_seconds),
            "DOCS_ENABLED": str(self.api_docs).lower(),
            **({"OTLP_ENDPOINT": self.otlp_endpoint} if self.otlp_endpoint else {}),
        }


def read_api(reader: Reader, *, on_this_machine: bool) -> dict[str, Any]:
    """Read the keys of `ApiSettings`; `on_this_machine`: for a process, not for a container.

    Raises:
        SettingsError: a key's value is wrong, or Entra's two contradict.
    """
    tenant_id = reader.text_or_empty(
        "entraTenantId",
        example="00000000-0000-0000-0000-000000000000",
        pattern=_GUID,
        expected="must be the tenant's id, a GUID, or empty",
    )
    audience = reader.text_or_empty(
        "entraAudience",
        example="api://attrition",
        pattern=_AUDIENCES,
        expected="must be the API's application id or its URI, or several with commas, or empty",
    )
    if bool(tenant_id) != bool(audience):
        reader.fail(
            "entraAudience",
            "must be set together with entraTenantId, or neither",
            "api://attrition",
        )
    return {
        "entra_tenant_id": tenant_id,
        "entra_audience": audience,
        "rate_limit_per_second": reader.integer("rateLimitPerSecond", 1, 1_000_000, example=100),
        "rate_limit_burst": reader.integer("rateLimitBurst", 1, 1_000_000, example=200),
        "max_in_flight": reader.integer("maxInFlight", 1, 10_000, example=64),
        "window_records": reader.integer("windowRecords", MINIMUM_RECORDS, 1_000_000),
        "window_seconds": reader.integer("windowSeconds", 1, 86_400, example=60),
        "api_docs": reader.boolean("apiDocs"),
        "otlp_endpoint": _collector(reader, on_this_machine=on_this_machine),
    }


def _collector(reader: Reader, *, on_this_machine: bool) -> str:
    address = reader.optional_text("otlpEndpoint")
    try:
        if address:
            check_collector(address, on_this_machine=on_this_machine)
    except CollectorError as error:
        reader.fail("otlpEndpoint", str(error), "http://collector.monitoring.svc:4318")
    return address
