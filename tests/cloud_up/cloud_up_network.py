"""What Kubernetes network policies let through from one pod to another."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Pod:
    """Where a pod is, and the labels of its namespace and its own.

    Every namespace has its name as the label `kubernetes.io/metadata.name`.
    """

    namespace: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def around(self) -> dict[str, str]:
        return {**self.namespace_labels, "kubernetes.io/metadata.name": self.namespace}


def allowed(
    policies: Sequence[Mapping[str, Any]], source: Pod, target: Pod, port: Set[int | str]
) -> bool:
    """Whether `source` reaches a port, by number and name, of `target`.

    A pod that no policy selects is open; one that some select is open to what any of them allows.
    """
    return _one_way(policies, "Egress", source, target, port) and _one_way(
        policies, "Ingress", target, source, port
    )


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    selector = selector or {}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _one_way(
    policies: Sequence[Mapping[str, Any]],
    direction: str,
    own: Pod,
    other: Pod,
    port: Set[int | str],
) -> bool:
    specs = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == own.namespace
        and direction in policy["spec"].get("policyTypes", ["Ingress"])
        and selects(policy["spec"].get("podSelector"), own.labels)
    ]
    rules = [rule for spec in specs for rule in spec.get(direction.lower(), [])]
    peers = "to" if direction == "Egress" else "from"
    return not specs or any(
        _peer(rule.get(peers), own, other) and _port(rule.get("ports"), port) for rule in rules
    )


def _peer(peers: Sequence[Mapping[str, Any]] | None, own: Pod, other: Pod) -> bool:
    # A peer of addresses is no pod.
    return not peers or any(
        "ipBlock" not in peer
        and (
            selects(peer["namespaceSelector"], other.around)
            if "namespaceSelector" in peer
            else own.namespace == other.namespace
        )
        and selects(peer.get("podSelector"), other.labels)
        for peer in peers
    )


def _port(ports: Sequence[Mapping[str, Any]] | None, port: Set[int | str]) -> bool:
    return not ports or any(
        entry.get("protocol", "TCP") == "TCP" and ("port" not in entry or entry["port"] in port)
        for entry in ports
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case _:
            return value is None
