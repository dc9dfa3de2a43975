"""A stand-in for the provider `kubernetes`: objects are made, replaced and awaited as it does."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from cloud_up_cluster import Cluster, container_of, name_of, namespace_of
from cloud_up_images import Images
from cloud_up_ledger import Ledger, Thing
from cloud_up_pods import Ended
from cloud_up_provider import NotReadyError, StandIn

_AUTONAMED = "pulumi.com/autonamed"
_REPLACE_UNREADY = "pulumi.com/replaceUnready"
_CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "GatewayClass", "PriorityClass"}
_READY_SECONDS = 30
"""The provider waits 10 minutes for what a Service selects; here all is made within seconds."""

# What the provider replaces (its forcenew.go, 4.34): data too, unless its config says otherwise.
_FIXED = {
    "Deployment": ("spec.selector",),
    "Job": ("spec.completions", "spec.selector", "spec.template"),
    "ConfigMap": ("data", "binaryData", "immutable"),
    "Secret": ("data", "stringData", "type", "immutable"),
    "Service": ("spec.clusterIP", "spec.type"),
    "PodDisruptionBudget": ("spec",),
}


class Kubernetes(StandIn):
    """Answers for the provider; a stack's name is its cluster's.

    `has_gateway` tells whether a stack's cluster has the managed Gateway API.
    """

    package = "pulumi_kubernetes"

    def __init__(
        self, ledger: Ledger, images: Images, has_gateway: Callable[[str], bool] = lambda _: False
    ) -> None:
        super().__init__(ledger)
        self._images = images
        self._has_gateway = has_gateway
        self._clusters: dict[str, Cluster] = {}
        self._lock = threading.Lock()
        self.jobs: list[tuple[str, str, Ended]] = []
        """Every Job that ran: stack, name, end."""

    # What tests ask and do -------------------------------------------------------------------

    def distort(self, stack: str, by: float) -> None:
        """From now on every probability that leaves a pod of `stack` is off by so much."""
        self._cluster(stack).distorted = by

    def serving(self, stack: str) -> list[str]:
        """Name the releases that a caller of the stack's gateway reaches."""
        cluster = self._cluster(stack)
        pods = cluster.behind_gateway()
        return sorted(cluster.environment(pod)["RELEASE_VERSION"] for pod in pods)

    def images_serving(self, stack: str) -> list[str]:
        """Name the images that a caller of the stack's gateway reaches."""
        return sorted(container_of(pod)["image"] for pod in self._cluster(stack).behind_gateway())

    @contextlib.contextmanager
    def reached(self, stack: str) -> Generator[str]:
        """Run what a caller of the stack's gateway reaches; yield its address while it runs."""
        cluster = self._cluster(stack)
        (deployment,) = cluster.behind_gateway()
        with cluster.running(deployment) as url:
            yield url

    # What the provider does ------------------------------------------------------------------

    def replacing_provider(self, old: dict[str, Any], changed: Sequence[str]) -> list[str]:
        if old.get("clusterIdentifier"):
            return [path for path in changed if path == "clusterIdentifier"]
        return [path for path in changed if path in ("kubeconfig", "cluster", "context")]

    def checked(self, thing: Thing, old: dict[str, Any], seed: bytes) -> dict[str, Any]:
        metadata: dict[str, Any] = dict(thing.inputs.get("metadata") or {})
        before: dict[str, Any] = old.get("metadata") or {}
        if not metadata.get("name"):
            autonamed = _AUTONAMED in before.get("annotations", {})
            fresh = f"{thing.name}-{hashlib.sha256(seed).hexdigest()[:8]}"
            metadata["name"] = before["name"] if autonamed else fresh
            metadata["annotations"] = {**metadata.get("annotations", {}), _AUTONAMED: "true"}
        if thing.kind not in _CLUSTER_WIDE:
            metadata.setdefault("namespace", "default")
        return {**thing.inputs, "metadata": metadata}

    def replacing(self, thing: Thing, old: Thing, changed: Sequence[str]) -> list[str]:
        fixed = ("metadata.name", "metadata.namespace", *_FIXED.get(thing.kind, ()))
        replaces = [path for path in changed if _below(path, fixed)]
        if thing.kind == "Job" and _annotated(thing, _REPLACE_UNREADY):
            live = self.ledger.get(old.urn, old.id)
            if live is None or not live.outputs["status"].get("succeeded"):
                replaces.append(f'metadata.annotations["{_REPLACE_UNREADY}"]')
        return replaces

    def delete_first(self, thing: Thing, old: Thing) -> bool:
        return (
            not _annotated(thing, _AUTONAMED)
            and name_of(thing) == name_of(old)
            and namespace_of(thing) == namespace_of(old)
        )

    def identify(self, thing: Thing) -> str:
        if thing.kind in _CLUSTER_WIDE:
            return name_of(thing)
        return f"{namespace_of(thing)}/{name_of(thing)}"

    def make(self, thing: Thing) -> dict[str, Any]:
        uid = hashlib.sha256(thing.id.encode())
        made: dict[str, Any] = {
            "metadata": {**thing.inputs["metadata"], "uid": uid.hexdigest()},
            "status": {},
        }
        if thing.kind == "Service":
            first, second, third = uid.digest()[:3]
            made["spec"] = {**thing.inputs["spec"], "clusterIP": f"10.{first}.{second}.{third}"}
        return made

    def change(self, thing: Thing, old: Thing) -> dict[str, Any]:
        # What a Job has done, it has done.
        return {**self.make(thing), "status": old.outputs["status"]}

    def made(self, thing: Thing) -> None:
        match thing.kind:
            case "Deployment":
                self._cluster(thing.stack).check_pods(thing)
            case "Service":
                self._await_endpoints(thing)
            case "Job":
                self._await_job(thing)
            case "Gateway":
                if not self._has_gateway(thing.stack):
                    raise NotReadyError("condition Programmed is not met: nobody takes the class")
            case _:
                pass

    def _await_endpoints(self, service: Thing) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._cluster(service.stack).deployments(service):
            if time.monotonic() > deadline:
                raise NotReadyError(
                    "Service does not target any Pods. Selected Pods may not be ready, or field "
                    "'.spec.selector' may not match labels on any Pods"
                )
            time.sleep(0.1)

    def _await_job(self, job: Thing) -> None:
        if "failed" in job.outputs["status"]:
            # It has used up its tries: nothing runs it again under this name.
            raise NotReadyError("Job has reached the specified backoff limit")
        if "succeeded" in job.outputs["status"]:
            return
        live = self.ledger.get(job.urn, job.id)
        assert live is not None
        job.outputs["status"] = live.outputs["status"] = {"failed": 1}
        ended = self._cluster(job.stack).run_job(job)
        with self._lock:
            self.jobs.append((job.stack, job.name, ended))
        if ended.status != 0:
            name = container_of(job)["name"]
            raise NotReadyError(
                f"[Pod {job.id}]: containers with unready status: [{name}] -- "
                f"[Error] {ended.message}"
            )
        job.outputs["status"] = live.outputs["status"] = {"succeeded": 1}

    def _cluster(self, stack: str) -> Cluster:
        with self._lock:
            return self._clusters.setdefault(stack, Cluster(self.ledger, self._images, stack))


def _annotated(thing: Thing, annotation: str) -> bool:
    metadata: dict[str, Any] = thing.inputs.get("metadata") or {}
    return metadata.get("annotations", {}).get(annotation) == "true"


def _below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith((f"{root}.", f"{root}[")) for root in roots)
