"""The API in a cluster: the release that serves, the one that is about to, and the way in.

Blue and green by resource order: the new release's pods start beside the old one's and are proved
through a Service of their own; then the Service that the gateway knows (its name never changes)
turns to them, by its selector; then whatever depends on this component, such as the registry's
stage. The old release's objects go last, when nobody is sent to them any more. Whatever fails,
everything after it has not happened.

A change of the accepted keys or of the API's settings takes the same way, so that it is proved
before it counts.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes import core, meta

from infra.api_gateway import ApiGateway, ApiGatewayArgs, Certificate, KeyVaultCertificate
from infra.api_pods import API, APP, RELEASE_LABEL, labels, metadata
from infra.api_policy import ApiPolicy, ApiPolicyArgs
from infra.api_release import ApiRelease, ApiReleaseArgs, service_ports
from infra.lifecycle.release_slot import ReleaseSlot, ReleaseSlotArgs

__all__ = ["Api", "ApiArgs", "gateway_namespace"]

_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@dataclass(frozen=True, kw_only=True)
class ApiArgs:
    """What to serve, to whom, with how much.

    `namespace` is made here, and one beside it for the gateway. `image` is by digest
    ("server/repository@sha256:…") and holds the release `version`, whose bundle has the manifest
    hash `bundle_sha256`. `api_key` is a key that the API accepts, for the smoke test;
    `accepted_sha256` are the hashes of all accepted keys, separated by commas. `environment` is
    what else the API is told, by the names in `app.__main__`; `asks_issuer` lets it ask for the
    keys of an issuer of tokens, and `collector` is the address that it sends its metrics to.
    `hostname` is what clients call; `public` lets them do so from the internet. `after` is what has
    to be there before anything is put into the cluster.
    """

    namespace: str
    image: pulumi.Input[str]
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    api_key: pulumi.Input[str]
    accepted_sha256: pulumi.Input[str]
    replicas_min: int
    replicas_max: int
    hostname: str
    tls: Certificate | KeyVaultCertificate
    public: bool
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    asks_issuer: bool = False
    collector: str = ""
    after: Sequence[pulumi.Resource] = ()


class Api(pulumi.ComponentResource):
    """The API, serving a release that passed its smoke test; give it a provider for Kubernetes.

    `url` is known when the release serves; `evidence` says which image was proved by which Job.
    """

    url: pulumi.Output[str]
    evidence: pulumi.Output[dict[str, str]]
    release: ApiRelease

    def __init__(
        self, name: str, args: ApiArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:api:Api", name, None, opts)
        self._prefix = name
        self._args = args
        self._namespace = self._create_namespace()
        slot = self._create_slot()
        self.release = self._create_release(slot, self._create_policy())
        service = self._create_service(slot)
        gateway = self._create_gateway()
        self.url = pulumi.Output.all(gateway.url, service.id).apply(_first)
        self.evidence = pulumi.Output.all(
            image=args.image, job=self.release.job_name, service=service.id
        ).apply(_evidence)
        self.register_outputs({"url": self.url, "evidence": self.evidence})

    def _create_namespace(self) -> list[pulumi.Resource]:
        """Make the namespace and the account that its pods run as, which may do nothing at all."""
        namespace = core.v1.Namespace(
            f"{self._prefix}-namespace",
            metadata=meta.v1.ObjectMetaArgs(name=self._args.namespace, labels=_RESTRICTED),
            opts=self._child(*self._args.after),
        )
        account = core.v1.ServiceAccount(
            f"{self._prefix}-account",
            metadata=metadata(APP, self._args.namespace, API),
            automount_service_account_token=False,
            opts=self._child(namespace),
        )
        return [namespace, account]

    def _create_policy(self) -> ApiPolicy:
        return ApiPolicy(
            f"{self._prefix}-policy",
            ApiPolicyArgs(
                namespace=self._args.namespace,
                gateway_namespace=gateway_namespace(self._args.namespace),
                gateway_name=APP,
                asks_issuer=self._args.asks_issuer,
                collector=self._args.collector,
                after=self._namespace,
            ),
            opts=self._child(),
        )

    def _create_slot(self) -> ReleaseSlot:
        environment = json.dumps(self._args.environment, sort_keys=True)
        settings = pulumi.Output.concat(self._args.accepted_sha256, environment).apply(_short_hash)
        return ReleaseSlot(
            f"{self._prefix}-slot",
            ReleaseSlotArgs(
                base=APP,
                version=self._args.version,
                image=self._args.image,
                # A hash of hashes tells nothing, so that the slot need not be a secret.
                settings=pulumi.Output.unsecret(settings),
            ),
            opts=self._child(),
        )

    def _create_release(self, slot: ReleaseSlot, policy: ApiPolicy) -> ApiRelease:
        return ApiRelease(
            f"{self._prefix}-release",
            ApiReleaseArgs(
                slot=slot.name,
                namespace=self._args.namespace,
                service_account=APP,
                image=self._args.image,
                version=self._args.version,
                bundle_sha256=self._args.bundle_sha256,
                api_key=self._args.api_key,
                accepted_sha256=self._args.accepted_sha256,
                environment=self._args.environment,
                replicas_min=self._args.replicas_min,
                replicas_max=self._args.replicas_max,
                after=[*self._namespace, policy],
            ),
            opts=self._child(),
        )

    def _create_service(self, slot: ReleaseSlot) -> core.v1.Service:
        """Make the Service that serves: its selector follows the smoke test, never leads."""
        return core.v1.Service(
            f"{self._prefix}-service",
            metadata=metadata(APP, self._args.namespace, API),
            spec=core.v1.ServiceSpecArgs(
                type="ClusterIP",
                selector={**labels(API), RELEASE_LABEL: slot.name},
                ports=service_ports(),
            ),
            opts=self._child(self.release.job),
        )

    def _create_gateway(self) -> ApiGateway:
        return ApiGateway(
            f"{self._prefix}-gateway",
            ApiGatewayArgs(
                namespace=gateway_namespace(self._args.namespace),
                service=APP,
                service_namespace=self._args.namespace,
                hostname=self._args.hostname,
                tls=self._args.tls,
                public=self._args.public,
                after=[*self._args.after, *self._namespace],
            ),
            opts=self._child(),
        )

    def _child(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(after))


def gateway_namespace(namespace: str) -> str:
    """Name the namespace of the gateway that leads to the API in `namespace`."""
    return f"{namespace}-gateway"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _first(known: list[Any]) -> str:
    return known[0]


def _evidence(known: dict[str, str]) -> dict[str, str]:
    return {key: known[key] for key in ("image", "job")}
