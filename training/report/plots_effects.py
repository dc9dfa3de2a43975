"""The plot of what the values of a field add to the answer, for the fields that matter most."""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from contract.employee import FIELDS, Integer
from training.evaluation.evidence import Effect, Evidence
from training.report.plots_style import BLUE, GREY, HEADER, SMALL, WIDTH, new_figure, panel

__all__ = ["effects"]

_SHOWN = 12
_COLUMNS = 3
_LEVEL_UNIT = "level"

_LYING, _LYING_CHARACTERS = 3, 10
"""So many names of categories have room side by side, in lines of so many characters."""

_LEFT, _GAP, _PANEL = 0.55, 0.12, 1.0
_BELOW = 0.68
"""Inches: left of the first panel, between two, a panel's height, and from it to the next row's."""

_CHARACTER = 0.058
"""Inches that an upright name needs for each of its characters."""


def effects(evidence: Evidence) -> Figure:
    """Draw what the values of the most important fields add to the log-odds, on one scale."""
    shown = sorted(evidence["effects"], key=lambda effect: -effect["importance"])[:_SHOWN]
    rows = [shown[first : first + _COLUMNS] for first in range(0, len(shown), _COLUMNS)]
    depths = [_BELOW + max(_upright_inches(effect) for effect in row) for row in rows]
    figure = new_figure(
        f"What moves the answer? The {len(shown)} most important fields",
        "Up: leaving is likelier; +0.7 doubles the odds, -0.7 halves. Hollow: nobody is there.",
        height=HEADER + _PANEL * len(rows) + sum(depths) - 0.15,
    )
    width = (WIDTH - _LEFT - _GAP * _COLUMNS) / _COLUMNS
    top, first = HEADER, None
    for row, depth in zip(rows, depths, strict=True):
        for place, effect in enumerate(row):
            left = _LEFT + place * (width + _GAP)
            axes = panel(figure, left=left, top=top, width=width, height=_PANEL, sharey=first)
            first = first or axes
            _draw(axes, effect)
            axes.tick_params(labelleft=place == 0)
            axes.set_ylabel("" if place else "log-odds")
        top += _PANEL + depth
    return figure


def _draw(axes: Axes, effect: Effect) -> None:
    field = next(field for field in FIELDS if field.name == effect["feature"])
    points = effect["points"]
    heights = [point["contribution"] for point in points]
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_title(field.name)
    if isinstance(field, Integer):
        axes.set_xlabel(field.unit, fontsize=SMALL)
    if isinstance(field, Integer) and field.unit != _LEVEL_UNIT:
        values = [int(point["value"]) for point in points]
        axes.plot(values, heights, color=BLUE)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        return
    fills = [BLUE if point["share"] > 0 else "white" for point in points]
    axes.bar(range(len(points)), heights, color=fills, edgecolor=BLUE, width=0.65)
    upright = _upright_inches(effect) > 0
    names = [
        name if upright else fill(name, _LYING_CHARACTERS, break_long_words=False)
        for name in _names(effect)
    ]
    axes.set_xticks(range(len(points)), names, rotation=90 if upright else 0)
    axes.grid(visible=False, axis="x")


def _names(effect: Effect) -> list[str]:
    return [str(point["value"]).replace("_", " ") for point in effect["points"]]


def _upright_inches(effect: Effect) -> float:
    """Return what the names of the values need below the panel, beyond two lines that lie."""
    names = _names(effect)
    longest = max(len(name) for name in names)
    return 0.0 if len(names) <= _LYING or longest == 1 else _CHARACTER * longest - _LEFT / 2
