"""The Gateway API's workaround, with Microsoft's client and everything below it as it is.

Each test says what Azure has, and looks at what Azure was asked.
"""

import copy
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cluster_arm import CLUSTER_ID, HOST, TOKEN, Arm, running
from pulumi.output import Unknown

from infra.lifecycle import gateway_addon
from infra.lifecycle.gateway_addon import GatewayAddonError, ManagedGatewayProvider

ON = {
    "gatewayAPI": {"installation": "Standard"},
    "webAppRouting": {"gatewayAPIImplementations": {"appRoutingIstio": {"mode": "Enabled"}}},
}
PROPS = {"cluster_id": CLUSTER_ID, "key_vault_certificates": False}
WITH_KEY_VAULT = {**PROPS, "key_vault_certificates": True}

Connect = Callable[..., Arm]


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Connect]:
    """Lead the client to a cluster of our own, however it is found."""
    for variable in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(gateway_addon, "_INTERVAL_SECONDS", 0.0)
    with ExitStack() as stack:

        def connect(arm: Arm | None = None, *, logged_in: bool = True) -> Arm:
            arm = arm or Arm()
            context = running(arm, tmp_path, logged_in=logged_in)
            for name, value in stack.enter_context(context).items():
                monkeypatch.setenv(name, value)
            return arm

        yield connect


def switched_on(**routing: Any) -> Arm:
    arm = Arm()
    assert arm.cluster is not None
    profile: dict[str, Any] = copy.deepcopy(ON)
    profile["webAppRouting"].update(routing)
    arm.cluster["properties"]["ingressProfile"] = profile
    return arm


def without(cluster: dict[str, Any], *paths: str) -> dict[str, Any]:
    """Return a copy without these keys; a number is a place in a list."""
    copied = copy.deepcopy(cluster)
    for path in paths:
        *parents, last = path.split(".")
        node: Any = copied
        for parent in parents:
            node = node[int(parent) if parent.isdigit() else parent]
        del node[last]
    return copied


def test_it_is_switched_on_and_nothing_else_of_the_cluster_is_changed(azure: Connect) -> None:
    arm = azure()
    before = copy.deepcopy(arm.cluster)
    assert before is not None

    result = ManagedGatewayProvider().create({**PROPS})

    (put,) = arm.puts
    expected = without(
        before,
        "id",
        "name",
        "type",
        "eTag",
        "identity.principalId",
        "identity.tenantId",
        "properties.provisioningState",
        "properties.powerState",
        "properties.currentKubernetesVersion",
        "properties.fqdn",
        "properties.azurePortalFQDN",
        "properties.resourceUID",
        "properties.maxAgentPools",
        "properties.addonProfiles.omsagent.identity",
        "properties.agentPoolProfiles.0.currentOrchestratorVersion",
        "properties.agentPoolProfiles.0.provisioningState",
        "properties.agentPoolProfiles.0.eTag",
        "properties.networkProfile.loadBalancerProfile.effectiveOutboundIPs",
    )
    expected["properties"]["ingressProfile"] = ON
    assert put.body == expected
    assert result.outs == PROPS
    assert result.id == f"{CLUSTER_ID}/gateway"


def test_the_request_goes_to_azure_for_the_version_that_was_read(azure: Connect) -> None:
    """In the API version that knows the setting, and with the login of the Azure CLI."""
    arm = azure()
    ManagedGatewayProvider().create({**PROPS})
    (put,) = arm.puts
    assert (put.host, put.path) == (f"{HOST}:443", CLUSTER_ID)
    assert put.api_version >= "2026-03-01"
    assert put.authorization == f"Bearer {TOKEN}"
    assert put.if_match == "version-1"


def test_a_cluster_that_has_it_on_is_only_read(azure: Connect) -> None:
    arm = azure(switched_on())
    ManagedGatewayProvider().create({**PROPS})
    assert [asked.method for asked in arm.asked] == ["GET"]


@pytest.mark.parametrize("half", ["gatewayAPI", "webAppRouting"])
def test_half_of_it_is_not_enough(azure: Connect, half: str) -> None:
    arm = switched_on()
    assert arm.cluster is not None
    del arm.cluster["properties"]["ingressProfile"][half]
    azure(arm)
    ManagedGatewayProvider().create({**PROPS})
    (put,) = arm.puts
    assert put.body["properties"]["ingressProfile"] == ON


def test_what_the_ingress_profile_has_besides_is_kept(azure: Connect) -> None:
    arm = switched_on(dnsZoneResourceIds=["/zone"], enabled=True, nginx={"newer": "x"})
    assert arm.cluster is not None
    profile = arm.cluster["properties"]["ingressProfile"]
    profile["gatewayAPI"]["installation"] = "Disabled"
    profile["applicationLoadBalancer"] = {"enabled": True}
    azure(arm)
    ManagedGatewayProvider().create({**WITH_KEY_VAULT})
    (put,) = arm.puts
    assert put.body["properties"]["ingressProfile"] == {
        "gatewayAPI": {"installation": "Standard"},
        "webAppRouting": {
            **ON["webAppRouting"],
            "enabled": True,
            "dnsZoneResourceIds": ["/zone"],
            "nginx": {"newer": "x"},
        },
        "applicationLoadBalancer": {"enabled": True},
    }


def test_certificates_from_a_key_vault_need_the_operator_without_its_public_nginx(
    azure: Connect,
) -> None:
    arm = azure(switched_on())
    ManagedGatewayProvider().create({**WITH_KEY_VAULT})
    (put,) = arm.puts
    assert put.body["properties"]["ingressProfile"]["webAppRouting"] == {
        **ON["webAppRouting"],
        "enabled": True,
        "nginx": {"defaultIngressControllerType": "None"},
    }


def test_another_change_in_between_is_not_lost(azure: Connect) -> None:
    """Azure refuses a PUT of an old version; ours is made anew from what is there now."""
    arm = Arm()
    arm.refusals.append(
        (412, "PreconditionFailed", lambda cluster: cluster.update(tags={"a": "b"}))
    )
    azure(arm)
    ManagedGatewayProvider().create({**PROPS})
    first, second = arm.puts
    assert (first.if_match, second.if_match) == ("version-1", "version-2")
    assert second.body["tags"] == {"a": "b"}


def test_a_cluster_that_is_busy_is_asked_again(
    azure: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = Arm(refusals=[(409, "EtagMismatch", None), (409, "OperationNotAllowed", None)])
    azure(arm)
    ManagedGatewayProvider().create({**PROPS})
    assert len(arm.puts) == 3
    assert "OperationNotAllowed" in capsys.readouterr().out


def test_a_change_that_is_going_on_is_awaited_and_shown(
    azure: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = Arm(updating=3)
    assert arm.cluster is not None
    arm.cluster["properties"]["provisioningState"] = "Updating"
    azure(arm)
    ManagedGatewayProvider().create({**PROPS})
    methods = [asked.method for asked in arm.asked]
    assert methods.index("PUT") == 4
    assert capsys.readouterr().out.count("aks-contoso: Updating") >= 3


def test_a_change_that_fails_says_why(azure: Connect) -> None:
    arm = azure(Arm(outcome="Failed"))
    with pytest.raises(
        GatewayAddonError, match=r"is Failed \(QuotaExceeded: No cores are left\.\)"
    ):
        ManagedGatewayProvider().create({**PROPS})
    assert len(arm.puts) == 1


def test_a_change_that_failed_is_made_again_by_the_next_up(azure: Connect) -> None:
    arm = switched_on()
    assert arm.cluster is not None
    arm.cluster["properties"]["provisioningState"] = "Failed"
    azure(arm)
    provider = ManagedGatewayProvider()
    assert provider.diff("id", {**PROPS}, {**PROPS}).changes
    provider.update("id", {**PROPS}, {**PROPS})
    assert len(arm.puts) == 1


def test_a_change_that_azure_takes_and_forgets_is_an_error(azure: Connect) -> None:
    arm = azure(Arm(deaf=True))
    with pytest.raises(GatewayAddonError, match="az aks approuting gateway istio enable -g rg-con"):
        ManagedGatewayProvider().create({**PROPS})
    assert len(arm.puts) == 1


@pytest.mark.parametrize("before", [True, False])
def test_the_wait_has_an_end(azure: Connect, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    monkeypatch.setattr(gateway_addon, "_TIMEOUT_SECONDS", -1)
    arm = Arm(updating=10_000)
    assert arm.cluster is not None
    if before:
        arm.cluster["properties"]["provisioningState"] = "Updating"
    azure(arm)
    with pytest.raises(GatewayAddonError, match="still Updating after"):
        ManagedGatewayProvider().create({**PROPS})
    assert len(arm.puts) == (0 if before else 1)


def test_the_wait_for_other_changes_has_an_end(
    azure: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_addon, "_TIMEOUT_SECONDS", -1)
    azure(Arm(refusals=[(409, "ClusterStopped", None)] * 9))
    with pytest.raises(GatewayAddonError, match=r"takes no change .*ClusterStopped"):
        ManagedGatewayProvider().create({**PROPS})


def test_a_cluster_that_is_gone_is_named(azure: Connect) -> None:
    azure(Arm(cluster=None))
    with pytest.raises(GatewayAddonError, match=r"no cluster .*/aks-contoso.*`pulumi refresh`"):
        ManagedGatewayProvider().create({**PROPS})


def test_a_deployer_without_the_right_is_told_which(azure: Connect) -> None:
    azure(Arm(denied=403))
    with pytest.raises(GatewayAddonError, match=r"403: \(AuthorizationFailed\).*Contributor"):
        ManagedGatewayProvider().create({**PROPS})


def test_a_deployer_who_is_not_logged_in_is_told_how_to(azure: Connect) -> None:
    arm = azure(logged_in=False)
    with pytest.raises(GatewayAddonError, match=r"cannot log in to Azure .*`az login`"):
        ManagedGatewayProvider().create({**PROPS})
    assert not arm.asked


def test_an_id_of_something_else_is_refused() -> None:
    for wrong in ("aks", CLUSTER_ID.replace("managedClusters", "fleets")):
        with pytest.raises(GatewayAddonError, match="is not an AKS cluster"):
            ManagedGatewayProvider().create({**PROPS, "cluster_id": wrong})


def test_an_up_that_finds_it_on_changes_nothing(azure: Connect) -> None:
    arm = azure(switched_on())
    result = ManagedGatewayProvider().diff("id", {**PROPS}, {**PROPS})
    assert (result.changes, result.replaces) == (False, None)
    assert [asked.method for asked in arm.asked] == ["GET"]


def test_an_up_whose_cluster_update_undid_it_switches_it_on_again(azure: Connect) -> None:
    """What azure-native writes has no ingress profile: Azure may take that for "off"."""
    arm = azure(switched_on())
    provider = ManagedGatewayProvider()
    assert not provider.diff("id", {**PROPS}, {**PROPS}).changes
    assert arm.cluster is not None
    del arm.cluster["properties"]["ingressProfile"]
    assert provider.diff("id", {**PROPS}, {**PROPS}).changes
    assert provider.update("id", {**PROPS}, {**PROPS}).outs == PROPS
    assert arm.cluster["properties"]["ingressProfile"] == ON
    assert not provider.diff("id", {**PROPS}, {**PROPS}).changes


def test_certificates_from_a_key_vault_can_be_asked_for_later(azure: Connect) -> None:
    arm = azure(switched_on())
    provider = ManagedGatewayProvider()
    assert provider.diff("id", {**PROPS}, {**WITH_KEY_VAULT}).changes
    assert provider.update("id", {**PROPS}, {**WITH_KEY_VAULT}).outs == WITH_KEY_VAULT
    assert not provider.diff("id", {**WITH_KEY_VAULT}, {**WITH_KEY_VAULT}).changes
    assert len(arm.puts) == 1


def test_a_preview_without_a_login_changes_nothing_and_says_so(
    azure: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    azure(logged_in=False)
    assert not ManagedGatewayProvider().diff("id", {**PROPS}, {**PROPS}).changes
    assert "nobody is logged in to Azure" in capsys.readouterr().out


def test_an_up_that_cannot_ask_fails(azure: Connect) -> None:
    azure(Arm(denied=403))
    with pytest.raises(GatewayAddonError, match="Azure refuses to read or change"):
        ManagedGatewayProvider().diff("id", {**PROPS}, {**PROPS})


@pytest.mark.parametrize("other", [CLUSTER_ID + "-2", Unknown()])
def test_another_cluster_or_one_not_made_yet_is_another_resource(
    azure: Connect, other: Any
) -> None:
    arm = azure()
    result = ManagedGatewayProvider().diff("id", {**PROPS}, {**PROPS, "cluster_id": other})
    assert (result.changes, result.replaces) == (True, ["cluster_id"])
    assert not arm.asked


def test_to_delete_it_is_to_leave_it_on(azure: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    """The cluster goes anyway; and without the add-on its gateways would go at once."""
    arm = azure(switched_on())
    ManagedGatewayProvider().delete("id", {**PROPS})
    assert not arm.asked
    assert "stays on" in capsys.readouterr().out
