"""Which of a cluster's logs are kept: the API's own, by the cluster's managed identity.

Container insights collects everything of every namespace unless a rule says otherwise, and every
gigabyte is paid for. The cluster's `omsagent` add-on sends what this rule names; it has no shared
key. Metrics are left out: the API's are in its own logs, and a managed Prometheus is paid for too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

__all__ = ["ContainerInsights", "ContainerInsightsArgs"]

_STREAMS = [
    "Microsoft-ContainerLogV2",
    "Microsoft-KubeEvents",
    "Microsoft-KubePodInventory",
]
_DESTINATION = "ciworkspace"
_EXTENSION = "ContainerInsightsExtension"
"""The add-on looks for a data source and an association of exactly this name."""


@dataclass(frozen=True, kw_only=True)
class ContainerInsightsArgs:
    """Of which cluster the logs of which `namespaces` go to which log workspace.

    `location` is the log workspace's, wherever the cluster is: a rule lives beside its destination.
    """

    resource_group_name: pulumi.Input[str]
    rule_name: str
    location: pulumi.Input[str]
    cluster_id: pulumi.Input[str]
    log_workspace_id: pulumi.Input[str]
    namespaces: Sequence[str]
    tags: Mapping[str, str]


class ContainerInsights(pulumi.ComponentResource):
    """A data collection rule for the namespaces named, and its association with the cluster."""

    rule_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ContainerInsightsArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:logs:ContainerInsights", name, None, opts)
        rule = self._create_rule(name, args)
        monitor.DataCollectionRuleAssociation(
            f"{name}-association",
            monitor.DataCollectionRuleAssociationArgs(
                association_name=_EXTENSION,
                data_collection_rule_id=rule.id,
                resource_uri=args.cluster_id,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.rule_id = rule.id
        self.register_outputs({"rule_id": self.rule_id})

    def _create_rule(self, name: str, args: ContainerInsightsArgs) -> monitor.DataCollectionRule:
        source = monitor.ExtensionDataSourceArgs(
            name=_EXTENSION,
            extension_name="ContainerInsights",
            streams=_STREAMS,
            extension_settings={
                "dataCollectionSettings": {
                    "interval": "1m",
                    "namespaceFilteringMode": "Include",
                    "namespaces": list(args.namespaces),
                    "enableContainerLogV2": True,
                }
            },
        )
        store = monitor.LogAnalyticsDestinationArgs(
            name=_DESTINATION, workspace_resource_id=args.log_workspace_id
        )
        return monitor.DataCollectionRule(
            f"{name}-rule",
            monitor.DataCollectionRuleArgs(
                resource_group_name=args.resource_group_name,
                data_collection_rule_name=args.rule_name,
                location=args.location,
                kind="Linux",
                data_sources=monitor.DataCollectionRuleDataSourcesArgs(extensions=[source]),
                destinations=monitor.DataCollectionRuleDestinationsArgs(log_analytics=[store]),
                data_flows=[monitor.DataFlowArgs(streams=_STREAMS, destinations=[_DESTINATION])],
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
