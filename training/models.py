"""The release's models as MLflow models: what each answers, and how each is stored.

All four load with `mlflow.pyfunc.load_model`, anywhere: each carries `training/` and `contract/` in
its code folder. The classifier is stored with skops and the detectors as JSON; what is pickled is
the reference to a class of this module, and nothing else.

- `classifier`: `n_rows` x 2 probabilities, staying and leaving.
- `outliers`: per record `is_outlier` and `outlier_score`.
- `drift`: takes a window of records; per field the comparison, or one row saying that there was not
  enough data.
- `release`: per record `attrition_probability`, `is_outlier` and `outlier_score`.
"""

# MLflow's and scikit-learn's own types are partly unknown (3.17.2 and 1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportIncompatibleMethodOverride=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import tempfile
from collections.abc import Mapping
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
from contract.employee import EXAMPLE, FIELDS, Integer
from contract.release import BUNDLE_PATH
from training.classifier import attrition_probability
from training.drift import DriftDetector
from training.outliers import OutlierDetector
from training.records import check_records, records_frame

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
_TRUSTED_TYPES = ["training.records.check_records"]
_PACKAGES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


class OutlierModel(PythonModel):
    """`n_rows` x 30 in; `is_outlier` and `outlier_score` (squared distance) per record out."""

    def load_context(self, context: Any) -> None:
        """Read the detector's state."""
        self._detector = OutlierDetector.from_dict(_read_state(context))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Score the records; raise `DatasetError` when one is not legal."""
        return _outlier_answers(self._detector, check_records(model_input))


class DriftModel(PythonModel):
    """A window of `n_records` x 30 in; one row per field out.

    Columns: `status` (of the whole window), `feature`, `test`, `p_value`, `q_value`, `effect`,
    `drifted`. With too few records: one row, status `not_enough_data`, no feature, no numbers.
    """

    def load_context(self, context: Any) -> None:
        """Read the detector's state."""
        self._detector = DriftDetector.from_dict(_read_state(context))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Compare the window; raise `DatasetError` when a record is not legal."""
        report = self._detector.detect(check_records(model_input))
        rows: list[dict[str, Any]] = [asdict(feature) for feature in report.features] or [
            {"feature": "", "test": "", "drifted": False}
            | dict.fromkeys(("p_value", "q_value", "effect"), float("nan"))
        ]
        return pd.DataFrame([{"status": report.status} | row for row in rows])


class ReleaseModel(PythonModel):
    """`n_rows` x 30 in; `attrition_probability`, `is_outlier`, `outlier_score` per record out."""

    def load_context(self, context: Any) -> None:
        """Load the release's own classifier and outlier detector."""
        folders: Mapping[str, str] = context.artifacts
        self._classifier: Any = mlflow_sklearn.load_model(folders[CLASSIFIER])
        outliers = mlflow.pyfunc.load_model(folders[OUTLIERS])
        self._outliers = outliers.unwrap_python_model()

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002 MLflow's signature
        """Answer for the records; raise `DatasetError` when one is not legal."""
        answers = self._outliers.predict(None, model_input)
        answers.insert(
            0, "attrition_probability", attrition_probability(self._classifier, model_input)
        )
        return answers


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
            signature=_signature([TensorSpec(np.dtype(np.float64), (-1, 2))]),
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
        columns = [ColSpec(DataType.double, "attrition_probability"), *_outlier_columns()]
        return mlflow.pyfunc.log_model(
            name=RELEASE,
            python_model=ReleaseModel(),
            artifacts=folders,
            signature=_signature(columns),
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


def _read_state(context: Any) -> dict[str, Any]:
    return json.loads(Path(context.artifacts[_STATE]).read_text(encoding="utf-8"))


def _outlier_answers(detector: OutlierDetector, records: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {"is_outlier": detector.predict(records), "outlier_score": detector.score(records)}
    )


def _common() -> dict[str, Any]:
    # Requirements are given: inferring them loads every model in a child process, for seconds.
    return {
        "code_paths": [_folder(training), _folder(contract)],
        "pip_requirements": [f"{package}=={version(package)}" for package in _PACKAGES],
        "input_example": records_frame([EXAMPLE]),
    }


def _folder(package: Any) -> str:
    return str(Path(package.__file__).parent)


def _signature(outputs: list[ColSpec] | list[TensorSpec]) -> ModelSignature:
    inputs = [
        ColSpec(DataType.long if isinstance(field, Integer) else DataType.string, field.name)
        for field in FIELDS
    ]
    return ModelSignature(inputs=Schema(list(inputs)), outputs=Schema(list(outputs)))


def _outlier_columns() -> list[ColSpec]:
    return [ColSpec(DataType.boolean, "is_outlier"), ColSpec(DataType.double, "outlier_score")]


def _drift_columns() -> list[ColSpec]:
    return [
        *(ColSpec(DataType.string, name) for name in ("status", "feature", "test")),
        *(ColSpec(DataType.double, name) for name in ("p_value", "q_value", "effect")),
        ColSpec(DataType.boolean, "drifted"),
    ]
