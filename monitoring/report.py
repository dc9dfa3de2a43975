"""The local report: the queries over one log, as a page that needs nothing but a browser.

Everything is in the page, pictures included, and it may load nothing: what it shows of people are
counts, but they are nobody else's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from contract.telemetry import MINIMUM_RECORDS
from monitoring.local import LOCAL, LogStore, last_moment
from monitoring.plots import PLOTS, Rows, draw
from monitoring.queries import Bounds, Span, fill, header
from monitoring.reference import Reference
from monitoring.rules import ONLY_ALARMS, RULES, Rule

__all__ = ["report"]

_STEPS = 24
"""Points of a line, at most."""
_LONGEST_MINUTES = 14 * 1440
_WHOLE = ("drift", "scores")
"""What is compared over the whole of the log: the more records, the more can be said."""
_NOT_HERE = ("silence", "restarts")
"""What only a cluster can tell: here nobody asks for health, and nothing is restarted."""

_STYLE = """
:root { color-scheme: light; font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff }
body { max-width: 72rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1rem; margin: 0 0 .2rem }
p { margin: .3rem 0; color: #555 }
ul { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 1rem 0; list-style: none }
li { border: 1px solid #ccc; border-left: 6px solid #009E73; padding: .4rem .8rem }
li.alarm { border-left-color: #D55E00; font-weight: 600 }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem 2rem }
figure { margin: 0 } svg { width: 100%; height: auto }
#drift { grid-row: span 3 }
details { color: #555 } pre { white-space: pre-wrap; font-size: .8rem; margin: .3rem 0 }
"""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One log and the moment just after its last line."""

    store: LogStore
    reference: Reference
    bounds: Bounds
    now: datetime

    def rows(self, query: str, span: Span, end: str = "") -> Rows:
        text = fill(query, place=LOCAL, reference=self.reference, bounds=self.bounds, span=span)
        return self.store.query(text + end, now=self.now)


def report(lines: Sequence[Mapping[str, Any]], reference: Reference, bounds: Bounds) -> str:
    """Return the page about the lines, of which there must be one, as it is at the last of them."""
    found = [dict(line) for line in lines]
    store = LogStore()
    store.add_lines(found)
    now = last_moment(found)
    asked = _Asked(store=store, reference=reference, bounds=bounds, now=now)
    span = _span(min(datetime.fromisoformat(line["time"]) for line in found), now)
    tiles = "\n".join(_tile(asked, rule) for rule in RULES if rule.query not in _NOT_HERE)
    figures = "\n".join(_figure(asked, query, span) for query in PLOTS)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>Employee retention: monitoring of release {escape(reference.release)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Release {escape(reference.release)}, as of {now:%Y-%m-%d %H:%M} UTC</h1>
<p>{len(found):,} log lines of the last {_words(span.minutes)}, by the queries that watch the stacks
on Azure. What an alert means, and what to do: docs/runbook.md.</p>
<ul aria-label="Alerts">
{tiles}
</ul>
<main>
{figures}
</main>
</body>
</html>
"""


def _span(first: datetime, now: datetime) -> Span:
    """Reach back to the first line, in steps of whole minutes."""
    minutes = math.ceil((now - first) / timedelta(minutes=1)) + 1
    step = math.ceil(min(minutes, _LONGEST_MINUTES) / _STEPS)
    return Span(minutes=min(step * _STEPS, _LONGEST_MINUTES), step_minutes=step)


def _tile(asked: _Asked, rule: Rule) -> str:
    """Say whether the alert would fire now, over its own window."""
    alarms = asked.rows(rule.query, rule.span, ONLY_ALARMS)
    state = "alarm" if alarms else "well"
    title = f"{rule.description} Window: {_words(rule.window_minutes)}."
    return (
        f'<li class="{state}" id="{rule.query}-verdict" title="{escape(title)}">'
        f"{escape(rule.title)}: {'yes' if alarms else 'no'}</li>"
    )


def _figure(asked: _Asked, query: str, span: Span) -> str:
    words = header(query)
    question = " ".join(words.partition("Columns:")[0].removeprefix("Question:").split())
    question = f"{question[0].upper()}{question[1:]}"
    rows = asked.rows(query, Span.one_step(span.minutes) if query in _WHOLE else span)
    picture = draw(query, rows) if rows else f"<p>{_nothing(query)}</p>"
    label = escape(f"{question} {_summary(query, rows)}")
    return f"""<figure id="{query}" role="group" aria-label="{label}">
<h2>{escape(question)}</h2>
<p>{escape(_summary(query, rows))}</p>
{picture}
<details><summary>How to read it</summary><pre>{escape(words)}</pre></details>
</figure>"""


def _nothing(query: str) -> str:
    if query in _WHOLE:
        return (
            f"No window yet: one is written when at least {MINIMUM_RECORDS} records are in (as "
            "windowRecords) and a minute has passed (as windowSeconds)."
        )
    return "No such request yet."


def _summary(query: str, rows: Rows) -> str:
    """Say in one line what the picture shows."""
    if not rows:
        return ""
    match query:
        case "drift":
            drifted = [row["Feature"] for row in rows if row["Alarm"]]
            which = ", ".join(drifted) or "none"
            return f"{rows[0]['Records']:,} records; drifted: {which}."
        case "scores":
            first = rows[0]
            return f"PSI {first['Psi']:.3f}, limit {first['Limit']:.3f}."
        case "outliers":
            outliers, records = _sum(rows, "Outliers"), _sum(rows, "Records")
            share = f"{outliers / records:.1%}, {rows[0]['Expected']:.1%} expected"
            return f"{outliers:,} of {records:,} records ({share})."
        case "latency":
            slowest = max(row["P95"] for row in rows)
            return f"The slowest step's 95th percentile: {slowest:.1f} ms."
        case "errors":
            return f"{_sum(rows, 'Errors'):,} of {_sum(rows, 'Requests'):,} requests failed."
        case _:
            requests, records = _sum(rows, "Requests"), _sum(rows, "Records")
            return f"{requests:,} requests about {records:,} records."


def _sum(rows: Rows, key: str) -> int:
    return sum(int(row[key]) for row in rows)


def _words(minutes: int) -> str:
    for length, unit in ((1440, "days"), (60, "hours")):
        if minutes >= 2 * length:
            return f"{minutes / length:.0f} {unit}"
    return f"{minutes} minutes"
