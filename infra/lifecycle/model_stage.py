"""A registry stage: an alias that points at the release which is served there."""

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)
from pulumi.output import Unknown

from infra.lifecycle.databricks import CredentialProvider
from infra.lifecycle.mlflow_client import store_is_gone
from infra.lifecycle.registry import Registry, RegistryAddress

__all__ = ["PINNED", "PROMOTION", "ModelStage", "ModelStageArgs", "ModelStageProvider"]

PROMOTION = "promotion"
PINNED = "pinned by releaseVersion"
"""Reasons of a move where nobody gave one."""

_REASON_LENGTH = 500
"""Characters; the whole entry must fit into a tag's 1000."""


@dataclass(frozen=True, kw_only=True)
class ModelStageArgs:
    """Which version the stage's alias points to, and the smoke test's evidence that it works.

    `evidence` may hold `image`, which is then what the next stage deploys. `reason` (at most 500
    characters) is noted with the move; a new reason alone moves nothing.
    """

    registry: RegistryAddress
    stage: str
    version: pulumi.Input[str]
    evidence: pulumi.Input[dict[str, Any]]
    reason: str = PROMOTION


_IDENTITY = ("model_name", "tracking_uri", "registry_uri", "host")


class ModelStageProvider(CredentialProvider):
    """Moves the alias, notes the move, and remembers which version the stage left."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a reason that could not be noted, before anything is deployed."""
        length = len(str(news["reason"]))
        if length > _REASON_LENGTH:
            reason = f"has {length} characters, at most {_REASON_LENGTH} are kept; shorten it"
            return CheckResult(news, [CheckFailure("reason", reason)])
        return CheckResult(news, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Move for another version or image; a stage elsewhere is another stage."""
        old, new = _address(olds), news["registry"]
        replaces = ["stage"] if olds["stage"] != news["stage"] else []
        if any(_differ(old.get(key, ""), new.get(key, "")) for key in _IDENTITY):
            replaces.insert(0, "registry")
        # What somebody else put there becomes this resource's by a move that moves nothing.
        known = (olds["version"], _placed(olds))
        moves = any(version != news["version"] for version in known) or _image(olds) != _image(news)
        return DiffResult(changes=bool(replaces) or moves, replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Mark the version as proven, note the move, and point the alias at the version.

        Raises:
            RegistryError: the registry does not answer, or refuses a tag.
        """
        id_ = f"{props['registry']['model_name']}@{props['stage']}"
        return CreateResult(id_=id_, outs=self._move(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Move the alias, as `create` does."""
        return UpdateResult(outs=self._move(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Look where the alias points now: a refresh shows who moved it by hand.

        Raises:
            RegistryError: the registry does not answer.
        """
        version = self._version_at(props)
        if not version:
            # In the engine's terms: this resource is gone, and the next `up` makes it anew.
            return ReadResult("", {})
        if version == props["version"]:
            return ReadResult(id_, props)
        return ReadResult(id_, {**props, "version": version, "placed": _placed(props)})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the alias if it still points where this resource put it."""
        address = _address(props)
        if not store_is_gone(address):
            Registry(address, self.credentials).clear_stage(props["stage"], _placed(props))

    def _version_at(self, props: dict[str, Any]) -> str:
        address = _address(props)
        if store_is_gone(address):
            return ""
        return Registry(address, self.credentials).version_at(props["stage"])

    def _move(self, props: dict[str, Any]) -> dict[str, Any]:
        registry = Registry(props["registry"], self.credentials)
        stage, version = props["stage"], props["version"]
        # A repeat after an interrupted run finds the alias moved: there is no move to note then,
        # and no previous version.
        previous = registry.version_at(stage)
        moves = previous != version
        entry = _entry(previous, version, props["reason"]) if moves else None
        registry.move_stage(stage, version, props["evidence"], entry)
        return {**props, "placed": version, "previous_version": previous if moves else ""}


def _entry(previous: str, version: str, reason: str) -> dict[str, str]:
    return {
        "who": _who(),
        "from": previous,
        "to": version,
        "why": reason or PROMOTION,
        "when": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
    }


def _who() -> str:
    """Name the person, and the run of the workflow that acted for them."""
    if actor := os.environ.get("GITHUB_ACTOR"):
        where = [os.environ.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY")]
        run = os.environ.get("GITHUB_RUN_ID")
        return f"{actor} ({'/'.join(where)}/actions/runs/{run})" if run else actor
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A user without a name, as in some containers.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _address(props: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the registry's address; states of version 0.1.0 have its parts by themselves."""
    return props.get("registry") or {key: props[key] for key in ("model_name", "tracking_uri")}


def _placed(props: Mapping[str, Any]) -> str:
    """Return the version that this resource put the alias at: a refresh writes another `version`.

    States of version 0.1.0 have `version` alone.
    """
    return props.get("placed") or props["version"]


def _differ(old: str, new: object) -> bool:
    # Not known yet is no other registry: a preview would announce what does not happen.
    return not isinstance(new, Unknown) and old != new


def _image(props: Mapping[str, Any]) -> Any:
    evidence: Any = props["evidence"]
    return evidence.get("image") if isinstance(evidence, Mapping) else evidence  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - whatever a person stored


class ModelStage(Resource, module="lifecycle", name="ModelStage"):
    """The release that a stage serves."""

    version: pulumi.Output[str]
    previous_version: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelStageArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "registry": args.registry.props(),
            "stage": args.stage,
            "version": args.version,
            "evidence": args.evidence,
            "reason": args.reason,
            "previous_version": None,
        }
        super().__init__(ModelStageProvider(), name, props, opts)
