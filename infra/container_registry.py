"""The container registry that holds the API's images, shared by every environment."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

__all__ = ["ContainerRegistry", "ContainerRegistryArgs"]


@dataclass(frozen=True, kw_only=True)
class ContainerRegistryArgs:
    """Where the registry is made, under which name; `protect` refuses to delete it."""

    resource_group_name: pulumi.Input[str]
    registry_name: str
    location: str
    tags: Mapping[str, str]
    protect: bool


class ContainerRegistry(pulumi.ComponentResource):
    """A registry that is used by identity alone: it has no password and no anonymous access.

    `id` is its ARM id, which role assignments take as scope; `server` is the host name that images
    are pushed to and pulled from.
    """

    id: pulumi.Output[str]
    server: pulumi.Output[str]

    def __init__(
        self, name: str, args: ContainerRegistryArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:registry:ContainerRegistry", name, None, opts)
        registry = containerregistry.Registry(
            f"{name}-registry",
            containerregistry.RegistryArgs(
                resource_group_name=args.resource_group_name,
                registry_name=args.registry_name,
                location=args.location,
                sku=containerregistry.SkuArgs(name="Standard"),
                admin_user_enabled=False,
                anonymous_pull_enabled=False,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.id = registry.id
        self.server = registry.login_server
        self.register_outputs({"id": self.id, "server": self.server})
