"""Plots of what was measured beside the classifier's accuracy: fairness, drift and outliers."""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.drift.detector import FALSE_ALARM_LEVEL
from training.evaluation.evidence import Evidence
from training.report.plots_style import (
    COLOURS,
    HEADER,
    INK,
    MARKERS,
    errors,
    new_figure,
    panel,
    percent_axis,
)

__all__ = ["drift", "fairness", "outliers"]

_TESTS: Mapping[str, str] = {
    "status": "any test",
    "ks": "numbers",
    "chi_squared": "categories",
    "joint": "all fields at once",
}
_CHANGES: Mapping[str, str] = {
    "shift": "A number moved",
    "mix": "A category grew",
    "correlation": "A dependence broke",
}
_RATES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("Selected", "all", {"selection_rate": "selected", "leave_rate": "left"}),
    ("Leavers found (TPR)", "leavers", {"true_positive_rate": "leavers found"}),
    ("Stayers selected (FPR)", "stayers", {"false_positive_rate": "stayers selected"}),
)
"""Panels: title, of whom the rates are shares, and the rates with what they are called."""

_DETECTORS: Mapping[str, str] = {
    "caught": "this release",
    "isolation_forest": "isolation forest",
    "local_outlier_factor": "local outlier factor",
}
_APART = 0.13
"""Distance between the points of neighbouring series, in places of the axis."""

_BELOW = 0.3
"""The same where a row is a group."""

_Row = tuple[str, Mapping[str, Any] | None]
"""A label, and the group's figures; an attribute's heading has none."""


def drift(evidence: Evidence) -> Figure:
    """Draw false alarms and power with 95 % intervals by window size, and the stated level."""
    alarms = cast("list[dict[str, Any]]", evidence["drift"]["alarms"])
    power = cast("list[dict[str, Any]]", evidence["drift"]["power"])
    sizes = [f"{row['window']:,}" for row in alarms]
    figure = new_figure(
        "Is drift noticed, and only where there is drift?",
        f"Stated: at most {FALSE_ALARM_LEVEL:.0%} of windows without drift raise an alarm. "
        "Bars: 95% intervals.",
        height=6.0,
    )
    axes = panel(figure, left=0.65, top=HEADER, width=3.95, height=1.35)
    axes.axhline(
        FALSE_ALARM_LEVEL, color=INK, linestyle="--", linewidth=1.0, label="stated level (any test)"
    )
    for series, (test, label) in enumerate(_TESTS.items()):
        _points(axes, [row[test] for row in alarms], series, len(_TESTS), label)
    axes.set(title="False alarms, by test", ylabel="share of windows")
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _window_axis(axes, sizes)
    for place, (change, title) in enumerate(_CHANGES.items()):
        axes = panel(figure, left=0.65 + 1.88 * place, top=2.95, width=1.7, height=1.65)
        rows = [row for row in power if row["change"] == change]
        features = list(dict.fromkeys(row["feature"] for row in rows))
        for series, feature in enumerate(features):
            found = [row["status"] for row in rows if row["feature"] == feature]
            _points(axes, found, series, len(features), feature)
        axes.set(title=title, ylim=(-0.02, 1.05))
        axes.set_ylabel("" if place else "share with an alarm")
        axes.tick_params(labelleft=place == 0)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.03, -0.27))
        _window_axis(axes, sizes)
    return figure


def fairness(evidence: Evidence) -> Figure:
    """Draw selection, true and false positive rates of every group, beside what really happened."""
    attributes = cast("dict[str, dict[str, Any]]", evidence["fairness"]["attributes"])
    rows: list[_Row] = []
    for attribute, found in attributes.items():
        rows.append((attribute, None))
        rows.extend((_group_label(group), group) for group in found["groups"])
    height = 0.26 * len(rows)
    figure = new_figure(
        "Are groups of employees treated alike?",
        _fairness_answer([found["adjusted_ratio"] for found in attributes.values()]),
        height=HEADER + height + 0.8,
    )
    labels = None
    for place, (title, whole, rates) in enumerate(_RATES):
        left = 1.5 + 1.6 * place
        axes = panel(figure, left=left, top=HEADER, width=1.3, height=height, sharey=labels)
        labels = labels or axes
        for series, (name, label) in enumerate(rates.items()):
            _group_rates(axes, rows, name, series, label)
        axes.set(title=title, xlabel=f"share of {whole}", xlim=(-0.03, 1.03))
        axes.set_xticks([0.0, 0.5, 1.0])
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0, labelleft=axes is labels)
        percent_axis(axes, x=True)
        if axes is labels:
            axes.set_yticks(range(len(rows)), [label for label, _ in rows])
            axes.set_ylim(len(rows) - 0.3, -0.6)
            for text, (_, group) in zip(axes.get_yticklabels(), rows, strict=True):
                text.set_fontweight("normal" if group else "bold")
            axes.legend(loc="lower left", bbox_to_anchor=(-1.1, -0.8 / height), ncols=2)
    return figure


def _fairness_answer(ratios: Sequence[Mapping[str, Any] | None]) -> str:
    known = [ratio for ratio in ratios if ratio]
    if not known:
        return "No two groups have records enough to be compared."
    worst = min(known, key=lambda ratio: ratio["value"])
    return (
        f"Selection: at worst {worst['value']:.2f} ({worst['low']:.2f} to {worst['high']:.2f}) of "
        "another group's, given leave rates. Bars: 95% intervals."
    )


def _group_label(group: Mapping[str, Any]) -> str:
    mark = "" if group["judged"] else " (few)"
    return f"{group['name']}{mark}: {group['records']:,}"


def _group_rates(axes: Axes, rows: Sequence[_Row], name: str, series: int, label: str) -> None:
    """Draw one rate of every group, a little lower for each series; where nobody counts, none."""
    shown = [(row, group[name]) for row, (_, group) in enumerate(rows) if group and group[name]]
    values, gaps = errors([found for _, found in shown])
    axes.errorbar(
        values,
        [row + _BELOW * series for row, _ in shown],
        xerr=gaps,
        fmt=MARKERS[series],
        color=COLOURS[series],
        elinewidth=1.0,
        capsize=2,
        label=label,
    )


def outliers(evidence: Evidence) -> Figure:
    """Draw the share of planted outliers that is caught, by kind and detector, with intervals."""
    found = cast("dict[str, Any]", evidence["outliers"])
    kinds = cast("dict[str, dict[str, Any]]", found["kinds"])
    rate = found["outlier_rate"]
    height = 0.42 * len(kinds)
    figure = new_figure(
        "Are impossible and strange records caught?",
        f"Of records as they are, {rate['share']:.1%} "
        f"({rate['low']:.1%} to {rate['high']:.1%}) are called outliers. Bars: 95% intervals.",
        height=HEADER + height + 0.5,
    )
    axes = panel(figure, left=2.05, top=HEADER, width=4.05, height=height)
    for series, (detector, label) in enumerate(_DETECTORS.items()):
        values, gaps = errors([kind[detector] for kind in kinds.values()], "share")
        offset = _APART * 1.5 * (series - (len(_DETECTORS) - 1) / 2)
        axes.errorbar(
            values,
            [place + offset for place in range(len(values))],
            xerr=gaps,
            fmt=MARKERS[series],
            color=COLOURS[series],
            elinewidth=1.0,
            capsize=2,
            label=label,
        )
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    axes.set(xlabel="share of planted outliers caught", xlim=(-0.02, 1.02))
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.5, 1.0), ncols=len(_DETECTORS))
    percent_axis(axes, x=True)
    return figure


def _points(
    axes: Axes, rates: Sequence[Mapping[str, Any]], series: int, of: int, label: str
) -> None:
    """Draw one of several series of rates with their intervals, side by side at each place."""
    values, gaps = errors(rates)
    offset = _APART * (series - (of - 1) / 2)
    axes.errorbar(
        [place + offset for place in range(len(values))],
        values,
        yerr=gaps,
        fmt=MARKERS[series],
        color=COLOURS[series],
        elinewidth=1.0,
        capsize=2,
        label=label,
    )


def _window_axis(axes: Axes, sizes: Sequence[str]) -> None:
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_xlabel("records in the window")
    axes.set_xlim(-0.45, len(sizes) - 0.55)
    axes.grid(visible=False, axis="x")
    percent_axis(axes, y=True)
