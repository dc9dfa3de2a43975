"""The release: the serving bundle's files, and the one registered version that holds everything."""

# MLflow's and scikit-learn's own types are partly unknown (3.17.2 and 1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo
from sklearn.pipeline import Pipeline

from contract.employee import EXAMPLE, FIELDS, Integer
from contract.release import (
    CLASSIFIER,
    EXAMPLE_REQUEST,
    OUTLIERS,
    REFERENCE,
    TAG_BUNDLE,
    TAG_CODE,
    TAG_DATA,
    TAG_FINGERPRINT,
    TAG_METRICS,
    seal,
)
from training.classifier import attrition_probability, scoring_table
from training.outliers import OutlierDetector
from training.records import records_frame

__all__ = [
    "REFERENCE_RECORDS",
    "TOLERANCE",
    "ReleaseTags",
    "find_release",
    "reference_records",
    "register",
    "write_bundle",
]

TOLERANCE = 1e-9
"""Largest difference of a probability between the API's tables and scikit-learn's models."""

REFERENCE_RECORDS = 24
"""Made-up records in `REFERENCE`, beside the contract's example."""

_METRIC_DIGITS = 6
_READY = "READY"


@dataclass(frozen=True, kw_only=True)
class ReleaseTags:
    """What the registered version says about its release."""

    fingerprint: str
    data_sha256: str
    code_sha256: str
    bundle_sha256: str
    metrics: Mapping[str, float]

    def to_dict(self) -> dict[str, str]:
        """Return the tags under the contract's names; metrics rounded to six digits."""
        metrics = {name: round(value, _METRIC_DIGITS) for name, value in self.metrics.items()}
        return {
            TAG_FINGERPRINT: self.fingerprint,
            TAG_DATA: self.data_sha256,
            TAG_CODE: self.code_sha256,
            TAG_BUNDLE: self.bundle_sha256,
            TAG_METRICS: json.dumps(metrics, sort_keys=True),
        }


def write_bundle(
    folder: Path,
    *,
    classifier: Pipeline,
    outliers: OutlierDetector,
    features: pd.DataFrame,
    seed: int,
) -> str:
    """Write the serving bundle of the fitted models to the empty `folder`; return its sha-256.

    The same models, `features` (`n_rows` x 30) and `seed` give the same bytes.
    """
    records = [dict(EXAMPLE), *reference_records(features, seed)]
    frame = records_frame(records)
    answers = zip(
        records,
        attrition_probability(classifier, frame).tolist(),
        outliers.predict(frame).tolist(),
        strict=True,
    )
    reference = [
        {"record": record, "attrition_probability": probability, "is_outlier": is_outlier}
        for record, probability, is_outlier in answers
    ]
    _write_json(folder / CLASSIFIER, scoring_table(classifier, features))
    _write_json(folder / OUTLIERS, outliers.to_dict())
    _write_json(folder / REFERENCE, {"tolerance": TOLERANCE, "records": reference})
    _write_json(folder / EXAMPLE_REQUEST, [dict(EXAMPLE)])
    return seal(folder)


def reference_records(features: pd.DataFrame, seed: int) -> list[dict[str, int | str]]:
    """Make up records by drawing every field on its own from its column.

    Fields of one record come from different rows, so that no record is a person's.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, list[int | str]] = {}
    for field in FIELDS:
        drawn = features[field.name].to_numpy()[
            random.integers(len(features), size=REFERENCE_RECORDS)
        ]
        kind = int if isinstance(field, Integer) else str
        columns[field.name] = [kind(value) for value in drawn]
    return [{name: column[i] for name, column in columns.items()} for i in range(REFERENCE_RECORDS)]


def find_release(client: MlflowClient, name: str, fingerprint: str) -> ModelVersion | None:
    """Return the version of model `name` whose tag says `fingerprint`, the newest if several.

    The tag is compared here: Unity Catalog filters by name alone, and its search returns no tags.
    There a version also exists before its files do: only a ready one is a release.
    """
    page_token: str | None = None
    ready: list[ModelVersion] = []
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=page_token)
        ready += [version for version in page if version.status == _READY]
        page_token = page.token
        if not page_token:
            break
    for found in sorted(ready, key=lambda version: int(version.version), reverse=True):
        # What Unity Catalog found has a method `tags` that raises in place of the property.
        has_tags = isinstance(cast(Any, found).tags, dict)
        version = found if has_tags else client.get_model_version(name, found.version)
        if version.tags.get(TAG_FINGERPRINT) == fingerprint:
            return version
    return None


def register(
    client: MlflowClient, name: str, *, model: ModelInfo, run_id: str, tags: ReleaseTags
) -> str:
    """Register the logged release as a new version of model `name`; return the version's number.

    The tags are part of the request that creates the version: a process killed at any moment leaves
    a complete release, or a version that is not ready, or none.
    """
    _ensure_model(client, name)
    version = client.create_model_version(
        name, source=model.model_uri, run_id=run_id, tags=tags.to_dict(), model_id=model.model_id
    )
    return str(version.version)


def _ensure_model(client: MlflowClient, name: str) -> None:
    """Create the registered model where it is missing.

    Looked up first: who may add versions to a model in Unity Catalog may not create models there,
    and which code says that a model exists, or does not, differs from store to store.
    """
    with contextlib.suppress(MlflowException):
        client.get_registered_model(name)
        return
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        try:
            client.get_registered_model(name)
        except MlflowException:
            raise error from None


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # Bytes, not text: a platform's line ends would change the bundle's identity.
    path.write_bytes(f"{text}\n".encode())
