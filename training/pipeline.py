"""The steps of one training run, from the table to the registered release."""

# MLflow's and scikit-learn's own types are partly unknown (3.17.2 and 1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow

from contract.fingerprint import release_fingerprint
from contract.parameters import Parameters
from contract.release import CARD, TAG_CODE, TAG_DATA, TAG_FINGERPRINT
from training import tracking
from training.answers import Answerer
from training.classifier.compiled import CompiledClassifier, compile_classifier
from training.classifier.estimator import make_classifier
from training.classifier.interval import Uncertainty, bootstrap
from training.console import progress
from training.data.dataset import Dataset, load
from training.drift.detector import DriftDetector
from training.evaluation.evaluate import evaluate, headlines
from training.evaluation.evidence import Evidence
from training.models import log_models, log_release
from training.outliers.detector import OutlierDetector
from training.release import ReleaseTags, find_release, register, seal_bundle, write_bundle
from training.report.card import PLOT_FOLDER, model_card
from training.report.plots import write_plots

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
    answerer: Answerer
    drift: DriftDetector
    uncertainty: Uncertainty


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
        evidence = evaluate(
            dataset,
            options.parameters,
            classifier=models.answerer.classifier,
            content=models.answerer.compiled.content,
            uncertainty=models.uncertainty,
            code_sha256=options.code_sha256,
        )
        _log_evidence(options, evidence)
        _release(options, dataset, models, evidence, store, run_id)


def _fingerprint(options: Options, dataset: Dataset) -> str:
    return release_fingerprint(
        code=options.code_sha256, data=dataset.sha256, parameters=options.given_parameters
    )


def _fit(dataset: Dataset, parameters: Parameters) -> _Models:
    classifier = make_classifier(parameters).fit(dataset.features, dataset.target)
    uncertainty = bootstrap(classifier, dataset, parameters)
    content = compile_classifier(classifier, uncertainty, dataset.features, parameters)
    progress(
        "classifier",
        f"{len(content['columns'])} columns, {parameters.replicates} bootstrap replicates, "
        f"at risk from {content['threshold']:.1%}",
    )
    outliers = OutlierDetector().fit(dataset.features)
    progress("outliers", "fitted")
    drift = DriftDetector().fit(dataset.features)
    progress("drift", f"{len(drift.bins())} fields counted, joint test fitted")
    answerer = Answerer(
        classifier=classifier,
        compiled=CompiledClassifier(content=content),
        outliers=outliers,
    )
    return _Models(answerer=answerer, drift=drift, uncertainty=uncertainty)


def _log_evidence(options: Options, evidence: Evidence) -> None:
    """Put figures, plots and the model card on the run, for people to look at."""
    mlflow.log_metrics(_metrics(evidence))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, PLOT_FOLDER)
        folder.mkdir()
        plots = write_plots(evidence, folder)
        card = model_card(evidence, options.model_name, plots)
        Path(scratch, CARD).write_text(card, encoding="utf-8")
        mlflow.log_artifacts(scratch)
    progress("evidence", f"{len(evidence['figures'])} figures, {len(plots)} plots, {CARD}")


def _metrics(evidence: Evidence) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, found in evidence["figures"].items():
        ends = {"": found["value"], "_low": found["low"], "_high": found["high"]}
        metrics |= {f"{name}{end}": value for end, value in ends.items() if value is not None}
    return metrics


def _release(
    options: Options,
    dataset: Dataset,
    models: _Models,
    evidence: Evidence,
    store: tracking.Store,
    run_id: str,
) -> None:
    logged = log_models(models.answerer.classifier, models.drift, models.answerer.outliers)
    progress("models", f"{', '.join(logged)} logged")
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch, "bundle")
        bundle.mkdir()
        write_bundle(
            bundle,
            answerer=models.answerer,
            drift=models.drift,
            features=dataset.features,
            seed=options.parameters.seed,
        )
        bundle_sha256 = seal_bundle(bundle, evidence, options.model_name)
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
        figures=headlines(evidence),
    )
    version = register(store.client, options.model_name, model=release, run_id=run_id, tags=tags)
    progress("release", f"version {version} registered")
