"""One cluster as its objects make it: which pods may run, who reaches whom, what a Job does.

A pod starts when a Job needs it or a test asks for it, as the real `python -m app` in the folder
that the image's digest stands for. A Job runs its container's command against the pods that its
Service selects, through what the network policies allow.
"""

import base64
import contextlib
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

from cloud_up_images import BuiltImage, Images
from cloud_up_ledger import Ledger, Thing
from cloud_up_network import Pod, allowed, selects
from cloud_up_pods import Ended, distorting, run_to_end, serving_pod
from cloud_up_provider import NotReadyError

_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""By which a gateway's own pods are labelled."""


class Cluster:
    """A stack's cluster. `distorted` is added to every probability that leaves its pods."""

    def __init__(self, ledger: Ledger, images: Images, stack: str) -> None:
        self._ledger = ledger
        self._images = images
        self._stack = stack
        self.distorted = 0.0

    def behind_gateway(self) -> list[Thing]:
        """Find the Deployments that a caller reaches: gateway, route, Service, pods."""
        gateway = self._ledger.one(self._stack, "Gateway")
        place = {"name": name_of(gateway), "namespace": namespace_of(gateway)}
        found: list[Thing] = []
        for route in self._ledger.find(self._stack, "HTTPRoute"):
            parents = route.inputs["spec"]["parentRefs"]
            if not any(
                {"namespace": namespace_of(route), **p}.items() >= place.items() for p in parents
            ):
                continue
            self._check_allowed_route(gateway, route)
            for back in (b for rule in route.inputs["spec"]["rules"] for b in rule["backendRefs"]):
                service = self.get("Service", namespace_of(route), back["name"])
                for deployment in self.deployments(service):
                    caller = Pod(
                        namespace=namespace_of(gateway),
                        labels={_GATEWAY_NAME: name_of(gateway)},
                        namespace_labels=self._namespace_labels(namespace_of(gateway)),
                    )
                    self._check_way(caller, service, back["port"], deployment)
                    found.append(deployment)
        return found

    def deployments(self, service: Thing) -> list[Thing]:
        """Find the Deployments whose pods the Service selects."""
        selector = service.inputs["spec"].get("selector", {})
        return self._ledger.find(
            self._stack,
            "Deployment",
            lambda deployment: (
                namespace_of(deployment) == namespace_of(service)
                and bool(selector)
                and selector.items() <= _pod_labels(deployment).items()
            ),
        )

    @contextlib.contextmanager
    def running(self, deployment: Thing) -> Generator[str]:
        """Run one pod of the Deployment; yield its address on this machine."""
        container = container_of(deployment)
        with contextlib.ExitStack() as stack:
            environment = self.environment(deployment)
            url = stack.enter_context(serving_pod(self._image(container), container, environment))
            if self.distorted:
                url = stack.enter_context(distorting(url, self.distorted))
            yield url

    def run_job(self, job: Thing) -> Ended:
        """Run the Job's container once, against the pods behind its --url."""
        self.check_pods(job)
        container = container_of(job)
        url = _url(container)
        target = self._target(job, url)
        with self.running(target) as local:
            return run_to_end(
                self._image(container), container, self.environment(job), replaced={url: local}
            )

    def check_pods(self, thing: Thing) -> None:
        """Refuse pods that a cluster would not start; the provider waits, then says so."""
        spec = thing.inputs["spec"]["template"]["spec"]
        namespace = self.get("Namespace", "", namespace_of(thing))
        if account := spec.get("serviceAccountName"):
            self.get("ServiceAccount", namespace_of(thing), account)
        self._image(container_of(thing))
        self.environment(thing)
        labels = namespace.inputs["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") == "restricted":
            _check_restricted(spec)

    def environment(self, thing: Thing) -> dict[str, str]:
        """Resolve the container's variables from the ConfigMaps and Secrets that are there."""
        container = container_of(thing)
        values: dict[str, str] = {}
        for source in container.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            reference = source.get("configMapRef") or source["secretRef"]
            values |= self._data(thing, kind, reference["name"])
        for variable in container.get("env", []):
            values[variable["name"]] = self._value(thing, variable)
        return values

    def get(self, kind: str, namespace: str, name: str) -> Thing:
        """Find an object by its name; a namespace is in none.

        Raises:
            NotReadyError: it is not there.
        """
        found = self._ledger.find(
            self._stack,
            kind,
            lambda thing: name_of(thing) == name and namespace_of(thing) == namespace,
        )
        if len(found) != 1:
            raise NotReadyError(f'{kind} "{namespace}/{name}" not found')
        return found[0]

    def _target(self, job: Thing, url: str) -> Thing:
        """Find the one Deployment behind an address, and an open way to it."""
        parts = urlsplit(url)
        service = self._service_at(job, parts.hostname or "")
        found = self.deployments(service)
        if len(found) != 1:
            raise NotReadyError(f"{url} reaches {len(found)} Deployments, not one")
        namespace = namespace_of(job)
        source = Pod(
            namespace=namespace,
            labels=_pod_labels(job),
            namespace_labels=self._namespace_labels(namespace),
        )
        self._check_way(source, service, parts.port or 80, found[0])
        return found[0]

    def _service_at(self, job: Thing, host: str) -> Thing:
        for service in self._ledger.find(self._stack, "Service"):
            if service.outputs["spec"]["clusterIP"] == host:
                return service
        name, _, rest = host.partition(".")
        return self.get("Service", rest.partition(".")[0] or namespace_of(job), name)

    def _check_way(self, source: Pod, service: Thing, port: int, deployment: Thing) -> None:
        """Refuse a way that no Service port, no container port or a network policy closes."""
        ports = {each["port"]: each for each in service.inputs["spec"]["ports"]}
        if port not in ports:
            raise NotReadyError(f"Service {service.id} has no port {port}")
        target = Pod(
            namespace=namespace_of(deployment),
            labels=_pod_labels(deployment),
            namespace_labels=self._namespace_labels(namespace_of(deployment)),
        )
        policies = [policy.inputs for policy in self._ledger.find(self._stack, "NetworkPolicy")]
        open_port = _container_port(deployment, ports[port].get("targetPort", port))
        if not allowed(policies, source, target, open_port):
            raise NotReadyError(
                f"{service.id}: no answer: the network policies let nothing through"
            )

    def _check_allowed_route(self, gateway: Thing, route: Thing) -> None:
        """Refuse a route that no listener of the gateway takes."""
        labels = self._namespace_labels(namespace_of(route))
        around = Pod(namespace=namespace_of(route), labels={}, namespace_labels=labels).around
        for listener in gateway.inputs["spec"]["listeners"]:
            taken = listener.get("allowedRoutes", {}).get("namespaces", {"from": "Same"})
            same = namespace_of(route) == namespace_of(gateway)
            if (taken["from"] == "Selector" and selects(taken["selector"], around)) or (
                taken["from"] == "All" or (taken["from"] == "Same" and same)
            ):
                return
        raise NotReadyError(f"no listener of {gateway.id} takes the route {route.id}")

    def _namespace_labels(self, namespace: str) -> dict[str, str]:
        return self.get("Namespace", "", namespace).inputs["metadata"].get("labels", {})

    def _image(self, container: dict[str, Any]) -> BuiltImage:
        found = self._images.find(container["image"])
        if found is None:
            raise NotReadyError(f"ImagePullBackOff: {container['image']} not found")
        return found

    def _value(self, pod: Thing, variable: dict[str, Any]) -> str:
        if "valueFrom" not in variable:
            return variable.get("value", "")
        match variable["valueFrom"]:
            case {"secretKeyRef": {"name": name, "key": key}}:
                return self._data(pod, "Secret", name)[key]
            case {"configMapKeyRef": {"name": name, "key": key}}:
                return self._data(pod, "ConfigMap", name)[key]
            case {"fieldRef": {"fieldPath": path}}:
                return path
            case other:
                raise NotReadyError(f"{variable['name']}: unknown source {other}")

    def _data(self, pod: Thing, kind: str, name: str) -> dict[str, str]:
        inputs = self.get(kind, namespace_of(pod), name).inputs
        plain: dict[str, str] = {**inputs.get("stringData", {})}
        for key, value in inputs.get("data", {}).items():
            plain[key] = base64.b64decode(value).decode() if kind == "Secret" else value
        return plain


def name_of(thing: Thing) -> str:
    return thing.inputs["metadata"]["name"]


def namespace_of(thing: Thing) -> str:
    """Return the object's namespace, or "" where it is in none."""
    return thing.inputs["metadata"].get("namespace", "")


def container_of(thing: Thing) -> dict[str, Any]:
    (container,) = thing.inputs["spec"]["template"]["spec"]["containers"]
    return container


def _pod_labels(thing: Thing) -> dict[str, str]:
    return thing.inputs["spec"]["template"].get("metadata", {}).get("labels", {})


def _url(container: dict[str, Any]) -> str:
    words = [*container.get("command", []), *container.get("args", [])]
    return next(
        word.removeprefix("--url=") if word.startswith("--url=") else words[index + 1]
        for index, word in enumerate(words)
        if word == "--url" or word.startswith("--url=")
    )


def _container_port(deployment: Thing, target: int | str) -> set[int | str]:
    """Return the number and the name of the port, by either of which a policy may call it."""
    for port in container_of(deployment).get("ports", []):
        if target in (names := {port["containerPort"], port.get("name", "")}):
            return names
    raise NotReadyError(f"no container port {target!r} in {deployment.id}")


def _check_restricted(spec: dict[str, Any]) -> None:
    """Refuse what the pod security level `restricted` does."""
    pod = spec.get("securityContext", {})
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        both = {**pod, **own}
        seccomp = both.get("seccompProfile", {}).get("type")
        rules = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "seccompProfile": seccomp in ("RuntimeDefault", "Localhost"),
        }
        if missing := [rule for rule, kept in rules.items() if not kept]:
            raise NotReadyError(f'violates PodSecurity "restricted:latest": {missing}')
