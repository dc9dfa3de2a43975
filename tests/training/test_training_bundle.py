"""The serving bundle: exactly the models' answers, sealed, the same bytes every time."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from contract.employee import EXAMPLE, FIELD_NAMES, FIELDS, PROTECTED, Integer
from contract.release import CLASSIFIER, EXAMPLE_REQUEST, MANIFEST, OUTLIERS, REFERENCE, verify
from training.dataset import Dataset
from training.outliers import OutlierDetector
from training.records import records_frame
from training.release import REFERENCE_RECORDS, TOLERANCE, write_bundle

Record = Mapping[str, Any]


def logit(classifier: Mapping[str, Any], record: Record) -> float:
    """Score one record as a reader of the bundle would, in plain Python."""
    total = classifier["intercept"]
    for term in classifier["terms"]:
        value = record[term["feature"]]
        if "table" in term:
            total += term["table"][str(value)]
        else:
            total += term["slope"] * value + term["offset"]
    return total


def distance(outliers: Mapping[str, Any], record: Record) -> float:
    centred = [record[f] - m for f, m in zip(outliers["fields"], outliers["mean"], strict=True)]
    rows = outliers["precision"]
    return sum(
        x * sum(p * y for p, y in zip(row, centred, strict=True))
        for x, row in zip(centred, rows, strict=True)
    )


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory,
    classifier: Pipeline,
    outliers: OutlierDetector,
    dataset: Dataset,
) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(
        folder, classifier=classifier, outliers=outliers, features=dataset.features, seed=1
    )
    return folder


def content(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_text(encoding="utf-8"))


def test_holds_the_contracts_files_under_a_valid_seal(bundle: Path) -> None:
    names = {path.name for path in bundle.iterdir()}
    assert names == {CLASSIFIER, OUTLIERS, REFERENCE, EXAMPLE_REQUEST, MANIFEST}
    assert len(verify(bundle)) == 64


def test_the_same_inputs_give_the_same_bytes(
    bundle: Path,
    tmp_path: Path,
    classifier: Pipeline,
    outliers: OutlierDetector,
    dataset: Dataset,
) -> None:
    sha256 = write_bundle(
        tmp_path, classifier=classifier, outliers=outliers, features=dataset.features, seed=1
    )
    assert sha256 == verify(bundle)
    for path in bundle.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def assert_parity(
    bundle: Path, classifier: Pipeline, outliers: OutlierDetector, frame: pd.DataFrame
) -> None:
    tables, distances = content(bundle, CLASSIFIER), content(bundle, OUTLIERS)
    records: list[Any] = frame.to_dict("records")
    logits = [logit(tables, record) for record in records]
    np.testing.assert_allclose(logits, classifier.decision_function(frame), rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        [distance(distances, record) for record in records], outliers.score(frame), rtol=1e-9
    )


def test_answers_like_the_models_on_the_whole_table(
    bundle: Path, classifier: Pipeline, outliers: OutlierDetector, dataset: Dataset
) -> None:
    assert_parity(bundle, classifier, outliers, dataset.features)


def test_answers_like_the_models_on_all_that_is_legal(
    bundle: Path,
    classifier: Pipeline,
    outliers: OutlierDetector,
    legal_records: list[dict[str, int | str]],
) -> None:
    assert_parity(bundle, classifier, outliers, records_frame(legal_records))


def test_tables_cover_the_contract_and_no_protected_field(bundle: Path) -> None:
    terms = {term["feature"]: term for term in content(bundle, CLASSIFIER)["terms"]}
    assert terms.keys() == set(FIELD_NAMES) - set(PROTECTED)
    for field in FIELDS:
        if "table" in terms.get(field.name, {}):
            values = (
                range(field.minimum, field.maximum + 1)
                if isinstance(field, Integer)
                else field.categories
            )
            assert terms[field.name]["table"].keys() == {str(value) for value in values}


def test_the_baseline_is_the_mean_contribution(
    bundle: Path, classifier: Pipeline, dataset: Dataset
) -> None:
    tables = content(bundle, CLASSIFIER)
    assert tables["baseline"].keys() == {term["feature"] for term in tables["terms"]}
    mean_logit = float(classifier.decision_function(dataset.features).mean())
    total = tables["intercept"] + sum(tables["baseline"].values())
    assert math.isclose(total, mean_logit, abs_tol=1e-9)


def test_reference_records_are_legal_and_no_persons(bundle: Path, dataset: Dataset) -> None:
    reference = content(bundle, REFERENCE)
    assert reference["tolerance"] == TOLERANCE
    entries = reference["records"]
    assert len(entries) == 1 + REFERENCE_RECORDS
    assert entries[0]["record"] == dict(EXAMPLE)
    people = {tuple(row) for row in dataset.features.to_numpy().tolist()}
    for entry in entries[1:]:
        record = entry["record"]
        assert record.keys() == set(FIELD_NAMES)
        assert tuple(record[name] for name in FIELD_NAMES) not in people


def test_reference_answers_agree_with_the_tables(bundle: Path) -> None:
    tables, outliers = content(bundle, CLASSIFIER), content(bundle, OUTLIERS)
    for entry in content(bundle, REFERENCE)["records"]:
        probability = 1 / (1 + math.exp(-logit(tables, entry["record"])))
        assert math.isclose(probability, entry["attrition_probability"], abs_tol=TOLERANCE)
        is_outlier = distance(outliers, entry["record"]) > outliers["threshold"]
        assert is_outlier is entry["is_outlier"]


def test_the_example_is_a_request_body(bundle: Path) -> None:
    assert content(bundle, EXAMPLE_REQUEST) == [dict(EXAMPLE)]
