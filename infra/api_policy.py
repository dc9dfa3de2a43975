"""Who may talk to whom in the API's namespace: nobody, then what is needed.

The API answers the gateway and the smoke test, and asks nobody: a process that only reads what its
image holds needs no way out, not even to DNS. Where it accepts tokens it has to ask their issuer
for keys: then it may use DNS, and port 443 of public addresses (a network policy knows no names,
and Entra's addresses change), but reach nothing inside the network. A collector of its metrics is
one namespace of the cluster, or a public address as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, networking

from infra.api_pods import API, PORT, SMOKE, labels, metadata
from infra.collector import Collector

__all__ = ["ApiPolicy", "ApiPolicyArgs"]

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_NOT_PUBLIC = [
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
    # The machine's metadata service, which hands out tokens, and Azure's own.
    *("169.254.0.0/16", "168.63.129.16/32"),
]


@dataclass(frozen=True, kw_only=True)
class ApiPolicyArgs:
    """The API's namespace; the gateway's, and its name, by which its pods are labelled.

    `asks_issuer` lets the API ask for the keys of an issuer of tokens; `collector` is the address
    that it sends its metrics to, if any. `after` is what has to be there before, such as the
    namespace.
    """

    namespace: str
    gateway_namespace: str
    gateway_name: str
    asks_issuer: bool = False
    collector: str = ""
    after: Sequence[pulumi.Resource] = ()


class ApiPolicy(pulumi.ComponentResource):
    """The network policies of the API's namespace."""

    def __init__(
        self, name: str, args: ApiPolicyArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:api:ApiPolicy", name, None, opts)
        specs = {
            "deny-all": networking.v1.NetworkPolicySpecArgs(
                pod_selector=meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
            ),
            "to-api": networking.v1.NetworkPolicySpecArgs(
                pod_selector=_pods(API),
                policy_types=["Ingress"],
                ingress=[
                    networking.v1.NetworkPolicyIngressRuleArgs(
                        from_=[
                            _gateway(args),
                            networking.v1.NetworkPolicyPeerArgs(pod_selector=_pods(SMOKE)),
                        ],
                        ports=_ports(),
                    )
                ],
            ),
            "from-smoke-test": networking.v1.NetworkPolicySpecArgs(
                pod_selector=_pods(SMOKE),
                policy_types=["Egress"],
                egress=[
                    networking.v1.NetworkPolicyEgressRuleArgs(
                        to=[networking.v1.NetworkPolicyPeerArgs(pod_selector=_pods(API))],
                        ports=_ports(),
                    )
                ],
            ),
        }
        if args.asks_issuer:
            specs["to-issuer"] = _way_out(_public(), 443)
        if args.collector:
            specs["to-collector"] = _way_out(*_collector(Collector.at(args.collector)))
        for role, spec in specs.items():
            networking.v1.NetworkPolicy(
                f"{name}-{role}",
                metadata=metadata(role, args.namespace, "network"),
                spec=spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
            )
        self.register_outputs({})


def _collector(found: Collector) -> tuple[networking.v1.NetworkPolicyPeerArgs, int]:
    """Return who may be reached, and on which port."""
    if not found.namespace:
        return _public(), found.port
    # Of a Service the policy sees the pods: they have to listen on the port that it is called at.
    return networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=_namespace(found.namespace)
    ), found.port


def _public() -> networking.v1.NetworkPolicyPeerArgs:
    return networking.v1.NetworkPolicyPeerArgs(
        ip_block=networking.v1.IPBlockArgs(cidr="0.0.0.0/0", except_=_NOT_PUBLIC)
    )


def _way_out(
    to: networking.v1.NetworkPolicyPeerArgs, port: int
) -> networking.v1.NetworkPolicySpecArgs:
    """Let the API reach one peer on one port, and find its address by DNS."""
    dns = networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=_namespace("kube-system"),
        pod_selector=meta.v1.LabelSelectorArgs(match_labels={"k8s-app": "kube-dns"}),
    )
    return networking.v1.NetworkPolicySpecArgs(
        pod_selector=_pods(API),
        policy_types=["Egress"],
        egress=[
            networking.v1.NetworkPolicyEgressRuleArgs(
                to=[dns],
                ports=[
                    networking.v1.NetworkPolicyPortArgs(protocol=protocol, port=53)
                    for protocol in ("UDP", "TCP")
                ],
            ),
            networking.v1.NetworkPolicyEgressRuleArgs(
                to=[to], ports=[networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=port)]
            ),
        ],
    )


def _namespace(name: str) -> meta.v1.LabelSelectorArgs:
    return meta.v1.LabelSelectorArgs(match_labels={_NAMESPACE_NAME: name})


def _pods(component: str) -> meta.v1.LabelSelectorArgs:
    return meta.v1.LabelSelectorArgs(match_labels=labels(component))


def _gateway(args: ApiPolicyArgs) -> networking.v1.NetworkPolicyPeerArgs:
    """Select the gateway's pods and no others of its namespace."""
    return networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=_namespace(args.gateway_namespace),
        pod_selector=meta.v1.LabelSelectorArgs(match_labels={_GATEWAY_NAME: args.gateway_name}),
    )


def _ports() -> list[networking.v1.NetworkPolicyPortArgs]:
    return [networking.v1.NetworkPolicyPortArgs(protocol="TCP", port=PORT)]
