"""Names on Azure: legal, apart from each other, and never changed by accident."""

import re

import pytest

from infra import naming
from infra.naming import Names, NamingError

LONG = "p" + "q" * 11
STACKS = ("shared", "staging", "production", "production-of-the-european-subsidiaries-of-contoso")
RULES = {
    # Microsoft's "naming rules and restrictions for Azure resources".
    "resource_group": (1, 90, r"[A-Za-z0-9_().-]*[A-Za-z0-9_()-]"),
    "managed_resource_group": (1, 90, r"[A-Za-z0-9_().-]*[A-Za-z0-9_()-]"),
    "databricks_workspace": (3, 64, r"[A-Za-z0-9_-]+"),
    "container_registry": (5, 50, r"[a-zA-Z0-9]+"),
    "log_workspace": (4, 63, r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]"),
    "cluster": (1, 63, r"[A-Za-z0-9][A-Za-z0-9_-]*[A-Za-z0-9]"),
    "dns_prefix": (1, 54, r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]"),
    "budget": (1, 63, r"[A-Za-z0-9_-]+"),
    "data_collection_rule": (1, 64, r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]"),
    "action_group": (1, 260, r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]"),
    "workbook": (36, 36, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}


def made(names: Names) -> dict[str, str]:
    return {method: getattr(names, method)() for method in RULES}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("prefix", ["abc", "contoso", LONG])
@pytest.mark.parametrize("method", RULES)
def test_a_name_is_one_that_azure_takes(method: str, prefix: str, stack: str) -> None:
    shortest, longest, pattern = RULES[method]
    name = made(Names(prefix, stack))[method]
    assert shortest <= len(name) <= longest
    assert re.fullmatch(pattern, name)
    assert "--" not in name


@pytest.mark.parametrize("role", ["tls", "a-role-of-" + "r" * 130])
def test_an_identity_s_name_is_one_that_azure_takes(role: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{2,127}", Names("contoso", "production").identity(role))


def test_the_limits_that_tests_check_are_those_that_the_module_says() -> None:
    limits = {
        "resource_group": naming.RESOURCE_GROUP_LENGTH,
        "managed_resource_group": naming.RESOURCE_GROUP_LENGTH,
        "databricks_workspace": naming.DATABRICKS_LENGTH,
        "container_registry": naming.REGISTRY_LENGTH,
        "log_workspace": naming.LOG_WORKSPACE_LENGTH,
        "cluster": naming.CLUSTER_LENGTH,
        "dns_prefix": naming.DNS_PREFIX_LENGTH,
        "budget": naming.BUDGET_LENGTH,
        "data_collection_rule": naming.DATA_COLLECTION_RULE_LENGTH,
        "action_group": naming.ACTION_GROUP_LENGTH,
        "workbook": 36,
    }
    assert limits == {method: longest for method, (_, longest, _) in RULES.items()}


def test_names_are_what_they_were() -> None:
    """Another name is another resource: these were given away, and may never change."""
    assert made(Names("contoso", "shared")) == {
        "resource_group": "rg-contoso-retention-shared",
        "managed_resource_group": "rg-contoso-retention-shared-databricks",
        "databricks_workspace": "dbw-contoso-retention-shared",
        "container_registry": "crcontosoa8f4e59d",
        "log_workspace": "log-contoso-retention-shared",
        "cluster": "aks-contoso-retention-shared",
        "dns_prefix": "contoso-retention-shared",
        "budget": "budget-contoso-retention-shared",
        "data_collection_rule": "dcr-contoso-retention-shared",
        "action_group": "ag-contoso-retention-shared",
        "workbook": "e0ce633e-99f7-5998-baf8-11767326f260",
    }
    names = Names("contoso", "production")
    assert names.alert_rule("drift") == "alert-contoso-retention-production-drift"
    assert names.saved_search("drift") == "query-contoso-retention-production-drift"
    assert Names("contoso", "production").identity("tls") == "id-contoso-retention-production-tls"


def test_a_shortened_name_still_differs_from_its_neighbour_s() -> None:
    one, other = (Names("contoso", "s" * 80 + end).cluster() for end in "ab")
    assert one != other
    assert len(one) == len(other) == 63


def test_stacks_and_prefixes_do_not_share_names() -> None:
    kinds = [method for method in RULES if method != "container_registry"]
    many = [
        made(Names(prefix, stack))[kind]
        for prefix in ("abc", "contoso")
        for stack in STACKS
        for kind in kinds
    ]
    assert len(set(many)) == len(many)


def test_registries_of_two_prefixes_differ() -> None:
    registries = {Names(prefix, "shared").container_registry() for prefix in ("abc", "ab-c", "abd")}
    assert len(registries) == 3


@pytest.mark.parametrize(
    ("prefix", "stack", "named"),
    [
        ("Contoso", "shared", "namePrefix"),
        ("", "shared", "namePrefix"),
        ("contoso", "my_stack", "stack"),
        ("contoso", "-x", "stack"),
    ],
)
def test_characters_that_some_name_may_not_have_are_refused(
    prefix: str, stack: str, named: str
) -> None:
    with pytest.raises(NamingError, match=f"{named}.*lower-case letters"):
        Names(prefix, stack)


def test_a_role_is_checked_too() -> None:
    with pytest.raises(NamingError, match=r"role is 'TLS!'"):
        Names("contoso", "shared").identity("TLS!")
