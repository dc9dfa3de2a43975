"""A program of Deployments, each with a Service and a smoke test, copied into a project by tests.

Its config names copies of the same thing, each in a namespace of its own and wrong in its own way.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

_PORT = 8000
_MetaData = Callable[..., k8s.meta.v1.ObjectMetaArgs]


def main() -> None:
    config = pulumi.Config()
    provider = k8s.Provider(
        "cluster", kubeconfig=pulumi.Output.secret("none"), cluster_identifier="tiny"
    )
    copies: dict[str, dict[str, Any]] = config.require_object("copies")
    common = {key: config.require(key) for key in ("image", "key", "keySha256")}
    for name, settings in copies.items():
        _declare(name, {**common, **settings}, pulumi.ResourceOptions(provider=provider))


def _declare(name: str, config: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
    namespace = k8s.core.v1.Namespace(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=name, labels={"pod-security.kubernetes.io/enforce": "restricted"}
        ),
        opts=opts,
    )
    place = namespace.metadata.apply(lambda metadata: metadata.name or "")

    def metadata(own: str | None = None, **annotations: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=own, namespace=place, annotations=annotations)

    # Kept by its own name, as pods refer to it by that.
    settings = k8s.core.v1.ConfigMap(
        f"{name}-settings",
        metadata=metadata("settings"),
        data={"RELEASE_VERSION": config.get("version", "1")},
        opts=opts,
    )
    secret = k8s.core.v1.Secret(
        f"{name}-key",
        metadata=metadata(),
        string_data={
            "API_KEY": pulumi.Output.secret(config["key"]),
            "API_KEY_SHA256": config["keySha256"],
        },
        opts=opts,
    )
    _limit_network(name, metadata, opts, closed="closed" in config)

    def pod(**container: Any) -> k8s.core.v1.PodSpecArgs:
        return _pod(config, settings.metadata["name"], secret.metadata["name"], container)

    deployment = k8s.apps.v1.Deployment(
        f"{name}-api",
        metadata=metadata("api"),
        spec=k8s.apps.v1.DeploymentSpecArgs(
            selector=k8s.meta.v1.LabelSelectorArgs(match_labels={"app": "api"}),
            template=k8s.core.v1.PodTemplateSpecArgs(
                metadata=k8s.meta.v1.ObjectMetaArgs(labels={"app": "api"}), spec=pod(name="api")
            ),
        ),
        opts=opts,
    )
    service = k8s.core.v1.Service(
        f"{name}-service",
        metadata=metadata("api"),
        spec=k8s.core.v1.ServiceSpecArgs(
            selector={"app": "api"},
            ports=[k8s.core.v1.ServicePortArgs(port=80, target_port="http")],
        ),
        opts=pulumi.ResourceOptions(provider=opts.provider, depends_on=[deployment]),
    )
    replaced = {"pulumi.com/replaceUnready": "true"} if "replaced" in config else {}
    smoke = pod(
        name="smoke",
        command=["python", "-m", "app.smoke"],
        args=["--url", f"http://api.{name}", "--bundle=/release"],
    )
    k8s.batch.v1.Job(
        f"{name}-smoke",
        metadata=metadata("smoke", **replaced),
        spec=k8s.batch.v1.JobSpecArgs(
            template=k8s.core.v1.PodTemplateSpecArgs(
                metadata=k8s.meta.v1.ObjectMetaArgs(labels={"app": "smoke"}), spec=smoke
            )
        ),
        opts=pulumi.ResourceOptions(provider=opts.provider, depends_on=[service]),
    )


def _limit_network(
    name: str, metadata: _MetaData, opts: pulumi.ResourceOptions, *, closed: bool
) -> None:
    """Let nothing through but the smoke test to the API; with `closed` not even that."""
    port = k8s.networking.v1.NetworkPolicyPortArgs(port="http")
    api = k8s.meta.v1.LabelSelectorArgs(match_labels={"app": "api"})
    smoke = k8s.meta.v1.LabelSelectorArgs(match_labels={"app": "smoke"})
    peers = [k8s.networking.v1.NetworkPolicyPeerArgs(pod_selector=smoke)]
    k8s.networking.v1.NetworkPolicy(
        f"{name}-nothing",
        metadata=metadata(),
        spec=k8s.networking.v1.NetworkPolicySpecArgs(
            pod_selector=k8s.meta.v1.LabelSelectorArgs(), policy_types=["Ingress"]
        ),
        opts=opts,
    )
    k8s.networking.v1.NetworkPolicy(
        f"{name}-smoke",
        metadata=metadata(),
        spec=k8s.networking.v1.NetworkPolicySpecArgs(
            pod_selector=api,
            policy_types=["Ingress"],
            ingress=[]
            if closed
            else [k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=peers, ports=[port])],
        ),
        opts=opts,
    )


def _pod(
    config: Mapping[str, Any],
    settings: pulumi.Output[str],
    secret: pulumi.Output[str],
    container: Mapping[str, Any],
) -> k8s.core.v1.PodSpecArgs:
    return k8s.core.v1.PodSpecArgs(
        security_context=k8s.core.v1.PodSecurityContextArgs(
            run_as_non_root="root" not in config,
            seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        containers=[
            k8s.core.v1.ContainerArgs(
                **container,
                image=config["image"],
                termination_message_policy="FallbackToLogsOnError",
                ports=[k8s.core.v1.ContainerPortArgs(name="http", container_port=_PORT)],
                readiness_probe=k8s.core.v1.ProbeArgs(
                    http_get=k8s.core.v1.HTTPGetActionArgs(path="/health/ready", port="http")
                ),
                env_from=[
                    k8s.core.v1.EnvFromSourceArgs(
                        config_map_ref=k8s.core.v1.ConfigMapEnvSourceArgs(name=settings)
                    ),
                    k8s.core.v1.EnvFromSourceArgs(
                        secret_ref=k8s.core.v1.SecretEnvSourceArgs(name=secret)
                    ),
                ],
                security_context=k8s.core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
            )
        ],
    )


if __name__ == "__main__":
    main()
