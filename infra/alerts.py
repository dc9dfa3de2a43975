"""Who is told what of an environment: its queries, alert rules and workbook in the log store.

All of it is `monitoring/`, filled with this environment's cluster and the counts of the release
that is deployed: another release writes the queries anew. Whether a bound is right is said there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights, monitor, operationalinsights

from infra.role_assignment import ResourceIdError
from monitoring.queries import QUERIES, Bounds, Place, Span
from monitoring.reference import Reference
from monitoring.rules import ONLY_ALARMS, RULES, Rule
from monitoring.workbook import WorkbookFacts, workbook

__all__ = ["Alerts", "AlertsArgs", "workspace_of"]

_SEARCH_SPAN = Span(minutes=1440, step_minutes=60)
"""What a saved search looks at until whoever opened it says otherwise: a day, by the hour."""
_SHORT_NAME = "attrition"
"""How a mail calls the action group; at most 12 characters."""
_WORKSPACE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.OperationalInsights/workspaces/([^/]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """What is watched, and who is told.

    `environment` is in every title: the environments share one log store. `location` is the log
    store's. `release` and `counts` are what `ReleaseReference` found. `rule_names` and
    `search_names` are the physical names by query; `workbook_name` is a GUID. With no `emails` an
    alert is seen in the portal alone.
    """

    resource_group_name: pulumi.Input[str]
    environment: str
    location: pulumi.Input[str]
    log_workspace_id: pulumi.Input[str]
    cluster_id: pulumi.Input[str]
    namespace: str
    release: pulumi.Input[str]
    counts: pulumi.Input[Mapping[str, Any]]
    bounds: Bounds
    emails: Sequence[str]
    rule_names: Mapping[str, str]
    search_names: Mapping[str, str]
    action_group_name: str
    workbook_name: str
    tags: Mapping[str, str]


class Alerts(pulumi.ComponentResource):
    """A saved search for each query, an alert rule for each rule, an action group, a workbook.

    `workbook_id` is the workbook's ARM id.
    """

    workbook_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: AlertsArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:alerts:Alerts", name, None, opts)
        self._name = name
        self._args = args
        group = self._create_action_group()
        for query in QUERIES:
            self._create_search(query)
        for rule in RULES:
            self._create_rule(rule, group)
        self.workbook_id = self._create_workbook().id
        self.register_outputs({"workbook_id": self.workbook_id})

    def _create_action_group(self) -> monitor.ActionGroup:
        args = self._args
        receivers = [
            monitor.MicrosoftCommonEmailReceiverArgs(
                name=email, email_address=email, use_common_alert_schema=True
            )
            for email in args.emails
        ]
        return monitor.ActionGroup(
            f"{self._name}-action-group",
            monitor.ActionGroupInitArgs(
                resource_group_name=args.resource_group_name,
                action_group_name=args.action_group_name,
                group_short_name=_SHORT_NAME,
                location="global",
                enabled=True,
                email_receivers=receivers,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_search(self, query: str) -> None:
        args = self._args
        where = pulumi.Output.from_input(args.log_workspace_id).apply(workspace_of)
        operationalinsights.SavedSearch(
            f"{self._name}-search-{query}",
            operationalinsights.SavedSearchArgs(
                resource_group_name=where[0],
                workspace_name=where[1],
                saved_search_id=args.search_names[query],
                category=f"Employee retention, {args.environment}",
                display_name=f"{query.title()} ({args.environment})",
                query=self._with_facts(lambda facts: facts.filled(query, _SEARCH_SPAN)),
                version=2,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                # To a second PUT without an etag, for which there is no input, Azure answers 409.
                replace_on_changes=["query", "displayName", "category"],
                delete_before_replace=True,
            ),
        )

    def _create_rule(self, rule: Rule, group: monitor.ActionGroup) -> None:
        args = self._args
        condition = monitor.ConditionArgs(
            query=self._with_facts(lambda facts: facts.filled(rule.query, rule.span) + ONLY_ALARMS),
            time_aggregation="Count",
            operator="GreaterThan",
            threshold=0,
            failing_periods=monitor.ConditionFailingPeriodsArgs(
                number_of_evaluation_periods=1, min_failing_periods_to_alert=1
            ),
        )
        monitor.ScheduledQueryRule(
            f"{self._name}-rule-{rule.query}",
            monitor.ScheduledQueryRuleArgs(
                resource_group_name=args.resource_group_name,
                rule_name=args.rule_names[rule.query],
                location=args.location,
                kind="LogAlert",
                display_name=f"{rule.title} ({args.environment})",
                description=f"{rule.description} What to do: docs/runbook.md, {rule.title!r}.",
                scopes=[args.log_workspace_id],
                severity=rule.severity,
                enabled=True,
                window_size=_iso(rule.window_minutes),
                evaluation_frequency=_iso(rule.every_minutes),
                auto_mitigate=True,
                # Its tables are there only once the first line has arrived.
                skip_query_validation=True,
                criteria=monitor.ScheduledQueryRuleCriteriaArgs(all_of=[condition]),
                actions=monitor.ActionsArgs(action_groups=[group.id]),
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_workbook(self) -> applicationinsights.Workbook:
        args = self._args
        # No WorkbookArgs: their `resource_name` collides with the constructor's own (SDK 3.29).
        return applicationinsights.Workbook(
            f"{self._name}-workbook",
            resource_group_name=args.resource_group_name,
            resource_name_=args.workbook_name,
            location=args.location,
            category="workbook",
            kind="shared",
            display_name=f"Employee retention ({args.environment})",
            source_id=args.log_workspace_id,
            serialized_data=self._with_facts(workbook),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _with_facts(self, make: Callable[[WorkbookFacts], str]) -> pulumi.Output[str]:
        """Make a text of what is known only once release and cluster are."""
        args = self._args

        def made(found: dict[str, Any]) -> str:
            return make(
                WorkbookFacts(
                    log_workspace_id=found["workspace"],
                    place=Place(cluster=found["cluster"], namespace=args.namespace),
                    reference=Reference.checked(found["release"], found["counts"]),
                    bounds=args.bounds,
                )
            )

        return pulumi.Output.all(
            workspace=args.log_workspace_id,
            cluster=args.cluster_id,
            release=args.release,
            counts=args.counts,
        ).apply(made)


def workspace_of(id_: str) -> tuple[str, str]:
    """Return a log workspace's resource group and name.

    Raises:
        ResourceIdError: it is not the ARM id of one.
    """
    found = _WORKSPACE.fullmatch(id_)
    if not found:
        raise ResourceIdError(f"{id_!r} is not the ARM id of a Log Analytics workspace")
    return found[1], found[2]


def _iso(minutes: int) -> str:
    """Write a length of time as ARM does, days and hours where they are whole."""
    if minutes % 1440 == 0:
        return f"P{minutes // 1440}D"
    return f"PT{minutes // 60}H" if minutes % 60 == 0 else f"PT{minutes}M"
