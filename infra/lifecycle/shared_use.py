"""Who uses the stack `shared`: no environment may lose the registry and the images under its feet.

Stacks do not know of each other. An environment leaves a mark on the registered model, which is
shared's own; while there is one, shared's guard refuses to be destroyed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult
from pulumi.output import Unknown

from infra.lifecycle.databricks import CredentialProvider
from infra.lifecycle.errors import RegistryError, StillUsedError
from infra.lifecycle.mlflow_client import store_is_gone
from infra.lifecycle.registry import Registry, RegistryAddress

__all__ = [
    "SharedGuard",
    "SharedGuardArgs",
    "SharedGuardProvider",
    "SharedUse",
    "SharedUseArgs",
    "SharedUseProvider",
]

_PLACE = ("model_name", "tracking_uri", "registry_uri", "host")


@dataclass(frozen=True, kw_only=True)
class SharedUseArgs:
    """The registry that is used, and the stage that uses it."""

    registry: RegistryAddress
    stage: str


class SharedUseProvider(CredentialProvider):
    """Puts the environment's mark on the registered model, and takes it away again."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Move the mark when the registry or the stage is another."""
        replaces = ["stage"] if olds["stage"] != news["stage"] else []
        if _is_elsewhere(olds["registry"], news["registry"]):
            replaces.append("registry")
        # First away, then anew: two addresses may name the same registry.
        return DiffResult(changes=bool(replaces), replaces=replaces, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Leave the mark.

        Raises:
            RegistryError: the registry does not answer, or has no such model.
        """
        since = datetime.now(UTC).isoformat(timespec="seconds")
        Registry(props["registry"], self.credentials).mark_use(props["stage"], f"since {since}")
        return CreateResult(id_=f"{props['registry']['model_name']}@{props['stage']}", outs=props)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Take the mark away.

        Raises:
            RegistryError: the registry does not answer.
        """
        if not store_is_gone(props["registry"]):
            Registry(props["registry"], self.credentials).clear_use(props["stage"])


@dataclass(frozen=True, kw_only=True)
class SharedGuardArgs:
    """The registry on whose model the environments leave their marks."""

    registry: RegistryAddress


class SharedGuardProvider(CredentialProvider):
    """Makes nothing, and cannot be deleted while an environment's mark is there."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Remember another address; never by a replacement, which would ask before its time."""
        return DiffResult(changes=_is_elsewhere(olds["registry"], news["registry"]))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Remember the registry's address."""
        return CreateResult(id_="guard", outs=props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Remember the registry's new address."""
        return UpdateResult(outs=news)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Refuse while there are marks; a store whose file is gone has none.

        Raises:
            StillUsedError: naming the stages that still use this stack.
            RegistryError: the registry does not answer; the message says how to go on without it.
        """
        if store_is_gone(props["registry"]):
            return
        try:
            stages = Registry(props["registry"], self.credentials).uses()
        except RegistryError as error:
            raise RegistryError(
                f"whether an environment still uses this stack cannot be told: {error}\n"
                "If the registry is gone for good, take the guard out of the state with "
                "`pulumi state delete` and destroy again."
            ) from error
        if stages:
            names = ", ".join(stages)
            raise StillUsedError(
                f"this stack is still used by {names}: destroy that first "
                f"(`pulumi destroy -s {stages[0]}`), then this one"
            )


def _is_elsewhere(old: dict[str, Any], new: Any) -> bool:
    if isinstance(new, Unknown):
        return False
    return any(not isinstance(new[key], Unknown) and old[key] != new[key] for key in _PLACE)


class SharedUse(Resource, module="lifecycle", name="SharedUse"):
    """An environment's mark on what it shares."""

    def __init__(
        self, name: str, args: SharedUseArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {"registry": args.registry.props(), "stage": args.stage}
        super().__init__(SharedUseProvider(), name, props, opts)


class SharedGuard(Resource, module="lifecycle", name="SharedGuard"):
    """What stands before shared's destruction; it depends on everything that must stay."""

    def __init__(
        self, name: str, args: SharedGuardArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(SharedGuardProvider(), name, {"registry": args.registry.props()}, opts)
