"""`make study`: what the classifier's choices are worth, on the packaged table.

Every candidate is cross-validated on the same folds; differences from the release's classifier are
paired, with the corrected resampled t-test's 95 % interval. The documents' figures come from here.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from contract.employee import CATEGORIES, INTEGERS, PROTECTED
from contract.parameters import Parameters
from training.classifier.design import DesignColumn, design, design_matrix
from training.classifier.estimator import make_classifier
from training.classifier.logistic import GroupedLogisticRegression
from training.data.dataset import load
from training.evaluation.validation import corrected_interval, expected_calibration_error

__all__ = ["main"]

_RELEASE = "the release's classifier"
_SCORES: Mapping[str, Callable[..., float]] = {
    "AUC": roc_auc_score,
    "average precision": average_precision_score,
    "Brier": brier_score_loss,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Cross-validate the candidates and print the two tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.study", description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="of 5 folds (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat (%(default)s)")
    given = parser.parse_args(arguments)
    dataset = load("package")
    target = np.asarray(dataset.target, dtype=np.int64)
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    _say(f"{'candidate':<34}" + "".join(f"{name:>26}" for name in _SCORES) + f"{'ECE':>8}")
    for name, candidate in _candidates().items():
        scores, error = _scores(candidate, dataset.features, target, given.repeats, given.seed)
        found[name] = scores
        cells = "".join(f"{_interval(values):>26}" for values in scores.values())
        _say(f"{name:<34}{cells}{error:>8.4f}")
    _say("\ndifferences from the release's classifier, paired by fold")
    for name, scores in found.items():
        if name != _RELEASE:
            cells = "".join(
                f"{_interval(scores[key] - found[_RELEASE][key]):>26}" for key in _SCORES
            )
            _say(f"{name:<34}{cells}")
    return 0


def _candidates() -> dict[str, Any]:
    columns = design()
    return {
        _RELEASE: make_classifier(),
        "with age, sex, marital status": make_classifier(Parameters(use_protected=True)),
        "without flags": _grouped([c for c in columns if c.group != "flags"]),
        "without ratios": _grouped([c for c in columns if c.group != "ratios"]),
        "without satisfaction as a whole": _grouped(
            [c for c in columns if c.group != "satisfaction"]
        ),
        "one strength for all columns": _grouped(
            [DesignColumn(group="all", parts=c.parts) for c in columns]
        ),
        "same columns, ridge, C chosen": make_pipeline(
            _designed(columns), StandardScaler(), _ridge()
        ),
        "plain logistic regression": make_pipeline(_encoded(scaled=True), _ridge()),
        "boosted stumps": make_pipeline(
            _encoded(scaled=False),
            HistGradientBoostingClassifier(
                max_depth=1, learning_rate=0.1, max_iter=250, random_state=0
            ),
        ),
        "tuned random forest": make_pipeline(
            _encoded(scaled=False),
            GridSearchCV(
                RandomForestClassifier(n_estimators=200, random_state=0),
                {"max_features": [4, 8], "min_samples_leaf": [1, 3]},
                scoring="neg_log_loss",
                cv=3,
            ),
        ),
    }


def _grouped(columns: Sequence[DesignColumn]) -> Pipeline:
    return make_pipeline(
        _designed(columns),
        StandardScaler(),
        GroupedLogisticRegression([column.group for column in columns]),
    )


def _designed(columns: Sequence[DesignColumn]) -> FunctionTransformer:
    return FunctionTransformer(design_matrix, kw_args={"columns": tuple(columns)})


def _ridge() -> Any:
    # Any: pyright takes the defaults for the arguments' types.
    kind: Any = LogisticRegressionCV
    return kind(
        Cs=[0.01, 0.03, 0.1, 0.3, 1.0],
        l1_ratios=(0.0,),
        scoring="neg_log_loss",
        solver="newton-cholesky",
        use_legacy_attributes=False,
    )


def _encoded(*, scaled: bool) -> Any:
    categories = [field for field in CATEGORIES if field.name not in PROTECTED]
    numbers = [field.name for field in INTEGERS if field.name not in PROTECTED]
    values: Any = [list(field.categories) for field in categories]
    return make_column_transformer(
        (
            OneHotEncoder(categories=values, sparse_output=False),
            [field.name for field in categories],
        ),
        (StandardScaler() if scaled else "passthrough", numbers),
    )


def _scores(
    candidate: Any,
    features: pd.DataFrame,
    target: npt.NDArray[np.int64],
    repeats: int,
    seed: int,
) -> tuple[dict[str, npt.NDArray[np.float64]], float]:
    """Return each score by repeat and fold, and the mean of the repeats' calibration errors."""
    folds = 5
    scores = {name: np.empty((repeats, folds)) for name in _SCORES}
    errors: list[float] = []
    for repeat in range(repeats):
        probability = np.empty(len(target))
        split = StratifiedKFold(folds, shuffle=True, random_state=seed + repeat)
        for fold, (fitted, held_out) in enumerate(split.split(features, target)):
            model: Any = clone(candidate)
            model.fit(features.iloc[fitted], target[fitted])
            said = model.predict_proba(features.iloc[held_out])[:, 1]
            probability[held_out] = said
            for name, score in _SCORES.items():
                scores[name][repeat, fold] = score(target[held_out], said)
        errors.append(expected_calibration_error(target, probability))
    return scores, float(np.mean(errors))


def _interval(values: npt.NDArray[np.float64]) -> str:
    mean, low, high = corrected_interval(values)
    return f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
