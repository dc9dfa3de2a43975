"""Plots of the attrition classifier: what it tells apart, what it says, what it costs, and why."""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence

from matplotlib.figure import Figure

from training.evaluation.evidence import DecisionPoint, Evidence
from training.evaluation.evidence import Figure as Measured
from training.report.plots_style import (
    BLUE,
    GREEN,
    GREY,
    HEADER,
    INK,
    VERMILLION,
    errors,
    new_figure,
    note,
    panel,
    percent_axis,
)

__all__ = ["calibration", "cost", "discrimination"]

_COMPARED_THRESHOLD = 0.5
"""The threshold of whoever counts both errors alike."""

_WHOLE = (-0.02, 1.02)
"""Axis limits of a share, with room for what is drawn at 0 and at 1."""

_LEFT, _WIDTH = 0.75, 5.35
"""Inches: place and width of panels that stand one above the other."""


def discrimination(evidence: Evidence) -> Figure:
    """Draw the ROC and the precision-recall curve, the chosen threshold marked in both."""
    curves, origin = evidence["curves"], evidence["origin"]
    chosen = _nearest(curves["decision"], evidence["threshold"])
    leavers = origin["leavers"] / origin["rows"]
    # The selected are leavers who are found and stayers who are not meant.
    mistaken = chosen["selected"] * (1.0 - chosen["precision"]) / (1.0 - leavers)
    figure = new_figure(
        "How well are leavers told from stayers?",
        f"At the threshold {chosen['threshold']:.2f}: {chosen['found']:.0%} of the leavers found, "
        f"{mistaken:.0%} of the stayers called at risk.",
        height=3.65,
    )
    roc = panel(figure, left=0.65, top=HEADER, width=2.35, height=2.35)
    roc.plot(
        [point["false_positive_rate"] for point in curves["roc"]],
        [point["true_positive_rate"] for point in curves["roc"]],
        color=BLUE,
    )
    roc.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle=":", label="guessing")
    roc.plot([mistaken], [chosen["found"]], "s", color=VERMILLION, label="chosen threshold")
    roc.set(title=_titled("ROC: area", evidence["figures"]["cv_roc_auc"]))
    roc.set(xlabel="stayers called at risk (FPR)", ylabel="leavers found (TPR)")
    roc.legend(loc="lower right")
    recall = panel(figure, left=3.75, top=HEADER, width=2.35, height=2.35)
    recall.plot(
        [point["recall"] for point in curves["precision_recall"]],
        [point["precision"] for point in curves["precision_recall"]],
        color=BLUE,
    )
    recall.axhline(leavers, color=GREY, linewidth=1.0, linestyle=":")
    recall.plot([chosen["found"]], [chosen["precision"]], "s", color=VERMILLION)
    recall.set(title=_titled("Mean precision", evidence["figures"]["cv_average_precision"]))
    recall.set(xlabel="leavers found (recall)", ylabel="leavers among selected (precision)")
    for axes in (roc, recall):
        axes.set(xlim=_WHOLE, ylim=_WHOLE)
        percent_axis(axes, x=True, y=True)
    return figure


def calibration(evidence: Evidence) -> Figure:
    """Draw said against seen shares of leavers with 95 % intervals, and the records behind each."""
    points = evidence["curves"]["calibration"]
    said = [point["predicted"] for point in points]
    figure = new_figure(
        "Does what the model says come true?",
        "On the dotted line: of employees said to leave with 30%, 30% leave. Bars: 95% intervals.",
        height=4.3,
    )
    axes = panel(figure, left=_LEFT, top=HEADER - 0.15, width=_WIDTH, height=3.1)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle=":")
    seen, gaps = errors(points, "observed")
    fewest, most = (pick(point["records"] for point in points) for pick in (min, max))
    records = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    axes.errorbar(
        *(said, seen, gaps),
        fmt="o-",
        color=BLUE,
        linewidth=1.2,
        capsize=3,
        label=f"employees of similar probability, {records} each",
    )
    axes.set(xlabel="probability of leaving, as said", ylabel="share who left")
    axes.set(xlim=_WHOLE, ylim=_WHOLE)
    axes.legend(loc="upper left")
    percent_axis(axes, x=True, y=True)
    return figure


def cost(evidence: Evidence) -> Figure:
    """Draw mean cost, leavers found and share selected over the threshold; the chosen is marked."""
    points = evidence["curves"]["decision"]
    chosen = _nearest(points, evidence["threshold"])
    compared = _nearest(points, _COMPARED_THRESHOLD)
    thresholds = [point["threshold"] for point in points]
    figure = new_figure(
        "From which probability does a conversation pay?",
        f"A missed leaver costs as much as {evidence['missed_leaver_cost']:g} needless approaches: "
        f"{chosen['cost']:.2f} a record at {chosen['threshold']:.2f}, "
        f"{compared['cost']:.2f} at {compared['threshold']:.2f}.",
        height=4.8,
    )
    upper = panel(figure, left=_LEFT, top=HEADER - 0.15, width=_WIDTH, height=1.7)
    upper.plot(thresholds, [point["cost"] for point in points], color=BLUE)
    upper.set(ylabel="cost a record\n(needless approaches)", xlim=(0, max(thresholds)))
    upper.set_ylim(bottom=0.0)
    upper.tick_params(labelbottom=False)
    lower = panel(figure, left=_LEFT, top=2.55, width=_WIDTH, height=1.75, sharex=upper)
    found = [point["found"] for point in points]
    selected = [point["selected"] for point in points]
    lower.plot(thresholds, found, color=GREEN, label="leavers found")
    lower.plot(thresholds, selected, "--", color=VERMILLION, label="employees selected")
    lower.set(xlabel="threshold (probability)", ylabel="share", ylim=_WHOLE)
    lower.legend(loc="upper right")
    percent_axis(lower, y=True)
    for point, text, line in ((chosen, "chosen", "-"), (compared, "for comparison", ":")):
        place = point["threshold"]
        for axes in (upper, lower):
            axes.axvline(place, color=INK, linewidth=1.0, linestyle=line)
        note(upper, f"{text}: {place:.2f}", place, 0.0)
        for share, colour in ((point["found"], GREEN), (point["selected"], VERMILLION)):
            lower.plot([place], [share], "o", color=colour)
            note(lower, f"{share:.0%}", place, share)
    return figure


def _nearest(points: Sequence[DecisionPoint], threshold: float) -> DecisionPoint:
    return min(points, key=lambda point: abs(point["threshold"] - threshold))


def _titled(name: str, figure: Measured) -> str:
    low, high = figure["low"], figure["high"]
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return f"{name} {figure['value']:.2f}{interval}"
