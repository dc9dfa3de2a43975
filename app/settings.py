"""What a serving process is told by its environment; read once, at start-up."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from contract.telemetry import MINIMUM_RECORDS

__all__ = ["EntraSettings", "Settings", "SettingsError"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AUDIENCE = re.compile(r"[^\s,]{1,256}")
_MAX_AUDIENCES = 8
_NO_KEY = hashlib.sha256(b"").hexdigest()


class SettingsError(Exception):
    """An environment variable is missing or wrong; the message names it, never a key's hash."""


@dataclass(frozen=True, kw_only=True)
class EntraSettings:
    """Whose tokens are accepted: one tenant's, for these audiences.

    `issuer` is the tenant's issuer of v2 tokens, and the address of its keys. `loopback_http` lets
    tests have an issuer that answers in clear on a loopback address.
    """

    tenant_id: str
    audiences: frozenset[str]
    issuer: str
    loopback_http: bool = False

    @property
    def issuers(self) -> tuple[str, str]:
        """The values of `iss`: v2 tokens', and v1 tokens', which the same keys sign."""
        return self.issuer, f"https://sts.windows.net/{self.tenant_id}/"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one serving process.

    Callers have an API key, a token of Entra ID, or one of the two: `api_key_sha256` may be empty
    where `entra` is set. The rate limit is of requests by one caller, the burst a number of them;
    `max_in_flight` is of requests by all. A log line `window` has at least `window_records` records
    and comes every `window_seconds` at most. A collector at `otlp_endpoint` is sent the metrics.
    `host` and `port` are the process's private address; port 0 takes any free one. The public
    address is given later, over the control socket.
    """

    release_dir: Path
    release_version: str
    release_sha256: str | None
    api_key_sha256: tuple[str, ...] = field(repr=False)
    entra: EntraSettings | None = None
    rate_limit_per_second: int = 100
    rate_limit_burst: int = 200
    max_in_flight: int = 64
    docs_enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 0
    window_records: int = MINIMUM_RECORDS
    window_seconds: int = 60
    otlp_endpoint: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the settings.

        Raises:
            SettingsError: a setting is missing or wrong.
        """
        return cls(
            release_dir=_release_dir(_required(environment, "RELEASE_DIR")),
            release_version=_release_version(_required(environment, "RELEASE_VERSION")),
            release_sha256=_release_sha256(environment.get("RELEASE_SHA256", "")),
            api_key_sha256=_api_key_sha256(environment),
            entra=_entra(environment),
            rate_limit_per_second=_count(
                environment, "RATE_LIMIT_PER_SECOND", cls.rate_limit_per_second, 1_000_000
            ),
            rate_limit_burst=_count(
                environment, "RATE_LIMIT_BURST", cls.rate_limit_burst, 1_000_000
            ),
            max_in_flight=_count(environment, "MAX_IN_FLIGHT", cls.max_in_flight, 10_000),
            docs_enabled=_flag(environment, "DOCS_ENABLED", default=cls.docs_enabled),
            window_records=_count(
                environment, "WINDOW_RECORDS", cls.window_records, 1_000_000, least=MINIMUM_RECORDS
            ),
            window_seconds=_count(environment, "WINDOW_SECONDS", cls.window_seconds, 86_400),
            otlp_endpoint=_otlp_endpoint(_optional(environment, "OTLP_ENDPOINT")),
            host=environment.get("HOST", "").strip() or "127.0.0.1",
            port=_port(environment.get("PORT", "").strip() or "0"),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name}: not set; it has no default")
    return value


def _release_dir(value: str) -> Path:
    path = Path(value)
    if not path.is_dir():
        raise SettingsError(f"RELEASE_DIR: {value!r} is not a folder")
    return path


def _release_version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise SettingsError(
            "RELEASE_VERSION: expected up to 64 letters, digits, dots, dashes, pluses or "
            f"underscores, such as '7', not {value!r}"
        )
    return value


def _release_sha256(value: str) -> str | None:
    sha256 = value.strip().lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise SettingsError("RELEASE_SHA256: expected the manifest's sha-256, 64 hex digits")
    return sha256 or None


def _api_key_sha256(environment: Mapping[str, str]) -> tuple[str, ...]:
    value = _optional(environment, "API_KEY_SHA256")
    if not value:
        if _optional(environment, "ENTRA_TENANT_ID"):
            return ()
        raise SettingsError("API_KEY_SHA256: not set, nor is ENTRA_TENANT_ID: nobody could call")
    hashes = tuple(part.strip().lower() for part in value.split(","))
    for position, sha256 in enumerate(hashes, start=1):
        if not _SHA256.fullmatch(sha256):
            raise SettingsError(
                f"API_KEY_SHA256: entry {position} of {len(hashes)} is not a sha-256 (64 hex "
                "digits); give the hashes of the accepted keys, separated by commas"
            )
        if sha256 == _NO_KEY:
            raise SettingsError(f"API_KEY_SHA256: entry {position} is the hash of an empty key")
    return hashes


def _entra(environment: Mapping[str, str]) -> EntraSettings | None:
    tenant_id = _optional(environment, "ENTRA_TENANT_ID").lower()
    if not tenant_id:
        for name in ("ENTRA_AUDIENCE", "ENTRA_ISSUER", "ENTRA_LOOPBACK_HTTP"):
            if _optional(environment, name):
                raise SettingsError(f"{name}: set without ENTRA_TENANT_ID, which it is for")
        return None
    if not _GUID.fullmatch(tenant_id):
        raise SettingsError("ENTRA_TENANT_ID: expected the tenant's id, a GUID, not its domain")
    loopback_http = _flag(environment, "ENTRA_LOOPBACK_HTTP", default=False)
    return EntraSettings(
        tenant_id=tenant_id,
        audiences=_audiences(_required(environment, "ENTRA_AUDIENCE")),
        issuer=_issuer(_optional(environment, "ENTRA_ISSUER"), tenant_id, loopback_http),
        loopback_http=loopback_http,
    )


def _audiences(value: str) -> frozenset[str]:
    audiences = [part.strip() for part in value.split(",")]
    if len(audiences) > _MAX_AUDIENCES or not all(map(_AUDIENCE.fullmatch, audiences)):
        raise SettingsError(
            "ENTRA_AUDIENCE: expected the API's application id, or its URI such as api://hr, or "
            f"both, separated by commas; at most {_MAX_AUDIENCES}"
        )
    return frozenset(audiences)


def _issuer(value: str, tenant_id: str, loopback_http: bool) -> str:
    if not value:
        return f"https://login.microsoftonline.com/{tenant_id}/v2.0"
    # Imported where it is needed: it brings an HTTP client along.
    from app.issuer import is_trusted_address

    if not is_trusted_address(value, loopback_http=loopback_http) or tenant_id not in value:
        raise SettingsError(
            "ENTRA_ISSUER: expected the tenant's issuer of v2 tokens, such as "
            f"https://login.microsoftonline.us/{tenant_id}/v2.0"
        )
    return value


def _otlp_endpoint(value: str) -> str | None:
    if not value:
        return None
    # Not repeated: an address may hold a password.
    wrong = SettingsError(
        "OTLP_ENDPOINT: expected a collector's base address, such as http://127.0.0.1:4318"
    )
    try:
        address = urlsplit(value)
        port = address.port
    except ValueError:
        raise wrong from None
    if address.scheme not in ("http", "https") or not address.hostname or port == 0:
        raise wrong
    if "@" in address.netloc or "?" in value or "#" in value or not value.isprintable():
        raise wrong
    return value


def _optional(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip()


def _count(
    environment: Mapping[str, str], name: str, default: int, most: int, *, least: int = 1
) -> int:
    value = _optional(environment, name) or str(default)
    digits = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    if not (digits and least <= int(value) <= most):
        raise SettingsError(
            f"{name}: expected a whole number from {least} to {most}, not {value!r}"
        )
    return int(value)


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = _optional(environment, name) or str(default).lower()
    if value not in ("true", "false"):
        raise SettingsError(f"{name}: expected true or false, not {value!r}")
    return value == "true"


def _port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > 65_535:
        raise SettingsError(
            f"PORT: expected a number from 0 (any free port) to 65535, not {value!r}"
        )
    return int(value)
