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
import numpy.typing as npt
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo

from contract.employee import EXAMPLE, FIELDS, Category, Field, Integer
from contract.release import (
    CARD,
    CLASSIFIER,
    DRIFT,
    EVIDENCE,
    EXAMPLE_REQUEST,
    OUTLIERS,
    PROBABILITIES,
    REFERENCE,
    TAG_BUNDLE,
    TAG_CODE,
    TAG_DATA,
    TAG_FINGERPRINT,
    TAG_METRICS,
    seal,
)
from training.answers import Answerer
from training.data.records import records_frame
from training.drift.detector import DriftDetector
from training.evaluation.evidence import Evidence
from training.report.card import model_card

__all__ = [
    "REFERENCE_RECORDS",
    "TOLERANCE",
    "ReleaseTags",
    "find_release",
    "reference_records",
    "register",
    "seal_bundle",
    "write_bundle",
]

TOLERANCE = 1e-9
"""Largest difference of a number between the API's answer and training's."""

REFERENCE_RECORDS = 24
"""Made-up records in `REFERENCE`, beside the contract's example."""

_ABSURD_RECORDS = 3
_RECORDS_PER_CHANGE = 7

_SCORE_BINS = 10
"""Tenths of the probability, in which telemetry counts too; the last holds 1 as well."""

_READY = "READY"


@dataclass(frozen=True, kw_only=True)
class ReleaseTags:
    """What the registered version says about its release."""

    fingerprint: str
    data_sha256: str
    code_sha256: str
    bundle_sha256: str
    figures: Mapping[str, float]

    def to_dict(self) -> dict[str, str]:
        """Return the tags under the contract's names, the figures as the evidence has them."""
        return {
            TAG_FINGERPRINT: self.fingerprint,
            TAG_DATA: self.data_sha256,
            TAG_CODE: self.code_sha256,
            TAG_BUNDLE: self.bundle_sha256,
            # Without spaces: Unity Catalog has room for 1,000 characters.
            TAG_METRICS: json.dumps(dict(self.figures), sort_keys=True, separators=(",", ":")),
        }


def write_bundle(
    folder: Path, *, answerer: Answerer, drift: DriftDetector, features: pd.DataFrame, seed: int
) -> None:
    """Write the serving bundle of the fitted models to the empty `folder`, all but the evidence.

    The same models, `features` (`n_rows` x 30) and `seed` give the same bytes.
    """
    records = [dict(EXAMPLE), *reference_records(features, seed)]
    answers = answerer.answer(records_frame(records))
    reference = [
        {"record": record, "answer": answer}
        for record, answer in zip(records, answers, strict=True)
    ]
    _write_json(folder / CLASSIFIER, answerer.compiled.content)
    _write_json(folder / OUTLIERS, answerer.outliers.to_dict())
    # Of the models' own records, as are the fields' counts. Out of fold, the packaged table's is as
    # near to it (PSI .006) as another 1,470 records would be (.012 expected), and no nearer truth:
    # those whom the API is asked about are in large part those whom the models learnt from.
    scores = _histogram(answerer.classifier.predict_proba(features)[:, 1])
    _write_json(folder / DRIFT, {**drift.to_dict(), PROBABILITIES: scores})
    _write_json(folder / REFERENCE, {"tolerance": TOLERANCE, "records": reference})
    _write_json(folder / EXAMPLE_REQUEST, [dict(EXAMPLE)])


def _histogram(probabilities: npt.NDArray[np.float64]) -> list[int]:
    return np.histogram(probabilities, bins=_SCORE_BINS, range=(0.0, 1.0))[0].tolist()


def seal_bundle(folder: Path, evidence: Evidence, name: str) -> str:
    """Add the evidence and the card of the release `name`, close the bundle; return its sha-256."""
    _write_json(folder / EVIDENCE, evidence)
    (folder / CARD).write_bytes(model_card(evidence, name, []).encode())
    return seal(folder)


def reference_records(features: pd.DataFrame, seed: int) -> list[dict[str, int | str]]:
    """Make up records from the typical one: ever more of its fields are drawn anew.

    From plain to absurd, so that every kind of answer is among them. Fields are drawn one by one,
    from their columns of `features` (`n_rows` x 30) or, in the last records, from all that is
    legal; none is a person's.
    """
    random = np.random.default_rng(seed)
    people = set(features.itertuples(index=False, name=None))
    typical = {field.name: _typical(features[field.name], field) for field in FIELDS}
    records: list[dict[str, int | str]] = []
    while len(records) < REFERENCE_RECORDS:
        legal = len(records) >= REFERENCE_RECORDS - _ABSURD_RECORDS
        changed = len(FIELDS) if legal else 1 + len(records) // _RECORDS_PER_CHANGE
        record = dict(typical)
        for place in random.choice(len(FIELDS), size=changed, replace=False).tolist():
            field = FIELDS[place]
            record[field.name] = _drawn(None if legal else features[field.name], field, random)
        if tuple(record.values()) not in people:
            records.append(record)
    return records


def _typical(column: "pd.Series[Any]", field: Field) -> int | str:
    return int(column.median()) if isinstance(field, Integer) else str(column.mode()[0])


def _drawn(column: "pd.Series[Any] | None", field: Field, random: np.random.Generator) -> int | str:
    """Draw a value of `column`, or without one any that the contract allows."""
    match field:
        case Integer():
            if column is None:
                return int(random.integers(field.minimum, field.maximum, endpoint=True))
            return int(column.iloc[int(random.integers(len(column)))])
        case Category():
            choices = field.categories if column is None else column.tolist()
            return str(choices[int(random.integers(len(choices)))])


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
