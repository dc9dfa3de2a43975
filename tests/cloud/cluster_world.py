"""A cluster's arguments, and what Azure would add to what is asked for."""

import base64
import dataclasses
from typing import Any

from infra.cluster import Cluster, ClusterArgs, Maintenance
from tests.recorder import Recorder, record

__all__ = [
    "CLUSTER_ID",
    "GROUP",
    "KUBECONFIG",
    "KUBELET",
    "LOGS",
    "REGISTRY",
    "TAGS",
    "args",
    "encoded",
    "recorded",
    "recorder",
]

CLUSTER_ID = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-contoso"
    "/providers/Microsoft.ContainerService/managedClusters/aks-contoso"
)
REGISTRY = (
    "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg-shared"
    "/providers/Microsoft.ContainerRegistry/registries/crcontoso"
)
LOGS = (
    "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg-shared"
    "/providers/Microsoft.OperationalInsights/workspaces/log-contoso"
)
GROUP = "77777777-7777-7777-7777-777777777777"
KUBELET = "55555555-5555-5555-5555-555555555555"
TAGS = {"project": "employee-retention", "stack": "staging"}

KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: LS0tLS1CRUdJTg==
    server: https://contoso-abc.hcp.westeurope.azmk8s.io:443
  name: aks-contoso
contexts:
- context:
    cluster: aks-contoso
    user: clusterUser_rg-contoso_aks-contoso
  name: aks-contoso
current-context: aks-contoso
kind: Config
preferences: {}
users:
- name: clusterUser_rg-contoso_aks-contoso
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 33333333-3333-3333-3333-333333333333
      - --login
      - devicecode
      command: kubelogin
      env: null
      installHint: |2

        kubelogin is not installed which is required to connect to AAD enabled cluster.
      provideClusterInfo: false
"""
"""What AKS returns for a cluster with Entra ID, asked for the format "exec"."""


def encoded(kubeconfig: str) -> str:
    return base64.b64encode(kubeconfig.encode()).decode()


def args(**changes: Any) -> ClusterArgs:
    """Return the arguments of an ordinary cluster, with some of them changed."""
    ordinary = ClusterArgs(
        resource_group_name="rg-contoso",
        cluster_name="aks-contoso",
        dns_prefix="contoso",
        location="westeurope",
        kubernetes_version="1.36",
        tier="Standard",
        node_size="Standard_D2ads_v5",
        nodes_min=2,
        nodes_max=4,
        zones=("1", "2", "3"),
        admin_group_ids=(GROUP,),
        authorized_ip_ranges=("203.0.113.0/24",),
        maintenance=Maintenance(day="Sunday", start="01:00", hours=4, utc_offset="+01:00"),
        kubelogin_mode="azurecli",
        container_registry_id=REGISTRY,
        log_workspace_id=LOGS,
        tags=TAGS,
        protect=True,
    )
    return dataclasses.replace(ordinary, **changes)


def recorder(*, unknown: bool = False) -> Recorder:
    """Return a recorder that knows what Azure adds to a cluster, and its kubeconfig."""
    made = {
        "id": CLUSTER_ID,
        "name": "aks-contoso",
        "identityProfile": {"kubeletidentity": {"objectId": KUBELET}},
        "oidcIssuerProfile": {"issuerURL": "https://oidc.contoso/1/"},
    }
    answer = {"kubeconfigs": [{"name": "clusterUser", "value": encoded(KUBECONFIG)}]}
    return Recorder(
        made={"ManagedCluster": made},
        invokes={"azure-native:containerservice:listManagedClusterUserCredentials": answer},
        unknown=unknown,
    )


def recorded(*, unknown: bool = False, **changes: Any) -> Recorder:
    """Record what an ordinary cluster, with some arguments changed, is made of."""

    def program() -> None:
        Cluster("cluster", args(**changes))

    return record(program, recorder(unknown=unknown))
