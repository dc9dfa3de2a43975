"""An API key, made at first use and changed on demand."""

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
    """Where the key lies, and which key it is.

    `path` is the file that holds the key for the people of this machine, mode 0600; empty, the key
    is in the stack's state alone, as a secret. `rotation` is any text: a new text makes a new key.
    """

    path: str = ""
    rotation: str = ""


class ApiKeyProvider(ResourceProvider):
    """Makes a random key of 256 bits; the service gets its hash only."""

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Make a new key for a new `rotation`; write a file that lost its key, or is open, again.

        A state of version 0.1.0 has no `accepted_sha256` yet: it gets one.
        """
        changed = olds["path"] != news["path"] or _rotates(olds, news)
        return DiffResult(changes=changed or "accepted_sha256" not in olds or _is_lost(olds))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the key, or adopt the one that an interrupted run left in the file."""
        key = _read(props["path"]) or _new()
        return CreateResult(id_="api-key", outs=_keep(props, key))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Put the key that the stack knows, or a new one, into its file.

        After a rotation the service accepts the previous key too, so that its callers can change
        theirs one by one; the next rotation ends it.
        """
        if olds["path"] != news["path"]:
            _remove(olds["path"])
        if _rotates(olds, news):
            return UpdateResult(outs=_keep(news, _new(), previous=olds["sha256"]))
        _, _, previous = olds.get("accepted_sha256", "").partition(",")
        return UpdateResult(outs=_keep(news, olds["key"], previous=previous))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the file, if there is one."""
        _remove(props["path"])


def _new() -> str:
    return secrets.token_urlsafe(32)


def _rotates(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    return olds.get("rotation", "") != news["rotation"]


def _is_lost(olds: dict[str, Any]) -> bool:
    path = olds["path"]
    return bool(path) and (_read(path) != olds["key"] or bool(Path(path).stat().st_mode & 0o077))


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _remove(path: str) -> None:
    if path:
        Path(path).unlink(missing_ok=True)


def _keep(props: dict[str, Any], key: str, *, previous: str = "") -> dict[str, Any]:
    if props["path"]:
        _write(Path(props["path"]), key)
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    accepted = f"{sha256},{previous}" if previous else sha256
    return {**props, "key": key, "sha256": sha256, "accepted_sha256": accepted}


def _write(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Born private: a file made first and restricted later is readable in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(key + "\n")


class ApiKey(Resource, module="lifecycle", name="ApiKey"):
    """A key for the API's callers; `key` is a secret, the hashes are not.

    `sha256` is the key's own hash. `accepted_sha256` is what the API is given: that hash, and after
    a rotation `new,previous`.
    """

    path: pulumi.Output[str]
    key: pulumi.Output[str]
    sha256: pulumi.Output[str]
    accepted_sha256: pulumi.Output[str]

    def __init__(
        self, name: str, args: ApiKeyArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["key"])
        props = {**vars(args), **dict.fromkeys(("key", "sha256", "accepted_sha256"))}
        super().__init__(ApiKeyProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))
