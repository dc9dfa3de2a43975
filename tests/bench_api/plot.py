"""The plot of a run: every figure as a share of its own bound, so that all fit on one axis."""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from tests.bench_api.figures import Figure, Results
from training.report.plots_style import (
    BLUE,
    GREY,
    HEADER,
    INK,
    MARKERS,
    SMALL,
    VERMILLION,
    new_figure,
    panel,
)

__all__ = ["draw"]

_LEFT, _WIDTH, _ROW = 2.25, 2.5, 0.36
_TICKS = (0.25, 0.5, 1.0, 2.0, 4.0)


def draw(results: Results) -> Drawing:
    """Draw the median and the range over rounds of every figure; call within `plot_style()`."""
    height = _ROW * len(results.figures)
    drawing = new_figure(
        "Is the API as fast as an empty endpoint?",
        _answer(results),
        height=HEADER + height + 0.75,
    )
    axes = panel(drawing, left=_LEFT, top=HEADER, width=_WIDTH, height=height)
    axes.axvline(1.0, color=INK, linestyle="--", linewidth=1.0)
    for place, figure in enumerate(results.figures):
        _draw(axes, place, figure)
    axes.set_yticks(
        range(len(results.figures)), [figure.target.title for figure in results.figures]
    )
    axes.set_ylim(len(results.figures) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    _share_axis(axes, results)
    axes.set_title("◇ would be better still; - - has to be reached")
    return drawing


def _answer(results: Results) -> str:
    measured = [figure for figure in results.figures if figure.median is not None]
    reached = sum(figure.verdict != "missed" for figure in measured)
    return (
        f"{reached} of {len(measured)} bounds reached. "
        f"Bars: the range over {results.rounds} rounds."
    )


def _draw(axes: Axes, place: int, figure: Figure) -> None:
    target = figure.target
    if figure.median is None or figure.low is None or figure.high is None:
        _beside(axes, place, "not measured")
        return
    missed = figure.verdict == "missed"
    low, middle, high = (target.share(value) for value in (figure.low, figure.median, figure.high))
    colour = VERMILLION if missed else BLUE
    marker = "<" if middle < _TICKS[0] else MARKERS[missed]
    axes.plot([_shown(low), _shown(high)], [place, place], color=colour, linewidth=1.0)
    axes.plot([_shown(middle)], [place], marker, color=colour)
    if target.stretch is not None:
        stretch = [target.share(target.stretch)]
        axes.plot(stretch, [place], "D", markerfacecolor="none", markeredgecolor=GREY, zorder=1)
    spread = f"{_short(figure.low)} to {_short(figure.high)}"
    mark = ", missed" if missed else ""
    _beside(axes, place, f"{_short(figure.median)} {target.unit}{mark}\n({spread})")


def _beside(axes: Axes, place: int, text: str) -> None:
    axes.annotate(
        text,
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )


def _share_axis(axes: Axes, results: Results) -> None:
    """Show shares on a logarithm's scale, as far as there are any: twice and half look alike."""
    shares = [
        _shown(figure.target.share(value)) for figure in results.figures for value in figure.samples
    ]
    low, high = min([0.4, *shares]) / 1.1, max([1.6, *shares]) * 1.1
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("share of the bound; left of 1 is better")


def _shown(share: float) -> float:
    # Memory may shrink, and a logarithm has no place for that: an arrow at the edge stands for it.
    return max(share, _TICKS[0])


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"
