"""A real release: the service's tables against training's pipeline, on more than references."""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import importlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from app_bundles import parts
from threadpoolctl import threadpool_limits

with warnings.catch_warnings():
    # MLflow warns about its own type hints when it is first imported (3.17.2, 2026-11).
    warnings.simplefilter("ignore")
    importlib.import_module("training.release")

from app.compiling import legal_values
from app.release import Release, load, wrong_reference
from app.scoring import encode, predict
from contract.answers import Prediction
from contract.employee import FIELDS, Field, Integer
from contract.parameters import Parameters
from tests.training.training_evidence import made_up_evidence
from training.answers import Answerer
from training.classifier.compiled import CompiledClassifier, compile_classifier
from training.classifier.estimator import make_classifier
from training.classifier.interval import bootstrap
from training.data.dataset import load as load_table
from training.drift.detector import DriftDetector
from training.outliers.detector import OutlierDetector
from training.release import seal_bundle, write_bundle

GENERATED = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Real:
    """Fitted models, the release that the service reads from them, and records to answer for."""

    answerer: Answerer
    release: Release
    records: dict[str, pd.DataFrame]

    def predictions(self, kind: str) -> list[Prediction]:
        return predict(self.release.classifier, self.release.outliers, self.codes(kind))

    def codes(self, kind: str) -> Any:
        return encode(self.records[kind].to_dict("records"))  # pyright: ignore[reportArgumentType] columns have names


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    dataset = load_table("package")
    parameters = Parameters(replicates=20)
    classifier = make_classifier(parameters).fit(dataset.features, dataset.target)
    uncertainty = bootstrap(classifier, dataset, parameters)
    content = compile_classifier(classifier, uncertainty, dataset.features, parameters)
    answerer = Answerer(
        classifier=classifier,
        compiled=CompiledClassifier(content=content),
        outliers=OutlierDetector().fit(dataset.features),
    )
    folder = tmp_path_factory.mktemp("real")
    drift = DriftDetector().fit(dataset.features)
    write_bundle(folder, answerer=answerer, drift=drift, features=dataset.features, seed=1)
    release = load(folder, seal_bundle(folder, made_up_evidence(), "attrition"))
    random = np.random.default_rng(17)
    records = {
        "table": dataset.features,
        "anywhere": pd.DataFrame({field.name: _anywhere(random, field) for field in FIELDS}),
        "around": _around(random, dataset.features),
    }
    return Real(answerer=answerer, release=release, records=records)


def _anywhere(random: np.random.Generator, field: Field) -> "pd.Series[Any]":
    """Draw a field over all that is legal; the first two records are at the ends."""
    values: Any = legal_values(field)
    places = random.integers(len(values), size=GENERATED)
    places[:2] = 0, len(values) - 1
    return pd.Series([values[place] for place in places.tolist()])


def _around(random: np.random.Generator, table: pd.DataFrame) -> pd.DataFrame:
    """Move rows of the table: half of their numbers a little, one field in ten anywhere."""
    rows = table.iloc[random.integers(len(table), size=GENERATED)].reset_index(drop=True)
    for field in FIELDS:
        column: Any = rows[field.name]
        if isinstance(field, Integer):
            moved = np.rint(column * random.normal(1, 0.1, GENERATED)) + random.integers(
                -1, 2, GENERATED
            )
            legal = moved.clip(field.minimum, field.maximum).astype(np.int64)
            column = column.where(random.random(GENERATED) < 0.5, legal)
        anywhere = _anywhere(random, field)
        rows[field.name] = column.where(random.random(GENERATED) < 0.9, anywhere)
    return rows


def test_the_reference_records_are_answered_right(real: Real) -> None:
    assert wrong_reference(real.release) is None
    assert len(real.release.references) > 20


@pytest.mark.parametrize("kind", ["table", "anywhere", "around"])
def test_the_service_answers_as_training_does(real: Real, kind: str) -> None:
    ours = [parts(each) for each in real.predictions(kind)]
    theirs = [parts(each) for each in real.answerer.answer(real.records[kind])]
    assert [rest for _, rest in ours] == [rest for _, rest in theirs]
    numbers, expected = (np.array([each for each, _ in side]) for side in (ours, theirs))
    # The probability and its interval; the score; the reasons' contributions to the log-odds.
    assert np.abs(numbers - expected)[:, :3].max() < 1e-12
    assert np.abs(numbers - expected)[:, 3:].max() < 1e-9


@pytest.mark.parametrize("kind", ["table", "anywhere", "around"])
def test_the_log_odds_are_the_pipeline_s_and_the_sum_of_all_reasons(real: Real, kind: str) -> None:
    classifier = real.release.classifier
    logit, errors, contributions = classifier.evaluate(real.codes(kind))
    assert np.abs(logit - real.answerer.logit(real.records[kind])).max() < 1e-9
    assert np.abs(contributions.sum(axis=0) + classifier.baseline[0] - logit).max() < 1e-9
    compiled = real.answerer.compiled
    assert errors == pytest.approx(compiled.standard_errors(real.records[kind]), rel=1e-9)
    expected = compiled.contributions(real.records[kind])
    assert list(classifier.names) == list(expected.columns)
    assert np.abs(contributions.T - expected.to_numpy()).max() < 1e-9


def test_every_kind_of_answer_is_among_those_compared(real: Real) -> None:
    """Equal answers say little where all are alike."""
    found = [each for kind in real.records for each in real.predictions(kind)]
    assert {each["decision"] for each in found} == {"at_risk", "not_at_risk", "refer"}
    outliers = [each["outlier"] for each in found]
    threshold = real.release.outliers.threshold
    assert {
        (each["score"] > threshold, bool(each["broken_rules"]), len(each["features"]))
        for each in outliers
        if each["is_outlier"]
    } >= {(True, False, 2), (True, True, 3), (False, True, 2)}
    assert not all(each["is_outlier"] for each in outliers)
    reasons = {reason["feature"] for each in found for reason in each["reasons"]}
    assert len(reasons) > 10


def test_the_baseline_is_the_mean_of_the_table(real: Real) -> None:
    _, _, contributions = real.release.classifier.evaluate(real.codes("table"))
    assert np.abs(contributions.mean(axis=1)).max() < 0.05
    logit = real.answerer.logit(real.records["table"])
    assert real.release.classifier.baseline[0] == pytest.approx(logit.mean(), abs=1e-9)
