"""The rule on tags, and what takes them.

Which types take tags is listed here, not read from the SDKs: the rule must hold without them, and
at once. A test compares the lists with the SDKs' signatures.
"""

from collections.abc import Iterator

from policies.declared import Resource, at, entries, is_unknown
from policies.stack_config import StackConfig

__all__ = ["AZURE", "DATABRICKS", "REQUIRED_TAGS", "tags"]

REQUIRED_TAGS = ("project", "stack", "managed-by")
"""Whose it is, and what manages it: by these a bill is read, and a stray resource is found."""

AZURE: dict[str, frozenset[str]] = {
    module: frozenset(kinds.split())
    for module, kinds in {
        "applicationinsights": "Component MyWorkbook WebTest Workbook WorkbookTemplate",
        "authorization": "",
        "consumption": "",
        "containerregistry": "AgentPool Registry Replication Task Webhook",
        "containerservice": "AgentPool Fleet FleetManagedNamespace ManagedCluster"
        " ManagedClusterSnapshot ManagedNamespace Namespace Snapshot",
        "databricks": "AccessConnector Workspace",
        "keyvault": "Key MHSMPrivateEndpointConnection ManagedHsm Secret Vault",
        "managedidentity": "UserAssignedIdentity",
        "monitor": "ActionGroup ActivityLogAlert AutoscaleSetting AzureMonitorWorkspace"
        " DataCollectionEndpoint DataCollectionRule HealthModel MetricAlert PipelineGroup"
        " PrivateLinkScope ScheduledQueryRule TenantActionGroup",
        "operationalinsights": "Cluster DataSource LinkedService QueryPack StorageInsightConfig"
        " Workspace",
        "resources": "AzureCliScript AzurePowerShellScript Deployment"
        " DeploymentAtManagementGroupScope DeploymentAtScope DeploymentAtSubscriptionScope"
        " DeploymentAtTenantScope DeploymentStackAtManagementGroup DeploymentStackAtResourceGroup"
        " DeploymentStackAtSubscription DeploymentStacksWhatIfResultsAtManagementGroup"
        " DeploymentStacksWhatIfResultsAtResourceGroup"
        " DeploymentStacksWhatIfResultsAtSubscription Resource ResourceGroup TemplateSpec"
        " TemplateSpecVersion",
    }.items()
}
"""By module of azure-native: the types whose `tags` are a map of texts. Others in it take none."""

DATABRICKS = {
    "Cluster": "customTags",
    "InstancePool": "customTags",
    "Job": "tags",
    "MwsWorkspaces": "customTags",
    "Pipeline": "tags",
}
"""Databricks types that take a map of texts as tags, and the property that is it."""


def tags(resource: Resource, _: StackConfig) -> Iterator[str]:
    """A stray resource is found, and a bill read, by the tags that everything has."""
    module, _sep, kind = resource.azure.partition(":")
    if module and module not in AZURE:
        yield (
            f"whether it takes tags is not known: add azure-native's module {module!r} to "
            "policies/tag_rules.py"
        )
        return
    if kind in AZURE.get(module, ()):
        key = "tags"
    elif resource.databricks in DATABRICKS:
        key = DATABRICKS[resource.databricks]
    else:
        return
    found = at(resource.properties, key)
    if is_unknown(found):
        return
    there = entries(found)
    if missing := [tag for tag in REQUIRED_TAGS if there.get(tag) in (None, "")]:
        yield f"{key} lacks {', '.join(missing)}"
