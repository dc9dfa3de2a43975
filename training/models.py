"""The release's models as MLflow models: what each answers, and how each is stored.

All four load with `mlflow.pyfunc.load_model`, anywhere: each carries `training/` and `contract/` in
its code folder. The classifier is stored with skops and the detectors as JSON; what is pickled is
the reference to a class of this module, and nothing else.

- `classifier`: `n_rows` x 2 probabilities, staying and leaving.
- `outliers`: per record `is_outlier` and `outlier_score`.
- `drift`: takes a window of records; per field the comparison and one row for all together, or one
  row saying that there was not enough data.
- `release`: per record the whole answer of the API, its lists as JSON.
"""

# MLflow's and scikit-learn's own types are partly unknown (3.17.2 and 1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportIncompatibleMethodOverride=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.pyfunc
import mlflow.sklearn as mlflow_sklearn
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.pyfunc.model import PythonModel
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec
from sklearn.pipeline import Pipeline

import contract
import training
from contract.answers import Prediction
from contract.employee import EXAMPLE, FAIRNESS_ONLY, FIELDS, Integer
from contract.release import BUNDLE_PATH
from contract.release import CLASSIFIER as CLASSIFIER_FILE
from training.answers import Answerer
from training.classifier.compiled import CompiledClassifier
from training.classifier.estimator import optional_columns
from training.data.records import check_records, records_frame
from training.drift.detector import DriftDetector
from training.outliers.detector import OutlierDetector

__all__ = [
    "CLASSIFIER",
    "DRIFT",
    "MODEL_NAMES",
    "OUTLIERS",
    "RELEASE",
    "DriftModel",
    "OutlierModel",
    "ReleaseModel",
    "log_models",
    "log_release",
]

CLASSIFIER, DRIFT, OUTLIERS, RELEASE = "classifier", "drift", "outliers", "release"
MODEL_NAMES = (CLASSIFIER, DRIFT, OUTLIERS)
"""The three models inside a run, and inside a release."""

_BUNDLE = BUNDLE_PATH.rpartition("/")[2]
_STATE = "state"
_TRUSTED_TYPES = [
    "contract.classifier.Column",
    "training.classifier.design.DesignColumn",
    "training.classifier.design.design_matrix",
    "training.classifier.logistic.GroupedLogisticRegression",
    "training.data.records.check_records",
]
_DRIFT_COLUMNS = (
    *("status", "feature", "test", "p_value", "q_value", "effect_kind", "effect", "psi"),
    "drifted",
)
_PACKAGES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


class OutlierModel(PythonModel):
    """`n_rows` x 30 in; `is_outlier` and `outlier_score` (see `training.outliers`) a record out."""

    def load_context(self, context: Any) -> None:
        """Read the detector's state."""
        self.detector = OutlierDetector.from_dict(_read(context, _STATE))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Score the records; raise `DatasetError` when one is not legal."""
        records = check_records(model_input)
        return pd.DataFrame(
            {
                "is_outlier": self.detector.predict(records),
                "outlier_score": self.detector.score(records),
            }
        )


class DriftModel(PythonModel):
    """A window of `n_records` x 30 in; one row per field out, and one named `all fields together`.

    Columns: `status` (of the whole window), `feature`, `test`, `p_value`, `q_value`, `effect_kind`,
    `effect`, `psi`, `drifted`. With too few records: one row, status `not_enough_data`, no feature,
    no numbers.
    """

    def load_context(self, context: Any) -> None:
        """Read the detector's state."""
        self._detector = DriftDetector.from_dict(_read(context, _STATE))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Compare the window; raise `DatasetError` when a record is not legal."""
        report = self._detector.detect(check_records(model_input))
        rows: list[dict[str, Any]] = [asdict(feature) for feature in report.features]
        if report.joint is not None:
            rows.append({"feature": "all fields together", "test": "mmd", **asdict(report.joint)})
        frame = pd.DataFrame(rows or [{}], columns=_DRIFT_COLUMNS[1:])
        texts = ["feature", "test", "effect_kind"]
        numbers = ["p_value", "q_value", "effect", "psi"]
        frame = frame.fillna(dict.fromkeys(texts, "") | {"drifted": False})
        frame = frame.astype(dict.fromkeys(texts, "str") | dict.fromkeys(numbers, "float64"))
        return frame.assign(drifted=frame["drifted"].astype("bool")).assign(status=report.status)[
            list(_DRIFT_COLUMNS)
        ]


class ReleaseModel(PythonModel):
    """`n_rows` x 30 in; one row of `attrition_probability`, `logit`, `interval_low` … a record out.

    `outlier_features`, `broken_rules` and `reasons` are JSON arrays.
    """

    def load_context(self, context: Any) -> None:
        """Load the release's own models, and the bundle's account of the classifier."""
        folders: Mapping[str, str] = context.artifacts
        # Any: MLflow's own types allow for models of every kind.
        classifier: Any = mlflow_sklearn.load_model(folders[CLASSIFIER])
        outliers = mlflow.pyfunc.load_model(folders[OUTLIERS]).unwrap_python_model()
        self._answerer = Answerer(
            classifier=classifier,
            compiled=CompiledClassifier(content=_read(context, _BUNDLE, CLASSIFIER_FILE)),
            outliers=outliers.detector,
        )

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Answer for the records; raise `DatasetError` when one is not legal."""
        answers = self._answerer.answer(model_input)
        frame = pd.DataFrame([_row(answer) for answer in answers])
        frame.insert(1, "logit", self._answerer.logit(model_input))
        return frame


def log_models(
    classifier: Pipeline, drift: DriftDetector, outliers: OutlierDetector
) -> dict[str, ModelInfo]:
    """Log the three fitted models to the active run, under `MODEL_NAMES`."""
    return {
        CLASSIFIER: mlflow_sklearn.log_model(
            classifier,
            name=CLASSIFIER,
            # MLflow would choose cloudpickle on Databricks: one format everywhere.
            serialization_format="skops",
            skops_trusted_types=_TRUSTED_TYPES,
            pyfunc_predict_fn="predict_proba",
            signature=_signature(
                [TensorSpec(np.dtype(np.float64), (-1, 2))], optional_columns(classifier)
            ),
            **_common(),
        ),
        DRIFT: _log_detector(DRIFT, DriftModel(), drift.to_dict(), _drift_columns()),
        OUTLIERS: _log_detector(OUTLIERS, OutlierModel(), outliers.to_dict(), _outlier_columns()),
    }


def log_release(models: Mapping[str, ModelInfo], bundle: Path) -> ModelInfo:
    """Log the composite model to the active run; it holds copies of `models` and the bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {_BUNDLE: str(bundle)}
        for name, info in models.items():
            folder = Path(scratch, name)
            folder.mkdir()
            mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(folder))
            folders[name] = str(folder)
        return mlflow.pyfunc.log_model(
            name=RELEASE,
            python_model=ReleaseModel(),
            artifacts=folders,
            # What the classifier needs, the release needs: the detectors look at no more.
            signature=ModelSignature(
                inputs=_inputs_of(models[CLASSIFIER]), outputs=Schema([*_release_columns()])
            ),
            **_common(),
        )


def _log_detector(
    name: str, model: PythonModel, state: Mapping[str, Any], outputs: list[ColSpec]
) -> ModelInfo:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, f"{_STATE}.json")
        file.write_text(json.dumps(state, sort_keys=True), encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=model,
            artifacts={_STATE: str(file)},
            signature=_signature(outputs),
            **_common(),
        )


def _read(context: Any, artifact: str, file: str = "") -> Any:
    return json.loads(Path(context.artifacts[artifact], file).read_text(encoding="utf-8"))


def _row(answer: Prediction) -> dict[str, Any]:
    low, high = answer["interval"]
    outlier = answer["outlier"]
    return {
        "attrition_probability": answer["attrition_probability"],
        "interval_low": low,
        "interval_high": high,
        "decision": answer["decision"],
        "is_outlier": outlier["is_outlier"],
        "outlier_score": outlier["score"],
        "outlier_features": json.dumps(outlier["features"]),
        "broken_rules": json.dumps(outlier["broken_rules"]),
        "reasons": json.dumps(answer["reasons"]),
    }


def _common() -> dict[str, Any]:
    # Requirements are given: inferring them loads every model in a child process, for seconds.
    return {
        "code_paths": [_folder(training), _folder(contract)],
        "pip_requirements": [f"{package}=={version(package)}" for package in _PACKAGES],
        "input_example": records_frame([EXAMPLE]),
    }


def _folder(package: Any) -> str:
    return str(Path(package.__file__).parent)


def _signature(
    outputs: list[ColSpec] | list[TensorSpec], optional: Sequence[str] = FAIRNESS_ONLY
) -> ModelSignature:
    inputs = [
        ColSpec(
            DataType.long if isinstance(field, Integer) else DataType.string,
            field.name,
            required=field.name not in optional,
        )
        for field in FIELDS
    ]
    return ModelSignature(inputs=Schema(list(inputs)), outputs=Schema(list(outputs)))


def _inputs_of(model: ModelInfo) -> Any:
    # Any: a logged model may have no signature, ours always do.
    signature: Any = model.signature
    return signature.inputs


def _outlier_columns() -> list[ColSpec]:
    return [ColSpec(DataType.boolean, "is_outlier"), ColSpec(DataType.double, "outlier_score")]


def _drift_columns() -> list[ColSpec]:
    kinds = dict.fromkeys(_DRIFT_COLUMNS, DataType.double)
    kinds |= dict.fromkeys(("status", "feature", "test", "effect_kind"), DataType.string)
    kinds["drifted"] = DataType.boolean
    return [ColSpec(kind, name) for name, kind in kinds.items()]


def _release_columns() -> list[ColSpec]:
    numbers = ("attrition_probability", "logit", "interval_low", "interval_high")
    texts = ("outlier_features", "broken_rules", "reasons")
    return [
        *(ColSpec(DataType.double, name) for name in numbers),
        ColSpec(DataType.string, "decision"),
        *_outlier_columns(),
        *(ColSpec(DataType.string, name) for name in texts),
    ]
