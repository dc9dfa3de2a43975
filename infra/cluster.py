"""The Kubernetes cluster of an environment, and the provider that puts things into it.

Left out on purpose: a second node pool (below), the Azure Policy add-on (the policy pack refuses
what it would, before anything exists), managed Prometheus and Defender (paid by the node and the
gigabyte; the API's figures are in its logs). The Gateway API is `infra.gateway_addon`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes
from pulumi_azure_native import containerservice

from infra.kubeconfig import exec_login, with_login
from infra.lifecycle.errors import LifecycleError
from infra.role_assignment import ACR_PULL, AKS_CLUSTER_ADMIN, AKS_CLUSTER_USER, Grant, assign

__all__ = [
    "Cluster",
    "ClusterArgs",
    "ClusterError",
    "Maintenance",
    "issuer_url",
    "kubelet_object_id",
]

_WINDOWS = {
    "version-upgrades": "aksManagedAutoUpgradeSchedule",
    "node-upgrades": "aksManagedNodeOSUpgradeSchedule",
}
"""The maintenance configurations by role: AKS knows them by these names alone."""


class ClusterError(LifecycleError):
    """The cluster that AKS made lacks what everything after it needs."""


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """When AKS may patch the cluster and its nodes, once a week.

    `day` is a weekday's English name, `start` a time "HH:MM" in the zone `utc_offset` ("+HH:MM"),
    `hours` the length; AKS wants 4 or more for upgrades to get done.
    """

    day: str
    start: str
    hours: int
    utc_offset: str


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """What the cluster is made of.

    `kubernetes_version` is the minor version at creation: AKS takes the patches, and a later minor
    version is a person's `az aks upgrade` and `pulumi refresh`. `tier` is "Free", "Standard" or
    "Premium". `nodes_min` and `nodes_max` bound the autoscaler; `node_size` cannot change later.
    `zones` is empty in a region without zones.

    `admin_group_ids` are object ids of Entra groups that administer the cluster. Without
    `authorized_ip_ranges` (CIDR) the API server answers any address, and only Entra ID guards it.
    `kubelogin_mode` is one of `infra.kubeconfig.KUBELOGIN_MODES`. `key_vault_certificates` adds the
    driver by which a gateway's certificate comes from a Key Vault. `protect` refuses to delete.
    """

    resource_group_name: pulumi.Input[str]
    cluster_name: str
    dns_prefix: str
    location: str
    kubernetes_version: str
    tier: str
    node_size: str
    nodes_min: int
    nodes_max: int
    zones: Sequence[str]
    admin_group_ids: Sequence[str]
    authorized_ip_ranges: Sequence[str]
    maintenance: Maintenance
    kubelogin_mode: str
    container_registry_id: pulumi.Input[str]
    log_workspace_id: pulumi.Input[str]
    tags: Mapping[str, str]
    protect: bool
    key_vault_certificates: bool = False


class Cluster(pulumi.ComponentResource):
    """A cluster that people and pods enter by Entra ID alone, and that AKS keeps patched.

    `kubeconfig` logs in through kubelogin and is a secret; `provider` uses it. `ready` is what has
    to be there before anything is put into the cluster: the right to pull images, the
    administrators' rights, and the maintenance windows, each a request of its own to the cluster.
    """

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    oidc_issuer_url: pulumi.Output[str]
    kubelet_object_id: pulumi.Output[str]
    provider: pulumi_kubernetes.Provider
    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: ClusterArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        exec_login(args.kubelogin_mode)  # An unknown mode is refused now, not half an hour later.
        super().__init__("employee-retention:cluster:Cluster", name, None, opts)
        cluster = self._create_cluster(name, args)
        self.id = cluster.id
        self.name = cluster.name
        # A preview echoes the profile that was declared, with no address in it; `fqdn`, which
        # nobody declares, is unknown then, and so is this.
        self.oidc_issuer_url = cluster.fqdn.apply(
            lambda _: cluster.oidc_issuer_profile.apply(issuer_url)
        )
        self.kubelet_object_id = cluster.identity_profile.apply(kubelet_object_id)
        self.kubeconfig = _kubeconfig(cluster, args)
        self.ready = [
            *self._create_windows(name, args, cluster),
            *self._grant_admins(name, args, cluster),
            self._grant_pull(name, args),
        ]
        self.provider = pulumi_kubernetes.Provider(
            f"{name}-kubernetes",
            pulumi_kubernetes.ProviderArgs(
                kubeconfig=self.kubeconfig,
                # A kubeconfig that is not known yet says nothing about which cluster it is for:
                # without this every object would be planned anew. The id stays the same through
                # updates, and is unknown exactly when the cluster itself is planned anew.
                cluster_identifier=cluster.id,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs(
            {
                "id": self.id,
                "name": self.name,
                "oidc_issuer_url": self.oidc_issuer_url,
                "kubelet_object_id": self.kubelet_object_id,
            }
        )

    def _create_cluster(self, name: str, args: ClusterArgs) -> containerservice.ManagedCluster:
        return containerservice.ManagedCluster(
            f"{name}-aks",
            resource_group_name=args.resource_group_name,
            resource_name_=args.cluster_name,
            location=args.location,
            dns_prefix=args.dns_prefix,
            kubernetes_version=args.kubernetes_version,
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier=args.tier),
            identity=containerservice.ManagedClusterIdentityArgs(
                type=containerservice.ResourceIdentityType.SYSTEM_ASSIGNED
            ),
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(
                managed=True, enable_azure_rbac=True
            ),
            api_server_access_profile=_api_server(args),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=_workload_identity(),
            network_profile=_network(),
            agent_pool_profiles=[_node_pool(args)],
            addon_profiles=_addons(args),
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # AKS changes both by itself: its patches and its autoscaler are no drift. Sent with
                # every change is what the state has, so an upgrade wants a refresh after it.
                ignore_changes=["kubernetesVersion", "agentPoolProfiles[0].count"],
            ),
        )

    def _create_windows(
        self, name: str, args: ClusterArgs, cluster: containerservice.ManagedCluster
    ) -> list[pulumi.Resource]:
        when = args.maintenance
        window = containerservice.MaintenanceWindowArgs(
            duration_hours=when.hours,
            start_time=when.start,
            utc_offset=when.utc_offset,
            schedule=containerservice.ScheduleArgs(
                weekly=containerservice.WeeklyScheduleArgs(day_of_week=when.day, interval_weeks=1)
            ),
        )
        return [
            containerservice.MaintenanceConfiguration(
                f"{name}-{role}",
                resource_group_name=args.resource_group_name,
                resource_name_=cluster.name,
                config_name=config_name,
                maintenance_window=window,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for role, config_name in _WINDOWS.items()
        ]

    def _grant_admins(
        self, name: str, args: ClusterArgs, cluster: containerservice.ManagedCluster
    ) -> list[pulumi.Resource]:
        """Let the groups fetch a kubeconfig (user) and do everything with it (admin)."""
        roles = {"admin": AKS_CLUSTER_ADMIN, "user": AKS_CLUSTER_USER}
        return [
            assign(
                f"{name}-{role}-{group}",
                Grant(
                    scope=cluster.id,
                    role=role_guid,
                    principal_id=group,
                    principal_type="Group",
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for group in args.admin_group_ids
            for role, role_guid in roles.items()
        ]

    def _grant_pull(self, name: str, args: ClusterArgs) -> pulumi.Resource:
        grant = Grant(
            scope=args.container_registry_id,
            role=ACR_PULL,
            principal_id=self.kubelet_object_id,
            principal_type="ServicePrincipal",
        )
        return assign(f"{name}-image-pull", grant, opts=pulumi.ResourceOptions(parent=self))


def _api_server(args: ClusterArgs) -> containerservice.ManagedClusterAPIServerAccessProfileArgs:
    return containerservice.ManagedClusterAPIServerAccessProfileArgs(
        authorized_ip_ranges=list(args.authorized_ip_ranges),
        # "Run command" starts a pod on behalf of whoever may write to the cluster in Azure, from
        # any address: a way past the ranges that nothing here needs.
        disable_run_command=True,
    )


def _workload_identity() -> containerservice.ManagedClusterSecurityProfileArgs:
    """Let a pod's service account log in to Entra ID: no pod holds a password for Azure."""
    return containerservice.ManagedClusterSecurityProfileArgs(
        workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(
            enabled=True
        )
    )


def _network() -> containerservice.ContainerServiceNetworkProfileArgs:
    """Give pods addresses of their own, outside the network's, and let Cilium enforce policies."""
    return containerservice.ContainerServiceNetworkProfileArgs(
        network_plugin="azure",
        network_plugin_mode="overlay",
        network_dataplane="cilium",
        network_policy="cilium",
    )


def _node_pool(args: ClusterArgs) -> containerservice.ManagedClusterAgentPoolProfileArgs:
    """Describe the one pool, for AKS's own pods and the API's alike.

    No taint keeps the API off it: that would take a second pool, so at least one more machine, to
    hold a few small pods that have requests and limits anyway. No operating system disk is asked
    for: AKS puts it on the machine's temporary disk where that is large enough, and on a managed
    one elsewhere, so that any `node_size` works.
    """
    return containerservice.ManagedClusterAgentPoolProfileArgs(
        name="system",
        mode="System",
        type="VirtualMachineScaleSets",
        os_type="Linux",
        os_sku="AzureLinux",
        vm_size=args.node_size,
        enable_auto_scaling=True,
        count=args.nodes_min,
        min_count=args.nodes_min,
        max_count=args.nodes_max,
        availability_zones=list(args.zones) or None,
        # One new node for every three old ones at a time, rounded up: a small pool is replaced
        # node by node, and always has one more than it needs.
        upgrade_settings=containerservice.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
        # From Kubernetes 1.37 AKS answers DNS on the node itself where nothing is said: an address
        # that the network policies, which let pods ask the cluster's DNS pods, do not match.
        local_dns_profile=containerservice.LocalDNSProfileArgs(
            mode=containerservice.LocalDNSMode.DISABLED
        ),
        tags=args.tags,
    )


def _addons(
    args: ClusterArgs,
) -> dict[str, containerservice.ManagedClusterAddonProfileArgs]:
    addons = {
        "omsagent": containerservice.ManagedClusterAddonProfileArgs(
            enabled=True,
            config={
                "logAnalyticsWorkspaceResourceID": args.log_workspace_id,
                "useAADAuth": "true",  # By the cluster's identity; else by the store's key.
            },
        )
    }
    if args.key_vault_certificates:
        addons["azureKeyvaultSecretsProvider"] = containerservice.ManagedClusterAddonProfileArgs(
            enabled=True, config={"enableSecretRotation": "true"}
        )
    return addons


def _kubeconfig(cluster: containerservice.ManagedCluster, args: ClusterArgs) -> pulumi.Output[str]:
    # The cluster's own output as an argument makes this wait for the cluster, and leaves it out of
    # a preview in which there is none yet.
    credentials = containerservice.list_managed_cluster_user_credentials_output(
        resource_group_name=args.resource_group_name, resource_name=cluster.name, format="exec"
    )
    return pulumi.Output.secret(
        credentials.apply(lambda found: with_login(found.kubeconfigs[0].value, args.kubelogin_mode))
    )


def issuer_url(
    profile: containerservice.outputs.ManagedClusterOIDCIssuerProfileResponse | None,
) -> str:
    """Find the address whose keys vouch for the cluster's service accounts.

    Raises:
        ClusterError: the cluster has none.
    """
    if not profile or not profile.issuer_url:
        raise ClusterError("the cluster reports no OIDC issuer; `az aks show` tells its state")
    return profile.issuer_url


def kubelet_object_id(
    profiles: Mapping[str, containerservice.outputs.UserAssignedIdentityManagedClusterResponse]
    | None,
) -> str:
    """Find the identity by which the nodes pull images, by its object id.

    Raises:
        ClusterError: the cluster has none.
    """
    kubelet = (profiles or {}).get("kubeletidentity")
    if not kubelet or not kubelet.object_id:
        raise ClusterError("the cluster reports no kubelet identity; `az aks show` tells its state")
    return kubelet.object_id
