"""What a serving process is told by its environment; read once, at start-up."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings", "SettingsError"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_NO_KEY = hashlib.sha256(b"").hexdigest()


class SettingsError(Exception):
    """An environment variable is missing or wrong; the message names it, never a key's hash."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one serving process.

    `host` and `port` are the process's private address; port 0 takes any free one. The public
    address is given later, over the control socket.
    """

    release_dir: Path
    release_version: str
    release_sha256: str | None
    api_key_sha256: tuple[str, ...] = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    docs: bool = True
    window_records: int = 20
    window_seconds: float = 60.0

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
            api_key_sha256=_api_key_sha256(_required(environment, "API_KEY_SHA256")),
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


def _api_key_sha256(value: str) -> tuple[str, ...]:
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


def _port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > 65_535:
        raise SettingsError(
            f"PORT: expected a number from 0 (any free port) to 65535, not {value!r}"
        )
    return int(value)
