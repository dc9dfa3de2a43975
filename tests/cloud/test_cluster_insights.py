"""Which logs are kept: those of the namespaces named, and no others."""

from typing import Any

from cluster_world import CLUSTER_ID, LOGS, TAGS

from infra.container_insights import ContainerInsights, ContainerInsightsArgs
from tests.recorder import Recorder, known, record

STREAMS = ["Microsoft-ContainerLogV2", "Microsoft-KubeEvents", "Microsoft-KubePodInventory"]


def recorded(*, unknown: bool = False, **changes: Any) -> Recorder:
    settings: dict[str, Any] = {
        "resource_group_name": "rg-contoso",
        "rule_name": "dcr-contoso",
        "location": "northeurope",
        "cluster_id": CLUSTER_ID,
        "log_workspace_id": LOGS,
        "namespaces": ("attrition",),
        "tags": TAGS,
        **changes,
    }

    def program() -> None:
        ContainerInsights("logs", ContainerInsightsArgs(**settings))

    return record(program, Recorder(unknown=unknown))


def test_it_is_a_rule_and_its_association() -> None:
    found = recorded()
    assert [(each.name, each.parent) for each in found.resources[1:]] == [
        ("logs-rule", "logs"),
        ("logs-association", "logs"),
    ]


def test_the_rule_takes_the_apis_namespace_and_no_other() -> None:
    inputs = recorded()["logs-rule"].inputs
    (source,) = inputs["dataSources"]["extensions"]
    assert source == {
        "name": "ContainerInsightsExtension",
        "extensionName": "ContainerInsights",
        "streams": STREAMS,
        "extensionSettings": {
            "dataCollectionSettings": {
                "interval": "1m",
                "namespaceFilteringMode": "Include",
                "namespaces": ["attrition"],
                "enableContainerLogV2": True,
            }
        },
    }
    assert inputs["dataSources"].keys() == {"extensions"}


def test_what_it_takes_goes_to_the_log_store_and_nowhere_else() -> None:
    inputs = recorded()["logs-rule"].inputs
    assert inputs["destinations"] == {
        "logAnalytics": [{"name": "ciworkspace", "workspaceResourceId": LOGS}]
    }
    assert inputs["dataFlows"] == [{"streams": STREAMS, "destinations": ["ciworkspace"]}]


def test_the_rule_lives_where_the_log_store_does() -> None:
    inputs = recorded()["logs-rule"].inputs
    assert inputs["location"] == "northeurope"
    assert inputs["kind"] == "Linux"
    assert inputs["dataCollectionRuleName"] == "dcr-contoso"
    assert inputs["resourceGroupName"] == "rg-contoso"
    assert inputs["tags"] == TAGS


def test_the_cluster_is_told_by_the_name_that_its_agent_looks_for() -> None:
    association = recorded()["logs-association"]
    assert association.inputs == {
        "associationName": "ContainerInsightsExtension",
        "dataCollectionRuleId": "id-of-logs-rule",
        "resourceUri": CLUSTER_ID,
    }
    assert association.dependencies == {"logs-rule"}


def test_a_first_preview_leaves_the_rules_id_open() -> None:
    inputs = recorded(unknown=True)["logs-association"].inputs
    assert known(inputs["dataCollectionRuleId"]) == "(unknown)"
    assert inputs["resourceUri"] == CLUSTER_ID
