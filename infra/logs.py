"""The log store: one Log Analytics workspace for the logs of every environment."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import operationalinsights

__all__ = ["LogStore", "LogStoreArgs"]


@dataclass(frozen=True, kw_only=True)
class LogStoreArgs:
    """Where the store is made, and its bounds; `protect` refuses to delete it.

    Records are kept for `retention_days`; once `daily_quota_gb` (GB a day) are reached, the rest of
    that day is dropped: a fault that logs without end has a bounded price.
    """

    resource_group_name: pulumi.Input[str]
    workspace_name: str
    location: str
    retention_days: int
    daily_quota_gb: int
    tags: Mapping[str, str]
    protect: bool


class LogStore(pulumi.ComponentResource):
    """A workspace that takes logs from identities only; its shared keys are off.

    `id` is its ARM id; `location` is where data collection rules that write to it must be.
    """

    id: pulumi.Output[str]
    location: pulumi.Output[str]

    def __init__(
        self, name: str, args: LogStoreArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:logs:LogStore", name, None, opts)
        workspace = operationalinsights.Workspace(
            f"{name}-workspace",
            operationalinsights.WorkspaceArgs(
                resource_group_name=args.resource_group_name,
                workspace_name=args.workspace_name,
                location=args.location,
                sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
                retention_in_days=args.retention_days,
                workspace_capping=operationalinsights.WorkspaceCappingArgs(
                    daily_quota_gb=args.daily_quota_gb
                ),
                features=operationalinsights.WorkspaceFeaturesArgs(
                    disable_local_auth=True,
                    # Whoever may read a resource may read its logs, and no others.
                    enable_log_access_using_only_resource_permissions=True,
                ),
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.id = workspace.id
        self.location = pulumi.Output.from_input(args.location)
        self.register_outputs({"id": self.id, "location": self.location})
