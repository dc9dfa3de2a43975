"""The model card: what a release is for, what it was made of, how good it is, where it ends.

After Mitchell et al., "Model cards for model reporting" (FAT* 2019), for people who decide whether
a release is used. It retells the evidence document and adds no figure of its own.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from contract.release import EVIDENCE
from training.drift.detector import FALSE_ALARM_LEVEL
from training.evaluation.evidence import Evidence
from training.evaluation.fairness import MINIMUM_LEAVERS, MINIMUM_RECORDS
from training.report.card_tables import (
    code,
    drift_tables,
    effect_table,
    environment_table,
    fairness_tables,
    figure_table,
    outlier_table,
    parameter_table,
    plain,
)
from training.report.card_words import INTENDED_USE, LIMITS, data, model

__all__ = ["PLOT_FOLDER", "model_card"]

PLOT_FOLDER = "plots"
"""Where the card's links look for the plots, beside the card."""

_PLOTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "discrimination.svg": (
            "ROC curve and precision-recall curve, with the chosen threshold on both",
            "The further a curve bends away from the dotted line of guessing, the better; the "
            "square is what the chosen threshold does.",
        ),
        "calibration.svg": (
            "Share of employees who left against the probability that was said, with intervals",
            "Points above the dotted line: more people left than was said; an interval that "
            "touches the line may be chance.",
        ),
        "cost.svg": (
            "Mean cost, leavers found and employees selected for every threshold",
            "The lower the upper curve, the cheaper the threshold; below it, how many leavers are "
            "found and how many conversations that takes.",
        ),
        "effects.svg": (
            "What the values of the most important fields add to the log-odds of leaving",
            "Up is likelier to leave, compared with the average employee, all else being equal; "
            "hollow bars are values that nobody in the table has.",
        ),
        "fairness.svg": (
            "Selection rate, leavers found and stayers selected by gender, marital status and age",
            "Compare circles within an attribute, and each with the square, which is how many of "
            "the group really left; overlapping intervals may be chance.",
        ),
        "drift.svg": (
            "False alarms and planted drift found, by number of records in the window",
            "Above, points should lie below the dashed line; below, near the top: windows too "
            "small to be near it miss what was planted.",
        ),
        "outliers.svg": (
            "Share of planted outliers caught, by kind, for three detectors",
            "The further to the right, the more records of a kind are caught; every detector "
            "calls equally few untouched records outliers.",
        ),
    }
)
"""Alternative text of each plot, and how to read it."""


def model_card(evidence: Evidence, name: str, plots: Sequence[str]) -> str:
    """Write the card of the release `name` as Markdown; equal inputs give equal text.

    `plots` are the file names of plots that exist; each is shown in its chapter.

    Raises:
        ValueError: the card has no place for a plot; the message names it.
    """
    if unknown := sorted(set(plots) - _PLOTS.keys()):
        raise ValueError(f"the model card has no place for {', '.join(unknown)}")
    images = {plot: _image(plot) for plot in plots}
    chapters = (
        [f"# Model card: {plain(name)}", INTENDED_USE, data(evidence), model(evidence)],
        _figures(evidence, images),
        _effects(evidence, images),
        _fairness(evidence, images),
        _drift(evidence, images),
        _outliers(evidence, images),
        [LIMITS],
        _provenance(evidence),
    )
    return "\n\n".join(part for chapter in chapters for part in chapter if part) + "\n"


def _image(plot: str) -> str:
    alternative, reading = _PLOTS[plot]
    return f"![{alternative}]({PLOT_FOLDER}/{plot})\n\n*{reading}*"


def _figures(evidence: Evidence, images: Mapping[str, str]) -> list[str]:
    origin = evidence["origin"]
    repeats, folds = (origin["parameters"][name] for name in ("cv_repeats", "cv_folds"))
    return [
        "## Figures",
        f"`cv_…`: {repeats} repeats of {folds}-fold cross-validation. `held_out_…`: "
        f"{origin['held_out_rows']:,} records that a model made in the same way had not seen. "
        f"The points of all curves are in the bundle's `{EVIDENCE}`.",
        figure_table(evidence["figures"]),
        *(images.get(plot, "") for plot in ("discrimination.svg", "calibration.svg", "cost.svg")),
    ]


def _effects(evidence: Evidence, images: Mapping[str, str]) -> list[str]:
    return [
        "## Effects of the fields",
        "What a value adds to the log-odds of leaving, compared with the average employee. "
        "Importance is the mean size of what the field adds, over the table. Associations, not "
        "causes.",
        images.get("effects.svg", ""),
        _folded("All fields", effect_table(evidence["effects"])),
    ]


def _fairness(evidence: Evidence, images: Mapping[str, str]) -> list[str]:
    groups, ratios = fairness_tables(evidence["fairness"])
    return [
        "## Fairness",
        "An employee is selected when the probability reaches the threshold. Groups of fewer than "
        f"{MINIMUM_RECORDS} records or {MINIMUM_LEAVERS} leavers are shown, and not judged.",
        images.get("fairness.svg", ""),
        groups,
        "Ratios between two groups of an attribute, the worst pair; 1 is alike. Selection: rates "
        "of being selected. Leavers found: equal opportunity. Adjusted: selection, as far as the "
        "group does not leave less often; beyond chance: the worst pair whose interval stays "
        "below 1.",
        ratios,
    ]


def _drift(evidence: Evidence, images: Mapping[str, str]) -> list[str]:
    alarms, power = drift_tables(evidence["drift"])
    return [
        "## Drift",
        f"Stated: at most {FALSE_ALARM_LEVEL:.0%} of windows without drift raise an alarm. "
        "Measured: the share that did, without drift and with planted drift.",
        images.get("drift.svg", ""),
        alarms,
        _folded("Planted drift, by field and window", power),
    ]


def _outliers(evidence: Evidence, images: Mapping[str, str]) -> list[str]:
    return [
        "## Outliers",
        "Share of planted records that are called outliers; the other two detectors were set to "
        "call as many untouched records outliers as this one is meant to.",
        images.get("outliers.svg", ""),
        outlier_table(evidence["outliers"]),
    ]


def _provenance(evidence: Evidence) -> list[str]:
    origin = evidence["origin"]
    return [
        "## Where it comes from",
        f"- Data: SHA-256 {code(origin['data_sha256'])}\n"
        f"- Code: SHA-256 {code(origin['code_sha256'])}\n"
        f"- Evidence: format {evidence['format']}",
        parameter_table(evidence),
        environment_table(evidence["environment"]),
    ]


def _folded(summary: str, table: str) -> str:
    """Hide a long table behind a line; the empty lines keep it a Markdown table."""
    return f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>"
