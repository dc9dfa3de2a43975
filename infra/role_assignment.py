"""Role assignments whose name and role id are computed, so that no lookup is needed.

Azure wants a GUID as an assignment's name. A random one is lost with the state, and then the same
assignment cannot be made again; one computed from what is assigned is found again.
"""

import re
import uuid
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from infra.lifecycle.errors import LifecycleError

__all__ = [
    "ACR_PULL",
    "AKS_CLUSTER_ADMIN",
    "AKS_CLUSTER_USER",
    "Grant",
    "ResourceIdError",
    "assign",
    "assignment_name",
    "role_id",
]

# Built-in roles have the same GUID in every tenant: Microsoft's "Azure built-in roles".
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
AKS_CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
AKS_CLUSTER_USER = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"

_SUBSCRIPTION = re.compile(r"/subscriptions/[^/]+(?=/|$)", re.IGNORECASE)


class ResourceIdError(LifecycleError):
    """A scope is not the ARM id of something in a subscription."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Who gets which role where.

    `scope` is an ARM id, `role` the GUID of a built-in role, `principal_id` an object id in Entra
    and `principal_type` what it is ("ServicePrincipal", "Group"): without it Azure looks the
    principal up, and does not find one that is seconds old.
    """

    scope: pulumi.Input[str]
    role: str
    principal_id: pulumi.Input[str]
    principal_type: str


def role_id(scope: str, role: str) -> str:
    """Name the role's definition in the subscription of `scope`, as Azure itself returns it.

    Raises:
        ResourceIdError: `scope` is in no subscription.
    """
    subscription = _SUBSCRIPTION.match(scope)
    if not subscription:
        raise ResourceIdError(
            f"a role cannot be assigned on {scope!r}: it is not an ARM id such as "
            "/subscriptions/…/resourceGroups/…/providers/…"
        )
    return f"{subscription.group()}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def assignment_name(scope: str, role: str, principal_id: str) -> str:
    """Compute the assignment's GUID; ARM ids and GUIDs are the same in any case of letters.

    The principal is part of it: an assignment cannot be given to another one, so a new cluster's
    new identity gets an assignment of its own before the old one goes.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{role}|{principal_id}".lower()))


def assign(
    name: str, grant: Grant, *, opts: pulumi.ResourceOptions
) -> authorization.RoleAssignment:
    """Declare the role assignment that makes `grant` true."""
    scope = pulumi.Output.from_input(grant.scope)
    principal = pulumi.Output.from_input(grant.principal_id)
    return authorization.RoleAssignment(
        name,
        authorization.RoleAssignmentArgs(
            role_assignment_name=pulumi.Output.all(scope, principal).apply(
                lambda known: assignment_name(known[0], grant.role, known[1])
            ),
            role_definition_id=scope.apply(lambda known: role_id(known, grant.role)),
            scope=scope,
            principal_id=principal,
            principal_type=grant.principal_type,
        ),
        opts=opts,
    )
