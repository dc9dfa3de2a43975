"""The steps of one training run, from the table to the registered release."""

# MLflow's and scikit-learn's own types are partly unknown (3.17.2 and 1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
from sklearn.pipeline import Pipeline

from contract.fingerprint import release_fingerprint
from contract.release import TAG_CODE, TAG_DATA, TAG_FINGERPRINT
from training import tracking
from training.card import CARD, model_card
from training.classifier import make_classifier
from training.console import progress
from training.dataset import Dataset, load
from training.drift import DriftDetector
from training.evaluate import evaluate
from training.models import log_models, log_release
from training.outliers import OutlierDetector
from training.parameters import Parameters
from training.release import ReleaseTags, find_release, register, write_bundle

__all__ = ["Options", "train"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one training run is asked to do; the entry point's arguments, checked.

    An empty `fingerprint` is computed, from the very data that is read and `given_parameters`.
    """

    tracking_uri: str
    registry_uri: str
    experiment: str
    artifacts: str | None
    model_name: str
    fingerprint: str
    code_sha256: str
    data: str
    data_sha256: str | None
    parameters: Parameters
    given_parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Models:
    classifier: Pipeline
    drift: DriftDetector
    outliers: OutlierDetector


def train(options: Options) -> None:
    """Train, evaluate, log and register one release.

    Raises:
        DatasetError: the table cannot be used.
        TrackingError: the MLflow store cannot be used.
    """
    dataset = load(options.data, options.data_sha256)
    rows, leavers = len(dataset.target), int(dataset.target.sum())
    progress(
        "dataset",
        f"{rows:,} rows x {dataset.features.shape[1]} features, "
        f"{leavers:,} leavers ({100 * leavers / rows:.1f} %)",
    )
    if not options.fingerprint:
        options = replace(options, fingerprint=_fingerprint(options, dataset))
        progress("fingerprint", options.fingerprint)
    store = tracking.open_store(
        options.tracking_uri,
        registry_uri=options.registry_uri,
        experiment=options.experiment,
        artifacts=options.artifacts,
    )
    progress("tracking", f"experiment {options.experiment} is open")
    if stale := tracking.end_stale_runs(store):
        progress("tracking", f"{stale} run(s) of processes that are gone ended as KILLED")
    tags = {
        TAG_FINGERPRINT: options.fingerprint,
        TAG_DATA: dataset.sha256,
        TAG_CODE: options.code_sha256,
        "dataset": dataset.source,
    }
    with tracking.tracked_run(store, tags) as run_id:
        mlflow.log_params(asdict(options.parameters))
        models = _fit(dataset, options.parameters)
        metrics = evaluate(dataset, options.parameters)
        mlflow.log_metrics(metrics)
        progress("evaluate", _summary(metrics))
        _release(options, dataset, models, metrics, store, run_id)


def _fingerprint(options: Options, dataset: Dataset) -> str:
    return release_fingerprint(
        code=options.code_sha256, data=dataset.sha256, parameters=options.given_parameters
    )


def _fit(dataset: Dataset, parameters: Parameters) -> _Models:
    classifier = make_classifier(parameters).fit(dataset.features, dataset.target)
    progress("classifier", f"logistic regression, C = {parameters.regularisation_c}")
    outliers = OutlierDetector(seed=parameters.seed).fit(dataset.features)
    progress("outliers", f"{len(outliers.to_dict()['fields'])} fields, threshold fitted")
    drift = DriftDetector().fit(dataset.features)
    progress("drift", f"{dataset.features.shape[1]} fields counted")
    return _Models(classifier=classifier, drift=drift, outliers=outliers)


def _release(
    options: Options,
    dataset: Dataset,
    models: _Models,
    metrics: Mapping[str, float],
    store: tracking.Store,
    run_id: str,
) -> None:
    card = model_card(
        name=options.model_name, dataset=dataset, parameters=options.parameters, metrics=metrics
    )
    mlflow.log_text(card, CARD)
    logged = log_models(models.classifier, models.drift, models.outliers)
    progress("models", f"{', '.join(logged)} logged")
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch, "bundle")
        bundle.mkdir()
        bundle_sha256 = write_bundle(
            bundle,
            classifier=models.classifier,
            outliers=models.outliers,
            features=dataset.features,
            seed=options.parameters.seed,
        )
        progress("bundle", f"sealed as {bundle_sha256}")
        release = log_release(logged, bundle)
    if existing := find_release(store.client, options.model_name, options.fingerprint):
        progress("release", f"version {existing.version} has this fingerprint: none registered")
        return
    tags = ReleaseTags(
        fingerprint=options.fingerprint,
        data_sha256=dataset.sha256,
        code_sha256=options.code_sha256,
        bundle_sha256=bundle_sha256,
        metrics=metrics,
    )
    version = register(store.client, options.model_name, model=release, run_id=run_id, tags=tags)
    progress("release", f"version {version} registered")


def _summary(metrics: Mapping[str, float]) -> str:
    return (
        f"AUC {metrics['cv_roc_auc']:.3f} +/- {metrics['cv_roc_auc_sd']:.3f}, "
        f"average precision {metrics['cv_average_precision']:.3f}, "
        f"Brier {metrics['cv_brier']:.4f}, ECE {metrics['cv_ece']:.3f}, "
        f"outliers {metrics['cv_outlier_rate']:.1%}, "
        f"false drift alarms {metrics['drift_false_alarm_rate']:.1%}"
    )
