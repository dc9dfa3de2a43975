"""What the shared stack makes on Azure itself: workspace, container registry, log store, budget."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from infra.budget import Budget, BudgetArgs
from infra.container_registry import ContainerRegistry, ContainerRegistryArgs
from infra.databricks_workspace import (
    DatabricksWorkspace,
    DatabricksWorkspaceArgs,
    managed_resource_group_id,
)
from infra.logs import LogStore, LogStoreArgs
from tests.recorder import Recorder, record

TAGS = {"cost-centre": "hr"}
GROUP_ID = "/subscriptions/0000-1111/resourceGroups/rg-one"
WORKSPACE_ID = f"{GROUP_ID}/providers/Microsoft.Databricks/workspaces/dbw-one"

WORKSPACE = DatabricksWorkspaceArgs(
    resource_group_name="rg-one",
    workspace_name="dbw-one",
    managed_resource_group_id="/subscriptions/0000-1111/resourceGroups/rg-managed",
    location="westeurope",
    auth_type="azure-cli",
    tags=TAGS,
    protect=True,
)
REGISTRY = ContainerRegistryArgs(
    resource_group_name="rg-one",
    registry_name="crone",
    location="westeurope",
    tags=TAGS,
    protect=True,
)
LOGS = LogStoreArgs(
    resource_group_name="rg-one",
    workspace_name="log-one",
    location="westeurope",
    retention_days=90,
    daily_quota_gb=2,
    tags=TAGS,
    protect=True,
)
BUDGET = BudgetArgs(
    scope=GROUP_ID,
    budget_name="budget-one",
    amount=250,
    emails=("owner@contoso.com",),
    today=date(2026, 11, 22),
)


def workspace(args: DatabricksWorkspaceArgs = WORKSPACE) -> DatabricksWorkspace:
    return DatabricksWorkspace("databricks", args)


def registry(args: ContainerRegistryArgs = REGISTRY) -> ContainerRegistry:
    return ContainerRegistry("images", args)


def logs(args: LogStoreArgs = LOGS) -> LogStore:
    return LogStore("logs", args)


def budget(args: BudgetArgs = BUDGET) -> Budget:
    return Budget("budget", args)


MADE = {
    "databricks-workspace": {"id": WORKSPACE_ID, "workspaceUrl": "adb-1.2.azuredatabricks.net"},
    "images-registry": {"id": "/r", "loginServer": "one.azurecr.io"},
}


def made(build: Callable[[], object], *, unknown: bool = False) -> Recorder:
    def program() -> None:
        build()

    return record(program, Recorder(made=MADE, unknown=unknown))


ALL = [workspace, registry, logs, budget]
PROTECTED: dict[str, Callable[[bool], object]] = {
    "databricks-workspace": lambda protect: workspace(replace(WORKSPACE, protect=protect)),
    "images-registry": lambda protect: registry(replace(REGISTRY, protect=protect)),
    "logs-workspace": lambda protect: logs(replace(LOGS, protect=protect)),
}


@pytest.mark.parametrize("build", ALL)
@pytest.mark.parametrize("unknown", [False, True])
def test_every_resource_has_its_component_as_parent(
    build: Callable[[], object], unknown: bool
) -> None:
    found = made(build, unknown=unknown)
    (component,) = [resource for resource in found.resources if not resource.custom]
    children = [resource for resource in found.resources if resource.custom]
    assert children
    assert {child.parent for child in children} == {component.name}
    assert all(child.name.startswith(f"{component.name}-") for child in children)


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("protect", [True, False])
def test_what_holds_data_is_protected_by_the_setting(name: str, protect: bool) -> None:
    found = made(lambda: PROTECTED[name](protect))
    assert found[name].request.protect is protect


@pytest.mark.parametrize("name", PROTECTED)
def test_what_takes_tags_has_them(name: str) -> None:
    assert made(lambda: PROTECTED[name](True))[name].inputs["tags"] == TAGS


def test_the_workspace_is_premium_with_unity_catalog_and_no_public_addresses() -> None:
    inputs = made(workspace)["databricks-workspace"].inputs
    assert inputs["workspaceName"] == "dbw-one"
    assert inputs["resourceGroupName"] == "rg-one"
    assert inputs["location"] == "westeurope"
    assert inputs["sku"] == {"name": "premium"}
    assert inputs["computeMode"] == "Hybrid"
    assert inputs["managedResourceGroupId"] == WORKSPACE.managed_resource_group_id
    # No name: Azure refuses one.
    assert inputs["defaultCatalog"] == {"initialType": "UnityCatalog"}
    assert inputs["parameters"] == {"enableNoPublicIp": {"value": True}}


def test_the_provider_enters_the_workspace_by_the_azure_cli() -> None:
    found = made(workspace)["databricks-provider"]
    assert found.inputs["host"] == "https://adb-1.2.azuredatabricks.net"
    assert found.inputs["azureWorkspaceResourceId"] == WORKSPACE_ID
    assert found.inputs["authType"] == "azure-cli"
    assert {"token", "azureClientSecret"}.isdisjoint(found.inputs)


def test_the_managed_group_lies_beside_the_other_in_the_same_subscription() -> None:
    expected = "/subscriptions/0000-1111/resourceGroups/rg-managed"
    assert managed_resource_group_id(GROUP_ID, "rg-managed") == expected
    lower = GROUP_ID.replace("resourceGroups", "resourcegroups")
    assert managed_resource_group_id(lower, "rg-managed") == expected


@pytest.mark.parametrize("id_", ["", "rg-one", WORKSPACE_ID, "/subscriptions/1/providers/x"])
def test_another_id_is_no_resource_group_s(id_: str) -> None:
    with pytest.raises(ValueError, match="not the ARM id of a resource group"):
        managed_resource_group_id(id_, "rg-managed")


def test_the_registry_has_no_password_and_no_anonymous_access() -> None:
    inputs = made(registry)["images-registry"].inputs
    assert inputs["sku"] == {"name": "Standard"}
    assert inputs["registryName"] == "crone"
    assert inputs["adminUserEnabled"] is False
    assert inputs["anonymousPullEnabled"] is False


def test_the_registry_tells_its_id_and_server() -> None:
    outputs: dict[str, str] = {}

    def program() -> None:
        images = registry()
        images.id.apply(lambda id_: outputs.update(id=id_))
        images.server.apply(lambda server: outputs.update(server=server))

    made(program)
    assert outputs == {"id": "/r", "server": "one.azurecr.io"}


def test_logs_are_kept_for_a_time_and_up_to_an_amount() -> None:
    inputs = made(logs)["logs-workspace"].inputs
    assert inputs["workspaceName"] == "log-one"
    assert inputs["sku"] == {"name": "PerGB2018"}
    assert inputs["retentionInDays"] == 90
    assert inputs["workspaceCapping"] == {"dailyQuotaGb": 2}
    assert inputs["features"]["disableLocalAuth"] is True


def test_the_budget_watches_the_group_from_the_first_of_the_month() -> None:
    found = made(budget)["budget-monthly"]
    assert found.inputs["scope"] == GROUP_ID
    assert found.inputs["budgetName"] == "budget-one"
    assert found.inputs["amount"] == 250
    assert found.inputs["timeGrain"] == "Monthly"
    assert found.inputs["timePeriod"] == {"startDate": "2026-11-01T00:00:00Z"}
    assert list(found.request.ignoreChanges) == ["timePeriod"]


def test_somebody_is_told_at_80_percent_and_when_all_will_be_spent() -> None:
    told = made(budget)["budget-monthly"].inputs["notifications"]
    assert {(n["thresholdType"], n["threshold"]) for n in told.values()} == {
        ("Actual", 80),
        ("Forecasted", 100),
    }
    for notification in told.values():
        assert notification["enabled"] is True
        assert notification["operator"] == "GreaterThanOrEqualTo"
        assert notification["contactEmails"] == ["owner@contoso.com"]
        assert "contactRoles" not in notification


def test_with_no_address_the_owners_are_told() -> None:
    found = made(lambda: budget(replace(BUDGET, emails=())))["budget-monthly"]
    for notification in found.inputs["notifications"].values():
        assert notification["contactEmails"] == []
        assert notification["contactRoles"] == ["Owner"]
