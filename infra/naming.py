"""The physical names of everything on Azure, in one place.

A name carries the kind of resource, the configured prefix and the stack, so that two environments
never meet and a person can tell a resource by its name. Nothing that may change (region, version,
date) is part of a name: another name is another resource.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass

from infra.lifecycle.errors import LifecycleError

__all__ = [
    "ACTION_GROUP_LENGTH",
    "ALERT_RULE_LENGTH",
    "BUDGET_LENGTH",
    "CLUSTER_LENGTH",
    "DATABRICKS_LENGTH",
    "DATA_COLLECTION_RULE_LENGTH",
    "DNS_PREFIX_LENGTH",
    "IDENTITY_LENGTH",
    "LOG_WORKSPACE_LENGTH",
    "REGISTRY_LENGTH",
    "RESOURCE_GROUP_LENGTH",
    "SAVED_SEARCH_LENGTH",
    "Names",
    "NamingError",
]

# Longest names, in characters: Microsoft's "naming rules and restrictions for Azure resources".
RESOURCE_GROUP_LENGTH = 90
DATABRICKS_LENGTH = 64
REGISTRY_LENGTH = 50
LOG_WORKSPACE_LENGTH = 63
CLUSTER_LENGTH = 63
DNS_PREFIX_LENGTH = 54
BUDGET_LENGTH = 63
IDENTITY_LENGTH = 128
DATA_COLLECTION_RULE_LENGTH = 64
ALERT_RULE_LENGTH = 260
ACTION_GROUP_LENGTH = 260
SAVED_SEARCH_LENGTH = 63
"""No limit is documented; this is the log workspace's own."""

_PROJECT = "employee-retention"
_SHORT = "retention"
_HASH_LENGTH = 8
_PART = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


class NamingError(LifecycleError):
    """A prefix, stack or role has characters that not every Azure name may have."""


@dataclass(frozen=True)
class Names:
    """The names of one stack: `prefix` is the config key `namePrefix`, `stack` the stack's name.

    Raises:
        NamingError: one of them is not lower-case letters, digits and inner dashes.
    """

    prefix: str
    stack: str

    def __post_init__(self) -> None:
        """Check the parts, so that no method can make a name that Azure refuses."""
        _check("the config key `namePrefix`", self.prefix)
        _check("the stack's name", self.stack)

    def resource_group(self) -> str:
        """Name the resource group that holds the stack."""
        return self._name("rg", RESOURCE_GROUP_LENGTH)

    def managed_resource_group(self) -> str:
        """Name the resource group that Databricks makes and fills itself."""
        return self._name("rg", RESOURCE_GROUP_LENGTH, "databricks")

    def databricks_workspace(self) -> str:
        """Name the Databricks workspace."""
        return self._name("dbw", DATABRICKS_LENGTH)

    def container_registry(self) -> str:
        """Name the container registry: letters and digits, and unique in all of Azure.

        The hash keeps it apart from another project's registry under the same prefix.
        """
        letters = self.prefix.replace("-", "")
        digest = _hash(_PROJECT, self.prefix)
        return f"cr{letters[: REGISTRY_LENGTH - _HASH_LENGTH - 2]}{digest}"

    def log_workspace(self) -> str:
        """Name the Log Analytics workspace."""
        return self._name("log", LOG_WORKSPACE_LENGTH)

    def cluster(self) -> str:
        """Name the Kubernetes cluster."""
        return self._name("aks", CLUSTER_LENGTH)

    def dns_prefix(self) -> str:
        """Name the first label of the cluster's API server address."""
        return _fit(f"{self.prefix}-{_SHORT}-{self.stack}", DNS_PREFIX_LENGTH)

    def budget(self) -> str:
        """Name the budget."""
        return self._name("budget", BUDGET_LENGTH)

    def identity(self, role: str) -> str:
        """Name the managed identity that is used for `role`."""
        _check("an identity's role", role)
        return self._name("id", IDENTITY_LENGTH, role)

    def data_collection_rule(self) -> str:
        """Name the rule that says which container logs are kept."""
        return self._name("dcr", DATA_COLLECTION_RULE_LENGTH)

    def alert_rule(self, role: str) -> str:
        """Name the alert rule that watches `role`."""
        _check("an alert rule's role", role)
        return self._name("alert", ALERT_RULE_LENGTH, role)

    def action_group(self) -> str:
        """Name those who are told of an alert."""
        return self._name("ag", ACTION_GROUP_LENGTH)

    def saved_search(self, role: str) -> str:
        """Name a saved search; every environment has its own in the one log workspace."""
        _check("a saved search's role", role)
        return self._name("query", SAVED_SEARCH_LENGTH, role)

    def workbook(self) -> str:
        """Name the workbook, which Azure wants a GUID for."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_PROJECT}/{self._name('workbook', 90)}"))

    def _name(self, kind: str, limit: int, *roles: str) -> str:
        return _fit("-".join((kind, self.prefix, _SHORT, self.stack, *roles)), limit)


def _fit(name: str, limit: int) -> str:
    """Shorten a name that is too long, and end it with a hash of the whole."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - _HASH_LENGTH - 1].rstrip('-')}-{_hash(name)}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HASH_LENGTH]


def _check(what: str, part: str) -> None:
    if not _PART.fullmatch(part):
        raise NamingError(
            f"{what} is {part!r}, which cannot be part of an Azure name; use lower-case letters, "
            "digits and dashes between them"
        )
