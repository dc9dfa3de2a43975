"""Finding the pods in Kubernetes resources: in every kind with a pod template, and a bare pod."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from policies.declared import Resource, at, each, entries, is_unknown

__all__ = ["POD_PATHS", "Container", "containers", "pod_spec"]

_IN_TEMPLATE = ("spec", "template", "spec")
POD_PATHS = {
    "CronJob": ("spec", "jobTemplate", *_IN_TEMPLATE),
    "DaemonSet": _IN_TEMPLATE,
    "Deployment": _IN_TEMPLATE,
    "Job": _IN_TEMPLATE,
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "ReplicaSet": _IN_TEMPLATE,
    "ReplicationController": _IN_TEMPLATE,
    "StatefulSet": _IN_TEMPLATE,
}
"""Where each kind has its pod's spec."""

_LISTS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a pod; `label` is for messages, such as `init container fetch`."""

    label: str
    properties: dict[str, Any] = field(repr=False)


def pod_spec(resource: Resource) -> dict[str, Any]:
    """The pod's spec; empty where the resource has no pod, or a preview does not know it."""
    path = POD_PATHS.get(resource.kubernetes)
    return entries(at(resource.properties, *path)) if path else {}


def containers(spec: dict[str, Any]) -> Iterator[Container]:
    """Yield every container that is known, those that only run at the start included."""
    for key in _LISTS:
        kind = {"containers": "container"}.get(key, f"{key.removesuffix('Containers')} container")
        for index, item in enumerate(each(spec.get(key))):
            name = at(item, "name")
            label = f"{kind} {index if name is None or is_unknown(name) else name}"
            yield Container(label=label, properties=entries(item))
