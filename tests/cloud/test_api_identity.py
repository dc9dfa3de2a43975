"""The identity by which a gateway reads its certificate from a Key Vault."""

import pulumi

from infra.api import gateway_namespace
from infra.api_gateway import CERTIFICATE_ACCOUNT
from infra.gateway_identity import KEY_VAULT_SECRETS_USER, GatewayIdentity, GatewayIdentityArgs
from tests.recorder import Recorder, record

VAULT = "/subscriptions/0000-1111/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/kv"
TAGS = {"cost-centre": "hr"}
ARGS = GatewayIdentityArgs(
    resource_group_name="rg-one",
    identity_name="id-gateway",
    location="westeurope",
    oidc_issuer_url="https://issuer/1/",
    namespace=gateway_namespace("attrition"),
    service_account=CERTIFICATE_ACCOUNT,
    key_vault_id=VAULT,
    tags=TAGS,
)


def run(*, unknown: bool = False) -> Recorder:
    def program() -> None:
        pulumi.export("client_id", GatewayIdentity("gateway-identity", ARGS).client_id)

    made = {"UserAssignedIdentity": {"name": "id-gateway", "principalId": "p", "clientId": "c"}}
    return record(program, Recorder(made=made, unknown=unknown))


def test_one_service_account_of_the_cluster_can_act_as_it() -> None:
    recorder = run()
    identity, credential = (
        recorder["gateway-identity-identity"],
        recorder["gateway-identity-credential"],
    )
    assert identity.inputs["tags"] == TAGS
    assert credential.inputs["resourceName"] == "id-gateway"
    assert credential.inputs["issuer"] == "https://issuer/1/"
    assert credential.inputs["subject"] == (
        "system:serviceaccount:attrition-gateway:gateway-certificate"
    )
    assert credential.inputs["audiences"] == ["api://AzureADTokenExchange"]


def test_it_may_read_one_vaults_secrets() -> None:
    recorder = run()
    (role,) = recorder.of_type("RoleAssignment")
    assert role.inputs["scope"] == VAULT
    assert role.inputs["roleDefinitionId"].endswith(KEY_VAULT_SECRETS_USER)
    assert role.inputs["principalId"] == "p"
    assert role.parent == "gateway-identity"
    assert recorder.outputs["client_id"] == "c"


def test_a_first_preview() -> None:
    assert run(unknown=True).of_type("RoleAssignment")
