"""The identity by which the gateway's add-on reads its certificate from a Key Vault.

Needed only where the certificate lives in a vault: nothing but a service account of the cluster can
act as this identity, and all it may do is read that vault's secrets (a certificate's key is one).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity

from infra.role_assignment import Grant, assign

__all__ = ["KEY_VAULT_SECRETS_USER", "GatewayIdentity", "GatewayIdentityArgs"]

KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
"""Built-in role, the same GUID in every tenant: Microsoft's "Azure built-in roles"."""


@dataclass(frozen=True, kw_only=True)
class GatewayIdentityArgs:
    """Who may act as the identity, and which vault it may read.

    `oidc_issuer_url` is the cluster's, `namespace` and `service_account` name the account in it.
    `key_vault_id` is the vault's ARM id; it must use Azure RBAC, not access policies.
    """

    resource_group_name: pulumi.Input[str]
    identity_name: str
    location: str
    oidc_issuer_url: pulumi.Input[str]
    namespace: str
    service_account: str
    key_vault_id: pulumi.Input[str]
    tags: Mapping[str, str]


class GatewayIdentity(pulumi.ComponentResource):
    """A user-assigned identity; `client_id` goes on the service account as its annotation.

    `client_id` is known once the identity may read the vault.
    """

    client_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: GatewayIdentityArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:cluster:GatewayIdentity", name, None, opts)
        identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_group_name=args.resource_group_name,
            resource_name_=args.identity_name,
            location=args.location,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        credential = managedidentity.FederatedIdentityCredential(
            f"{name}-credential",
            resource_group_name=args.resource_group_name,
            resource_name_=identity.name,
            federated_identity_credential_resource_name=args.service_account,
            issuer=args.oidc_issuer_url,
            subject=f"system:serviceaccount:{args.namespace}:{args.service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        grant = Grant(
            scope=args.key_vault_id,
            role=KEY_VAULT_SECRETS_USER,
            principal_id=identity.principal_id,
            principal_type="ServicePrincipal",
        )
        role = assign(f"{name}-key-vault", grant, opts=pulumi.ResourceOptions(parent=self))
        self.client_id = pulumi.Output.all(identity.client_id, credential.id, role.id).apply(
            lambda known: str(known[0])
        )
        self.register_outputs({"client_id": self.client_id})
