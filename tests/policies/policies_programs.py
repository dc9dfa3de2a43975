"""Programs to judge, declared by the SDKs' own classes: their properties are the real ones."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_databricks as dbx
import pulumi_docker_build as docker_build
import pulumi_kubernetes as k8s
from pulumi_azure_native import (
    containerregistry,
    containerservice,
    databricks,
    operationalinsights,
)

from policies.declared import Resource
from policies.stack_config import StackConfig
from tests.recorder import PROJECT, Recorder, record

TAGS = {"project": PROJECT, "stack": "test", "managed-by": "pulumi"}
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"contoso.azurecr.io/employee-retention@{DIGEST}"
OTHER_IMAGE = f"contoso.azurecr.io/employee-retention@sha256:{'cd' * 32}"
SECRET = "hunter2-do-not-show-me"
INTERNAL = {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
GROUP = "rg-contoso"


def config(
    plain: Mapping[str, Any] | None = None, *, stack: str = "test", **settings: str
) -> StackConfig:
    """Make a stack's config; `settings` are the project's own, `plain` what its file says."""
    return StackConfig(
        project=PROJECT,
        stack=stack,
        files={f"Pulumi.{stack}.yaml": plain or {}},
        effective={f"{PROJECT}:{key}": value for key, value in settings.items()},
    )


@functools.cache
def declared(program: Callable[[], object], *, unknown: bool = False) -> list[Resource]:
    """Run a program and take down what it declares, as an engine's preview would see it."""

    def run() -> None:
        program()

    return [
        Resource(
            type=found.type,
            name=found.name,
            urn=f"urn:pulumi:test::{PROJECT}::{found.type}::{found.name}",
            properties=found.inputs,
            protect=found.request.protect,
            parent=found.parent,
        )
        for found in record(run, Recorder(unknown=unknown)).resources
    ]


def registry(*, protect: bool = True, **inputs: Any) -> object:
    all_inputs: dict[str, Any] = {
        "resource_group_name": GROUP,
        "registry_name": "contoso123",
        "sku": containerregistry.SkuArgs(name="Standard"),
        "admin_user_enabled": False,
        "tags": TAGS,
        **inputs,
    }
    return containerregistry.Registry(
        "registry",
        **all_inputs,
        opts=pulumi.ResourceOptions(protect=protect),
    )


def cluster(*, protect: bool = True, **inputs: Any) -> object:
    all_inputs: dict[str, Any] = {
        "resource_group_name": GROUP,
        "resource_name_": "aks-contoso",
        "enable_rbac": True,
        "disable_local_accounts": True,
        "aad_profile": containerservice.ManagedClusterAADProfileArgs(
            managed=True, enable_azure_rbac=True
        ),
        "agent_pool_profiles": [
            containerservice.ManagedClusterAgentPoolProfileArgs(name="system", mode="System")
        ],
        "tags": TAGS,
        **inputs,
    }
    return containerservice.ManagedCluster(
        "cluster",
        **all_inputs,
        opts=pulumi.ResourceOptions(protect=protect),
    )


def logs(*, protect: bool = True, **inputs: Any) -> object:
    all_inputs: dict[str, Any] = {
        "resource_group_name": GROUP,
        "workspace_name": "log-contoso",
        "retention_in_days": 30,
        "workspace_capping": operationalinsights.WorkspaceCappingArgs(daily_quota_gb=0.5),
        "tags": TAGS,
        **inputs,
    }
    return operationalinsights.Workspace(
        "logs",
        **all_inputs,
        opts=pulumi.ResourceOptions(protect=protect),
    )


def workspace(
    *, protect: bool = True, tier: str = "premium", private: bool | None = True, **inputs: Any
) -> object:
    parameters = databricks.WorkspaceCustomParametersArgs(
        enable_no_public_ip=databricks.WorkspaceNoPublicIPBooleanParameterArgs(value=private)
        if private is not None
        else None
    )
    all_inputs: dict[str, Any] = {
        "resource_group_name": GROUP,
        "workspace_name": "dbw-contoso",
        "compute_mode": "Hybrid",
        "managed_resource_group_id": "/subscriptions/0/resourceGroups/managed",
        "sku": databricks.SkuArgs(name=tier),
        "parameters": parameters,
        "tags": TAGS,
        **inputs,
    }
    return databricks.Workspace(
        "workspace",
        **all_inputs,
        opts=pulumi.ResourceOptions(protect=protect),
    )


def job(**inputs: Any) -> object:
    task = dbx.JobTaskArgs(
        task_key="train",
        environment_key="python",
        spark_python_task=dbx.JobTaskSparkPythonTaskArgs(
            python_file="/Workspace/run_module.py",
            parameters=["training", "--model-name={{job.parameters.model_name}}", "--seed", "7"],
        ),
    )
    all_inputs: dict[str, Any] = {
        "name": "training",
        "tasks": [task],
        "parameters": [dbx.JobParameterArgs(name="model_name", default="")],
        "tags": TAGS,
        **inputs,
    }
    return dbx.Job(
        "job",
        **all_inputs,
    )


def job_task(*parameters: str) -> list[dbx.JobTaskArgs]:
    return [
        dbx.JobTaskArgs(
            task_key="train",
            spark_python_task=dbx.JobTaskSparkPythonTaskArgs(
                python_file="/Workspace/run_module.py", parameters=list(parameters)
            ),
        )
    ]


def job_cluster(**variables: str) -> list[dbx.JobJobClusterArgs]:
    return [
        dbx.JobJobClusterArgs(
            job_cluster_key="main",
            new_cluster=dbx.JobJobClusterNewClusterArgs(
                spark_version="17.3.x-scala2.13", spark_env_vars=variables
            ),
        )
    ]


def container(
    *,
    image: pulumi.Input[str] = IMAGE,
    name: str = "api",
    security: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> k8s.core.v1.ContainerArgs:
    context: dict[str, Any] = {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
    }
    context.update(security or {})
    return k8s.core.v1.ContainerArgs(
        name=name,
        image=image,
        security_context=k8s.core.v1.SecurityContextArgs(**context),
        **inputs,
    )


def pod(
    *containers: k8s.core.v1.ContainerArgs,
    security: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> k8s.core.v1.PodSpecArgs:
    context: dict[str, Any] = {
        "run_as_non_root": True,
        "seccomp_profile": k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    }
    context.update(security or {})
    return k8s.core.v1.PodSpecArgs(
        containers=list(containers) or [container()],
        security_context=k8s.core.v1.PodSecurityContextArgs(**context),
        **inputs,
    )


def template(spec: k8s.core.v1.PodSpecArgs) -> k8s.core.v1.PodTemplateSpecArgs:
    return k8s.core.v1.PodTemplateSpecArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(labels={"app": "api"}), spec=spec
    )


_SELECTOR = k8s.meta.v1.LabelSelectorArgs(match_labels={"app": "api"})


def deployment(spec: k8s.core.v1.PodSpecArgs | None = None) -> object:
    return k8s.apps.v1.Deployment(
        "api",
        spec=k8s.apps.v1.DeploymentSpecArgs(selector=_SELECTOR, template=template(spec or pod())),
    )


def in_every_kind(spec: k8s.core.v1.PodSpecArgs) -> dict[str, Callable[[], object]]:
    """The same pod in every kind of resource that makes pods."""
    batch = k8s.batch.v1.JobSpecArgs(template=template(spec))
    return {
        "Deployment": lambda: deployment(spec),
        "StatefulSet": lambda: k8s.apps.v1.StatefulSet(
            "api",
            spec=k8s.apps.v1.StatefulSetSpecArgs(
                selector=_SELECTOR, template=template(spec), service_name="api"
            ),
        ),
        "DaemonSet": lambda: k8s.apps.v1.DaemonSet(
            "api", spec=k8s.apps.v1.DaemonSetSpecArgs(selector=_SELECTOR, template=template(spec))
        ),
        "ReplicaSet": lambda: k8s.apps.v1.ReplicaSet(
            "api", spec=k8s.apps.v1.ReplicaSetSpecArgs(selector=_SELECTOR, template=template(spec))
        ),
        "ReplicationController": lambda: k8s.core.v1.ReplicationController(
            "api", spec=k8s.core.v1.ReplicationControllerSpecArgs(template=template(spec))
        ),
        "Job": lambda: k8s.batch.v1.Job("api", spec=batch),
        "CronJob": lambda: k8s.batch.v1.CronJob(
            "api",
            spec=k8s.batch.v1.CronJobSpecArgs(
                schedule="0 5 * * *", job_template=k8s.batch.v1.JobTemplateSpecArgs(spec=batch)
            ),
        ),
        "Pod": lambda: k8s.core.v1.Pod("api", spec=spec),
        "PodTemplate": lambda: k8s.core.v1.PodTemplate("api", template=template(spec)),
        "DeploymentPatch": lambda: k8s.apps.v1.DeploymentPatch(
            "api",
            spec=k8s.apps.v1.DeploymentSpecPatchArgs(
                template=k8s.core.v1.PodTemplateSpecPatchArgs(spec=spec)  # pyright: ignore[reportArgumentType] - the same fields
            ),
        ),
    }


def environment(**values: str) -> k8s.core.v1.PodSpecArgs:
    return pod(
        container(
            env=[k8s.core.v1.EnvVarArgs(name=key, value=value) for key, value in values.items()]
        )
    )


def service(*, type_: str = "LoadBalancer", annotations: Mapping[str, str] | None = None) -> object:
    return k8s.core.v1.Service(
        "service",
        metadata=k8s.meta.v1.ObjectMetaArgs(annotations=annotations),
        spec=k8s.core.v1.ServiceSpecArgs(
            type=type_, ports=[k8s.core.v1.ServicePortArgs(port=443)], selector={"app": "api"}
        ),
    )


HTTPS = {
    "name": "https",
    "port": 443,
    "protocol": "HTTPS",
    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "api-tls"}]},
}
KEY_VAULT = {
    "name": "https",
    "port": 443,
    "protocol": "HTTPS",
    "tls": {"options": {"kubernetes.azure.com/tls-cert-keyvault-uri": "https://v/certificates/c"}},
}
HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}


def gateway(*listeners: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> object:
    spec: dict[str, Any] = {"gatewayClassName": "approuting-istio", "listeners": list(listeners)}
    if annotations is not None:
        spec["infrastructure"] = {"annotations": dict(annotations)}
    return k8s.apiextensions.CustomResource(
        "gateway", api_version="gateway.networking.k8s.io/v1", kind="Gateway", spec=spec
    )


def ingress(*tls: k8s.networking.v1.IngressTLSArgs) -> object:
    return k8s.networking.v1.Ingress(
        "ingress", spec=k8s.networking.v1.IngressSpecArgs(tls=list(tls) or None)
    )


def config_map(**data: str) -> object:
    return k8s.core.v1.ConfigMap("settings", data=data)


def image(**inputs: Any) -> object:
    return docker_build.Image(
        "image",
        push=True,
        context=docker_build.BuildContextArgs(location="image"),
        tags=["contoso.azurecr.io/employee-retention:7"],
        **inputs,
    )


def custom(type_: str, name: str, props: Mapping[str, Any], *, protect: bool = False) -> object:
    """Declare a resource of any type: here it is of no matter who would make it."""
    return pulumi.CustomResource(type_, name, dict(props), pulumi.ResourceOptions(protect=protect))


def gate(**props: Any) -> object:
    return custom(
        "pulumi-python:dynamic/lifecycle:ReleaseGate",
        "gate",
        {"stage": "production", "promote_from": "staging", "version": "7", "image": IMAGE, **props},
    )


def stage(**props: Any) -> object:
    return custom(
        "pulumi-python:dynamic/lifecycle:ModelStage",
        "stage",
        {"stage": "production", "version": "7", "evidence": {"image": IMAGE, "records": 20}}
        | props,
    )


def all_of(*programs: Callable[[], object]) -> Callable[[], object]:
    return lambda: [program() for program in programs]
