"""How the API's pods are built: labels, probes, resources, what they may do. Pure functions.

Both kinds of pod, the API's and the smoke test's, run the same image under the same restrictions:
as nobody, with nothing writable, no capability, and no way to ask the cluster anything.
"""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import core, meta

__all__ = [
    "API",
    "APP",
    "GRACE_SECONDS",
    "PORT",
    "RELEASE_DIR",
    "RELEASE_LABEL",
    "SMOKE",
    "api_pod",
    "labels",
    "metadata",
    "smoke_pod",
]

APP = "attrition-api"
API, SMOKE = "api", "smoke"
"""The label `app.kubernetes.io/component` of the two kinds of pod."""

RELEASE_LABEL = "employee-retention/release"
"""Which slot a pod belongs to: what Services select by."""

PORT = 8080
RELEASE_DIR = "/srv/release"
"""Where the image has the release (app/Dockerfile)."""

_USER = 65532
_PRE_STOP_SECONDS = 10
GRACE_SECONDS = 30
"""From the wish to end a pod to its end by force: the wait before SIGTERM, the 5 s that the app
gives to requests in flight (`app.server`), and as much again for a busy node."""

_SMOKE_READY_SECONDS = 60


def labels(component: str, release: str | None = None) -> dict[str, str]:
    """Label an object of this component, and of this release where it belongs to one."""
    ours = {"app.kubernetes.io/name": APP, "app.kubernetes.io/component": component}
    return ours if release is None else {**ours, RELEASE_LABEL: release}


def metadata(
    name: pulumi.Input[str],
    namespace: str,
    component: str,
    *,
    annotations: Mapping[str, str] | None = None,
) -> meta.v1.ObjectMetaArgs:
    """Describe an object whose name is chosen here, not by the provider."""
    return meta.v1.ObjectMetaArgs(
        name=name, namespace=namespace, labels=labels(component), annotations=annotations
    )


def api_pod(
    *,
    image: pulumi.Input[str],
    release: pulumi.Input[str],
    config_map: pulumi.Input[str],
    secret: pulumi.Input[str],
    service_account: str,
) -> core.v1.PodTemplateSpecArgs:
    """Build the template of a pod that serves one release.

    It takes no request before it has answered its reference records (readiness), and goes on
    serving for some seconds after it was told to end: until every gateway has heard of it.
    """
    container = core.v1.ContainerArgs(
        name=API,
        image=image,
        image_pull_policy="IfNotPresent",
        ports=[core.v1.ContainerPortArgs(name="http", container_port=PORT)],
        env_from=[_from_config_map(config_map), _from_secret(secret)],
        startup_probe=_probe("/health/live", period=1, failures=60),
        liveness_probe=_probe("/health/live", period=10, failures=3),
        readiness_probe=_probe("/health/ready", period=5, failures=2),
        lifecycle=core.v1.LifecycleArgs(
            # The kubelet sleeps, not the image: there need be no shell in it.
            pre_stop=core.v1.LifecycleHandlerArgs(
                sleep=core.v1.SleepActionArgs(seconds=_PRE_STOP_SECONDS)
            )
        ),
        # Measured: 40 MiB at rest. One process uses one core at most.
        resources=_resources(cpu="250m", memory="128Mi", cpu_limit="1", memory_limit="256Mi"),
        security_context=_container_security(),
    )
    spec = _pod_spec(container, service_account, grace_seconds=GRACE_SECONDS)
    spec.topology_spread_constraints = [
        _spread(release, "topology.kubernetes.io/zone"),
        _spread(release, "kubernetes.io/hostname"),
    ]
    return core.v1.PodTemplateSpecArgs(metadata=_pod_metadata(API, release), spec=spec)


def smoke_pod(
    *,
    image: pulumi.Input[str],
    release: pulumi.Input[str],
    url: pulumi.Input[str],
    secret: pulumi.Input[str],
    service_account: str,
) -> core.v1.PodTemplateSpecArgs:
    """Build the template of the pod that replays the release's reference records through `url`."""
    container = core.v1.ContainerArgs(
        name=SMOKE,
        image=image,
        image_pull_policy="IfNotPresent",
        command=["python", "-m", "app.smoke"],
        args=["--url", url, "--bundle", RELEASE_DIR, "--timeout", str(_SMOKE_READY_SECONDS)],
        env_from=[_from_secret(secret)],
        # What it says last is in the pod's status, and so in the error of the `up`.
        termination_message_policy="FallbackToLogsOnError",
        resources=_resources(cpu="100m", memory="64Mi", cpu_limit="500m", memory_limit="128Mi"),
        security_context=_container_security(),
    )
    spec = _pod_spec(container, service_account, grace_seconds=5)
    # The pod that failed stays, with its log.
    spec.restart_policy = "Never"
    return core.v1.PodTemplateSpecArgs(metadata=_pod_metadata(SMOKE, release), spec=spec)


def _pod_metadata(component: str, release: pulumi.Input[str]) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(labels={**labels(component), RELEASE_LABEL: release})


def _pod_spec(
    container: core.v1.ContainerArgs, service_account: str, *, grace_seconds: int
) -> core.v1.PodSpecArgs:
    return core.v1.PodSpecArgs(
        containers=[container],
        service_account_name=service_account,
        automount_service_account_token=False,
        # Else the addresses of all services are in every pod's environment.
        enable_service_links=False,
        termination_grace_period_seconds=grace_seconds,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=_USER,
            run_as_group=_USER,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
    )


def _container_security() -> core.v1.SecurityContextArgs:
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
    )


def _resources(
    *, cpu: str, memory: str, cpu_limit: str, memory_limit: str
) -> core.v1.ResourceRequirementsArgs:
    return core.v1.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": memory},
        limits={"cpu": cpu_limit, "memory": memory_limit},
    )


def _probe(path: str, *, period: int, failures: int) -> core.v1.ProbeArgs:
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(path=path, port="http"),
        period_seconds=period,
        failure_threshold=failures,
        timeout_seconds=2,
    )


def _spread(release: pulumi.Input[str], key: str) -> core.v1.TopologySpreadConstraintArgs:
    """Spread a release's pods over `key`; a pod that cannot be placed so is placed all the same."""
    return core.v1.TopologySpreadConstraintArgs(
        max_skew=1,
        topology_key=key,
        when_unsatisfiable="ScheduleAnyway",
        label_selector=meta.v1.LabelSelectorArgs(
            match_labels={**labels(API), RELEASE_LABEL: release}
        ),
        match_label_keys=["pod-template-hash"],
    )


def _from_config_map(name: pulumi.Input[str]) -> core.v1.EnvFromSourceArgs:
    return core.v1.EnvFromSourceArgs(config_map_ref=core.v1.ConfigMapEnvSourceArgs(name=name))


def _from_secret(name: pulumi.Input[str]) -> core.v1.EnvFromSourceArgs:
    return core.v1.EnvFromSourceArgs(secret_ref=core.v1.SecretEnvSourceArgs(name=name))
