"""The report's plots: one question each, drawn as SVG from a query's rows.

Matplotlib's object interface alone: no window system, and no setting of whoever runs it. Text stays
text: it can be searched, read aloud, and checked by tests. Colours are Okabe and Ito's, which
people with any colour vision can tell apart; an alarm has a mark of its own as well.
"""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

__all__ = ["PLOTS", "Rows", "draw"]

Rows = Sequence[Mapping[str, Any]]

_BLUE, _VERMILLION, _GREEN, _GREY, _INK = "#0072B2", "#D55E00", "#009E73", "#6B6B6B", "#222222"
_WIDTH = 5.2
"""Inches; the page makes them as wide as its column."""
_LEAST_PSI = 0.001
"""Where the scale begins; below is nothing to see."""
_LIMIT: dict[str, Any] = {"color": _VERMILLION, "linewidth": 1.2, "linestyle": (0, (4, 2))}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "employee-retention",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "savefig.transparent": True,
}


def draw(name: str, rows: Rows) -> str:
    """Return the plot `name` of `PLOTS` as an SVG element; `rows` must not be empty."""
    height, plot = PLOTS[name]
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        plot(figure.add_subplot(), rows)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    # From the element on, for a page has its own prologue; and without who made it.
    svg = re.sub(r"<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    # Every picture counts its parts from 1, and a page has several.
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg[svg.index("<svg") :])


def _requests(axes: Axes, rows: Rows) -> None:
    for release, part in _by(rows, "Release"):
        axes.plot(*_points(part, "PerMinute"), marker=".", label=f"release {release}")
    axes.set_ylabel("a minute")
    axes.set_ylim(bottom=0)
    _time_axis(axes)


def _latency(axes: Axes, rows: Rows) -> None:
    releases = _by(rows, "Release")
    lines = (("P50", _BLUE, "o"), ("P95", _INK, "s"), ("P99", _GREY, "^"))
    for release, part in releases:
        which = f", release {release}" if len(releases) > 1 else ""
        for name, colour, marker in lines:
            points = _points(part, name)
            label = f"{name}{which}"
            axes.plot(*points, color=colour, marker=marker, markersize=3, label=label)
    axes.axhline(rows[0]["Limit"], label="limit of P95", **_LIMIT)
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    _time_axis(axes)


def _errors(axes: Axes, rows: Rows) -> None:
    _shares(axes, rows, "share that failed")


def _outliers(axes: Axes, rows: Rows) -> None:
    axes.axhline(rows[0]["Expected"], color=_GREEN, linewidth=1.2, label="expected")
    _shares(axes, rows, "share of records")


def _shares(axes: Axes, rows: Rows, label: str) -> None:
    times, shares = _points(rows, "Share")
    axes.plot(times, shares, color=_BLUE, marker="o", markersize=3.5, label="seen")
    axes.plot(*_points(rows, "Limit"), label="limit at that count", **_LIMIT)
    _mark_alarms(axes, rows, "Time", "Share")
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    highest = max(max(shares), min(1.0, sorted(row["Limit"] for row in rows)[len(rows) // 2]))
    # A limit for a handful of records lies far above anything; it may leave the picture.
    axes.set_ylim(0, min(1.02, 1.3 * highest + 0.005))
    _time_axis(axes)


def _drift(axes: Axes, rows: Rows) -> None:
    """Draw the fields from calm to drifted, each with its own limit, on a scale that shows both."""
    ordered = sorted(rows, key=lambda row: row["Psi"] / row["Limit"])
    for place, row in enumerate(ordered):
        end = max(row["Psi"], _LEAST_PSI)
        colour, marker = (_VERMILLION, "X") if row["Alarm"] else (_BLUE, "o")
        axes.plot([_LEAST_PSI, end], [place, place], color=colour, linewidth=2.2)
        axes.plot([end], [place], color=colour, marker=marker, markersize=6)
        if row["Alarm"]:
            beside: Any = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate("drift", (end, place), **beside, fontsize=8, fontweight="bold")
    limits = [row["Limit"] for row in ordered]
    places = range(len(ordered))
    axes.scatter(limits, places, marker="|", s=90, color=_INK, label="limit of the field")
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_PSI, 3 * max(1.0, *limits, *(row["Psi"] for row in ordered)))
    axes.set_yticks(places, [row["Feature"] for row in ordered], fontsize=8)
    axes.set_ylim(-0.8, len(ordered) - 0.2)
    axes.set_xlabel("population stability index (PSI)")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")


def _scores(axes: Axes, rows: Rows) -> None:
    starts = [row["From"] for row in rows]
    shares = [row["Share"] for row in rows]
    axes.bar(starts, shares, width=0.09, align="edge", color=_BLUE, label="asked about")
    axes.stairs(
        [row["ReferenceShare"] for row in rows],
        [*starts, starts[-1] + 0.1],
        color=_INK,
        linewidth=1.4,
        label="the release's table",
    )
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of records")
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend()


PLOTS = {
    "drift": (7.6, _drift),
    "scores": (2.4, _scores),
    "outliers": (2.2, _outliers),
    "latency": (2.2, _latency),
    "errors": (2.2, _errors),
    "requests": (2.2, _requests),
}
"""By query, in the page's order: height in inches, and what draws it."""


def _by(rows: Rows, key: str) -> list[tuple[Any, Rows]]:
    values = sorted({row[key] for row in rows})
    return [(value, [row for row in rows if row[key] == value]) for value in values]


def _points(rows: Rows, key: str) -> tuple[list[Any], list[float]]:
    return [row["Time"] for row in rows], [float(row[key]) for row in rows]


def _mark_alarms(axes: Axes, rows: Rows, x: str, y: str) -> None:
    if alarms := [row for row in rows if row["Alarm"]]:
        places = [row[x] for row in alarms], [row[y] for row in alarms]
        axes.scatter(*places, marker="X", s=50, color=_VERMILLION, zorder=3, label="alarm")


def _time_axis(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.2), borderaxespad=0)
