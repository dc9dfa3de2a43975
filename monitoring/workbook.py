"""The workbook: one page on which the person on call sees within a minute what is wrong.

From top to bottom: is anything the matter (a tile for each alert), is the service well (requests,
latency, errors side by side), are the answers worth anything (outliers, scores, drift), and a small
chart for each field. Every item runs a query of `queries/`; nothing is a table but restarts.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from monitoring.queries import Bounds, Place, Span, fill
from monitoring.reference import Reference
from monitoring.rules import RULES, Rule

__all__ = ["WorkbookFacts", "workbook"]

_DAY = 1440
_TODAY = Span(minutes=_DAY, step_minutes=15)
_ONE_DAY = Span.one_step(_DAY)
_WEEKS = Span(minutes=14 * _DAY, step_minutes=_DAY)

_SMALL, _TINY = 1, 4
"""Azure's codes of a chart's height."""

_SCHEMA = (
    "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
)


@dataclass(frozen=True, kw_only=True)
class WorkbookFacts:
    """What the workbook is about; `log_workspace_id` is where its queries run."""

    log_workspace_id: str
    place: Place
    reference: Reference
    bounds: Bounds

    def filled(self, query: str, span: Span) -> str:
        """Return the text of `query` about them; raise as `fill` does."""
        return fill(
            query, place=self.place, reference=self.reference, bounds=self.bounds, span=span
        )


def workbook(facts: WorkbookFacts) -> str:
    """Return the workbook as the JSON text that Azure stores."""
    items = [
        _text(
            "title",
            f"## Employee retention: release {facts.reference.release}\n"
            "Red: an alert has fired or is about to. The runbook says what to do, under its title.",
        ),
        *(_verdict(facts, rule) for rule in RULES),
        _text("service", "### Is the service well? The last 24 hours"),
        *_service(facts),
        _text("answers", "### Are the answers worth anything?"),
        *_answers(facts),
        _text(
            "fields",
            "### Which field has drifted? PSI by day, 14 days; above `Limit` it is not chance",
        ),
        *(_field(facts, name) for name in facts.reference.features),
    ]
    content = {
        "version": "Notebook/1.0",
        "items": items,
        "fallbackResourceIds": [facts.log_workspace_id],
        "$schema": _SCHEMA,
    }
    return json.dumps(content, separators=(",", ":"))


def _verdict(facts: WorkbookFacts, rule: Rule) -> dict[str, Any]:
    """Make an alert's tile, of its very query over its very window."""
    end = (
        "| summarize Alarms = countif(Alarm)\n"
        f"| project Question = '{rule.title}', State = iff(Alarms > 0, 'alarm', 'well')\n"
    )
    tile = {
        "titleContent": {"columnMatch": "Question", "formatter": 1},
        "leftContent": {
            "columnMatch": "State",
            "formatter": 18,
            "formatOptions": {
                "thresholdsOptions": "icons",
                "thresholdsGrid": [
                    {
                        "operator": "==",
                        "thresholdValue": "alarm",
                        "representation": "4",
                        "text": "{0}{1}",
                    },
                    {"operator": "Default", "representation": "success", "text": "{0}{1}"},
                ],
            },
        },
        "showBorder": True,
    }
    return _item(
        *(facts, f"{rule.query}-verdict", "", rule.query, end),
        span=rule.span,
        width=25,
        size=_TINY,
        visualization="tiles",
        tileSettings=tile,
    )


def _service(facts: WorkbookFacts) -> list[dict[str, Any]]:
    charts = (
        ("requests", "Requests a minute, by release", "| project Time, Release, PerMinute\n"),
        ("latency", "95th percentile, milliseconds", "| project Time, Release, P95\n"),
        ("errors", "Share of failed requests (5xx)", "| project Time, Release, Share\n"),
    )
    restarts = _item(
        *(facts, "restarts", "Containers that were restarted", "restarts", ""),
        span=_ONE_DAY,
        width=100,
        size=_TINY,
        visualization="table",
    )
    return [
        *(
            _item(facts, name, title, name, end, span=_TODAY, width=33, visualization="timechart")
            for name, title, end in charts
        ),
        restarts,
    ]


def _answers(facts: WorkbookFacts) -> list[dict[str, Any]]:
    """Draw the share of outliers, the scores and the worst fields side by side."""
    outliers = _item(
        *(facts, "outliers", "Share of outliers by day, 14 days", "outliers"),
        "| project Time, Share, Expected, Limit\n",
        span=_WEEKS,
        width=33,
        visualization="timechart",
    )
    scores = _item(
        *(facts, "scores", "Scores beside the release's table, 24 hours", "scores"),
        "| project Score = strcat(tostring(round(From, 1)), ' and up'), Share, ReferenceShare\n",
        span=_ONE_DAY,
        width=33,
        visualization="categoricalbar",
    )
    drift = _item(
        *(facts, "drift", "PSI in parts of its limit, worst ten, 24 hours", "drift"),
        "| project Feature, OfLimit = Psi / Limit\n| top 10 by OfLimit desc\n",
        span=_ONE_DAY,
        width=33,
        visualization="categoricalbar",
    )
    return [outliers, scores, drift]


def _field(facts: WorkbookFacts, name: str) -> dict[str, Any]:
    """Draw one field; its query carries its own counts and no others."""
    alone = replace(facts, reference=facts.reference.only(name))
    return _item(
        *(alone, f"drift-{name}", name, "drift", "| project Time, Psi, Limit\n"),
        span=_WEEKS,
        width=20,
        size=_TINY,
        visualization="timechart",
    )


def _text(name: str, text: str) -> dict[str, Any]:
    return {"type": 1, "name": name, "content": {"json": text}}


def _item(
    facts: WorkbookFacts,
    name: str,
    title: str,
    query: str,
    end: str,
    *,
    span: Span,
    width: int,
    size: int = _SMALL,
    **content: Any,
) -> dict[str, Any]:
    """Make an item that runs `query` followed by `end`; `width` is in percent of the page."""
    return {
        "type": 3,
        "name": name,
        "customWidth": f"{width}",
        "content": {
            "version": "KqlItem/1.0",
            "query": facts.filled(query, span) + end,
            "size": size,
            "title": title,
            "timeContext": {"durationMs": span.minutes * 60_000},
            "queryType": 0,
            "resourceType": "microsoft.operationalinsights/workspaces",
            "crossComponentResources": [facts.log_workspace_id],
            **content,
        },
    }
