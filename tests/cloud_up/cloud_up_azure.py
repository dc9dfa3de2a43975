"""A stand-in for Azure: resources with ids, and the outputs that the program reads."""

import base64
import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

import yaml
from cloud_up_internet import Answer, Asked
from cloud_up_ledger import Ledger, Thing
from cloud_up_provider import RefusedError, StandIn

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
AZURE_TOKEN = "an-azure-token-of-no-worth"
TENANT = "66666666-7777-8888-9999-000000000000"

_STACKS = ("shared", "staging", "production")
_COLLECTIONS = {
    "ResourceGroup": "resourceGroups",
    "Workspace": "workspaces",
    "Registry": "registries",
    "ManagedCluster": "managedClusters",
    "RoleAssignment": "roleAssignments",
    "Budget": "budgets",
}
_NAMES = {
    "RoleAssignment": ("roleAssignmentName",),
    "MaintenanceConfiguration": ("resourceName", "configName"),
    "SavedSearch": ("workspaceName", "savedSearchId"),
}
"""The inputs that name a resource, where they are not all those that end in `Name`."""


class Azure(StandIn):
    """Answers for azure-native. `workspace` is where Databricks answers: host and port."""

    package = "pulumi_azure_native"

    def __init__(self, ledger: Ledger, *, workspace: str, registry: str) -> None:
        super().__init__(ledger)
        self._workspace = workspace
        self._registry = registry
        self._gateways: dict[str, dict[str, Any]] = {}
        self.tokens: list[str] = []
        """Every token that was handed out."""

    def checked(self, thing: Thing, old: dict[str, Any], seed: bytes) -> dict[str, Any]:
        """Name what the program leaves unnamed, as azure-native does."""
        names = {key: f"{thing.name}{seed.hex()[:8]}" for key in _NAMES.get(thing.kind, ())}
        names = {key: old.get(key, name) for key, name in names.items()}
        return {**names, **thing.inputs}

    def replacing(self, thing: Thing, old: Thing, changed: Sequence[str]) -> list[str]:
        if thing.kind == "RoleAssignment":
            return list(changed)
        fixed = {"location", "scope", "resourceUri", "computeMode", "managedResourceGroupId"}
        return [path for path in changed if path in fixed or _is_name(path)]

    def identify(self, thing: Thing) -> str:
        inputs = thing.inputs
        if thing.kind == "ResourceGroup":
            return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{inputs['resourceGroupName']}"
        scope = inputs.get("scope") or inputs.get("resourceUri") or f"/subscriptions/{SUBSCRIPTION}"
        if group := inputs.get("resourceGroupName"):
            owner = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
            self._require(owner)
            scope = owner
        module = thing.type.split(":")[1]
        collection = _COLLECTIONS.get(thing.kind, thing.kind[0].lower() + thing.kind[1:] + "s")
        names = _NAMES.get(thing.kind) or [key for key in sorted(inputs) if _is_name(key)]
        path = "/".join(str(inputs[key]) for key in names if key != "resourceGroupName")
        path = path or thing.name
        return f"{scope}/providers/Microsoft.{_provider(module)}/{collection}/{path}"

    def _require(self, group: str) -> None:
        groups = [each.id for stack in _STACKS for each in self.ledger.find(stack, "ResourceGroup")]
        if group not in groups:
            raise RefusedError(f"ResourceGroupNotFound: {group}")

    def make(self, thing: Thing) -> dict[str, Any]:
        name = thing.id.rpartition("/")[2]
        outputs: dict[str, Any] = {"name": name, "azureApiVersion": "", "type": thing.type}
        match thing.type.split(":")[1:]:
            case ["databricks", "Workspace"]:
                return outputs | {
                    "workspaceUrl": self._workspace,
                    "workspaceId": "1234567890123456",
                    "isUcEnabled": True,
                }
            case ["containerregistry", "Registry"]:
                return outputs | {"loginServer": self._registry}
            case ["operationalinsights", "Workspace"]:
                return outputs | {"customerId": _guid(thing.id)}
            case ["containerservice", "ManagedCluster"]:
                return outputs | _cluster(thing)
            case ["managedidentity", "UserAssignedIdentity"]:
                identity = {"principalId": _guid(name), "clientId": _guid(name + "client")}
                return outputs | identity | {"tenantId": TENANT}
            case _:
                return outputs

    def change(self, thing: Thing, old: Thing) -> dict[str, Any]:
        # azure-native writes a cluster without the profile that it does not know.
        self._gateways.pop(thing.id.lower(), None)
        return self.make(thing)

    def management(self, asked: Asked) -> Answer:
        """Answer for management.azure.com, to clients of our own: read and write a cluster."""
        cluster = self._cluster(asked.path)
        if not asked.headers.get("authorization", "").startswith("Bearer "):
            return 401, {"error": {"code": "AuthenticationFailed", "message": "no token"}}
        if cluster is None:
            return 404, {"error": {"code": "ResourceNotFound", "message": asked.path}}
        if asked.method == "PUT":
            properties = json.loads(asked.body)["properties"]
            self._gateways[cluster.id.lower()] = properties.get("ingressProfile") or {}
        return 200, {
            "id": cluster.id,
            "name": cluster.inputs["resourceName"],
            "location": cluster.inputs["location"],
            "eTag": "1",
            "properties": {
                "provisioningState": "Succeeded",
                "ingressProfile": self._gateways.get(cluster.id.lower()),
            },
        }

    def has_gateway(self, stack: str) -> bool:
        """Whether the managed Gateway API of the stack's cluster was switched on."""
        profile: dict[str, Any] = self._gateways.get(
            self.ledger.one(stack, "ManagedCluster").id.lower(), {}
        )
        return "gatewayAPI" in profile

    def _cluster(self, id_: str) -> Thing | None:
        for stack in _STACKS:
            for thing in self.ledger.find(stack, "ManagedCluster"):
                if thing.id.lower() == id_.lower():
                    return thing
        return None

    def call(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match token.rpartition(":")[2]:
            case "getClientConfig":
                return {
                    "clientId": _guid("client"),
                    "objectId": _guid("object"),
                    "subscriptionId": SUBSCRIPTION,
                    "tenantId": TENANT,
                }
            case "getClientToken":
                # Another one each time, as from Azure; and one for each audience.
                audience = arguments.get("endpoint", "management")
                self.tokens.append(f"{AZURE_TOKEN}-{audience}-{len(self.tokens)}")
                return {"token": self.tokens[-1]}
            case "listManagedClusterUserCredentials":
                return {"kubeconfigs": [{"name": "clusterUser", "value": _kubeconfig(arguments)}]}
            case _:
                return super().call(token, arguments)


def _is_name(key: str) -> bool:
    return bool(re.fullmatch(r"[a-z]\w*Name", key)) and key != "displayName"


def _provider(module: str) -> str:
    known = {"containerservice": "ContainerService", "containerregistry": "ContainerRegistry"}
    return known.get(module, module.title())


def _guid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _cluster(thing: Thing) -> dict[str, Any]:
    name = thing.inputs["resourceName"]
    return {
        "name": name,
        "fqdn": f"{thing.inputs.get('dnsPrefix', name)}.hcp.example",
        "currentKubernetesVersion": f"{thing.inputs.get('kubernetesVersion', '1.36')}.0",
        "nodeResourceGroup": f"MC_{name}",
        "identityProfile": {
            "kubeletidentity": {
                "clientId": _guid(name + "kubelet client"),
                "objectId": _guid(name + "kubelet"),
                "resourceId": f"/subscriptions/{SUBSCRIPTION}/{name}-agentpool",
            }
        },
        "oidcIssuerProfile": {"enabled": True, "issuerURL": f"https://oidc.example/{name}/"},
    }


def _kubeconfig(arguments: dict[str, Any]) -> str:
    """Write what Azure answers for `format: exec`: a log-in by device code, whatever was asked."""
    name = arguments["resourceName"]
    login = ["get-token", "--login", "devicecode", "--server-id", _guid("aks"), "--tenant-id"]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": f"https://{name}.hcp.example:443",
                    "certificate-authority-data": base64.b64encode(b"none").decode(),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"clusterUser_{name}"}}],
        "users": [
            {
                "name": f"clusterUser_{name}",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "kubelogin",
                        "args": [*login, TENANT],
                        "env": None,
                    }
                },
            }
        ],
    }
    return base64.b64encode(yaml.safe_dump(json.loads(json.dumps(content))).encode()).decode()
