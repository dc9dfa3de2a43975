"""The serving bundle: all that a reader needs, no person in it, the same bytes every time."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.pipeline import Pipeline

from contract.employee import EXAMPLE, FIELD_NAMES, PROTECTED
from contract.parameters import Parameters
from contract.release import (
    CLASSIFIER,
    DRIFT,
    EVIDENCE,
    EXAMPLE_REQUEST,
    MANIFEST,
    OUTLIERS,
    PROBABILITIES,
    REFERENCE,
    TAG_METRICS,
    ReleaseError,
    check_tag,
    seal,
    verify,
)
from training.answers import Answerer
from training.classifier.compiled import CompiledClassifier, compile_classifier
from training.classifier.interval import bootstrap
from training.data.dataset import Dataset
from training.drift.detector import DriftDetector
from training.evaluation.evaluate import HEADLINES
from training.outliers.detector import OutlierDetector
from training.release import REFERENCE_RECORDS, TOLERANCE, ReleaseTags, write_bundle

QUICK = Parameters(replicates=20)


@pytest.fixture(scope="module")
def answerer(classifier: Pipeline, outliers: OutlierDetector, dataset: Dataset) -> Answerer:
    uncertainty = bootstrap(classifier, dataset, QUICK)
    content = compile_classifier(classifier, uncertainty, dataset.features, QUICK)
    return Answerer(
        classifier=classifier, compiled=CompiledClassifier(content=content), outliers=outliers
    )


@pytest.fixture(scope="module")
def drift(dataset: Dataset) -> DriftDetector:
    return DriftDetector().fit(dataset.features)


def write(folder: Path, answerer: Answerer, drift: DriftDetector, dataset: Dataset) -> Path:
    folder.mkdir(exist_ok=True)
    write_bundle(folder, answerer=answerer, drift=drift, features=dataset.features, seed=1)
    seal(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory,
    answerer: Answerer,
    drift: DriftDetector,
    dataset: Dataset,
) -> Path:
    return write(tmp_path_factory.mktemp("bundle"), answerer, drift, dataset)


def content(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_text(encoding="utf-8"))


def test_holds_the_contracts_files_under_a_valid_seal(bundle: Path) -> None:
    names = {path.name for path in bundle.iterdir()}
    assert names == {CLASSIFIER, DRIFT, OUTLIERS, REFERENCE, EXAMPLE_REQUEST, MANIFEST}
    assert len(verify(bundle)) == 64
    assert all(path.suffix == ".json" for path in bundle.iterdir())


def test_the_same_models_give_the_same_bytes(
    bundle: Path, tmp_path: Path, answerer: Answerer, drift: DriftDetector, dataset: Dataset
) -> None:
    again = write(tmp_path / "again", answerer, drift, dataset)
    assert verify(again) == verify(bundle)
    for path in bundle.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_a_changed_figure_breaks_the_seal(bundle: Path, tmp_path: Path) -> None:
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / EVIDENCE).write_text('{"figures": {"cv_roc_auc": {"value": 0.86}}}')
    sha256 = seal(tmp_path)
    verify(tmp_path, sha256)
    (tmp_path / EVIDENCE).write_text('{"figures": {"cv_roc_auc": {"value": 0.99}}}')
    with pytest.raises(ReleaseError, match=EVIDENCE):
        verify(tmp_path, sha256)
    seal(tmp_path)
    with pytest.raises(ReleaseError, match=MANIFEST):
        verify(tmp_path, sha256)


def test_no_protected_field_is_in_the_classifier(bundle: Path) -> None:
    columns = content(bundle, CLASSIFIER)["columns"]
    looked_at = {column["field"] for column in columns}
    looked_at |= {column["against"] for column in columns if column["kind"] == "ratio"}
    assert looked_at == set(FIELD_NAMES) - set(PROTECTED)


def test_reference_records_are_of_every_kind_and_no_persons(bundle: Path, dataset: Dataset) -> None:
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
    outliers = [entry["answer"]["outlier"] for entry in entries]
    assert {outlier["is_outlier"] for outlier in outliers} == {True, False}
    assert any(outlier["broken_rules"] for outlier in outliers)
    assert any(outlier["features"] and not outlier["broken_rules"] for outlier in outliers)
    decisions = [entry["answer"]["decision"] for entry in entries]
    assert {"refer", "not_at_risk"} <= set(decisions)
    assert sum(decision != "refer" for decision in decisions) >= 3


def test_no_file_holds_a_record_of_the_table(bundle: Path, dataset: Dataset) -> None:
    """Three fields that together point at one person are nowhere side by side."""
    rates = ["DailyRate", "MonthlyIncome", "MonthlyRate"]
    people = {tuple(row) for row in dataset.features[rates].to_numpy().tolist()}
    people.discard(tuple(EXAMPLE[name] for name in rates))
    for path in bundle.iterdir():
        for record in _objects(json.loads(path.read_bytes())):
            values = tuple(record.get(name) for name in rates)
            if all(isinstance(value, int) for value in values):
                assert values not in people, path.name


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for each in value.values() for found in _objects(each))]
    if isinstance(value, list):
        return [found for each in value for found in _objects(each)]
    return []


def test_the_example_is_a_request_body(bundle: Path) -> None:
    assert content(bundle, EXAMPLE_REQUEST) == [dict(EXAMPLE)]


def test_the_headlines_fit_into_a_tag() -> None:
    """Unity Catalog takes 1,000 characters; a figure has at most six digits after the point."""
    figures: dict[str, float] = dict.fromkeys(HEADLINES, -0.123456)
    tags = ReleaseTags(
        fingerprint="f" * 64,
        data_sha256="d" * 64,
        code_sha256="c" * 64,
        bundle_sha256="b" * 64,
        figures=figures,
    ).to_dict()
    for key, value in tags.items():
        check_tag(key, value)
    assert json.loads(tags[TAG_METRICS]) == figures


def test_the_scores_of_the_table_are_counted_in_tenths(
    bundle: Path, answerer: Answerer, dataset: Dataset
) -> None:
    answers = answerer.answer(dataset.features)
    tenths = [min(int(10 * answer["attrition_probability"]), 9) for answer in answers]
    counts = content(bundle, DRIFT)[PROBABILITIES]
    assert counts == [tenths.count(tenth) for tenth in range(10)]
    assert sum(counts) == len(dataset.target)
