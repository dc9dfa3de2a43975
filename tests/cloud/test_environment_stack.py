"""The stacks `staging` and `production` as a whole: one composition, two settings."""

import base64
import functools
import itertools
import json
import pickletools
import re
from typing import Any
from urllib.parse import urlsplit

import api_program
import cluster_world
import pytest

from delivery.events import PASSED_OVER
from engine.project import load
from policies import Resource, StackConfig, violations
from stacks import deploy
from stacks.reader import SettingsError
from tests.recorder import ROOT, Recorder, known, record

VERSION, DIGEST = "7", "1f" * 32
IMAGE = f"cr.azurecr.io/attrition-api@sha256:{DIGEST}"
SHARED = {
    "workspaceHost": "https://adb-1.azuredatabricks.net",
    "workspaceId": "/subscriptions/s/workspaces/dbw",
    "trackingUri": "databricks",
    "registryUri": "databricks-uc",
    "modelName": "dbw.hr.attrition",
    "modelVersion": VERSION,
    "containerRegistryId": cluster_world.REGISTRY,
    "containerRegistryServer": "cr.azurecr.io",
    "logWorkspaceId": cluster_world.LOGS,
    "logWorkspaceLocation": "westeurope",
}
REGISTRY = {
    "model_name": "dbw.hr.attrition",
    "tracking_uri": "databricks",
    "registry_uri": "databricks-uc",
    "host": "https://adb-1.azuredatabricks.net",
    "azure_resource_id": "/subscriptions/s/workspaces/dbw",
}
SECRETS = {
    "the-api-key": "the API key",
    "the-private-key": "the certificate's key",
    cluster_world.KUBECONFIG[:40]: "the kubeconfig",
    "the-azure-token": "the deployer's token",
}
MADE: dict[str, dict[str, Any]] = {
    **api_program.made(),
    "resource-group": {"name": "rg", "id": "/subscriptions/s/resourceGroups/rg"},
    "ReleaseGate": {
        "version": VERSION,
        "bundle_sha256": "b7",
        "image": IMAGE,
        "metrics": {"cv_roc_auc": 0.85},
        "verdicts": ["cv_roc_auc 0.8500, at least 0.8000: holds"],
    },
    "image-build": {"digest": f"sha256:{DIGEST}"},
    "ReleaseReference": {"counts": {"Age": [900.0, 570.0], "score": [1400.0, 70.0]}},
    "ApiKey": {"key": "the-api-key", "sha256": "k", "accepted_sha256": "k,l"},
    "SelfSignedCertificate": {"certificate_pem": "PEM", "private_key_pem": "the-private-key"},
    "ManagedCluster": {
        "id": cluster_world.CLUSTER_ID,
        "name": "aks",
        "fqdn": "aks.example",
        "identityProfile": {"kubeletidentity": {"objectId": cluster_world.KUBELET}},
        "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://issuer.example"},
    },
}
INVOKES: dict[str, dict[str, Any]] = {
    "azure-native:containerservice:listManagedClusterUserCredentials": {
        "kubeconfigs": [
            {"name": "clusterUser", "value": cluster_world.encoded(cluster_world.KUBECONFIG)}
        ]
    },
    "azure-native:authorization:getClientToken": {"token": "the-azure-token"},
}
PROVIDERS = {
    "shared-use": ("infra.lifecycle.shared_use", "SharedUseProvider"),
    "gate": ("infra.lifecycle.release_gate", "ReleaseGateProvider"),
    "api-key": ("infra.lifecycle.api_key", "ApiKeyProvider"),
    "certificate": ("infra.lifecycle.certificate", "SelfSignedCertificateProvider"),
    "gateway-addon-managed": ("infra.lifecycle.gateway_addon", "ManagedGatewayProvider"),
    "api-slot": ("infra.lifecycle.release_slot", "ReleaseSlotProvider"),
    "stage": ("infra.lifecycle.model_stage", "ModelStageProvider"),
    "reference": ("infra.lifecycle.release_reference", "ReleaseReferenceProvider"),
}
"""Part of every stack's state: a change here strands resources that exist."""


def compose(
    stack: str, settings: dict[str, Any] | None = None, *, unknown: bool = False
) -> Recorder:
    """Record the stack, once for each settings: nothing changes a recording."""
    return recorded(stack, json.dumps(settings or {}), unknown)


@functools.cache
def recorded(stack: str, settings: str, unknown: bool) -> Recorder:
    config = load(ROOT, stack).config
    for key, value in json.loads(settings).items():
        text = value if isinstance(value, str) else json.dumps(value)
        config[f"employee-retention:{key}"] = text
    recorder = Recorder(
        made=MADE, invokes=INVOKES, reads={"shared": {"outputs": SHARED}}, unknown=unknown
    )
    return record(deploy, recorder, config=config, stack_name=stack)


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the image sign in to a registry that is not there."""

    def password(_server: str, _token: str) -> str:
        return "the-registry-password"

    monkeypatch.setattr("infra.image.registry_password", password)


@pytest.fixture(params=["staging", "production"])
def stack(request: pytest.FixtureRequest) -> str:
    return request.param


def test_staging_builds_what_training_made_and_compares_it_with_production() -> None:
    program = compose("staging")
    assert program["gate"].inputs["version"] == VERSION
    assert program["gate"].inputs["promote_from"] == ""
    assert program["gate"].inputs["compared_with"] == "production"
    assert program["image-build"].inputs["push"] is True
    assert program["image-build"].request.retainOnDelete
    assert program.outputs["image"] == IMAGE


def test_production_builds_nothing_and_runs_what_the_gate_found() -> None:
    program = compose("production")
    assert not program.of_type("Image")
    assert "version" not in program["gate"].inputs or program["gate"].inputs["version"] == ""
    assert program["gate"].inputs["promote_from"] == "staging"
    assert IMAGE.startswith(program["gate"].inputs["image_server"] + "/")
    (container,) = program["api-release-deployment"].inputs["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == IMAGE


def test_what_the_program_ignores_is_passed_over_where_drift_is_looked_for(stack: str) -> None:
    """No event of the engine tells what a program ignores; `shared` has its own test of it."""
    ignored = {r.type: tuple(r.request.ignoreChanges) for r in compose(stack).resources}
    kinds = ("azure-native:containerservice:ManagedCluster", "kubernetes:apps/v1:Deployment")
    assert {kind: paths for kind, paths in ignored.items() if paths} == {
        kind: PASSED_OVER[kind] for kind in kinds
    }


def test_a_pinned_release_is_asked_for_by_version_and_reason() -> None:
    program = compose("production", {"releaseVersion": "3", "releaseReason": "referrals"})
    assert program["gate"].inputs["version"] == "3"
    assert program["gate"].inputs["pinned"] is True
    assert program["stage"].inputs["reason"] == "referrals"
    assert compose("production", {"releaseVersion": "3"})["stage"].inputs["reason"] == (
        "pinned by releaseVersion"
    )


def test_everything_that_asks_the_registry_asks_the_same_one(stack: str) -> None:
    program = compose(stack)
    for name in ("shared-use", "gate", "stage"):
        assert program[name].inputs["registry"] == REGISTRY
    for name in ("shared-use", "gate", "stage"):
        assert program[name].inputs["stage"] == stack


def test_each_step_of_a_release_waits_for_the_one_before(stack: str) -> None:
    program = compose(stack)
    order = ["gate", "api-slot", "api-release-deployment", "api-release-smoke-test", "api-service"]
    for before, after in itertools.pairwise(order):
        assert before in waits_for(program, after), f"{after} does not wait for {before}"
    assert {"api-service", "api-release-smoke-test"} <= waits_for(program, "stage")


def waits_for(program: Recorder, name: str) -> set[str]:
    """Everything that must be there before, directly or not; components stand for their parts."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (current_name := waiting.pop()) == "shared":
            continue  # The stack reference, which is read and not made.
        current = program[current_name]
        parts = [r.name for r in program.resources if r.parent == current.name]
        for each in {*current.dependencies, *(parts if not current.custom else [])} - found:
            found.add(each)
            waiting.append(each)
    return found


def test_nothing_is_put_into_the_cluster_before_it_may_pull_images(stack: str) -> None:
    program = compose(stack)
    assert "cluster-image-pull" in waits_for(program, "api-namespace")
    assert "gateway-addon-managed" in waits_for(program, "api-gateway-gateway")


def test_the_mark_on_shared_is_the_first_to_be_made(stack: str) -> None:
    program = compose(stack)
    assert program["shared-use"].dependencies == {"shared"}
    for resource in program.resources:
        if resource.type.startswith("azure-native") and resource.name != "resource-group":
            assert "shared-use" in waits_for(program, resource.name), resource.name


def test_logs_are_collected_of_the_api_s_namespace_alone(stack: str) -> None:
    settings = compose(stack)["logs-rule"].inputs["dataSources"]["extensions"][0]
    collected = settings["extensionSettings"]["dataCollectionSettings"]
    assert collected["namespaces"] == ["attrition"]
    assert collected["namespaceFilteringMode"] == "Include"


def test_the_queries_are_of_the_release_that_reached_the_stage(stack: str) -> None:
    """And not written before it has: until then its lines would be no lines of the release's."""
    program = compose(stack, {"alertLatencyMs": 400})
    assert {"stage", "reference"} <= waits_for(program, "alerts-rule-drift")
    (condition,) = program["alerts-rule-drift"].inputs["criteria"]["allOf"]
    assert f"let release = '{VERSION}';" in condition["query"]
    assert f"let cluster = '{cluster_world.CLUSTER_ID}';" in condition["query"]
    assert "let latency_limit_ms = 400.0;" in program["alerts-search-latency"].inputs["query"]
    assert program.outputs["workbook"] == "id-of-alerts-workbook"


def test_the_environments_share_a_log_store_and_no_name_in_it() -> None:
    searches = [
        {r.inputs["savedSearchId"] for r in compose(stack).of_type("SavedSearch")}
        for stack in ("staging", "production")
    ]
    assert searches[0]
    assert not searches[0] & searches[1]


def test_the_cluster_is_protected_by_setting() -> None:
    assert compose("production")["cluster-aks"].request.protect
    assert not compose("production", {"protect": False})["cluster-aks"].request.protect
    assert not compose("staging")["cluster-aks"].request.protect


@pytest.mark.parametrize(("workflow", "login"), [(False, "azurecli"), (True, "workloadidentity")])
def test_kubelogin_needs_no_person(
    workflow: bool, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
    if workflow:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.example")
    recorded.cache_clear()
    assert login in compose("staging")["cluster-kubernetes"].inputs["kubeconfig"]


def test_a_certificate_of_ones_own_stays_in_its_vault() -> None:
    vault = "/subscriptions/s/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v"
    uri = "https://v.vault.azure.net/certificates/attrition"
    program = compose("production", {"tlsKeyVaultCertificate": uri, "tlsKeyVaultId": vault})
    assert not program.of_type("SelfSignedCertificate")
    assert program.of_type("FederatedIdentityCredential")
    assert "certificate" not in program.outputs


def test_the_pods_are_told_what_config_says_of_the_api(stack: str) -> None:
    data = compose(stack)["api-release-settings"].inputs["data"]
    assert data["DOCS_ENABLED"] == "true"
    assert (data["WINDOW_RECORDS"], data["WINDOW_SECONDS"]) == ("20", "60")
    assert "ENTRA_TENANT_ID" not in data
    assert "api-policy-to-issuer" not in {r.name for r in compose(stack).resources}


def test_tokens_of_entra_need_a_way_to_its_keys() -> None:
    tenant, audience = "11111111-2222-3333-4444-555555555555", "api://attrition"
    program = compose("production", {"entraTenantId": tenant, "entraAudience": audience})
    data = program["api-release-settings"].inputs["data"]
    assert (data["ENTRA_TENANT_ID"], data["ENTRA_AUDIENCE"]) == (tenant, audience)
    assert "api-policy-to-issuer" in waits_for(program, "api-release-deployment")


def test_a_collector_needs_a_way_to_it(stack: str) -> None:
    address = "http://collector.monitoring.svc:4318"
    program = compose(stack, {"otlpEndpoint": address})
    assert program["api-release-settings"].inputs["data"]["OTLP_ENDPOINT"] == address
    assert "api-policy-to-collector" in waits_for(program, "api-release-deployment")
    assert "api-policy-to-collector" not in {each.name for each in compose(stack).resources}


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("http://collector.monitoring.svc:4318", ""),
        ("http://collector.monitoring.svc.cluster.local:65535/otlp", ""),
        ("https://otel.obs-1.svc:443", ""),
        ("https://collector.example/otlp/", ""),
        ("https://a.svc.example", ""),
        ("http://collector.monitoring.svc", "names a Service without a port: add"),
        ("https://collector.monitoring.svc", "names a Service without a port: add"),
        ("https://collector.monitoring.svc.cluster.local", "names a Service without a port: add"),
        ("http://collector.monitoring.svc:0", "must have a port from 1 to 65535"),
        ("http://collector.monitoring.svc:99999", "must have a port from 1 to 65535"),
        ("https://pod.collector.monitoring.svc", "must name a Service"),
        ("https://collector.cluster.local", "must name a Service"),
        ("https://collector.localhost", "must name a Service"),
        ("https://10.1.2.3", "must name a Service"),
        ("https://192.168.1.1", "must name a Service"),
        ("https://20.190.128.1", "must name a Service"),
        ("https://10.0x1", "must name a Service"),
        ("http://10.0.0.4:4318", "must name a Service"),
        ("https://[fd00::1]", "must be http://SERVICE.NAMESPACE.svc:PORT in the cluster"),
        ("https://collector.example:4318", "must be https://HOST without a port"),
        ("http://collector.example", "must be https://HOST without a port"),
        ("http://127.0.0.1:4318", "must not be 127.0.0.1"),
        ("https://127.0.0.1", "must not be 127.0.0.1"),
    ],
)
def test_a_collector_is_one_that_the_network_policy_lets_the_api_reach(
    address: str, refused: str
) -> None:
    if refused:
        with pytest.raises(SettingsError, match=rf"otlpEndpoint \(.*\) {re.escape(refused)}"):
            compose("staging", {"otlpEndpoint": address})
        return
    policy = compose("staging", {"otlpEndpoint": address})["api-policy-to-collector"]
    _, way = policy.inputs["spec"]["egress"]
    asked = urlsplit(address)
    assert way["ports"] == [{"protocol": "TCP", "port": asked.port or 443}]
    (to,) = way["to"]
    name = (asked.hostname or "").removesuffix(".cluster.local")
    if name.endswith(".svc"):
        names = {"kubernetes.io/metadata.name": name.split(".")[1]}
        assert to == {"namespaceSelector": {"matchLabels": names}}
    else:
        assert to["ipBlock"]["cidr"] == "0.0.0.0/0"


@pytest.mark.parametrize("unknown", [False, True])
def test_no_secret_is_in_clear(stack: str, unknown: bool) -> None:
    program = compose(stack, unknown=unknown)
    for resource in program.resources:
        for key in resource.inputs.keys() - resource.secrets:
            text = json.dumps(resource.inputs[key], default=str)
            for secret, what in SECRETS.items():
                assert secret not in text, f"{what} is in {resource.name}.{key}"
    for key in program.outputs.keys() - program.secret_outputs:
        assert not any(s in json.dumps(program.outputs[key], default=str) for s in SECRETS)
    assert "apiKey" in (program.secret_outputs if not unknown else {"apiKey"})


def test_a_first_preview_has_the_same_resources(stack: str) -> None:
    assert {(r.type, r.name) for r in compose(stack, unknown=True).resources} == {
        (r.type, r.name) for r in compose(stack).resources
    }
    assert known(compose(stack, unknown=True)["stage"].inputs["version"]) == "(unknown)"


def test_every_part_of_a_component_is_its_child(stack: str) -> None:
    program = compose(stack)
    components = {r.name for r in program.resources if not r.custom}
    for resource in program.resources:
        owner = max((c for c in components if resource.name.startswith(f"{c}-")), default="")
        if owner and resource.name not in components and resource.name not in PROVIDERS:
            assert resource.parent in components, resource.name


def test_names_in_the_state_are_the_same_in_both_environments() -> None:
    staging = {r.name for r in compose("staging").resources}
    production = {r.name for r in compose("production").resources}
    assert staging - production == {"image", "image-build"}
    assert production <= staging
    assert {"cluster-aks", "api-release-deployment", "api-service"} <= production


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_pickled_by_reference_to_a_pinned_class(name: str) -> None:
    pickled = base64.b64decode(compose("production")[name].provider)
    texts = {word for _, word, _ in pickletools.genops(pickled) if isinstance(word, str)}
    assert texts == set(PROVIDERS[name])


def test_every_dynamic_provider_is_pinned(stack: str) -> None:
    assert {r.name for r in compose(stack).resources if r.provider} == PROVIDERS.keys()


@pytest.mark.parametrize("unknown", [False, True])
def test_the_policies_hold(stack: str, unknown: bool) -> None:
    program = compose(stack, unknown=unknown)
    declared = [
        Resource(
            type=r.type,
            name=r.name,
            urn=r.name,
            properties=r.inputs,
            protect=r.request.protect,
            parent=r.parent,
        )
        for r in program.resources
    ]
    config = StackConfig.read(ROOT, stack, effective=load(ROOT, stack).config)
    found = [v.text for v in violations(declared, config) if v.mandatory]
    assert found == []
