"""How the plots of a release look: one width, few colours, a question above each.

Matplotlib's object interface alone: no pyplot, so no window system, no figure that lives on after
the run, and no settings of whoever runs it. Text stays text in the SVG: it can be searched, read
aloud, and checked by tests.
"""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "COLOURS",
    "GREEN",
    "GREY",
    "HEADER",
    "INK",
    "MARKERS",
    "SMALL",
    "VERMILLION",
    "WIDTH",
    "errors",
    "new_figure",
    "note",
    "panel",
    "percent_axis",
    "plot_style",
    "save",
]

WIDTH = 6.25
"""Inches, which are 600 pixels in a browser: the text is as large as it says, in points."""

SMALL = 7.5
"""Points, 10 pixels: the smallest text."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of the palette that people with any colour vision can tell apart (Okabe and Ito, "Color Universal
Design", 2008); wherever two meet, marker or line differ as well."""

BLUE, VERMILLION, GREEN = COLOURS[:3]

MARKERS = "os^DvPX"
"""Markers of the series that `COLOURS` paints."""

INK, GREY = "#222222", "#6B6B6B"

HEADER = 0.8
"""Inches from the top to the axes, for the question, the line below it, and an axes' title."""

_MARGIN = 0.08
_LINE = 0.23
_TITLE, _TEXT = 11.0, 8.5

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "employee-retention",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": _TEXT,
    "axes.labelsize": _TEXT,
    "axes.titlesize": _TEXT,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
}


def plot_style() -> Any:
    """Return a context in which figures are made and saved; the process's settings come back."""
    return style.context(["default", _STYLE])


def new_figure(title: str, subtitle: str, *, height: float) -> Figure:
    """Make a figure of `WIDTH` x `height` inches with a question and its short answer above."""
    figure = Figure(figsize=(WIDTH, height))
    left, top = _MARGIN / WIDTH, 1.0 - _MARGIN / height
    figure.text(left, top, title, ha="left", va="top", fontsize=_TITLE, fontweight="bold")
    top -= _LINE / height
    figure.text(left, top, subtitle, ha="left", va="top", fontsize=_TEXT, color=GREY)
    return figure


def panel(
    figure: Figure,
    *,
    left: float,
    top: float,
    width: float,
    height: float,
    sharex: Axes | None = None,
    sharey: Axes | None = None,
) -> Axes:
    """Add axes at inches from the figure's left and top; labels and title lie outside of them.

    Places are given, not found: Matplotlib's layout engines draw everything twice.
    """
    full = figure.get_figheight()
    place = (left / WIDTH, 1.0 - (top + height) / full, width / WIDTH, height / full)
    return figure.add_axes(place, sharex=sharex, sharey=sharey)


def note(axes: Axes, text: str, x: float, y: float, *, centred: bool = False) -> None:
    """Write small text just above the point, to its right or `centred`."""
    axes.annotate(
        text,
        (x, y),
        xytext=(0 if centred else 5, 3),
        textcoords="offset points",
        ha="center" if centred else "left",
        fontsize=SMALL,
    )


def percent_axis(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Show shares from 0 to 1 as percentages, on either axis."""
    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(_percent)


def _percent(share: float, _: float) -> str:
    return f"{share:.0%}"


def errors(
    rates: Sequence[Mapping[str, Any]], value: str = "value"
) -> tuple[list[float], list[list[float]]]:
    """Return values, and their distances to `low` and to `high`, as `Axes.errorbar` takes them."""
    values = [float(rate[value]) for rate in rates]
    # A rounded bound may come to lie on the wrong side of a rounded value.
    below = [max(found - rate["low"], 0.0) for found, rate in zip(values, rates, strict=True)]
    above = [max(rate["high"] - found, 0.0) for found, rate in zip(values, rates, strict=True)]
    return values, [below, above]


def save(figure: Figure, path: Path) -> None:
    """Write SVG; equal figures give equal bytes. Call within `plot_style()`."""
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
