"""Names and ids of role assignments: computed, so that nothing is looked up or lost."""

import pulumi
import pytest
from cluster_world import CLUSTER_ID, KUBELET, REGISTRY

from infra.role_assignment import (
    ACR_PULL,
    AKS_CLUSTER_ADMIN,
    AKS_CLUSTER_USER,
    Grant,
    ResourceIdError,
    assign,
    assignment_name,
    role_id,
)
from tests.recorder import Recorder, known, record


def test_a_role_is_named_in_the_subscription_of_what_it_is_for() -> None:
    assert role_id(REGISTRY, ACR_PULL) == (
        "/subscriptions/99999999-9999-9999-9999-999999999999"
        "/providers/Microsoft.Authorization/roleDefinitions/7f951dda-4ed3-4680-a7ca-43fe172d538d"
    )


@pytest.mark.parametrize("scope", ["/subscriptions/a", "/Subscriptions/a/resourceGroups/b"])
def test_a_subscription_and_a_group_are_scopes_too(scope: str) -> None:
    assert role_id(scope, "r").lower() == (
        "/subscriptions/a/providers/microsoft.authorization/roledefinitions/r"
    )


@pytest.mark.parametrize("scope", ["", "crcontoso", "/subscriptions/", "x/subscriptions/a"])
def test_a_scope_without_a_subscription_is_refused(scope: str) -> None:
    with pytest.raises(ResourceIdError, match="is not an ARM id such as /subscriptions/"):
        role_id(scope, ACR_PULL)


def test_an_assignment_has_the_same_name_every_time() -> None:
    """Written out: computed in another way, it would replace every assignment there is."""
    assert assignment_name(REGISTRY, ACR_PULL, KUBELET) == "23f09f40-ee1f-51db-9915-72455a07a0c0"


def test_ids_are_the_same_in_any_case_of_letters() -> None:
    """Azure returns them in another case now and then."""
    assert assignment_name(REGISTRY.upper(), ACR_PULL.upper(), KUBELET) == assignment_name(
        REGISTRY, ACR_PULL, KUBELET
    )


def test_another_scope_role_or_principal_is_another_assignment() -> None:
    names = {
        assignment_name(scope, role, principal)
        for scope in (REGISTRY, CLUSTER_ID)
        for role in (ACR_PULL, AKS_CLUSTER_ADMIN, AKS_CLUSTER_USER)
        for principal in (KUBELET, "another")
    }
    assert len(names) == 12


def program() -> None:
    grant = Grant(
        scope=REGISTRY, role=ACR_PULL, principal_id=KUBELET, principal_type="ServicePrincipal"
    )
    assign("pull", grant, opts=pulumi.ResourceOptions())


def test_a_grant_becomes_an_assignment() -> None:
    assert record(program, Recorder())["pull"].inputs == {
        "roleAssignmentName": assignment_name(REGISTRY, ACR_PULL, KUBELET),
        "roleDefinitionId": role_id(REGISTRY, ACR_PULL),
        "scope": REGISTRY,
        "principalId": KUBELET,
        "principalType": "ServicePrincipal",
    }


def test_what_is_known_is_named_in_a_first_preview() -> None:
    inputs = record(program, Recorder(unknown=True))["pull"].inputs
    assert "(unknown)" not in {key: known(value) for key, value in inputs.items()}.values()
