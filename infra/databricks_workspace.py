"""The Databricks workspace, and the provider that makes things inside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_databricks as dbx
from pulumi_azure_native import databricks

__all__ = ["DatabricksWorkspace", "DatabricksWorkspaceArgs", "managed_resource_group_id"]


@dataclass(frozen=True, kw_only=True)
class DatabricksWorkspaceArgs:
    """Where the workspace is made, under which names; `protect` refuses to delete it.

    `managed_resource_group_id` is a resource group that must not exist: Databricks makes it.
    """

    resource_group_name: pulumi.Input[str]
    workspace_name: str
    managed_resource_group_id: pulumi.Input[str]
    location: str
    auth_type: str
    tags: Mapping[str, str]
    protect: bool


class DatabricksWorkspace(pulumi.ComponentResource):
    """A Premium workspace with Unity Catalog, whose machines have no public addresses.

    `id` is its ARM id, `host` its address (`https://…`), and `provider` makes what is inside it, as
    whom `auth_type` signs in: "azure-cli", or "pat" for the token in DATABRICKS_TOKEN.
    """

    id: pulumi.Output[str]
    host: pulumi.Output[str]
    provider: dbx.Provider

    def __init__(
        self,
        name: str,
        args: DatabricksWorkspaceArgs,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("employee-retention:databricks:Workspace", name, None, opts)
        workspace = databricks.Workspace(
            f"{name}-workspace",
            _workspace_args(args),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.id = workspace.id
        self.host = pulumi.Output.concat("https://", workspace.workspace_url)
        self.provider = dbx.Provider(
            f"{name}-provider",
            dbx.ProviderArgs(
                host=self.host,
                azure_workspace_resource_id=self.id,
                auth_type=args.auth_type,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"id": self.id, "host": self.host})


def managed_resource_group_id(resource_group_id: str, name: str) -> str:
    """Name the resource group `name` beside another: its ARM id, in the same subscription.

    Raises:
        ValueError: `resource_group_id` is not `/subscriptions/…/resourceGroups/…`.
    """
    match resource_group_id.split("/"):
        case ["", "subscriptions", subscription, groups, _] if groups.lower() == "resourcegroups":
            return f"/subscriptions/{subscription}/resourceGroups/{name}"
        case _:
            raise ValueError(f"{resource_group_id!r} is not the ARM id of a resource group")


def _workspace_args(args: DatabricksWorkspaceArgs) -> databricks.WorkspaceArgs:
    return databricks.WorkspaceArgs(
        resource_group_name=args.resource_group_name,
        workspace_name=args.workspace_name,
        location=args.location,
        sku=databricks.SkuArgs(name="premium"),
        # Left out, Azure fills it in, and setting it later replaces the workspace
        # (pulumi-azure-native 4773).
        compute_mode="Hybrid",
        managed_resource_group_id=args.managed_resource_group_id,
        # The provider's default is the Hive metastore. Azure names the catalog: a name given here
        # is refused.
        default_catalog=databricks.DefaultCatalogPropertiesArgs(initial_type="UnityCatalog"),
        parameters=databricks.WorkspaceCustomParametersArgs(
            enable_no_public_ip=databricks.WorkspaceNoPublicIPBooleanParameterArgs(value=True)
        ),
        tags=args.tags,
    )
