"""Rules on what runs in the cluster, and on how it is reached."""

from collections.abc import Iterator
from typing import Any, cast

from policies.declared import Resource, at, differs, each, is_list, is_unknown, known_text
from policies.images import is_by_digest
from policies.pods import Container, containers, pod_spec
from policies.stack_config import StackConfig

__all__ = ["image_digest", "load_balancer_tls", "pod_security"]

_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"


def image_digest(resource: Resource, _: StackConfig) -> Iterator[str]:
    """A tag can be moved to other code after it was tested; a digest is its content."""
    if resource.type.startswith("kubernetes:helm.sh/") and resource.kubernetes == "Release":
        yield "a Helm release hides its pods from every rule; declare its objects instead"
    for container in containers(pod_spec(resource)):
        image = container.properties.get("image")
        if not is_unknown(image) and not is_by_digest(image):
            yield f"{container.label}: its image is not named by digest"


_POD_MUST_NOT = ("hostNetwork", "hostPID", "hostIPC")


def pod_security(resource: Resource, _: StackConfig) -> Iterator[str]:
    """The restricted pod security standard of Kubernetes, and a file system that is read only."""
    spec = pod_spec(resource)
    for key in _POD_MUST_NOT:
        if spec.get(key) is True:
            yield f"{key} is true"
    for volume in each(spec.get("volumes")):
        path = at(volume, "hostPath")
        if path is not None and not is_unknown(path):
            yield f"volume {_name(volume)}: it is a hostPath"
    for container in containers(spec):
        for problem in _container_problems(container, spec):
            yield f"{container.label}: {problem}"


def _container_problems(container: Container, pod: dict[str, Any]) -> Iterator[str]:
    own = container.properties.get("securityContext")
    if is_unknown(own):
        return
    if differs(_effective(own, pod, "runAsNonRoot"), True):
        yield "runAsNonRoot is not true"
    if _effective(own, pod, "runAsUser") == 0:
        yield "runAsUser is 0, which is root"
    if at(own, "privileged") is True:
        yield "privileged is true"
    if differs(at(own, "allowPrivilegeEscalation"), False):
        yield "allowPrivilegeEscalation is not false"
    if differs(at(own, "readOnlyRootFilesystem"), True):
        yield "readOnlyRootFilesystem is not true"
    yield from _capability_problems(at(own, "capabilities"))
    profile = at(_effective(own, pod, "seccompProfile"), "type")
    if not is_unknown(profile) and profile not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile.type is neither RuntimeDefault nor Localhost"
    host_ports = [at(port, "hostPort") for port in each(container.properties.get("ports"))]
    if any(port and not is_unknown(port) for port in host_ports):
        yield "a port is a hostPort"


def _capability_problems(capabilities: object) -> Iterator[str]:
    dropped = at(capabilities, "drop")
    # One unknown element may be ALL.
    if "ALL" not in each(dropped) and not is_unknown(dropped) and not _has_unknown(dropped):
        yield "capabilities.drop lacks ALL"
    if any(added != "NET_BIND_SERVICE" for added in each(at(capabilities, "add"))):
        yield "capabilities.add gives it more than NET_BIND_SERVICE"


def _effective(own: object, pod: dict[str, Any], key: str) -> Any:
    """What holds for a container: its own word, or else the pod's."""
    value = at(own, key)
    return at(pod, "securityContext", key) if value is None else value


def load_balancer_tls(resource: Resource, _: StackConfig) -> Iterator[str]:
    """What the internet can reach speaks TLS; a load balancer of a Service cannot."""
    properties = resource.properties
    match resource.kubernetes:
        case "Service" if at(properties, "spec", "type") == "LoadBalancer":
            if differs(at(properties, "metadata", "annotations", _INTERNAL), "true"):
                yield f"it is a public load balancer: its annotation {_INTERNAL} is not true"
        case "Gateway" if differs(
            at(properties, "spec", "infrastructure", "annotations", _INTERNAL), "true"
        ):
            for listener in each(at(properties, "spec", "listeners")):
                if problem := _listener_problem(listener):
                    yield f"it is public, and its listener {_name(listener)} {problem}"
        case "Ingress":
            tls = at(properties, "spec", "tls")
            if not is_unknown(tls) and not tls:
                yield "spec.tls is empty"
        case _:
            pass


def _listener_problem(listener: object) -> str:
    protocol, tls = at(listener, "protocol"), at(listener, "tls")
    if differs(protocol, "HTTPS"):
        return "is not HTTPS"
    if known_text(at(tls, "mode")) not in (None, "Terminate"):
        return "does not terminate TLS"
    certificates, options = at(tls, "certificateRefs"), at(tls, "options")
    if is_unknown(certificates) or is_unknown(options) or certificates or options:
        return ""
    return "has no certificate"


def _name(value: object) -> str:
    return known_text(at(value, "name")) or "(unnamed)"


def _has_unknown(value: object) -> bool:
    return is_list(value) and len(each(value)) < len(cast(list[Any], value))
