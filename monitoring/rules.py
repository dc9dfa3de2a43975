"""The alert rules, as data: which query is asked how often, over how long, and how much it matters.

A rule fires when its query has a row whose `Alarm` is true; the bounds are the query's own, so that
a chart and an alert never disagree. `docs/runbook.md` says what to do, under the rule's name.
"""

from dataclasses import dataclass

from monitoring.queries import Span

__all__ = ["ONLY_ALARMS", "RULES", "Rule"]

ONLY_ALARMS = "| where Alarm\n"
"""What makes an alert of a query."""

_DAY = 1440


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An alert rule.

    `window_minutes` is what the query looks at, all of it as one step; `every_minutes` how often.
    One evaluation is enough: what Azure calls several are windows side by side, told apart by a
    time in each row, and a query about one step has one. `severity` is Azure's: 0 critical, 1
    error, 2 warning, 3 informational; at 1 somebody is got out of bed.
    """

    query: str
    title: str
    description: str
    severity: int
    window_minutes: int
    every_minutes: int

    @property
    def span(self) -> Span:
        """What the query looks at."""
        return Span.one_step(self.window_minutes)


RULES = (
    Rule(
        query="silence",
        title="The API is silent",
        description="No replica has written a line for 15 minutes: none runs, or no log arrives.",
        severity=1,
        # Longer than the silence, so that the row says when it began.
        window_minutes=30,
        every_minutes=5,
    ),
    Rule(
        query="errors",
        title="The API fails requests",
        description="More requests end in a 5xx than the stack's setting alertErrorPercent allows.",
        severity=1,
        window_minutes=15,
        every_minutes=5,
    ),
    Rule(
        query="latency",
        title="The API is slow",
        description="The 95th percentile of predictions is above the setting alertLatencyMs.",
        severity=2,
        window_minutes=60,
        every_minutes=10,
    ),
    Rule(
        query="restarts",
        title="A container restarts again and again",
        description="One container was restarted three times or more within an hour.",
        severity=2,
        window_minutes=60,
        every_minutes=15,
    ),
    Rule(
        query="outliers",
        title="More outliers than expected",
        description="More of the records are outliers than chance explains, and twice the expected "
        "share or more.",
        severity=3,
        window_minutes=_DAY,
        every_minutes=60,
    ),
    Rule(
        query="drift",
        title="The population has drifted",
        description="At least one field is spread otherwise than in the release's table.",
        severity=3,
        window_minutes=_DAY,
        every_minutes=60,
    ),
    Rule(
        query="scores",
        title="The scores have shifted",
        description="The predicted probabilities are spread otherwise than over the release's "
        "table.",
        severity=3,
        window_minutes=_DAY,
        every_minutes=60,
    ),
)
"""Every rule, one for each query that has an alarm; the most urgent first."""
