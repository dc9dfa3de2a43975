"""The gateway add-on as the program sees it."""

import base64

import pulumi
from cluster_world import CLUSTER_ID

from infra.gateway_addon import GATEWAY_CLASS, GatewayAddon, GatewayAddonArgs
from tests.recorder import Recorder, known, record


def recorded(*, unknown: bool = False, key_vault_certificates: bool = False) -> Recorder:
    def program() -> None:
        cluster = pulumi.CustomResource("test:test:Cluster", "aks", {})
        addon = GatewayAddon(
            "gateway",
            GatewayAddonArgs(cluster_id=cluster.id, key_vault_certificates=key_vault_certificates),
        )
        pulumi.CustomResource(
            "test:test:Gateway", "listener", {}, pulumi.ResourceOptions(depends_on=[addon])
        )
        pulumi.export("class", addon.gateway_class)

    return record(program, Recorder(made={"aks": {"id": CLUSTER_ID}}, unknown=unknown))


def test_it_names_the_cluster_and_comes_after_it() -> None:
    managed = recorded()["gateway-managed"]
    assert managed.type == "pulumi-python:dynamic/lifecycle:ManagedGateway"
    assert managed.inputs == {"cluster_id": CLUSTER_ID, "key_vault_certificates": False}
    assert managed.dependencies == {"aks"}
    assert managed.parent == "gateway"


def test_what_depends_on_it_waits_until_the_gateway_api_is_on() -> None:
    assert "gateway-managed" in recorded()["listener"].dependencies


def test_the_class_is_the_one_that_aks_names() -> None:
    assert recorded().outputs == {"class": "approuting-istio"}
    assert GATEWAY_CLASS == "approuting-istio"


def test_certificates_from_a_key_vault_are_passed_on() -> None:
    managed = recorded(key_vault_certificates=True)["gateway-managed"]
    assert managed.inputs["key_vault_certificates"] is True


def test_a_first_preview_knows_all_but_the_cluster() -> None:
    inputs = recorded(unknown=True)["gateway-managed"].inputs
    assert known(inputs["cluster_id"]) == "(unknown)"


def test_the_provider_is_stored_by_name_with_no_login_in_it() -> None:
    """What is pickled by value lands in the state: code, and whatever it holds."""
    stored = base64.b64decode(recorded()["gateway-managed"].provider)
    assert b"infra.lifecycle.gateway_addon" in stored
    assert b"ManagedGatewayProvider" in stored
    assert len(stored) < 200
