"""An environment: `staging` and `production` are this composition with other settings.

Resource order is the release process, as on a laptop: judge, deploy beside what serves, prove in
the cluster, switch, and only then move the stage. Whatever fails, everything after it has not
happened. Last of all the alerts are written for the release that now serves.
"""

import os
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import resources

from infra.alerts import Alerts, AlertsArgs
from infra.api import Api, ApiArgs, gateway_namespace
from infra.api_gateway import CERTIFICATE_ACCOUNT, Certificate, KeyVaultCertificate
from infra.cluster import Cluster, ClusterArgs, Maintenance
from infra.container_insights import ContainerInsights, ContainerInsightsArgs
from infra.gateway_addon import GatewayAddon, GatewayAddonArgs
from infra.gateway_identity import GatewayIdentity, GatewayIdentityArgs
from infra.image import Image, ImageArgs
from infra.lifecycle import (
    PINNED,
    PROMOTION,
    ApiKey,
    ApiKeyArgs,
    ModelStage,
    ModelStageArgs,
    RegistryAddress,
    ReleaseGate,
    ReleaseGateArgs,
    ReleaseReference,
    ReleaseReferenceArgs,
    SelfSignedCertificate,
    SelfSignedCertificateArgs,
    SharedUse,
    SharedUseArgs,
)
from infra.naming import Names
from monitoring.queries import QUERIES, Bounds
from monitoring.rules import RULES
from stacks.settings import EnvironmentSettings

__all__ = ["compose"]

_NAMESPACE = "attrition"
_PRODUCTION = "production"
"""The stage whose release a new one is compared with, wherever it is judged."""
_GITHUB_IDENTITY = "ACTIONS_ID_TOKEN_REQUEST_URL"
"""Set in a workflow that may ask GitHub for an identity token."""


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What the stack `shared` has for an environment."""

    registry: RegistryAddress
    model_version: pulumi.Output[str]
    container_registry_id: pulumi.Output[str]
    container_registry_server: pulumi.Output[str]
    log_workspace_id: pulumi.Output[str]
    log_workspace_location: pulumi.Output[str]

    @classmethod
    def of(cls, stack: str) -> "_Shared":
        """Look up the stack's outputs; Pulumi names the stack, or the output, that is not there."""
        require = pulumi.StackReference(stack).require_output
        return cls(
            registry=RegistryAddress(
                model_name=require("modelName"),
                tracking_uri=require("trackingUri"),
                registry_uri=require("registryUri"),
                host=require("workspaceHost"),
                azure_resource_id=require("workspaceId"),
            ),
            model_version=require("modelVersion"),
            container_registry_id=require("containerRegistryId"),
            container_registry_server=require("containerRegistryServer"),
            log_workspace_id=require("logWorkspaceId"),
            log_workspace_location=require("logWorkspaceLocation"),
        )


def compose() -> None:
    """Declare the stack's resources and outputs."""
    settings = EnvironmentSettings.load()
    names = Names(settings.name_prefix, pulumi.get_stack())
    shared = _Shared.of(settings.shared_stack)

    # First made and last destroyed: while it is there, the stack `shared` refuses to go.
    use = SharedUse(
        "shared-use", SharedUseArgs(registry=shared.registry, stage=settings.registry_stage)
    )
    group = _create_group(settings, names, use)
    cluster = _create_cluster(settings, names, group, shared)
    _collect_logs(settings, names, group, cluster, shared)
    gateway = GatewayAddon(
        "gateway-addon",
        GatewayAddonArgs(
            cluster_id=cluster.id,
            key_vault_certificates=bool(settings.tls_key_vault_certificate),
        ),
    )
    gate = _judge(settings, shared)
    image = _image(settings, shared, gate)
    key = ApiKey("api-key", ApiKeyArgs(rotation=settings.api_key_rotation))
    api = Api(
        "api",
        ApiArgs(
            namespace=_NAMESPACE,
            image=image,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
            api_key=key.key,
            accepted_sha256=key.accepted_sha256,
            environment=settings.api_environment,
            asks_issuer=bool(settings.entra_tenant_id),
            collector=settings.otlp_endpoint,
            replicas_min=settings.replicas_min,
            replicas_max=settings.replicas_max,
            hostname=settings.hostname,
            tls=_certificate(settings, names, group, cluster),
            public=settings.public,
            after=[*cluster.ready, gateway],
        ),
        opts=pulumi.ResourceOptions(providers=[cluster.provider]),
    )
    stage = _move_stage(settings, shared, gate, api)
    alerts = _watch(settings, names, group, cluster, shared, gate, stage)

    pulumi.export("apiUrl", api.url)
    pulumi.export("apiKey", key.key)
    pulumi.export("modelVersion", stage.version)
    pulumi.export("image", image)
    pulumi.export("stage", settings.registry_stage)
    pulumi.export("metrics", gate.metrics)
    pulumi.export("verdicts", gate.verdicts)
    pulumi.export("cluster", cluster.name)
    pulumi.export("workbook", alerts.workbook_id)


def _create_group(
    settings: EnvironmentSettings, names: Names, use: SharedUse
) -> resources.ResourceGroup:
    return resources.ResourceGroup(
        "resource-group",
        resources.ResourceGroupArgs(
            resource_group_name=names.resource_group(),
            location=settings.location,
            tags=settings.tags,
        ),
        opts=pulumi.ResourceOptions(depends_on=[use]),
    )


def _create_cluster(
    settings: EnvironmentSettings,
    names: Names,
    group: resources.ResourceGroup,
    shared: _Shared,
) -> Cluster:
    return Cluster(
        "cluster",
        ClusterArgs(
            resource_group_name=group.name,
            cluster_name=names.cluster(),
            dns_prefix=names.dns_prefix(),
            location=settings.location,
            kubernetes_version=settings.kubernetes_version,
            tier=settings.cluster_tier,
            node_size=settings.node_size,
            nodes_min=settings.nodes_min,
            nodes_max=settings.nodes_max,
            zones=settings.zones,
            admin_group_ids=settings.admin_group_ids,
            authorized_ip_ranges=settings.authorized_ip_ranges,
            maintenance=Maintenance(
                day=settings.maintenance_day,
                start=settings.maintenance_start,
                hours=settings.maintenance_hours,
                utc_offset=settings.maintenance_utc_offset,
            ),
            kubelogin_mode=_kubelogin_mode(),
            container_registry_id=shared.container_registry_id,
            log_workspace_id=shared.log_workspace_id,
            tags=settings.tags,
            protect=settings.protect,
            key_vault_certificates=bool(settings.tls_key_vault_certificate),
        ),
    )


def _kubelogin_mode() -> str:
    """Choose how kubelogin signs in without a person: a laptop's `az login`, or a workflow's token.

    The token that a workflow's `az login` begins with is good for minutes, a first `up` takes
    longer; kubelogin asks GitHub for a fresh one.
    """
    return "workloadidentity" if _GITHUB_IDENTITY in os.environ else "azurecli"


def _collect_logs(
    settings: EnvironmentSettings,
    names: Names,
    group: resources.ResourceGroup,
    cluster: Cluster,
    shared: _Shared,
) -> None:
    ContainerInsights(
        "logs",
        ContainerInsightsArgs(
            resource_group_name=group.name,
            rule_name=names.data_collection_rule(),
            location=shared.log_workspace_location,
            cluster_id=cluster.id,
            log_workspace_id=shared.log_workspace_id,
            namespaces=[_NAMESPACE],
            tags=settings.tags,
        ),
    )


def _judge(settings: EnvironmentSettings, shared: _Shared) -> ReleaseGate:
    """Choose the release that a person pinned, that `promoteFrom` proved, or that was trained."""
    trained = "" if settings.promote_from else shared.model_version
    return ReleaseGate(
        "gate",
        ReleaseGateArgs(
            registry=shared.registry,
            stage=settings.registry_stage,
            version=settings.release_version or trained,
            promote_from=settings.promote_from,
            image_server=shared.container_registry_server,
            pinned=bool(settings.release_version),
            compared_with=_PRODUCTION,
            gates=settings.gates,
        ),
    )


def _image(settings: EnvironmentSettings, shared: _Shared, gate: ReleaseGate) -> pulumi.Output[str]:
    """Name the image by digest: the very one that was proven, or a new one that is to be."""
    if settings.promote_from:
        return gate.image
    return Image(
        "image",
        ImageArgs(
            registry_server=shared.container_registry_server,
            registry=shared.registry,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
        ),
    ).ref


def _certificate(
    settings: EnvironmentSettings,
    names: Names,
    group: resources.ResourceGroup,
    cluster: Cluster,
) -> Certificate | KeyVaultCertificate:
    if settings.tls_key_vault_certificate:
        identity = GatewayIdentity(
            "gateway-identity",
            GatewayIdentityArgs(
                resource_group_name=group.name,
                identity_name=names.identity("gateway"),
                location=settings.location,
                oidc_issuer_url=cluster.oidc_issuer_url,
                namespace=gateway_namespace(_NAMESPACE),
                service_account=CERTIFICATE_ACCOUNT,
                key_vault_id=settings.tls_key_vault_id,
                tags=settings.tags,
            ),
        )
        return KeyVaultCertificate(
            uri=settings.tls_key_vault_certificate, client_id=identity.client_id
        )
    made = SelfSignedCertificate(
        "certificate", SelfSignedCertificateArgs(hostname=settings.hostname)
    )
    pulumi.export("certificate", made.certificate_pem)
    return Certificate(certificate_pem=made.certificate_pem, private_key_pem=made.private_key_pem)


def _move_stage(
    settings: EnvironmentSettings, shared: _Shared, gate: ReleaseGate, api: Api
) -> ModelStage:
    reason = PINNED if settings.release_version else PROMOTION
    return ModelStage(
        "stage",
        ModelStageArgs(
            registry=shared.registry,
            stage=settings.registry_stage,
            version=gate.version,
            evidence=api.evidence,
            reason=settings.release_reason or reason,
        ),
        opts=pulumi.ResourceOptions(depends_on=[api]),
    )


def _watch(
    settings: EnvironmentSettings,
    names: Names,
    group: resources.ResourceGroup,
    cluster: Cluster,
    shared: _Shared,
    gate: ReleaseGate,
    stage: ModelStage,
) -> Alerts:
    """Watch the release that has reached the stage: before, its lines would be no lines of ours."""
    reference = ReleaseReference(
        "reference",
        ReleaseReferenceArgs(
            registry=shared.registry, version=gate.version, bundle_sha256=gate.bundle_sha256
        ),
        opts=pulumi.ResourceOptions(depends_on=[stage]),
    )
    return Alerts(
        "alerts",
        AlertsArgs(
            resource_group_name=group.name,
            environment=settings.registry_stage,
            location=shared.log_workspace_location,
            log_workspace_id=shared.log_workspace_id,
            cluster_id=cluster.id,
            namespace=_NAMESPACE,
            release=stage.version,
            counts=reference.counts,
            bounds=Bounds(
                latency_ms=settings.alert_latency_ms,
                error_share=settings.alert_error_percent / 100,
            ),
            emails=settings.alert_emails,
            rule_names={rule.query: names.alert_rule(rule.query) for rule in RULES},
            search_names={query: names.saved_search(query) for query in QUERIES},
            action_group_name=names.action_group(),
            workbook_name=names.workbook(),
            tags=settings.tags,
        ),
    )
