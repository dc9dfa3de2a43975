"""An API key, made at first use."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

__all__ = ["ApiKey", "ApiKeyArgs", "ApiKeyProvider"]


@dataclass(frozen=True, kw_only=True)
class ApiKeyArgs:
    """`path`: the file that holds the key for the people of this machine, mode 0600."""

    path: str


class ApiKeyProvider(ResourceProvider):
    """Makes a random key of 256 bits; the service gets its hash only."""

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Write the file again where it is missing, open to others, or holds another key."""
        path = Path(news["path"])
        lost = _read(path) != olds["key"] or path.stat().st_mode & 0o077
        return DiffResult(changes=bool(lost) or olds["path"] != news["path"])

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the key, or adopt the one that an interrupted run left in the file."""
        key = _read(Path(props["path"])) or secrets.token_urlsafe(32)
        return CreateResult(id_="api-key", outs=_write(props["path"], key))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Put the key that the stack knows back into its file."""
        if olds["path"] != news["path"]:
            Path(olds["path"]).unlink(missing_ok=True)
        return UpdateResult(outs=_write(news["path"], olds["key"]))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the file."""
        Path(props["path"]).unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _write(path: str, key: str) -> dict[str, Any]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Born private: a file made first and restricted later is readable in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(key + "\n")
    return {"path": path, "key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}


class ApiKey(Resource, module="lifecycle", name="ApiKey"):
    """A key for the API's callers; `key` is a secret, `sha256` is what the API is given."""

    path: pulumi.Output[str]
    key: pulumi.Output[str]
    sha256: pulumi.Output[str]

    def __init__(
        self, name: str, args: ApiKeyArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["key"])
        props = {"path": args.path, "key": None, "sha256": None}
        super().__init__(ApiKeyProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))
