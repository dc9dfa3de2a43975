"""What a run of the benchmark leaves: a table to read, a file to compare with, a plot."""

import statistics
from pathlib import Path

from tests.bench_api.figures import Figure, Results
from tests.bench_api.plot import draw
from training.report.plots_style import plot_style, save

__all__ = ["PLOT", "RESULTS", "table", "write"]

RESULTS = "api.json"
PLOT = "api.svg"

_MARKS = {"missed": "MISSED", "reached": "reached", "stretch": "reached, and stretch"}


def table(results: Results) -> list[str]:
    """Return the lines of the table: every figure with its range, its bounds and its verdict."""
    machine = results.machine
    if machine.server_core is None:
        cores = "no process pinned"
    else:
        cores = f"servers on core {machine.server_core}, client on core {machine.client_core}"
    before, after = machine.load
    head = ("median", "from", "to", "reach", "stretch")
    return [
        f"API against its floor: {results.rounds} rounds, {cores}, "
        f"load {before:.1f} to {after:.1f}",
        f"{'figure':<50}" + "".join(f" {name:>9}" for name in head),
        *(_line(figure) for figure in results.figures),
    ]


def _line(figure: Figure) -> str:
    target = figure.target
    name = f"{f'{target.title}, {target.unit}':<50}"
    if figure.median is None or figure.low is None or figure.high is None:
        return f"{name} not measured: {figure.reason}"
    values = "".join(f" {value:>9.2f}" for value in (figure.median, figure.low, figure.high))
    sign = ">=" if target.at_least else "<="
    reach = f"{sign} {target.reach:g}"
    stretch = "" if target.stretch is None else f"{sign} {target.stretch:g}"
    return f"{name}{values} {reach:>9} {stretch:>9}  {_MARKS[figure.verdict]}{_made_of(figure)}"


def _made_of(figure: Figure) -> str:
    """Say what a ratio's two sides were, in their own unit."""
    if not figure.parts:
        return ""
    (over, above), (_, below) = figure.parts.items()
    unit = over.partition("_")[2].replace("per_second", "a second")
    above, below = statistics.median(above), statistics.median(below)
    return f" ({above:,.4g} over {below:,.4g} {unit})"


def write(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write results file and plot into `folder`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    file, plot = folder / RESULTS, folder / PLOT
    file.write_text(results.model_dump_json(indent=1) + "\n")
    with plot_style():
        save(draw(results), plot)
    return file, plot
