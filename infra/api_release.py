"""One release in the cluster: its pods, its own way in, and the proof that it answers as trained.

Every object has the slot's name, and its place in the program (its logical name) stays the same. So
for a new release Pulumi makes new objects, in the order below, and deletes the old ones at the very
end of the `up`; and if anything fails in between, it deletes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes import apps, autoscaling, batch, core, meta, policy

from infra.api_pods import (
    API,
    PORT,
    RELEASE_DIR,
    RELEASE_LABEL,
    SMOKE,
    api_pod,
    labels,
    metadata,
    smoke_pod,
)

__all__ = ["ApiRelease", "ApiReleaseArgs", "service_ports"]

_PROGRESS_SECONDS = 480
"""A rollout that makes no headway for this long has failed. Long enough for the cluster to add a
node, and shorter than the 10 min that Pulumi waits, so that Kubernetes' own reason is reported."""

_SMOKE_SECONDS = 420
_CPU_PERCENT = 70
_SERVICE_PORT = 80


@dataclass(frozen=True, kw_only=True)
class ApiReleaseArgs:
    """What to run, as whom, and how much of it.

    `slot` names everything (`infra.lifecycle.release_slot`), `image` is by digest. `api_key` is a
    key that the API accepts; `accepted_sha256` are the hashes of all accepted ones, separated by
    commas, `environment` is what else the API is told. `after` is what has to be there before, such
    as the namespace, the service account in it and the network policies.
    """

    slot: pulumi.Input[str]
    namespace: str
    service_account: str
    image: pulumi.Input[str]
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    api_key: pulumi.Input[str]
    accepted_sha256: pulumi.Input[str]
    replicas_min: int
    replicas_max: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    after: Sequence[pulumi.Resource] = ()


class ApiRelease(pulumi.ComponentResource):
    """A release that runs and has passed its smoke test; nobody outside is sent to it yet.

    `job` is the smoke test: what depends on it happens to proven releases only.
    """

    job: batch.v1.Job
    job_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ApiReleaseArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:api:ApiRelease", name, None, opts)
        self._prefix = name
        self._args = args
        self._slot = pulumi.Output.from_input(args.slot)
        deployment = self._create_deployment()
        service = self._create_service()
        around = [self._create_autoscaler(), self._create_budget()]
        self.job = self._create_smoke_test(service, after=[deployment, service, *around])
        self.job_name = self.job.metadata.apply(lambda found: found.name or "")
        self.register_outputs({"job_name": self.job_name})

    def _create_deployment(self) -> apps.v1.Deployment:
        settings, keys = self._create_settings(), self._create_keys()
        template = api_pod(
            image=self._args.image,
            release=self._slot,
            config_map=self._slot,
            secret=self._slot,
            service_account=self._args.service_account,
        )
        return apps.v1.Deployment(
            f"{self._prefix}-deployment",
            metadata=self._metadata(),
            spec=apps.v1.DeploymentSpecArgs(
                # To begin with: callers come before the autoscaler has had its first look.
                replicas=self._args.replicas_min,
                selector=self._selector(),
                strategy=apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.v1.RollingUpdateDeploymentArgs(
                        max_surge=1, max_unavailable=0
                    ),
                ),
                progress_deadline_seconds=_PROGRESS_SECONDS,
                revision_history_limit=2,
                template=template,
            ),
            # From then on the number is the autoscaler's: an `up` would take it back.
            opts=self._child(settings, keys, ignore=["spec.replicas"]),
        )

    def _create_settings(self) -> core.v1.ConfigMap:
        """Tell the pods what config says, and the registry: a wrong image refuses to start."""
        return core.v1.ConfigMap(
            f"{self._prefix}-settings",
            metadata=self._metadata(),
            immutable=True,
            data={
                **self._args.environment,
                "HOST": "0.0.0.0",  # noqa: S104 - a pod's own address, behind a network policy
                "PORT": str(PORT),
                "RELEASE_DIR": RELEASE_DIR,
                "RELEASE_VERSION": self._args.version,
                "RELEASE_SHA256": self._args.bundle_sha256,
            },
            opts=self._child(),
        )

    def _create_keys(self) -> core.v1.Secret:
        return core.v1.Secret(
            f"{self._prefix}-accepted-keys",
            metadata=self._metadata(),
            immutable=True,
            string_data={"API_KEY_SHA256": pulumi.Output.secret(self._args.accepted_sha256)},
            opts=self._child(),
        )

    def _create_service(self) -> core.v1.Service:
        return core.v1.Service(
            f"{self._prefix}-service",
            metadata=self._metadata(),
            spec=core.v1.ServiceSpecArgs(
                type="ClusterIP",
                selector={**labels(API), RELEASE_LABEL: self._slot},
                ports=service_ports(),
            ),
            opts=self._child(),
        )

    def _create_autoscaler(self) -> autoscaling.v2.HorizontalPodAutoscaler:
        """Scale by CPU."""
        return autoscaling.v2.HorizontalPodAutoscaler(
            f"{self._prefix}-autoscaler",
            metadata=self._metadata(),
            spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=self._slot
                ),
                min_replicas=self._args.replicas_min,
                max_replicas=self._args.replicas_max,
                metrics=[
                    autoscaling.v2.MetricSpecArgs(
                        type="Resource",
                        resource=autoscaling.v2.ResourceMetricSourceArgs(
                            name="cpu",
                            target=autoscaling.v2.MetricTargetArgs(
                                type="Utilization", average_utilization=_CPU_PERCENT
                            ),
                        ),
                    )
                ],
            ),
            opts=self._child(),
        )

    def _create_budget(self) -> policy.v1.PodDisruptionBudget:
        return policy.v1.PodDisruptionBudget(
            f"{self._prefix}-budget",
            metadata=self._metadata(),
            spec=policy.v1.PodDisruptionBudgetSpecArgs(
                max_unavailable=1,
                selector=self._selector(),
                # A pod that is broken anyway must not keep a node from being upgraded.
                unhealthy_pod_eviction_policy="AlwaysAllow",
            ),
            opts=self._child(),
        )

    def _create_smoke_test(
        self, service: core.v1.Service, *, after: list[pulumi.Resource]
    ) -> batch.v1.Job:
        name = pulumi.Output.concat(self._slot, "-smoke")
        key = core.v1.Secret(
            f"{self._prefix}-smoke-key",
            metadata=metadata(name, self._args.namespace, SMOKE),
            immutable=True,
            string_data={"API_KEY": pulumi.Output.secret(self._args.api_key)},
            opts=self._child(),
        )
        annotations = {
            # A failed Job is made anew by the next `up`, instead of failing it unseen.
            "pulumi.com/replaceUnready": "true"
        }
        template = smoke_pod(
            image=self._args.image,
            release=self._slot,
            url=self._address(service),
            secret=name,
            service_account=self._args.service_account,
        )
        return batch.v1.Job(
            f"{self._prefix}-smoke-test",
            metadata=metadata(name, self._args.namespace, SMOKE, annotations=annotations),
            spec=batch.v1.JobSpecArgs(
                # The second try is for a node that died. It also gives the first pod's last words
                # the time to reach Pulumi before the Job is given up. No `podFailurePolicy`: Pulumi
                # does not know its reason, and would wait on. No `ttlSecondsAfterFinished`: a Job
                # that is gone is run again by the `up` after a refresh.
                backoff_limit=1,
                active_deadline_seconds=_SMOKE_SECONDS,
                template=template,
            ),
            opts=self._child(key, *after),
        )

    def _address(self, service: core.v1.Service) -> pulumi.Output[str]:
        """Address the Service by number: the smoke test then needs no DNS, and no way out to it."""
        number = service.spec.apply(lambda spec: spec.cluster_ip)
        return pulumi.Output.all(number, self._slot, self._args.namespace).apply(_address)

    def _metadata(self) -> meta.v1.ObjectMetaArgs:
        return metadata(self._slot, self._args.namespace, API)

    def _selector(self) -> meta.v1.LabelSelectorArgs:
        return meta.v1.LabelSelectorArgs(match_labels={**labels(API), RELEASE_LABEL: self._slot})

    def _child(
        self, *after: pulumi.Resource, ignore: list[str] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, depends_on=[*self._args.after, *after], ignore_changes=ignore
        )


def service_ports() -> list[core.v1.ServicePortArgs]:
    """Let a Service of the API listen on port 80, in clear: TLS ends at the gateway."""
    return [core.v1.ServicePortArgs(name="http", port=_SERVICE_PORT, target_port="http")]


def _address(known: list[Any]) -> str:
    number, slot, namespace = known
    # In a preview without a cluster nobody has given the Service a number yet.
    return f"http://{number or f'{slot}.{namespace}.svc'}:{_SERVICE_PORT}"
