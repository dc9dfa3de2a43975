"""What the API puts into a cluster: valid objects, as restricted as they can be."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest
from api_program import ARGS, CERTIFICATE, KEY, objects, run, slot

from app import server
from infra.api import gateway_namespace
from infra.api_gateway import CERTIFICATE_ACCOUNT, KeyVaultCertificate
from infra.api_pods import GRACE_SECONDS, PORT, RELEASE_DIR
from tests.recorder import ROOT, Recorder

KUBERNETES = "1.36"
"""The version that config names by default."""

GATEWAY_API = "gateway.networking.k8s.io/"
"""Its kinds are custom resources: no schema of Kubernetes' own has them."""

VAULT = KeyVaultCertificate(uri="https://kv.vault.azure.net/certificates/api", client_id="1-2-3")


@pytest.fixture(scope="module")
def recorded() -> Recorder:
    return run()


@pytest.fixture(scope="module")
def manifests(recorded: Recorder) -> dict[str, dict[str, Any]]:
    return objects(recorded)


def of_kind(manifests: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in manifests.values() if found["kind"] == kind]


def pod_specs(manifests: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        found["spec"]["template"]["spec"]
        for found in manifests.values()
        if found["kind"] in ("Deployment", "Job")
    ]


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, item in value.items():  # pyright: ignore[reportUnknownVariableType] - any
                yield str(key), item  # pyright: ignore[reportUnknownArgumentType] - any
                yield from walk(item)
        case list():
            for item in value:  # pyright: ignore[reportUnknownVariableType] - any
                yield from walk(item)
        case _:
            pass


def validate(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("tls", [CERTIFICATE, VAULT], ids=["secret", "key-vault"])
def test_every_object_is_valid(tls: Any) -> None:
    kinds: set[str] = set()
    for manifest in objects(run(replace(ARGS, tls=tls))).values():
        if not manifest["apiVersion"].startswith(GATEWAY_API):
            validate(manifest)
            kinds.add(manifest["kind"])
    assert kinds >= {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceAccount",
    }


def test_validation_would_notice(manifests: dict[str, dict[str, Any]]) -> None:
    deployment = manifests["api-release-deployment"]
    with pytest.raises(kubernetes_validate.ValidationError):
        validate({**deployment, "spec": {**deployment["spec"], "replica": 3}})
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        validate({"apiVersion": "apps/v9", "kind": "Deployment", "metadata": {}})


def test_the_gateway_kinds_alone_are_not_validated(
    manifests: dict[str, dict[str, Any]],
) -> None:
    custom = [m for m in manifests.values() if m["apiVersion"].startswith(GATEWAY_API)]
    assert sorted(found["kind"] for found in custom) == ["Gateway", "HTTPRoute"]


def test_pods_are_as_restricted_as_the_namespace_asks(
    manifests: dict[str, dict[str, Any]],
) -> None:
    namespace = manifests["api-namespace"]["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    specs = pod_specs(manifests)
    assert len(specs) == 2
    for spec in specs:
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] == 65532
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & spec.keys()
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["privileged"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_nothing_is_privileged_on_the_host_or_unpinned(
    manifests: dict[str, dict[str, Any]],
) -> None:
    found = list(walk(manifests))
    assert ("privileged", True) not in found
    assert not [key for key, _ in found if key in ("hostPath", "hostPort", "add", "nodePort")]
    images = [value for key, value in found if key == "image"]
    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"[a-z.]+/attrition-api@sha256:[0-9a-f]{64}", image)


def test_a_pod_ends_without_losing_a_request(manifests: dict[str, dict[str, Any]]) -> None:
    spec = manifests["api-release-deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # The gateway hears of the pod's end while it waits; then the app ends what is in flight.
    assert wait >= 5
    assert pod["terminationGracePeriodSeconds"] == GRACE_SECONDS
    assert wait + 2 * server.GRACE_SECONDS <= GRACE_SECONDS
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_rollout_fails_before_pulumi_stops_waiting(
    manifests: dict[str, dict[str, Any]],
) -> None:
    ten_minutes = 600
    assert manifests["api-release-deployment"]["spec"]["progressDeadlineSeconds"] < ten_minutes
    assert manifests["api-release-smoke-test"]["spec"]["activeDeadlineSeconds"] < ten_minutes


def test_probes_ask_the_apps_own_routes(manifests: dict[str, dict[str, Any]]) -> None:
    (container,) = manifests["api-release-deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {
        name: container[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    api = (ROOT / "app" / "api.py").read_text()
    assert all(f'"{path}"' in api for path in paths.values())
    assert container["ports"] == [{"name": "http", "containerPort": PORT}]


def test_it_begins_with_the_fewest_and_the_autoscaler_decides_from_then_on(
    manifests: dict[str, dict[str, Any]], recorded: Recorder
) -> None:
    assert manifests["api-release-deployment"]["spec"]["replicas"] == 2
    assert list(recorded["api-release-deployment"].request.ignoreChanges) == ["spec.replicas"]
    autoscaler = manifests["api-release-autoscaler"]["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (2, 6)
    assert autoscaler["scaleTargetRef"]["name"] == slot()
    assert autoscaler["metrics"][0]["resource"]["name"] == "cpu"


def test_pods_spread_over_zones_and_nodes(manifests: dict[str, dict[str, Any]]) -> None:
    pod = manifests["api-release-deployment"]["spec"]["template"]["spec"]
    keys = [each["topologyKey"] for each in pod["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_the_smoke_test_runs_the_images_own_code(manifests: dict[str, dict[str, Any]]) -> None:
    job = manifests["api-release-smoke-test"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (api,) = manifests["api-release-deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == api["image"]
    assert container["command"] == ["python", "-m", "app.smoke"]
    assert container["args"][:4] == ["--url", "http://10.0.12.7:80", "--bundle", RELEASE_DIR]
    assert f"RELEASE_DIR={RELEASE_DIR}" in (ROOT / "app" / "Dockerfile").read_text()
    # What it says last reaches the pod's status, and so the error of the `up`.
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["restartPolicy"] == "Never"
    assert job["metadata"]["annotations"]["pulumi.com/replaceUnready"] == "true"
    # Pulumi's provider knows the reasons BackoffLimitExceeded and DeadlineExceeded, no other.
    assert "podFailurePolicy" not in job["spec"]
    assert "ttlSecondsAfterFinished" not in job["spec"]


def test_only_the_gateway_and_the_smoke_test_reach_the_api(
    manifests: dict[str, dict[str, Any]],
) -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in of_kind(manifests, "NetworkPolicy")}
    assert policies.keys() == {"deny-all", "to-api", "from-smoke-test"}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ((rule,), port) = policies["to-api"]["ingress"], [{"protocol": "TCP", "port": PORT}]
    gateway, smoke = rule["from"]
    assert rule["ports"] == port
    assert gateway["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": gateway_namespace("attrition")
    }
    assert gateway["podSelector"]["matchLabels"] == {
        "gateway.networking.k8s.io/gateway-name": manifests["api-gateway-gateway"]["metadata"][
            "name"
        ]
    }
    job = manifests["api-release-smoke-test"]["spec"]["template"]["metadata"]["labels"]
    api = manifests["api-release-deployment"]["spec"]["template"]["metadata"]["labels"]
    assert "namespaceSelector" not in smoke
    assert smoke["podSelector"]["matchLabels"].items() <= job.items()
    assert not smoke["podSelector"]["matchLabels"].items() <= api.items()
    assert policies["to-api"]["podSelector"]["matchLabels"].items() <= api.items()
    # The API has no way out at all; the smoke test has the one to the API.
    assert [name for name, spec in policies.items() if spec.get("egress")] == ["from-smoke-test"]
    (egress,) = policies["from-smoke-test"]["egress"]
    (to,) = egress["to"]
    assert to["podSelector"]["matchLabels"].items() <= api.items()
    assert egress["ports"] == port


def way_out(role: str, **changes: Any) -> dict[str, Any]:
    """Return what the API, and nothing else, may reach with these changes, beside DNS."""
    more = objects(run(replace(ARGS, **changes)))
    policy = more.pop(f"api-policy-{role}")
    assert more.keys() == objects(run()).keys()
    validate(policy)
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Egress"]
    api = more["api-release-deployment"]["spec"]["template"]["metadata"]["labels"]
    smoke = more["api-release-smoke-test"]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= api.items()
    assert not spec["podSelector"]["matchLabels"].items() <= smoke.items()
    dns, way = spec["egress"]
    assert {(each["protocol"], each["port"]) for each in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    return way


def test_the_api_may_ask_an_issuer_and_nobody_inside_the_network() -> None:
    https = way_out("to-issuer", asks_issuer=True)
    assert https["ports"] == [{"protocol": "TCP", "port": 443}]
    (to,) = https["to"]
    inside = [ipaddress.ip_network(each) for each in to["ipBlock"]["except"]]
    for address in ("10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254"):
        assert any(ipaddress.ip_address(address) in each for each in inside), address
    # login.microsoftonline.com
    assert not any(ipaddress.ip_address("20.190.128.1") in each for each in inside)


@pytest.mark.parametrize(
    ("address", "namespace", "port"),
    [
        ("http://collector.monitoring.svc:4318", "monitoring", 4318),
        ("https://otel.obs-1.svc.cluster.local:443/otlp", "obs-1", 443),
        ("https://collector.example", None, 443),
        ("https://svc.example/a.b.svc", None, 443),
    ],
)
def test_the_api_may_reach_its_collector_and_no_other(
    address: str, namespace: str | None, port: int
) -> None:
    way = way_out("to-collector", collector=address)
    assert way["ports"] == [{"protocol": "TCP", "port": port}]
    (to,) = way["to"]
    if namespace is None:
        assert to["ipBlock"]["cidr"] == "0.0.0.0/0"
        assert "10.0.0.0/8" in to["ipBlock"]["except"]
    else:
        names = {"kubernetes.io/metadata.name": namespace}
        assert to == {"namespaceSelector": {"matchLabels": names}}


def test_services_reach_the_api_and_not_the_smoke_test(
    manifests: dict[str, dict[str, Any]],
) -> None:
    job = manifests["api-release-smoke-test"]["spec"]["template"]["metadata"]["labels"]
    api = manifests["api-release-deployment"]["spec"]["template"]["metadata"]["labels"]
    for service in of_kind(manifests, "Service"):
        assert service["spec"]["type"] == "ClusterIP"
        assert service["spec"]["selector"].items() <= api.items()
        assert not service["spec"]["selector"].items() <= job.items()


def test_keys_are_where_they_are_needed_and_secret(recorded: Recorder) -> None:
    holders = [
        name for name, found in objects(recorded).items() if KEY in dict(walk(found)).values()
    ]
    assert holders == ["api-release-smoke-key"]
    for name in ("api-release-smoke-key", "api-release-accepted-keys", "api-gateway-certificate"):
        assert "stringData" in recorded[name].secrets, name
    api = objects(recorded)["api-release-deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert api["envFrom"] == [{"configMapRef": {"name": slot()}}, {"secretRef": {"name": slot()}}]


def test_pods_are_told_what_the_registry_says(manifests: dict[str, dict[str, Any]]) -> None:
    data = manifests["api-release-settings"]["data"]
    assert data["RELEASE_VERSION"] == "7"
    assert data["RELEASE_SHA256"] == ARGS.bundle_sha256
    assert data["RELEASE_DIR"] == RELEASE_DIR
    assert data["PORT"] == str(PORT)


def test_pods_are_told_the_settings_and_no_setting_takes_their_address() -> None:
    told = objects(run(replace(ARGS, environment={"DOCS_ENABLED": "false", "PORT": "1"})))
    data = told["api-release-settings"]["data"]
    assert (data["DOCS_ENABLED"], data["PORT"]) == ("false", str(PORT))


def test_the_way_in_is_https_inside_the_network(
    recorded: Recorder, manifests: dict[str, dict[str, Any]]
) -> None:
    gateway = manifests["api-gateway-gateway"]
    spec = gateway["spec"]
    assert spec["gatewayClassName"] == "approuting-istio"
    assert spec["infrastructure"]["annotations"] == {
        "service.beta.kubernetes.io/azure-load-balancer-internal": "true"
    }
    (listener,) = spec["listeners"]
    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert listener["hostname"] == "attrition.contoso.com"
    certificate = manifests["api-gateway-certificate"]
    assert listener["tls"] == {
        "mode": "Terminate",
        "certificateRefs": [{"kind": "Secret", "name": certificate["metadata"]["name"]}],
    }
    assert certificate["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    assert certificate["type"] == "kubernetes.io/tls"
    assert recorded.outputs["url"] == "https://attrition.contoso.com"


def test_the_route_leads_to_the_service_whose_name_never_changes(
    manifests: dict[str, dict[str, Any]],
) -> None:
    route, service = manifests["api-gateway-route"], manifests["api-service"]
    assert route["metadata"]["namespace"] == service["metadata"]["namespace"] == "attrition"
    ((rule,), (parent,)) = route["spec"]["rules"], route["spec"]["parentRefs"]
    assert rule["backendRefs"] == [
        {
            "name": service["metadata"]["name"],
            "port": service["spec"]["ports"][0]["port"],
        }
    ]
    gateway = manifests["api-gateway-gateway"]
    assert (parent["name"], parent["namespace"]) == (
        gateway["metadata"]["name"],
        gateway["metadata"]["namespace"],
    )
    assert parent["sectionName"] == gateway["spec"]["listeners"][0]["name"]
    allowed = gateway["spec"]["listeners"][0]["allowedRoutes"]["namespaces"]
    assert allowed["selector"]["matchLabels"] == {"kubernetes.io/metadata.name": "attrition"}


def test_a_public_gateway_is_a_decision() -> None:
    public = objects(run(replace(ARGS, public=True)))
    assert public["api-gateway-gateway"]["spec"]["infrastructure"]["annotations"] == {}


def test_a_renewed_certificate_is_there_before_the_old_one_goes(
    manifests: dict[str, dict[str, Any]],
) -> None:
    renewed = replace(CERTIFICATE, certificate_pem="another")
    other = objects(run(replace(ARGS, tls=renewed)))["api-gateway-certificate"]
    old = manifests["api-gateway-certificate"]
    assert old["metadata"]["name"] != other["metadata"]["name"]


def test_a_certificate_can_stay_in_a_key_vault() -> None:
    found = objects(run(replace(ARGS, tls=VAULT)))
    assert found["api-gateway-gateway"]["spec"]["listeners"][0]["tls"] == {
        "mode": "Terminate",
        "options": {
            "kubernetes.azure.com/tls-cert-keyvault-uri": VAULT.uri,
            "kubernetes.azure.com/tls-cert-service-account": CERTIFICATE_ACCOUNT,
        },
    }
    account = found["api-gateway-certificate-account"]
    assert account["metadata"]["annotations"] == {"azure.workload.identity/client-id": "1-2-3"}
    assert account["metadata"]["namespace"] == gateway_namespace("attrition")
    assert not [m for m in of_kind(found, "Secret") if "tls.key" in m["stringData"]]
