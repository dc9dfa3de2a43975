"""The cluster, property by property: what it is, what it is not, and who waits for whom."""

import json
from typing import Any

import pulumi
import pytest
from cluster_world import (
    CLUSTER_ID,
    GROUP,
    KUBELET,
    LOGS,
    REGISTRY,
    TAGS,
    args,
    recorded,
    recorder,
)
from pulumi_azure_native.containerservice import outputs

from infra.cluster import Cluster, ClusterError, issuer_url, kubelet_object_id
from infra.kubeconfig import KubeconfigError, exec_login
from infra.role_assignment import (
    ACR_PULL,
    AKS_CLUSTER_ADMIN,
    AKS_CLUSTER_USER,
    assignment_name,
    role_id,
)
from tests.recorder import ROOT, Recorded, known, record


def aks(**changes: Any) -> Recorded:
    return recorded(**changes)["cluster-aks"]


def pool(**changes: Any) -> dict[str, Any]:
    (found,) = aks(**changes).inputs["agentPoolProfiles"]
    return found


def test_it_is_made_of_these_resources_and_no_others() -> None:
    """Logical names are what the state knows a resource by: another one is another resource."""
    assert [(found.type.rpartition(":")[2], found.name) for found in recorded().resources] == [
        ("Cluster", "cluster"),
        ("ManagedCluster", "cluster-aks"),
        ("MaintenanceConfiguration", "cluster-version-upgrades"),
        ("MaintenanceConfiguration", "cluster-node-upgrades"),
        ("RoleAssignment", f"cluster-admin-{GROUP}"),
        ("RoleAssignment", f"cluster-user-{GROUP}"),
        ("RoleAssignment", "cluster-image-pull"),
        ("kubernetes", "cluster-kubernetes"),
    ]


def test_every_resource_belongs_to_the_component() -> None:
    children = [found for found in recorded().resources if found.name != "cluster"]
    assert {found.parent for found in children} == {"cluster"}


def test_its_names_place_tier_and_version_are_the_arguments() -> None:
    inputs = aks().inputs
    assert inputs["resourceGroupName"] == "rg-contoso"
    assert inputs["resourceName"] == "aks-contoso"
    assert inputs["dnsPrefix"] == "contoso"
    assert inputs["location"] == "westeurope"
    assert inputs["kubernetesVersion"] == "1.36"
    assert inputs["sku"] == {"name": "Base", "tier": "Standard"}
    assert inputs["tags"] == TAGS


def test_people_and_pods_enter_by_entra_id_alone() -> None:
    inputs = aks().inputs
    assert inputs["disableLocalAccounts"] is True
    assert inputs["enableRBAC"] is True
    assert inputs["aadProfile"] == {"managed": True, "enableAzureRBAC": True}
    assert inputs["identity"] == {"type": "SystemAssigned"}
    assert inputs["oidcIssuerProfile"] == {"enabled": True}
    assert inputs["securityProfile"] == {"workloadIdentity": {"enabled": True}}


def test_its_network_is_an_overlay_under_cilium() -> None:
    network = aks().inputs["networkProfile"]
    assert network["networkPlugin"] == "azure"
    assert network["networkPluginMode"] == "overlay"
    assert network["networkDataplane"] == "cilium"
    assert network["networkPolicy"] == "cilium"


def test_one_pool_that_scales_by_itself_runs_everything() -> None:
    assert pool() == {
        "name": "system",
        "mode": "System",
        "type": "VirtualMachineScaleSets",
        "osType": "Linux",
        "osSKU": "AzureLinux",
        "vmSize": "Standard_D2ads_v5",
        "enableAutoScaling": True,
        "count": 2,
        "minCount": 2,
        "maxCount": 4,
        "availabilityZones": ["1", "2", "3"],
        "upgradeSettings": {"maxSurge": "33%"},
        "localDNSProfile": {"mode": "Disabled"},
        "tags": TAGS,
    }


def test_pods_ask_the_dns_pods_that_the_network_policies_name() -> None:
    """AKS's own answer on the node, its default from Kubernetes 1.37, is at an address of none."""
    assert pool()["localDNSProfile"] == {"mode": "Disabled"}


def test_a_region_without_zones_is_asked_for_none() -> None:
    assert "availabilityZones" not in pool(zones=())


def test_only_the_ranges_named_reach_the_api_server() -> None:
    assert aks().inputs["apiServerAccessProfile"] == {
        "authorizedIPRanges": ["203.0.113.0/24"],
        "disableRunCommand": True,
    }


def test_ranges_that_are_taken_away_are_taken_away_on_azure() -> None:
    """An absent list would leave the old one; run command stays off all the same."""
    assert aks(authorized_ip_ranges=()).inputs["apiServerAccessProfile"] == {
        "authorizedIPRanges": [],
        "disableRunCommand": True,
    }


def test_logs_leave_by_the_clusters_identity_and_no_other_add_on_is_on() -> None:
    assert aks().inputs["addonProfiles"] == {
        "omsagent": {
            "enabled": True,
            "config": {"logAnalyticsWorkspaceResourceID": LOGS, "useAADAuth": "true"},
        }
    }


def test_certificates_from_a_key_vault_come_by_its_driver() -> None:
    addons = aks(key_vault_certificates=True).inputs["addonProfiles"]
    assert addons.keys() == {"omsagent", "azureKeyvaultSecretsProvider"}
    assert addons["azureKeyvaultSecretsProvider"] == {
        "enabled": True,
        "config": {"enableSecretRotation": "true"},
    }


def test_nothing_that_opens_it_is_set() -> None:
    """No password, no public node, no add-on that comes with a public address, no old login."""
    inputs = aks().inputs
    absent = {
        "linuxProfile",
        "windowsProfile",
        "servicePrincipalProfile",
        "podIdentityProfile",
        "publicNetworkAccess",
        "httpProxyConfig",
        # The gateway add-on's, which reads before it writes; see decision 8.
        "ingressProfile",
        "serviceMeshProfile",
    }
    assert not absent & inputs.keys()
    assert not {"enableNodePublicIP", "orchestratorVersion", "nodeTaints"} & pool().keys()
    assert "httpApplicationRouting" not in inputs["addonProfiles"]
    assert "adminGroupObjectIDs" not in inputs["aadProfile"]


def test_aks_patches_it_and_its_nodes_in_the_maintenance_window() -> None:
    cluster = recorded()
    assert cluster["cluster-aks"].inputs["autoUpgradeProfile"] == {
        "upgradeChannel": "patch",
        "nodeOSUpgradeChannel": "NodeImage",
    }
    window = {
        "startTime": "01:00",
        "durationHours": 4,
        "utcOffset": "+01:00",
        "schedule": {"weekly": {"dayOfWeek": "Sunday", "intervalWeeks": 1}},
    }
    for role, config_name in {
        "version-upgrades": "aksManagedAutoUpgradeSchedule",
        "node-upgrades": "aksManagedNodeOSUpgradeSchedule",
    }.items():
        schedule = cluster[f"cluster-{role}"]
        assert schedule.inputs == {
            "resourceGroupName": "rg-contoso",
            "resourceName": "aks-contoso",
            "configName": config_name,
            "maintenanceWindow": window,
        }
        assert schedule.dependencies == {"cluster-aks"}


def test_what_aks_changes_by_itself_is_no_drift() -> None:
    assert list(aks().request.ignoreChanges) == [
        "kubernetesVersion",
        "agentPoolProfiles[0].count",
    ]


def test_the_guide_refreshes_the_state_after_an_upgrade() -> None:
    """What is ignored is sent as the state has it: the old version, which AKS refuses."""
    guide = (ROOT / "docs" / "implementation-guide.md").read_text(encoding="utf-8")
    assert "kubernetesVersion" in aks().request.ignoreChanges
    _, upgrade = guide.split("az aks upgrade", 1)
    assert "pulumi refresh" in upgrade.split("```", 1)[0]


@pytest.mark.parametrize("protect", [True, False])
def test_the_cluster_alone_is_protected_and_by_its_argument(protect: bool) -> None:
    cluster = recorded(protect=protect)
    protected = [found.name for found in cluster.resources if found.request.protect]
    assert protected == (["cluster-aks"] if protect else [])


def test_its_nodes_may_pull_from_the_shared_registry() -> None:
    pull = recorded()["cluster-image-pull"]
    assert pull.inputs == {
        "roleAssignmentName": assignment_name(REGISTRY, ACR_PULL, KUBELET),
        "roleDefinitionId": role_id(REGISTRY, ACR_PULL),
        "scope": REGISTRY,
        "principalId": KUBELET,
        "principalType": "ServicePrincipal",
    }
    assert pull.dependencies == {"cluster-aks"}


@pytest.mark.parametrize(
    ("role", "guid"), [("admin", AKS_CLUSTER_ADMIN), ("user", AKS_CLUSTER_USER)]
)
def test_groups_administer_this_cluster_and_no_other(role: str, guid: str) -> None:
    assert recorded()[f"cluster-{role}-{GROUP}"].inputs == {
        "roleAssignmentName": assignment_name(CLUSTER_ID, guid, GROUP),
        "roleDefinitionId": role_id(CLUSTER_ID, guid),
        "scope": CLUSTER_ID,
        "principalId": GROUP,
        "principalType": "Group",
    }


def test_without_groups_nobody_is_made_administrator() -> None:
    (only,) = recorded(admin_group_ids=()).of_type("RoleAssignment")
    assert only.name == "cluster-image-pull"


def test_the_provider_logs_in_through_kubelogin_and_its_kubeconfig_is_a_secret() -> None:
    provider = recorded(kubelogin_mode="workloadidentity")["cluster-kubernetes"]
    kubeconfig = json.loads(provider.inputs["kubeconfig"])
    assert kubeconfig["users"][0]["user"] == {"exec": exec_login("workloadidentity")}
    assert kubeconfig["clusters"][0]["cluster"]["server"].startswith("https://contoso-abc.")
    assert provider.secrets == {"kubeconfig"}


def test_the_provider_knows_its_cluster_by_its_id_not_by_its_kubeconfig() -> None:
    provider = recorded()["cluster-kubernetes"]
    assert provider.inputs.keys() == {"kubeconfig", "clusterIdentifier"}
    assert provider.inputs["clusterIdentifier"] == CLUSTER_ID


def test_it_hands_on_what_others_need_and_the_kubeconfig_as_a_secret() -> None:
    def program() -> None:
        cluster = Cluster("cluster", args())
        for key in ("id", "name", "kubeconfig", "oidc_issuer_url", "kubelet_object_id"):
            pulumi.export(key, getattr(cluster, key))

    found = record(program, recorder())
    assert found.secret_outputs == {"kubeconfig"}
    assert json.loads(found.outputs.pop("kubeconfig"))["kind"] == "Config"
    assert found.outputs == {
        "id": CLUSTER_ID,
        "name": "aks-contoso",
        "oidc_issuer_url": "https://oidc.contoso/1/",
        "kubelet_object_id": KUBELET,
    }


def test_what_waits_for_it_waits_for_the_right_to_pull() -> None:
    def program() -> None:
        cluster = Cluster("cluster", args())
        pulumi.CustomResource(
            "test:test:Pod", "pod", {}, pulumi.ResourceOptions(depends_on=cluster.ready)
        )

    assert record(program, recorder())["pod"].dependencies == {
        "cluster-image-pull",
        "cluster-version-upgrades",
        "cluster-node-upgrades",
        f"cluster-admin-{GROUP}",
        f"cluster-user-{GROUP}",
    }


def test_a_first_preview_asks_azure_nothing_and_leaves_open_what_only_azure_knows() -> None:
    found = recorded(unknown=True)
    assert found.invoked == []
    assert len(found.resources) == 8
    pull = {key: known(value) for key, value in found["cluster-image-pull"].inputs.items()}
    assert pull == {
        "roleAssignmentName": "(unknown)",
        "roleDefinitionId": role_id(REGISTRY, ACR_PULL),
        "scope": REGISTRY,
        "principalId": "(unknown)",
        "principalType": "ServicePrincipal",
    }
    provider = found["cluster-kubernetes"]
    assert known(provider.inputs["kubeconfig"]) == "(unknown)"
    assert known(provider.inputs["clusterIdentifier"]) == "(unknown)"


def test_a_first_preview_does_not_take_the_echo_of_a_request_for_an_answer() -> None:
    def program() -> None:
        pulumi.export("issuer", Cluster("cluster", args()).oidc_issuer_url)

    found = record(program, recorder(unknown=True))
    assert {key: known(value) for key, value in found.outputs.items()} == {"issuer": "(unknown)"}


def test_a_login_that_is_not_known_is_refused_before_anything_is_declared() -> None:
    with pytest.raises(KubeconfigError, match="`kubeloginMode` is 'interactive'"):
        Cluster("cluster", args(kubelogin_mode="interactive"))


@pytest.mark.parametrize(
    "profile", [None, outputs.ManagedClusterOIDCIssuerProfileResponse(issuer_url="")]
)
def test_a_cluster_without_an_issuer_is_an_error(profile: Any) -> None:
    with pytest.raises(ClusterError, match="no OIDC issuer"):
        issuer_url(profile)


@pytest.mark.parametrize(
    "profiles",
    [
        None,
        {},
        {"kubeletidentity": outputs.UserAssignedIdentityManagedClusterResponse(client_id="x")},
    ],
)
def test_a_cluster_without_a_kubelet_identity_is_an_error(profiles: Any) -> None:
    with pytest.raises(ClusterError, match="no kubelet identity"):
        kubelet_object_id(profiles)
