"""The way from outside to the API: HTTPS only, inside the network unless told otherwise.

Port 80 stays closed, without even a redirect: a client that is told to come back with TLS has sent
its key in clear by then. The gateway has a namespace of its own, for two reasons: the proxy that
AKS starts there asks for less than the restricted security level allows (it names no seccomp
profile), and the certificate's key is out of reach of whatever may read the API's secrets.

Left out on purpose: DNS records. `hostname` has to point at the load balancer's address, public or
private, in a zone that only its owner knows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes import apiextensions, core, meta

from infra.api_pods import APP, metadata
from infra.gateway_addon import GATEWAY_CLASS

__all__ = [
    "CERTIFICATE_ACCOUNT",
    "ApiGateway",
    "ApiGatewayArgs",
    "Certificate",
    "KeyVaultCertificate",
]

CERTIFICATE_ACCOUNT = "gateway-certificate"
"""The service account by which the add-on reads a certificate from a Key Vault."""

_COMPONENT = "gateway"
_API_VERSION = "gateway.networking.k8s.io/v1"
_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"
_KEY_VAULT_URI = "kubernetes.azure.com/tls-cert-keyvault-uri"
_KEY_VAULT_ACCOUNT = "kubernetes.azure.com/tls-cert-service-account"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate and its private key, both PEM."""

    certificate_pem: pulumi.Input[str]
    private_key_pem: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class KeyVaultCertificate:
    """A certificate that stays in a Key Vault, where it is renewed.

    `uri` is without a version ("https://<vault>.vault.azure.net/certificates/<name>"), so that a
    renewed one is picked up. `client_id` is the identity that may read it
    (`infra.gateway_identity`).
    """

    uri: pulumi.Input[str]
    client_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ApiGatewayArgs:
    """Where the gateway is (`namespace`, made here) and what it sends to which Service.

    `public` gives the load balancer an address on the internet. `after` is what has to be there
    before, such as the add-on and the Service's namespace.
    """

    namespace: str
    service: pulumi.Input[str]
    service_namespace: str
    hostname: str
    tls: Certificate | KeyVaultCertificate
    public: bool
    after: Sequence[pulumi.Resource] = ()


class ApiGateway(pulumi.ComponentResource):
    """A gateway that answers `https://<hostname>` once its load balancer has an address."""

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: ApiGatewayArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:api:ApiGateway", name, None, opts)
        self._prefix = name
        self._args = args
        namespace = self._create_namespace()
        match args.tls:
            case Certificate():
                tls, needed = self._create_secret(args.tls, namespace)
            case KeyVaultCertificate():
                tls, needed = self._create_account(args.tls, namespace)
        gateway = self._create_gateway(tls, after=[namespace, needed])
        route = self._create_route(after=gateway)
        self.url = route.id.apply(lambda _: f"https://{args.hostname}")
        self.register_outputs({"url": self.url})

    def _create_namespace(self) -> core.v1.Namespace:
        return core.v1.Namespace(
            f"{self._prefix}-namespace",
            metadata=meta.v1.ObjectMetaArgs(
                name=self._args.namespace,
                labels={
                    "pod-security.kubernetes.io/enforce": "baseline",
                    "pod-security.kubernetes.io/warn": "baseline",
                },
            ),
            opts=self._child(*self._args.after),
        )

    def _create_secret(
        self, tls: Certificate, namespace: core.v1.Namespace
    ) -> tuple[dict[str, Any], pulumi.Resource]:
        """Name the Secret by what it holds: the renewed one is there before the old one goes."""
        name = pulumi.Output.unsecret(
            pulumi.Output.from_input(tls.certificate_pem).apply(_certificate_name)
        )
        secret = core.v1.Secret(
            f"{self._prefix}-certificate",
            metadata=self._metadata(name),
            type="kubernetes.io/tls",
            immutable=True,
            string_data={
                "tls.crt": tls.certificate_pem,
                "tls.key": pulumi.Output.secret(tls.private_key_pem),
            },
            opts=self._child(namespace),
        )
        return {"certificateRefs": [{"kind": "Secret", "name": name}]}, secret

    def _create_account(
        self, tls: KeyVaultCertificate, namespace: core.v1.Namespace
    ) -> tuple[dict[str, Any], pulumi.Resource]:
        account = core.v1.ServiceAccount(
            f"{self._prefix}-certificate-account",
            metadata=meta.v1.ObjectMetaArgs(
                name=CERTIFICATE_ACCOUNT,
                namespace=self._args.namespace,
                annotations={"azure.workload.identity/client-id": tls.client_id},
            ),
            automount_service_account_token=False,
            opts=self._child(namespace),
        )
        return {
            "options": {_KEY_VAULT_URI: tls.uri, _KEY_VAULT_ACCOUNT: CERTIFICATE_ACCOUNT}
        }, account

    def _create_gateway(
        self, tls: dict[str, Any], *, after: list[pulumi.Resource]
    ) -> apiextensions.CustomResource:
        annotations = {} if self._args.public else {_INTERNAL: "true"}
        described = self._metadata(APP)
        # Done when the proxy runs and the load balancer has an address, not when it was asked for.
        described.annotations = {"pulumi.com/waitFor": "condition=Programmed"}
        return apiextensions.CustomResource(
            f"{self._prefix}-gateway",
            api_version=_API_VERSION,
            kind="Gateway",
            metadata=described,
            spec={
                "gatewayClassName": GATEWAY_CLASS,
                "infrastructure": {"annotations": annotations},
                "listeners": [
                    {
                        "name": "https",
                        "protocol": "HTTPS",
                        "port": 443,
                        "hostname": self._args.hostname,
                        "tls": {"mode": "Terminate", **tls},
                        "allowedRoutes": {"namespaces": _only(self._args.service_namespace)},
                    }
                ],
            },
            opts=self._child(*after),
        )

    def _create_route(self, *, after: pulumi.Resource) -> apiextensions.CustomResource:
        """Put the route where its Service is: another namespace's may not be named from here."""
        return apiextensions.CustomResource(
            f"{self._prefix}-route",
            api_version=_API_VERSION,
            kind="HTTPRoute",
            metadata=metadata(APP, self._args.service_namespace, _COMPONENT),
            spec={
                "parentRefs": [
                    {"name": APP, "namespace": self._args.namespace, "sectionName": "https"}
                ],
                "hostnames": [self._args.hostname],
                "rules": [
                    {
                        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                        "backendRefs": [{"name": self._args.service, "port": 80}],
                        "timeouts": {"request": "30s"},
                    }
                ],
            },
            opts=self._child(after),
        )

    def _metadata(self, name: pulumi.Input[str]) -> meta.v1.ObjectMetaArgs:
        return metadata(name, self._args.namespace, _COMPONENT)

    def _child(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(after))


def _certificate_name(certificate_pem: str) -> str:
    return f"{APP}-certificate-{hashlib.sha256(certificate_pem.encode()).hexdigest()[:8]}"


def _only(namespace: str) -> dict[str, Any]:
    """Let routes of this namespace alone attach themselves."""
    return {
        "from": "Selector",
        "selector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
