"""The API as a program declares it, and what a cluster would answer."""

from dataclasses import replace
from typing import Any

import pulumi
import pulumi_kubernetes

from infra.api import Api, ApiArgs
from infra.api_gateway import Certificate
from infra.lifecycle.release_slot import slot_name
from tests.recorder import Recorder, record

DIGESTS = {"7": "7" * 64, "8": "8" * 64}
SERVER = "crone.azurecr.io"
KEY, ACCEPTED = "the-key", "a" * 64
CERTIFICATE = Certificate(
    certificate_pem="-----BEGIN CERTIFICATE-----", private_key_pem="-----BEGIN PRIVATE KEY-----"
)
ARGS = ApiArgs(
    namespace="attrition",
    image=f"{SERVER}/attrition-api@sha256:{DIGESTS['7']}",
    version="7",
    bundle_sha256="b" * 64,
    api_key=KEY,
    accepted_sha256=ACCEPTED,
    replicas_min=2,
    replicas_max=6,
    hostname="attrition.contoso.com",
    tls=CERTIFICATE,
    public=False,
)


def release(version: str) -> ApiArgs:
    image = f"{SERVER}/attrition-api@sha256:{DIGESTS[version]}"
    return replace(ARGS, image=image, version=version)


def slot(version: str = "7", generation: int = 1) -> str:
    return slot_name("attrition-api", version, str(release(version).image), generation)


def made(args: ApiArgs = ARGS, *, name: str = "") -> dict[str, dict[str, Any]]:
    """Say what providers would add: the slot's name, and the Services' addresses."""
    return {
        "ReleaseSlot": {"name": name or slot(str(args.version)), "generation": 1},
        "api-release-service": {
            "spec": {"clusterIP": "10.0.12.7"},
            "metadata": {"name": name or slot(str(args.version)), "namespace": args.namespace},
        },
    }


def run(
    args: ApiArgs = ARGS, *, unknown: bool = False, name: str = "", after: bool = False
) -> Recorder:
    """Declare the API on a cluster of its own; `after`: when a resource `ready` is there."""

    def program() -> None:
        cluster = pulumi_kubernetes.Provider("cluster", pulumi_kubernetes.ProviderArgs())
        ready = [pulumi.CustomResource("test:index:Ready", "ready", {})] if after else []
        api = Api(
            "api",
            replace(
                args,
                api_key=pulumi.Output.secret(args.api_key),
                accepted_sha256=pulumi.Output.secret(args.accepted_sha256),
                after=ready,
            ),
            opts=pulumi.ResourceOptions(providers=[cluster]),
        )
        pulumi.export("url", api.url)
        pulumi.export("evidence", api.evidence)

    return record(program, Recorder(made=made(args, name=name), unknown=unknown))


def objects(recorder: Recorder) -> dict[str, dict[str, Any]]:
    """Return the manifests by logical name: what the provider would send to the cluster."""
    return {
        found.name: found.inputs
        for found in recorder.resources
        if found.type.startswith("kubernetes:") and found.custom
    }
