"""What the monitoring tests share: a real release, its table as the API scores it, a log store."""

# pandas and scikit-learn are typed in part (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import importlib
import warnings
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from monitoring_lines import BOUNDS, PLACE, Ask, Model, Scored
from threadpoolctl import threadpool_limits

from monitoring.local import LogStore
from monitoring.queries import Span, fill
from monitoring.reference import Reference

with warnings.catch_warnings():
    # MLflow warns about its own type hints when it is first imported (3.17.2, 2026-11).
    warnings.simplefilter("ignore")
    importlib.import_module("training.release")

from contract.parameters import Parameters
from training.answers import Answerer
from training.classifier.compiled import CompiledClassifier, compile_classifier
from training.classifier.estimator import make_classifier
from training.classifier.interval import bootstrap
from training.data.dataset import Dataset, load
from training.drift.detector import DriftDetector
from training.outliers.detector import OutlierDetector
from training.release import write_bundle

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
QUICK = Parameters(replicates=20)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load("package")


@pytest.fixture(scope="session")
def features(dataset: Dataset) -> pd.DataFrame:
    return dataset.features


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Model:
    with threadpool_limits(1):
        classifier = make_classifier(QUICK).fit(dataset.features, dataset.target)
        uncertainty = bootstrap(classifier, dataset, QUICK)
        content = compile_classifier(classifier, uncertainty, dataset.features, QUICK)
        outliers = OutlierDetector().fit(dataset.features)
        drift = DriftDetector().fit(dataset.features)
        answerer = Answerer(
            classifier=classifier, compiled=CompiledClassifier(content=content), outliers=outliers
        )
        bundle = tmp_path_factory.mktemp("bundle")
        write_bundle(bundle, answerer=answerer, drift=drift, features=dataset.features, seed=1)
    return Model(bundle=bundle, answerer=answerer, outliers=outliers, drift=drift)


@pytest.fixture(scope="session")
def table(model: Model, features: pd.DataFrame) -> Scored:
    return model.score(features)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def store() -> LogStore:
    return LogStore()


@pytest.fixture
def ask(store: LogStore, model: Model, now: datetime) -> Ask:
    """Ask a query of the store, as an alert of a day does unless another span is given."""

    def ask(
        name: str,
        *,
        span: Span | None = None,
        reference: Reference | None = None,
        end: str = "",
        store: LogStore = store,
    ) -> list[dict[str, Any]]:
        text = fill(
            name,
            place=PLACE,
            reference=reference or model.reference,
            bounds=BOUNDS,
            span=span or Span.one_step(1440),
        )
        return store.query(text + end, now=now)

    return ask
