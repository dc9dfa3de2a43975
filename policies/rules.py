"""The house's rules, in one list, and the function that applies them to what a program declares."""

from collections.abc import Sequence

from policies import azure_rules, kubernetes_rules, release_rules, secret_rules, tag_rules
from policies.declared import Resource
from policies.rule import ConfigRule, ResourceRule, Rule, StackRule, Violation
from policies.stack_config import StackConfig

__all__ = ["RULES", "violations"]

RULES: tuple[Rule, ...] = (
    ConfigRule(
        name="config-without-secrets",
        description="Secrets in a stack's config are encrypted.",
        remedy="Encrypt it with `pulumi config set --secret KEY`, and change the secret itself: "
        "whoever could read the file may have it.",
        check=secret_rules.plain_config,
    ),
    ResourceRule(
        name="inputs-without-secrets",
        description="Secrets are in no pod spec, config map, build argument or job parameter.",
        remedy="Put it into a Kubernetes Secret and refer to it, mount it as a BuildKit secret, or "
        "keep it in a Databricks secret scope.",
        check=secret_rules.plain_inputs,
    ),
    ResourceRule(
        name="registry-admin-off",
        description="The container registry has no admin user.",
        remedy="Set admin_user_enabled=False; identities pull with the role AcrPull.",
        check=azure_rules.registry_admin,
    ),
    ResourceRule(
        name="cluster-identity",
        description="Only Entra ID lets anyone into the cluster, and Azure RBAC says how far.",
        remedy="Set disable_local_accounts=True, enable_rbac=True and an aad_profile with "
        "managed=True and enable_azure_rbac=True.",
        check=azure_rules.cluster_identity,
    ),
    ResourceRule(
        name="workspace-private",
        description="The Databricks workspace is Premium and has no public addresses.",
        remedy='Set sku name="premium" and parameters with enable_no_public_ip value=True.',
        check=azure_rules.workspace_network,
    ),
    ResourceRule(
        name="logs-bounded",
        description="Logs have a retention and a daily cap.",
        remedy="Set retention_in_days and workspace_capping with a daily_quota_gb.",
        check=azure_rules.log_bounds,
    ),
    ResourceRule(
        name="data-protected",
        description="What holds data is protected from deletion; so is production's cluster.",
        remedy="Pass opts with protect=True, or set `protect: false` for the stack if nothing in "
        "it is worth keeping.",
        check=azure_rules.protected_data,
    ),
    ResourceRule(
        name="data-unprotected-by-setting",
        description="A stack's setting lets Pulumi delete what holds data.",
        remedy="Set `protect: true` again before anything in it is worth keeping.",
        mandatory=False,
        check=azure_rules.unprotected_by_setting,
    ),
    ResourceRule(
        name="tagged",
        description="Everything that takes tags has those of the house.",
        remedy=f"Pass the stack's tags on to it: {', '.join(tag_rules.REQUIRED_TAGS)}.",
        check=tag_rules.tags,
    ),
    ResourceRule(
        name="image-by-digest",
        description="Every container's image is named by its digest.",
        remedy="Name it server/repository@sha256:…, as the image's `ref` or the release's proof "
        "has it.",
        check=kubernetes_rules.image_digest,
    ),
    ResourceRule(
        name="pod-restricted",
        description="No pod is privileged, runs as root, or writes to its own file system.",
        remedy="Set the security context of the pod and of each container as the restricted pod "
        "security standard asks, and readOnlyRootFilesystem.",
        check=kubernetes_rules.pod_security,
    ),
    ResourceRule(
        name="public-only-by-tls",
        description="What the internet can reach has TLS.",
        remedy="Make the load balancer internal by the annotation, or let a Gateway with HTTPS "
        "listeners and a certificate be the only way in.",
        check=kubernetes_rules.load_balancer_tls,
    ),
    ResourceRule(
        name="production-gate",
        description="Production takes only what staging has proven, and keeps the evidence.",
        remedy="Set `promoteFrom: staging` for the stack, and hand the stage evidence with the "
        "image's digest.",
        check=release_rules.production_gate,
    ),
    StackRule(
        name="production-proven",
        description="Production runs exactly the image that staging has proven.",
        remedy="Let a ReleaseGate with promote_from='staging' choose the release, and run its "
        "`image` and no other.",
        check=release_rules.production_runs_the_proven,
    ),
)
"""Every rule; names are unique, and the same as those of the policies in the pack."""


def violations(resources: Sequence[Resource], config: StackConfig) -> list[Violation]:
    """Apply every rule; the result is in the order of the rules, then of the resources."""
    return [found for rule in RULES for found in rule.violations(resources, config)]
