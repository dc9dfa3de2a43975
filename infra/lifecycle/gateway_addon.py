"""Switches on AKS's managed Gateway API, which azure-native 3.29 cannot express.

A workaround, kept in this module and `infra/gateway_addon.py` so that it can go in one piece:
decision 8 (docs/decisions/0008-gateway-api.md) says why it is as it is, and how to delete it. It
reads the cluster through Microsoft's client, changes the ingress profile and nothing else, and
writes it back under the version that it read.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.lifecycle.errors import LifecycleError
from infra.lifecycle.progress import say

if TYPE_CHECKING:
    from azure.mgmt.containerservice.models import ManagedCluster
    from azure.mgmt.containerservice.operations import ManagedClustersOperations

__all__ = [
    "GatewayAddonError",
    "ManagedGateway",
    "ManagedGatewayArgs",
    "ManagedGatewayProvider",
]

_TIMEOUT_SECONDS = 30 * 60
"""To change an add-on takes minutes; to wait for a node upgrade that is going on takes longer."""
_INTERVAL_SECONDS = 20.0
_FAILED = {"Failed", "Canceled"}
_AT_REST = _FAILED | {"Succeeded"}
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60
"""The client's own bound, five minutes for each of its tries, would look like a hang."""
_BUSY = {409, 412}
"""The cluster is being changed by another request, or was since we read it."""


class GatewayAddonError(LifecycleError):
    """The Gateway API cannot be switched on: no such cluster, no right to, or Azure failed to."""


@dataclass(frozen=True, kw_only=True)
class ManagedGatewayArgs:
    """Which cluster, by ARM id; and whether gateways take certificates from a Key Vault.

    For those AKS's application routing operator is switched on as well, without its NGINX, which
    would come with a public load balancer. It is not switched off again.
    """

    cluster_id: pulumi.Input[str]
    key_vault_certificates: bool


class ManagedGatewayProvider(ResourceProvider):
    """Reads a cluster and, where the Gateway API is off, switches it on and waits.

    The client logs in inside this process, by AZURE_* variables, a workload identity, or the Azure
    CLI: no credential is an input, so none is in a state.
    """

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Ask the cluster itself: azure-native, which does not know the setting, may undo it.

        An `up` compares this after it has updated the cluster, so what that undid is put right at
        once. Where nobody is logged in to Azure nothing is asked, and nothing is changed.

        Raises:
            GatewayAddonError: Azure does not answer, or does not let us read the cluster.
        """
        if olds["cluster_id"] != news["cluster_id"]:
            return DiffResult(changes=True, replaces=["cluster_id"])
        return DiffResult(changes=_is_undone(news))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Switch it on; a cluster that has it on is left alone.

        Raises:
            GatewayAddonError: there is no such cluster, we may not change it, the change failed, or
                it is not done within half an hour.
        """
        return CreateResult(id_=f"{props['cluster_id']}/gateway", outs=_switch_on(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Switch it on again, as `create` does."""
        return UpdateResult(outs=_switch_on(news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave it on: it goes with the cluster, and switching it off deletes every gateway."""
        say("the cluster's Gateway API stays on; it goes with the cluster")


@dataclass(frozen=True, kw_only=True)
class _Cluster:
    """One cluster, as seen through the client."""

    clusters: "ManagedClustersOperations"
    resource_group: str
    name: str

    def read(self) -> "ManagedCluster":
        return self.clusters.get(self.resource_group, self.name)

    def at_rest(self, deadline: float) -> "ManagedCluster":
        """Wait until nothing is changing the cluster, and read it."""
        while (cluster := self.read()).provisioning_state not in _AT_REST:
            if time.monotonic() > deadline:
                raise GatewayAddonError(
                    f"cluster {self.name}: still {cluster.provisioning_state} after "
                    f"{_TIMEOUT_SECONDS // 60} minutes; the next `up` goes on from here"
                )
            say(f"cluster {self.name}: {cluster.provisioning_state}")
            time.sleep(_INTERVAL_SECONDS)
        return cluster

    def write(self, cluster: "ManagedCluster") -> str:
        """Ask for the change; answer why it was refused when another change is in the way."""
        from azure.core.exceptions import HttpResponseError

        # Not by the client's own `etag` argument: it puts the tag in quotes, and what AKS documents
        # (and `az aks update --if-match` sends) is the tag as it was read.
        version = {"If-Match": cluster.e_tag} if cluster.e_tag else {}
        try:
            self.clusters.begin_create_or_update(
                self.resource_group, self.name, cluster, headers=version, polling=False
            )
        except HttpResponseError as error:
            if error.status_code not in _BUSY:
                raise
            return _first_line(error)
        return ""


@contextmanager
def _opened(cluster_id: str) -> Generator[_Cluster]:
    # The client takes most of a second to import: only what asks Azure pays for it.
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.containerservice import ContainerServiceClient
    from azure.mgmt.core.tools import parse_resource_id

    parts = parse_resource_id(cluster_id)
    if str(parts.get("type")).lower() != "managedclusters":
        raise GatewayAddonError(
            f"{cluster_id!r} is not an AKS cluster; give an id such as /subscriptions/…/"
            "resourceGroups/…/providers/Microsoft.ContainerService/managedClusters/…"
        )
    credential = DefaultAzureCredential(
        # Left are: AZURE_* variables, a workload identity, the Azure CLI. The others guess for
        # seconds, or open a window.
        exclude_managed_identity_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_interactive_browser_credential=True,
        exclude_broker_credential=True,
    )
    with (
        _explained(cluster_id),
        credential,
        ContainerServiceClient(
            credential,
            str(parts["subscription"]),
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
        ) as client,
    ):
        yield _Cluster(
            clusters=client.managed_clusters,
            resource_group=str(parts["resource_group"]),
            name=str(parts["name"]),
        )


def _is_undone(props: dict[str, Any]) -> bool:
    from azure.core.exceptions import ClientAuthenticationError

    with _opened(props["cluster_id"]) as target:
        try:
            cluster = target.read()
        except ClientAuthenticationError:
            say("nobody is logged in to Azure: whether the Gateway API is still on is not known")
            return False
        return not _is_done(cluster, props["key_vault_certificates"])


def _switch_on(props: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    key_vault = props["key_vault_certificates"]
    accepted = False
    with _opened(props["cluster_id"]) as target:
        while not _is_done(cluster := target.at_rest(deadline), key_vault):
            if accepted:
                raise GatewayAddonError(_failure(target, cluster))
            _set(cluster, key_vault)
            in_the_way = target.write(cluster)
            accepted = not in_the_way
            if accepted:
                say(f"cluster {target.name}: switching the managed Gateway API on (some minutes)")
            elif time.monotonic() > deadline:
                raise GatewayAddonError(
                    f"cluster {target.name}: takes no change for {_TIMEOUT_SECONDS // 60} minutes "
                    f"({in_the_way}); run `up` again when it does"
                )
            else:
                say(f"cluster {target.name}: another change is in the way ({in_the_way})")
                time.sleep(_INTERVAL_SECONDS)
    return props


def _is_done(cluster: "ManagedCluster", key_vault: bool) -> bool:
    """Tell whether everything wanted is on, and the change that switched it on went well."""
    ingress = cluster.ingress_profile
    routing = ingress and ingress.web_app_routing
    gateway = ingress and ingress.gateway_api
    implementations = routing and routing.gateway_api_implementations
    istio = implementations and implementations.app_routing_istio
    return (
        cluster.provisioning_state not in _FAILED
        and bool(gateway and gateway.installation == "Standard")
        and bool(istio and istio.mode == "Enabled")
        and (not key_vault or bool(routing and routing.enabled))
    )


def _set(cluster: "ManagedCluster", key_vault: bool) -> None:
    from azure.mgmt.containerservice import models

    ingress = cluster.ingress_profile or models.ManagedClusterIngressProfile()
    routing = ingress.web_app_routing or models.ManagedClusterIngressProfileWebAppRouting()
    ingress.gateway_api = models.ManagedClusterIngressProfileGatewayConfiguration(
        installation="Standard"
    )
    routing.gateway_api_implementations = (
        models.ManagedClusterWebAppRoutingGatewayAPIImplementations(
            app_routing_istio=models.ManagedClusterAppRoutingIstio(mode="Enabled")
        )
    )
    if key_vault and not routing.enabled:
        routing.enabled = True
        routing.nginx = models.ManagedClusterIngressProfileNginx(
            default_ingress_controller_type="None"
        )
    ingress.web_app_routing = routing
    cluster.ingress_profile = ingress


def _failure(target: _Cluster, cluster: "ManagedCluster") -> str:
    error = cluster.status and cluster.status.provisioning_error
    why = f" ({error.code}: {error.message})" if error else ""
    return (
        f"cluster {target.name}: Azure took the change, and the Gateway API is not on; the cluster "
        f"is {cluster.provisioning_state}{why}. Mend that, or try `az aks approuting gateway istio "
        f"enable -g {target.resource_group} -n {target.name}`, then run `up` again"
    )


@contextmanager
def _explained(cluster_id: str) -> Generator[None]:
    """Turn the client's errors into ones that say what to do."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
    )

    try:
        yield
    except ClientAuthenticationError as error:
        raise GatewayAddonError(
            f"cannot log in to Azure to switch the Gateway API on in {cluster_id} "
            f"({_first_line(error)}); run `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and "
            "AZURE_CLIENT_SECRET"
        ) from error
    except ResourceNotFoundError as error:
        raise GatewayAddonError(
            f"there is no cluster {cluster_id}; if it was deleted by hand, run `pulumi refresh`"
        ) from error
    except HttpResponseError as error:
        raise GatewayAddonError(
            f"Azure refuses to read or change {cluster_id} ({error.status_code}: "
            f"{_first_line(error)}); whoever deploys needs the role Contributor on it"
        ) from error
    except AzureError as error:
        raise GatewayAddonError(
            f"Azure Resource Manager cannot be reached for {cluster_id} ({_first_line(error)}); "
            "look at the network, then run `up` again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class ManagedGateway(Resource, module="lifecycle", name="ManagedGateway"):
    """A cluster that has the managed Gateway API, and Istio behind it, switched on."""

    cluster_id: pulumi.Output[str]
    key_vault_certificates: pulumi.Output[bool]

    def __init__(
        self, name: str, args: ManagedGatewayArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(ManagedGatewayProvider(), name, {**vars(args)}, opts)
