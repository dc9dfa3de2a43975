"""Rules on what is made in Azure: who gets in, what is kept, what it may cost."""

from collections.abc import Iterator

from policies.declared import Resource, at, differs, is_unknown
from policies.stack_config import StackConfig

__all__ = [
    "cluster_identity",
    "log_bounds",
    "protected_data",
    "registry_admin",
    "unprotected_by_setting",
    "workspace_network",
]

_REGISTRY = "containerregistry:Registry"
_CLUSTER = "containerservice:ManagedCluster"
_LOGS = "operationalinsights:Workspace"
_DATABRICKS = "databricks:Workspace"

_HOLDS_DATA = frozenset({_REGISTRY, _LOGS, _DATABRICKS})
"""What holds what cannot be made again: images, logs, models and tables."""


def registry_admin(resource: Resource, _: StackConfig) -> Iterator[str]:
    """The admin user is one password for everybody, which no audit log tells apart."""
    if resource.azure == _REGISTRY and differs(at(resource.properties, "adminUserEnabled"), False):
        yield "adminUserEnabled is not false"


_CLUSTER_IDENTITY = (
    ("disableLocalAccounts",),
    ("enableRBAC",),
    ("aadProfile", "managed"),
    ("aadProfile", "enableAzureRBAC"),
)


def cluster_identity(resource: Resource, _: StackConfig) -> Iterator[str]:
    """Local accounts are certificates that nobody can revoke; Entra ID and Azure RBAC can."""
    if resource.azure != _CLUSTER:
        return
    for path in _CLUSTER_IDENTITY:
        if differs(at(resource.properties, *path), True):
            yield f"{'.'.join(path)} is not true"


def log_bounds(resource: Resource, _: StackConfig) -> Iterator[str]:
    """Without a retention logs of people are kept by default, without a cap a loop is a bill."""
    if resource.azure != _LOGS:
        return
    for path, unit in (
        (("retentionInDays",), "days"),
        (("workspaceCapping", "dailyQuotaGb"), "GB"),
    ):
        value = at(resource.properties, *path)
        if not is_unknown(value) and not _is_positive(value):
            yield f"{'.'.join(path)} is not set to a number of {unit} above 0"


def workspace_network(resource: Resource, _: StackConfig) -> Iterator[str]:
    """Premium has access control; clusters need no public address, and serverless has none."""
    if resource.azure != _DATABRICKS:
        return
    tier = at(resource.properties, "sku", "name")
    if not is_unknown(tier) and str(tier).lower() != "premium":
        yield "sku.name is not premium"
    mode = at(resource.properties, "computeMode")
    if is_unknown(mode) or mode == "Serverless":
        return
    if differs(at(resource.properties, "parameters", "enableNoPublicIp", "value"), True):
        yield "parameters.enableNoPublicIp.value is not true"


def protected_data(resource: Resource, config: StackConfig) -> Iterator[str]:
    """What holds data is protected, unless the stack's setting says that it need not be."""
    if config.protect and _is_unprotected(resource, config):
        yield "it holds data, and is not protected"


def unprotected_by_setting(resource: Resource, config: StackConfig) -> Iterator[str]:
    """A setting may allow it; a person should see what it means."""
    if not config.protect and _is_unprotected(resource, config):
        yield "it holds data, and the stack's setting `protect` lets Pulumi delete it"


def _is_unprotected(resource: Resource, config: StackConfig) -> bool:
    kinds = {*_HOLDS_DATA, _CLUSTER} if config.production else _HOLDS_DATA
    return resource.azure in kinds and not resource.protect


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
