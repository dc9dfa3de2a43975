"""A registry stage: an alias that points at the release which is served there."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.lifecycle.registry import Registry

__all__ = ["ModelStage", "ModelStageArgs", "ModelStageProvider"]


@dataclass(frozen=True, kw_only=True)
class ModelStageArgs:
    """Which version the stage's alias points to, and the smoke test's evidence that it works."""

    model_name: str
    tracking_uri: str
    stage: str
    version: pulumi.Input[str]
    evidence: pulumi.Input[dict[str, Any]]


_ADDRESS = ("model_name", "tracking_uri", "stage")


class ModelStageProvider(ResourceProvider):
    """Moves the alias, and remembers which version it left."""

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Move when the version differs; a stage elsewhere is another stage."""
        replaces = [key for key in _ADDRESS if olds.get(key) != news[key]]
        return DiffResult(
            changes=bool(replaces) or olds["version"] != news["version"], replaces=replaces
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Mark the version as proven and point the alias at it.

        Raises:
            RegistryError: the registry does not answer.
        """
        return CreateResult(id_=f"{props['model_name']}@{props['stage']}", outs=_move(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Move the alias, as `create` does."""
        return UpdateResult(outs=_move(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the alias if it still points where this resource put it."""
        _registry(props).clear_stage(props["stage"], props["version"])


def _move(props: dict[str, Any]) -> dict[str, Any]:
    registry = _registry(props)
    before = registry.at_stage(props["stage"])
    registry.move_stage(props["stage"], props["version"], props["evidence"])
    # A repeat after an interrupted run finds the alias moved: it keeps no previous version then.
    previous = before.version if before and before.version != props["version"] else ""
    return {**props, "previous_version": previous}


def _registry(props: dict[str, Any]) -> Registry:
    return Registry(props["tracking_uri"], props["model_name"])


class ModelStage(Resource, module="lifecycle", name="ModelStage"):
    """The release that a stage serves."""

    version: pulumi.Output[str]
    previous_version: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelStageArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "model_name": args.model_name,
            "tracking_uri": args.tracking_uri,
            "stage": args.stage,
            "version": args.version,
            "evidence": args.evidence,
            "previous_version": None,
        }
        super().__init__(ModelStageProvider(), name, props, opts)
