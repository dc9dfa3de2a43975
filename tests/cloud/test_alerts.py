"""The alerts of an environment: `monitoring/`, filled, as resources that Azure takes."""

import json
import re
from typing import Any

import pulumi
import pytest
from cluster_world import CLUSTER_ID, LOGS, TAGS

from infra.alerts import Alerts, AlertsArgs, workspace_of
from infra.role_assignment import ResourceIdError
from monitoring.queries import QUERIES, Bounds
from monitoring.rules import RULES
from tests.recorder import Recorder, known, record

COUNTS = {"Age": [900.0, 570.0], "score": [1_400.0, 70.0]}
EMAILS = ("on-call@contoso.example", "ml@contoso.example")


SETTINGS: dict[str, Any] = {
    "resource_group_name": "rg-contoso",
    "environment": "staging",
    "location": "northeurope",
    "log_workspace_id": LOGS,
    "cluster_id": CLUSTER_ID,
    "namespace": "attrition",
    "release": "7",
    "counts": COUNTS,
    "bounds": Bounds(latency_ms=300, error_share=0.02),
    "emails": EMAILS,
    "rule_names": {rule.query: f"alert-{rule.query}" for rule in RULES},
    "search_names": {query: f"query-{query}" for query in QUERIES},
    "action_group_name": "ag-contoso",
    "workbook_name": "00000000-0000-0000-0000-000000000001",
    "tags": TAGS,
}


def recorded(**changes: Any) -> Recorder:
    def program() -> None:
        Alerts("alerts", AlertsArgs(**{**SETTINGS, **changes}))

    return record(program)


def test_there_is_a_search_a_query_and_a_rule_an_alarm() -> None:
    found = recorded()
    names = {each.name for each in found.resources} - {"alerts"}
    assert names == {
        "alerts-action-group",
        "alerts-workbook",
        *(f"alerts-search-{query}" for query in QUERIES),
        *(f"alerts-rule-{rule.query}" for rule in RULES),
    }
    assert {each.parent for each in found.resources if each.custom} == {"alerts"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.query)
def test_a_rule_is_as_the_data_says(rule: Any) -> None:
    inputs = recorded()[f"alerts-rule-{rule.query}"].inputs
    assert inputs["severity"] == rule.severity
    assert minutes(inputs["windowSize"]) == rule.window_minutes
    assert minutes(inputs["evaluationFrequency"]) == rule.every_minutes
    assert inputs["displayName"] == f"{rule.title} (staging)"
    assert rule.title in inputs["description"]
    assert inputs["scopes"] == [LOGS]
    assert inputs["location"] == "northeurope"
    assert inputs["tags"] == TAGS
    assert inputs["skipQueryValidation"] is True
    assert inputs["actions"] == {"actionGroups": ["id-of-alerts-action-group"]}
    (condition,) = inputs["criteria"]["allOf"]
    assert condition["query"].endswith("| where Alarm\n")
    assert (condition["timeAggregation"], condition["operator"]) == ("Count", "GreaterThan")
    assert condition["threshold"] == 0
    assert condition["failingPeriods"] == {
        "numberOfEvaluationPeriods": 1,
        "minFailingPeriodsToAlert": 1,
    }


def minutes(text: str) -> int:
    """Read a length of time as ARM writes it."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", text)
    assert found
    days, hours, rest = (int(part or 0) for part in found.groups())
    return 1440 * days + 60 * hours + rest


def test_the_cluster_the_release_and_the_bounds_are_in_the_texts() -> None:
    found = recorded()
    texts = {query: found[f"alerts-search-{query}"].inputs["query"] for query in QUERIES}
    assert all(f"let cluster = '{CLUSTER_ID}';" in text for text in texts.values())
    assert all("let namespace = 'attrition';" in text for text in texts.values())
    assert "let release = '7';" in texts["drift"]
    assert 'dynamic({"Age":[900,570],"score":[1400,70]})' in texts["drift"]
    assert "let latency_limit_ms = 300.0;" in texts["latency"]
    assert "let error_share = 0.02;" in texts["errors"]


def test_a_search_is_kept_in_the_log_store_and_replaced_when_it_changes() -> None:
    search = recorded()["alerts-search-drift"]
    assert search.inputs["resourceGroupName"] == "rg-shared"
    assert search.inputs["workspaceName"] == "log-contoso"
    assert search.inputs["savedSearchId"] == "query-drift"
    assert search.inputs["displayName"] == "Drift (staging)"
    assert set(search.request.replaceOnChanges) == {"query", "displayName", "category"}
    assert search.request.deleteBeforeReplace


def test_those_of_the_setting_are_written_to() -> None:
    inputs = recorded()["alerts-action-group"].inputs
    assert [each["emailAddress"] for each in inputs["emailReceivers"]] == list(EMAILS)
    assert all(each["useCommonAlertSchema"] for each in inputs["emailReceivers"])
    assert len(inputs["groupShortName"]) <= 12
    assert inputs["location"].lower() == "global"
    nobody = recorded(emails=())["alerts-action-group"].inputs
    assert not nobody.get("emailReceivers")


def test_the_workbook_is_of_this_release_and_this_environment() -> None:
    inputs = recorded()["alerts-workbook"].inputs
    book = json.loads(inputs["serializedData"])
    assert "release 7" in book["items"][0]["content"]["json"]
    assert inputs["displayName"] == "Employee retention (staging)"
    assert inputs["sourceId"] == LOGS
    assert inputs["resourceName"] == "00000000-0000-0000-0000-000000000001"


def test_a_preview_needs_no_release() -> None:
    """What reads the counts has no outputs yet."""

    class Reader(pulumi.CustomResource):
        counts: pulumi.Output[Any]

    def program() -> None:
        reader = Reader("test:index:Reader", "reader", {"counts": None})
        settings: dict[str, Any] = {**SETTINGS, "counts": reader.counts}
        Alerts("alerts", AlertsArgs(**settings))

    found = record(program, Recorder(unknown=True))
    assert known(found["alerts-search-drift"].inputs["query"]) == "(unknown)"
    assert known(found["alerts-workbook"].inputs["serializedData"]) == "(unknown)"
    assert found["alerts-rule-drift"].inputs["severity"] == 3


@pytest.mark.parametrize("id_", [LOGS, LOGS.lower()])
def test_a_workspace_is_found_in_its_id(id_: str) -> None:
    assert workspace_of(id_) == ("rg-shared", "log-contoso")


@pytest.mark.parametrize("id_", ["", CLUSTER_ID, f"{LOGS}/tables/x"])
def test_what_is_no_workspace_s_id_is_refused(id_: str) -> None:
    with pytest.raises(ResourceIdError, match="is not the ARM id of a Log Analytics workspace"):
        workspace_of(id_)
