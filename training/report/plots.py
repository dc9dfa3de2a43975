"""The plots of a release, as SVG files that its model card shows.

They repeat what the evidence says, and measure nothing. Equal evidence gives equal bytes, with one
version of Matplotlib.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from training.evaluation.evidence import Evidence
from training.report.plots_checks import drift, fairness, outliers
from training.report.plots_effects import effects
from training.report.plots_model import calibration, cost, discrimination
from training.report.plots_style import plot_style, save

__all__ = ["PLOTS", "write_plots"]

PLOTS: Mapping[str, Callable[[Evidence], Figure]] = MappingProxyType(
    {
        "discrimination.svg": discrimination,
        "calibration.svg": calibration,
        "cost.svg": cost,
        "effects.svg": effects,
        "fairness.svg": fairness,
        "drift.svg": drift,
        "outliers.svg": outliers,
    }
)
"""Who draws each file, in the order of the card."""


def write_plots(evidence: Evidence, folder: Path) -> list[str]:
    """Draw every plot into `folder`, which exists; return the files' names.

    Raises:
        OSError: a file cannot be written.
    """
    with plot_style():
        for name, draw in PLOTS.items():
            save(draw(evidence), folder / name)
    return list(PLOTS)
