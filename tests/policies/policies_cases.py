"""For every rule: programs that keep it and programs that break it, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import policies_programs as programs
import pulumi_databricks as dbx
import pulumi_kubernetes as k8s
from policies_programs import (
    HTTP,
    HTTPS,
    IMAGE,
    INTERNAL,
    KEY_VAULT,
    OTHER_IMAGE,
    SECRET,
    TAGS,
    all_of,
    config,
    container,
    pod,
)
from pulumi_azure_native import (
    authorization,
    consumption,
    containerservice,
    monitor,
    operationalinsights,
    resources,
)

from policies.stack_config import StackConfig
from tests.recorder import PROJECT

Program = Callable[[], object]
PRODUCTION = config(stack="production")
UNPROTECTED = config(protect="false")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program, and what the rule says of it; one that is good says nothing of any rule."""

    rule: str
    name: str
    program: Program = lambda: None
    problem: str = ""
    config: StackConfig = field(default_factory=config)

    @property
    def id(self) -> str:
        return f"{self.rule}: {self.name}"


GOOD: list[Case] = []
BAD: list[Case] = []


def good(rule: str, cases: Mapping[str, Program], config: StackConfig | None = None) -> None:
    GOOD.extend(
        Case(rule=rule, name=name, program=program, config=config or programs.config())
        for name, program in cases.items()
    )


def bad(
    rule: str, cases: Mapping[str, tuple[Program, str]], config: StackConfig | None = None
) -> None:
    BAD.extend(
        Case(
            rule=rule,
            name=name,
            program=program,
            problem=problem,
            config=config or programs.config(),
        )
        for name, (program, problem) in cases.items()
    )


def config_cases(rule: str, kept: Mapping[str, Any], broken: Mapping[str, tuple[Any, str]]) -> None:
    """Cases of one config entry each; `broken` has the part of the key that is named."""
    GOOD.extend(
        Case(rule=rule, name=key, config=config({key: value})) for key, value in kept.items()
    )
    BAD.extend(
        Case(
            rule=rule,
            name=key,
            config=config({key: value}),
            problem=f"Pulumi.test.yaml: {named} looks like a secret, and is in clear",
        )
        for key, (value, named) in broken.items()
    )


config_cases(
    "config-without-secrets",
    {
        "databricks:token": {"secure": "v1:abc"},
        f"{PROJECT}:clients": [{"name": "hr", "password": {"secure": "v1:def"}}],
        f"{PROJECT}:apiKeyRotation": "2026-11",
        f"{PROJECT}:tlsKeyVaultCertificate": "https://contoso.vault.azure.net/certificates/api",
        f"{PROJECT}:tlsKeyVaultId": "/subscriptions/0/resourceGroups/rg/vaults/contoso",
        f"{PROJECT}:accessToken": "",
        f"{PROJECT}:requireToken": True,
        f"{PROJECT}:dataset": "https://data.contoso.example/employees.csv?version=3",
        f"{PROJECT}:tokens": {"url": "https://login.contoso.example", "days": 7},
    },
    {
        "databricks:token": (SECRET, "databricks:token"),
        "azure-native:clientSecret": (SECRET, "azure-native:clientSecret"),
        f"{PROJECT}:apiKey": (SECRET, f"{PROJECT}:apiKey"),
        f"{PROJECT}:ADMIN_PASSWORD": (SECRET, f"{PROJECT}:ADMIN_PASSWORD"),
        f"{PROJECT}:pin-secret": (1234, f"{PROJECT}:pin-secret"),
        f"{PROJECT}:clients": (
            [{"name": "hr", "password": SECRET}],
            f"{PROJECT}:clients[0].password",
        ),
        f"{PROJECT}:tokens": ({"hr": [SECRET]}, f"{PROJECT}:tokens.hr[0]"),
        # By its looks, whatever it is called.
        f"{PROJECT}:dataset": (
            f"https://contoso.blob.core.windows.net/hr/employees.csv?sv=2024&sig={SECRET}",
            f"{PROJECT}:dataset",
        ),
        f"{PROJECT}:trackingUri": (
            f"postgresql://mlflow:{SECRET}@db.contoso.example/mlflow",
            f"{PROJECT}:trackingUri",
        ),
    },
)

_FROM_SECRET = k8s.core.v1.EnvVarArgs(
    name="API_KEY",
    value_from=k8s.core.v1.EnvVarSourceArgs(
        secret_key_ref=k8s.core.v1.SecretKeySelectorArgs(name="api", key="key")
    ),
)


def _clear(where: str) -> str:
    return f"{where} looks like a secret, and is in clear"


good(
    "inputs-without-secrets",
    {
        "variables": lambda: programs.deployment(
            programs.environment(API_KEY_SHA256="ab" * 32, TOKEN_FILE="/run/token", PASSWORD="")
        ),
        "a variable from a Secret": lambda: programs.deployment(pod(container(env=[_FROM_SECRET]))),
        "a Secret": lambda: k8s.core.v1.Secret("api", string_data={"key": SECRET}),
        "arguments": lambda: programs.deployment(
            pod(container(args=["--port=8080", "--token-file", "/run/token", "--token", "--seed"]))
        ),
        "a config map": lambda: programs.config_map(LOG_LEVEL="info", API_KEY_HEADER="X-API-Key"),
        "build arguments": lambda: programs.image(build_args={"VERSION": "7"}),
        "a secret of a build": lambda: programs.image(secrets={"token": SECRET}),
        "an argument from a secret, then another": lambda: programs.deployment(
            pod(container(args=["--token=$(TOKEN)", "serve", "--secret-file", "-", "7"]))
        ),
        "a job": programs.job,
        "a secret scope": lambda: programs.job(
            job_clusters=programs.job_cluster(API_TOKEN="{{secrets/hr/token}}"),
            tasks=programs.job_task("--token", "{{secrets/hr/token}}"),
        ),
    },
)
bad(
    "inputs-without-secrets",
    {
        "a variable": (
            lambda: programs.deployment(programs.environment(DATABRICKS_TOKEN=SECRET)),
            _clear("container api: env.DATABRICKS_TOKEN"),
        ),
        "a variable by its looks": (
            lambda: programs.deployment(
                programs.environment(MLFLOW=f"https://mlflow:{SECRET}@mlflow.contoso.example")
            ),
            _clear("container api: env.MLFLOW"),
        ),
        "a variable of an init container": (
            lambda: programs.deployment(
                pod(
                    init_containers=[
                        container(
                            name="fetch",
                            env=[k8s.core.v1.EnvVarArgs(name="PASSWORD", value=SECRET)],
                        )
                    ]
                )
            ),
            _clear("init container fetch: env.PASSWORD"),
        ),
        "an argument": (
            lambda: programs.deployment(pod(container(args=["--api-key", SECRET]))),
            _clear("container api: args --api-key"),
        ),
        "an argument with its name": (
            lambda: programs.deployment(pod(container(args=[f"--api-key={SECRET}"]))),
            _clear("container api: args --api-key"),
        ),
        "an argument by its looks": (
            lambda: programs.deployment(
                pod(container(command=["run", f"https://a:{SECRET}@contoso.example"]))
            ),
            _clear("container api: command"),
        ),
        "an address as an argument": (
            lambda: programs.deployment(
                pod(container(args=[f"https://contoso.blob.core.windows.net/c?sv=1&sig={SECRET}"]))
            ),
            _clear("container api: args"),
        ),
        "an argument that a program reads as one": (
            lambda: programs.deployment(pod(container(args=["serve", f"token={SECRET}"]))),
            _clear("container api: args token"),
        ),
        "bytes in a config map": (
            lambda: k8s.core.v1.ConfigMap("settings", binary_data={"password": SECRET}),
            _clear("binaryData.password"),
        ),
        "a config map": (
            lambda: programs.config_map(CLIENT_SECRET=SECRET),
            _clear("data.CLIENT_SECRET"),
        ),
        "a file in a config map": (
            lambda: programs.config_map(**{"app.ini": f"[db]\npassword={SECRET}\n"}),
            _clear("data.app.ini"),
        ),
        "a build argument": (
            lambda: programs.image(build_args={"TOKEN": SECRET}),
            _clear("buildArgs.TOKEN"),
        ),
        "a job's parameter": (
            lambda: programs.job(
                parameters=[dbx.JobParameterArgs(name="access_token", default=SECRET)]
            ),
            _clear("parameters.access_token"),
        ),
        "a task's parameter": (
            lambda: programs.job(tasks=programs.job_task("training", f"--password={SECRET}")),
            _clear("spark_python_task --password"),
        ),
        "a wheel's parameter": (
            lambda: programs.job(
                tasks=[
                    dbx.JobTaskArgs(
                        task_key="train",
                        python_wheel_task=dbx.JobTaskPythonWheelTaskArgs(
                            package_name="training", parameters=["--token", SECRET]
                        ),
                    )
                ]
            ),
            _clear("python_wheel_task --token"),
        ),
        "a notebook's parameter": (
            lambda: programs.job(
                tasks=[
                    dbx.JobTaskArgs(
                        task_key="train",
                        notebook_task=dbx.JobTaskNotebookTaskArgs(
                            notebook_path="/train", base_parameters={"token": SECRET}
                        ),
                    )
                ]
            ),
            _clear("notebook_task.token"),
        ),
        "a task's own cluster": (
            lambda: programs.job(
                tasks=[
                    dbx.JobTaskArgs(
                        task_key="train",
                        new_cluster=dbx.JobTaskNewClusterArgs(
                            spark_version="17.3.x-scala2.13",
                            spark_conf={"fs.azure.account.key.contoso": SECRET},
                        ),
                    )
                ]
            ),
            _clear("sparkConf.fs.azure.account.key.contoso"),
        ),
        "a job cluster's variable": (
            lambda: programs.job(job_clusters=programs.job_cluster(API_TOKEN=SECRET)),
            _clear("sparkEnvVars.API_TOKEN"),
        ),
    },
)

good("registry-admin-off", {"off": programs.registry})
bad(
    "registry-admin-off",
    {
        "on": (
            lambda: programs.registry(admin_user_enabled=True),
            "adminUserEnabled is not false",
        ),
        # The Python SDK says it by default; another engine's user, or a later SDK, may not.
        "not said": (
            lambda: programs.custom(
                "azure-native:containerregistry:Registry", "registry", {"tags": TAGS}, protect=True
            ),
            "adminUserEnabled is not false",
        ),
    },
)

_aad = containerservice.ManagedClusterAADProfileArgs
good("cluster-identity", {"Entra ID only": programs.cluster})
bad(
    "cluster-identity",
    {
        "local accounts": (
            lambda: programs.cluster(disable_local_accounts=False),
            "disableLocalAccounts is not true",
        ),
        "local accounts by default": (
            lambda: programs.cluster(disable_local_accounts=None),
            "disableLocalAccounts is not true",
        ),
        "no RBAC": (lambda: programs.cluster(enable_rbac=False), "enableRBAC is not true"),
        "no Azure RBAC": (
            lambda: programs.cluster(aad_profile=_aad(managed=True)),
            "aadProfile.enableAzureRBAC is not true",
        ),
        "not managed": (
            lambda: programs.cluster(aad_profile=_aad(enable_azure_rbac=True)),
            "aadProfile.managed is not true",
        ),
    },
)

good(
    "workspace-private",
    {
        "hybrid": programs.workspace,
        "in capitals": lambda: programs.workspace(tier="Premium"),
        "serverless": lambda: programs.workspace(compute_mode="Serverless", parameters=None),
    },
)
bad(
    "workspace-private",
    {
        "standard": (lambda: programs.workspace(tier="standard"), "sku.name is not premium"),
        "no tier": (lambda: programs.workspace(sku=None), "sku.name is not premium"),
        "public addresses": (
            lambda: programs.workspace(private=False),
            "parameters.enableNoPublicIp.value is not true",
        ),
        "public addresses by default": (
            lambda: programs.workspace(private=None),
            "parameters.enableNoPublicIp.value is not true",
        ),
    },
)

_capping = operationalinsights.WorkspaceCappingArgs
good("logs-bounded", {"bounded": programs.logs})
bad(
    "logs-bounded",
    {
        "no retention": (
            lambda: programs.logs(retention_in_days=None),
            "retentionInDays is not set to a number of days above 0",
        ),
        "no cap": (
            lambda: programs.logs(workspace_capping=None),
            "workspaceCapping.dailyQuotaGb is not set to a number of GB above 0",
        ),
        "a cap of 0": (
            lambda: programs.logs(workspace_capping=_capping(daily_quota_gb=0)),
            "workspaceCapping.dailyQuotaGb is not set to a number of GB above 0",
        ),
        "a cap of -1, which is none": (
            lambda: programs.logs(workspace_capping=_capping(daily_quota_gb=-1)),
            "workspaceCapping.dailyQuotaGb is not set to a number of GB above 0",
        ),
    },
)

_DATA: dict[str, Callable[..., object]] = {
    "registry": programs.registry,
    "logs": programs.logs,
    "workspace": programs.workspace,
}
_EVERYTHING = all_of(*_DATA.values(), programs.cluster)


def _unprotected(declare: Callable[..., object]) -> Program:
    return lambda: declare(protect=False)


good("data-protected", {"everything": _EVERYTHING}, PRODUCTION)
good("data-protected", {"a cluster elsewhere": _unprotected(programs.cluster)})
bad(
    "data-protected",
    {
        name: (_unprotected(declare), "it holds data, and is not protected")
        for name, declare in _DATA.items()
    },
)
for _name, _config in {
    "production's cluster by the stack's name": PRODUCTION,
    "production's cluster by its stage": config(registryStage="production"),
}.items():
    bad(
        "data-protected",
        {_name: (_unprotected(programs.cluster), "it holds data, and is not protected")},
        _config,
    )

bad(
    "data-protected",
    {
        "the registry in production": (
            _unprotected(programs.registry),
            "it holds data, and is not protected",
        )
    },
    PRODUCTION,
)

_BY_SETTING = "it holds data, and the stack's setting `protect` lets Pulumi delete it"
good("data-unprotected-by-setting", {"protected all the same": _EVERYTHING}, UNPROTECTED)
bad(
    "data-unprotected-by-setting",
    {name: (_unprotected(declare), _BY_SETTING) for name, declare in _DATA.items()},
    UNPROTECTED,
)

_AS_ROLE: dict[str, Any] = {
    "principal_id": "00000000-0000-0000-0000-000000000001",
    "role_definition_id": "/roles/acr-pull",
    "scope": "/subscriptions/0",
}
good(
    "tagged",
    {
        "a resource group": lambda: resources.ResourceGroup("group", tags=TAGS),
        "more tags": lambda: programs.job(tags={**TAGS, "cost-centre": "hr"}),
        "what takes none": all_of(
            lambda: authorization.RoleAssignment("role", **_AS_ROLE),
            lambda: monitor.DataCollectionRuleAssociation("association", resource_uri="/x"),
            lambda: consumption.Budget(
                "budget",
                amount=100,
                category="Cost",
                scope="/x",
                time_grain="Monthly",
                time_period=consumption.BudgetTimePeriodArgs(start_date="2026-11-01"),
            ),
            lambda: dbx.Schema("schema", catalog_name="main"),
        ),
    },
)
_UNTAGGED = "tags lacks project, stack, managed-by"
bad(
    "tagged",
    {
        "a resource group": (lambda: resources.ResourceGroup("group"), _UNTAGGED),
        "a registry": (lambda: programs.registry(tags=None), _UNTAGGED),
        "a collection rule": (
            lambda: monitor.DataCollectionRule("dcr", resource_group_name="rg"),
            _UNTAGGED,
        ),
        "one missing": (
            lambda: programs.logs(tags={"project": "p", "stack": "s"}),
            "tags lacks managed-by",
        ),
        "one empty": (lambda: programs.logs(tags={**TAGS, "stack": ""}), "tags lacks stack"),
        "a job": (lambda: programs.job(tags=None), _UNTAGGED),
        "a Databricks cluster": (
            lambda: dbx.Cluster("cluster", spark_version="17.3.x-scala2.13", custom_tags={}),
            "customTags lacks project, stack, managed-by",
        ),
        "a module that nobody has looked at": (
            lambda: programs.custom("azure-native:network:VirtualNetwork", "net", {"tags": TAGS}),
            "whether it takes tags is not known: add azure-native's module 'network'",
        ),
    },
)

good("image-by-digest", programs.in_every_kind(pod()))
good(
    "image-by-digest",
    {
        "a tag beside the digest": lambda: programs.deployment(
            pod(container(image=IMAGE.replace("@", ":7@")))
        )
    },
)
good(
    "image-by-digest",
    {
        # Its objects are resources of their own.
        "a Helm chart": lambda: programs.custom("kubernetes:helm.sh/v4:Chart", "chart", {}),
        "another Release": lambda: programs.custom("kubernetes:example.org/v1:Release", "r", {}),
    },
)
_NO_DIGEST = "container api: its image is not named by digest"
bad(
    "image-by-digest",
    {
        f"a tag in a {kind}": (program, _NO_DIGEST)
        for kind, program in programs.in_every_kind(
            pod(container(image="contoso.azurecr.io/employee-retention:7"))
        ).items()
    },
)
bad(
    "image-by-digest",
    {
        "no tag": (
            lambda: programs.deployment(pod(container(image="contoso.azurecr.io/api"))),
            _NO_DIGEST,
        ),
        "latest": (lambda: programs.deployment(pod(container(image="api:latest"))), _NO_DIGEST),
        "half a digest": (
            lambda: programs.deployment(pod(container(image="contoso/api@sha256:abcd"))),
            _NO_DIGEST,
        ),
        "an init container": (
            lambda: programs.deployment(
                pod(init_containers=[container(name="fetch", image="busybox:1")])
            ),
            "init container fetch: its image is not named by digest",
        ),
        "an ephemeral container": (
            lambda: programs.deployment(
                pod(
                    ephemeral_containers=[
                        k8s.core.v1.EphemeralContainerArgs(
                            name="debug",
                            image="busybox:1",
                            security_context=container().security_context,
                        )
                    ]
                )
            ),
            "ephemeral container debug: its image is not named by digest",
        ),
        "the second container": (
            lambda: programs.deployment(pod(container(), container(name="log", image="log:1"))),
            "container log: its image is not named by digest",
        ),
        "a Helm release": (
            lambda: k8s.helm.v3.Release("chart", chart="nginx"),
            "a Helm release hides its pods from every rule",
        ),
    },
)

_capabilities = k8s.core.v1.CapabilitiesArgs
good(
    "pod-restricted",
    {
        **programs.in_every_kind(pod()),
        "by the container": lambda: programs.deployment(
            pod(
                container(
                    security={
                        "run_as_non_root": True,
                        "seccomp_profile": k8s.core.v1.SeccompProfileArgs(type="Localhost"),
                        "capabilities": _capabilities(drop=["ALL"], add=["NET_BIND_SERVICE"]),
                        "run_as_user": 10001,
                    }
                ),
                security={"run_as_non_root": None, "seccomp_profile": None},
                volumes=[
                    k8s.core.v1.VolumeArgs(
                        name="tmp", empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs()
                    )
                ],
            )
        ),
    },
)
bad(
    "pod-restricted",
    {
        f"root in a {kind}": (program, "container api: runAsNonRoot is not true")
        for kind, program in programs.in_every_kind(pod(security={"run_as_non_root": None})).items()
    },
)
_CONTAINERS: dict[str, tuple[dict[str, Any], str]] = {
    "its own word against the pod's": ({"run_as_non_root": False}, "runAsNonRoot is not true"),
    "user 0": ({"run_as_user": 0}, "runAsUser is 0, which is root"),
    "privileged": ({"privileged": True}, "privileged is true"),
    "escalation": (
        {"allow_privilege_escalation": None},
        "allowPrivilegeEscalation is not false",
    ),
    "a file system to write to": (
        {"read_only_root_filesystem": None},
        "readOnlyRootFilesystem is not true",
    ),
    "no capability dropped": ({"capabilities": None}, "capabilities.drop lacks ALL"),
    "some dropped": (
        {"capabilities": _capabilities(drop=["NET_RAW"])},
        "capabilities.drop lacks ALL",
    ),
    "one added": (
        {"capabilities": _capabilities(drop=["ALL"], add=["SYS_ADMIN"])},
        "capabilities.add gives it more than NET_BIND_SERVICE",
    ),
    "unconfined": (
        {"seccomp_profile": k8s.core.v1.SeccompProfileArgs(type="Unconfined")},
        "seccompProfile.type is neither RuntimeDefault nor Localhost",
    ),
}


def _with_security(security: dict[str, Any]) -> Program:
    return lambda: programs.deployment(pod(container(security=security)))


def _with_init_security(security: dict[str, Any]) -> Program:
    fetch = container(name="fetch", security=security)
    return lambda: programs.deployment(pod(init_containers=[fetch]))


bad(
    "pod-restricted",
    {
        name: (_with_security(security), f"container api: {problem}")
        for name, (security, problem) in _CONTAINERS.items()
    }
    | {
        f"{name}, in an init container": (
            _with_init_security(security),
            f"init container fetch: {problem}",
        )
        for name, (security, problem) in _CONTAINERS.items()
    },
)
bad(
    "pod-restricted",
    {
        "the pod's user 0": (
            lambda: programs.deployment(pod(security={"run_as_user": 0})),
            "container api: runAsUser is 0, which is root",
        ),
        "no seccomp": (
            lambda: programs.deployment(pod(security={"seccomp_profile": None})),
            "container api: seccompProfile.type is neither RuntimeDefault nor Localhost",
        ),
        "the node's network": (
            lambda: programs.deployment(pod(host_network=True)),
            "hostNetwork is true",
        ),
        "the node's processes": (
            lambda: programs.deployment(pod(host_pid=True)),
            "hostPID is true",
        ),
        "the node's memory": (lambda: programs.deployment(pod(host_ipc=True)), "hostIPC is true"),
        "the node's files": (
            lambda: programs.deployment(
                pod(
                    volumes=[
                        k8s.core.v1.VolumeArgs(
                            name="etc", host_path=k8s.core.v1.HostPathVolumeSourceArgs(path="/etc")
                        )
                    ]
                )
            ),
            "volume etc: it is a hostPath",
        ),
        "the node's port": (
            lambda: programs.deployment(
                pod(
                    container(
                        ports=[k8s.core.v1.ContainerPortArgs(container_port=80, host_port=80)]
                    )
                )
            ),
            "container api: a port is a hostPort",
        ),
    },
)

good(
    "public-only-by-tls",
    {
        "an internal service": lambda: programs.service(annotations=INTERNAL),
        "a service of the cluster": lambda: programs.service(type_="ClusterIP"),
        "an internal gateway": lambda: programs.gateway(HTTP, annotations=INTERNAL),
        "a public gateway": lambda: programs.gateway(HTTPS, KEY_VAULT),
        "an ingress": lambda: programs.ingress(k8s.networking.v1.IngressTLSArgs(secret_name="tls")),
    },
)
_PUBLIC = "it is public, and its listener"
bad(
    "public-only-by-tls",
    {
        "a service": (programs.service, "it is a public load balancer: its annotation"),
        "a service that says so": (
            lambda: programs.service(annotations=dict.fromkeys(INTERNAL, "false")),
            "it is a public load balancer: its annotation",
        ),
        "HTTP": (lambda: programs.gateway(HTTP), f"{_PUBLIC} http is not HTTPS"),
        "HTTP beside HTTPS": (
            lambda: programs.gateway(HTTPS, HTTP, annotations={}),
            f"{_PUBLIC} http is not HTTPS",
        ),
        "HTTPS without a certificate": (
            lambda: programs.gateway({**HTTPS, "tls": {"mode": "Terminate"}}),
            f"{_PUBLIC} https has no certificate",
        ),
        "HTTPS without TLS": (
            lambda: programs.gateway({"name": "https", "port": 443, "protocol": "HTTPS"}),
            f"{_PUBLIC} https has no certificate",
        ),
        "TLS passed on": (
            lambda: programs.gateway({**HTTPS, "tls": {"mode": "Passthrough"}}),
            f"{_PUBLIC} https does not terminate TLS",
        ),
        "an ingress": (programs.ingress, "spec.tls is empty"),
    },
)

_ELSEWHERE = {"stage": "staging", "promote_from": "", "image": ""}
good(
    "production-gate",
    {
        "a gate and its stage": all_of(programs.gate, programs.stage),
        "another use of the stage": lambda: programs.custom(
            "pulumi-python:dynamic/lifecycle:SharedUse", "use", {"stage": "production"}
        ),
        "other stages": all_of(
            lambda: programs.gate(**_ELSEWHERE),
            lambda: programs.stage(stage="staging", evidence={"records": 20}),
        ),
    },
)
_UNPROVEN = "promote_from is not 'staging': the release need not be proven"
_NO_EVIDENCE = "evidence.image does not name the image by digest"
bad(
    "production-gate",
    {
        "from training": (lambda: programs.gate(promote_from=""), _UNPROVEN),
        "from elsewhere": (lambda: programs.gate(promote_from="local"), _UNPROVEN),
        "no evidence": (
            all_of(programs.gate, lambda: programs.stage(evidence={})),
            _NO_EVIDENCE,
        ),
        "a tag as evidence": (
            all_of(programs.gate, lambda: programs.stage(evidence={"image": "contoso/api:7"})),
            _NO_EVIDENCE,
        ),
    },
)

_SMOKE = programs.in_every_kind(pod(container(name="smoke", image=OTHER_IMAGE)))["Job"]
good(
    "production-proven",
    {
        "the proven image": all_of(programs.gate, programs.deployment, programs.stage),
        "by another tag": all_of(
            programs.gate,
            lambda: programs.deployment(pod(container(image=IMAGE.replace("@", ":7@")))),
        ),
    },
    PRODUCTION,
)
good(
    "production-proven",
    {
        "any image elsewhere": all_of(lambda: programs.gate(**_ELSEWHERE), _SMOKE),
    },
)
bad(
    "production-proven",
    {
        "another image": (
            all_of(programs.gate, _SMOKE),
            "container smoke: its image is not the proven contoso.azurecr.io/",
        ),
        "another image at the start": (
            all_of(
                programs.gate,
                lambda: programs.deployment(
                    pod(init_containers=[container(name="fetch", image=OTHER_IMAGE)])
                ),
            ),
            "init container fetch: its image is not the proven contoso.azurecr.io/",
        ),
        "no proven image": (
            lambda: programs.gate(image=""),
            "the release has no image that staging has proven",
        ),
        "a stage without a gate": (
            programs.stage,
            "no ReleaseGate of the stage 'production' is before it",
        ),
        "the gate of another stage": (
            all_of(lambda: programs.gate(**_ELSEWHERE), programs.stage),
            "no ReleaseGate of the stage 'production' is before it",
        ),
    },
)
bad(
    "production-proven",
    {
        "pods without a gate": (
            programs.deployment,
            "no ReleaseGate of the stage 'production' is before it",
        )
    },
    PRODUCTION,
)
