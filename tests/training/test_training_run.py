"""A whole run of the entry point: what it says, and what it leaves in MLflow."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.file_utils import local_file_uri_to_path

from app.release import load
from app.scoring import encode, predict
from contract.dataset import PACKAGED, source_sha256
from contract.employee import DETECTED_NAMES
from contract.release import (
    BUNDLE_PATH,
    EVIDENCE,
    REFERENCE,
    TAG_BUNDLE,
    TAG_CODE,
    TAG_DATA,
    TAG_FINGERPRINT,
    TAG_METRICS,
    verify,
)
from training.data.dataset import Dataset
from training.data.records import records_frame
from training.evaluation.evaluate import HEADLINES
from training.release import find_release
from training.report.plots import PLOTS

pytestmark = [
    # MLflow's table classes use what SQLAlchemy 2.1 deprecates (MLflow 3.17.2, 2026-11).
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
NAME = "attrition"
FINGERPRINT = "f0" * 32
QUICK = '{"cv_repeats": 2, "replicates": 20}'


@pytest.fixture
def client(trained: Any) -> MlflowClient:
    return MlflowClient(trained.uri, trained.uri)


@pytest.fixture
def only_run(client: MlflowClient) -> Run:
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def files_of(client: MlflowClient) -> Path:
    """The folder of version 1's files."""
    return Path(local_file_uri_to_path(client.get_model_version_download_uri(NAME, "1")))


def test_says_one_line_per_step_and_nothing_else(trained: Any) -> None:
    lines = trained.stdout.splitlines()
    assert lines[0] == "dataset     1,470 rows x 30 features, 237 leavers (16.1 %)"
    assert lines[-1] == "release     version 1 registered"
    assert [line.split()[0] for line in lines] == [
        *("dataset", "tracking", "classifier", "outliers", "drift"),
        *("evaluate",) * 4,
        *("evidence", "models", "bundle", "release"),
    ]
    assert trained.stderr == ""
    assert trained.stdout.isascii()


def test_the_run_records_what_it_was_made_of(only_run: Run, client: MlflowClient) -> None:
    assert only_run.info.status == "FINISHED"
    assert only_run.data.params == {
        **{"seed": "42", "cv_folds": "5", "cv_repeats": "2", "replicates": "20"},
        **{"missed_leaver_cost": "5.0", "interval_level": "0.8", "use_protected": "False"},
    }
    assert only_run.data.tags[TAG_DATA] == source_sha256(PACKAGED)
    assert only_run.data.tags[TAG_FINGERPRINT] == FINGERPRINT
    assert only_run.data.tags[TAG_CODE] == "c0" * 32
    ends = {"cv_roc_auc", "cv_roc_auc_low", "cv_roc_auc_high", "cv_ece"}
    assert only_run.data.metrics.keys() >= ends | set(HEADLINES)
    files = [file.path for file in client.list_artifacts(only_run.info.run_id)]
    assert files == ["model-card.md", "plots"]
    plots = {file.path for file in client.list_artifacts(only_run.info.run_id, "plots")}
    assert plots == {f"plots/{name}" for name in PLOTS}


def test_the_model_card_says_the_figures_and_the_limits(
    only_run: Run, client: MlflowClient
) -> None:
    location = f"{only_run.info.artifact_uri}/model-card.md"
    card = mlflow.artifacts.load_text(location)
    assert f"{only_run.data.metrics['cv_roc_auc']:.4f}" in card
    for part in (
        "Intended use",
        "Limits",
        "Age, Gender",
        "237",
        *(f"plots/{name}" for name in PLOTS),
    ):
        assert part in card


def test_one_version_is_registered_with_all_its_tags(only_run: Run, client: MlflowClient) -> None:
    (version,) = client.search_model_versions(f"name = '{NAME}'")
    assert version.run_id == only_run.info.run_id
    assert version.status == "READY"
    assert version.tags.keys() == {TAG_FINGERPRINT, TAG_DATA, TAG_CODE, TAG_BUNDLE, TAG_METRICS}
    metrics = json.loads(version.tags[TAG_METRICS])
    evidence = json.loads((files_of(client) / BUNDLE_PATH / EVIDENCE).read_text())
    figures = evidence["figures"]
    assert metrics == {name: figures[name]["value"] for name in HEADLINES}
    assert evidence["origin"]["data_sha256"] == version.tags[TAG_DATA]
    assert evidence["origin"]["code_sha256"] == version.tags[TAG_CODE]
    found = find_release(client, NAME, FINGERPRINT)
    assert found is not None
    assert found.version == version.version
    assert find_release(client, NAME, "00") is None
    assert client.search_model_versions(f"name = '{NAME}' and tags.fingerprint = '{FINGERPRINT}'")


def test_the_bundle_lies_where_the_constant_says(client: MlflowClient) -> None:
    (version,) = client.search_model_versions(f"name = '{NAME}'")
    assert verify(files_of(client) / BUNDLE_PATH, version.tags[TAG_BUNDLE])


LOAD_ALL = """
import json, sys
import mlflow, pandas as pd
uri, run, records = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
frame = pd.DataFrame(json.loads(records))
answers = {}
for name in ("classifier", "drift", "outliers"):
    model = mlflow.pyfunc.load_model(f"runs:/{run}/{name}")
    assert model.metadata.signature is not None, name
    example = model.input_example
    assert example is not None, name
    answers[name] = pd.DataFrame(model.predict(frame)).to_dict("records")
release = mlflow.pyfunc.load_model("models:/attrition/1")
answers["release"] = release.predict(frame).to_dict("records")
import training
answers["code"] = training.__file__
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the four models answer in a process that has neither the checkout nor its folder."""
    client = MlflowClient(trained.uri, trained.uri)
    reference = json.loads((files_of(client) / BUNDLE_PATH / REFERENCE).read_text())["records"]
    version = client.get_model_version(NAME, "1")
    records = json.dumps([entry["record"] for entry in reference])
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, trained.uri, str(version.run_id), records],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {"reference": reference, **json.loads(done.stdout.splitlines()[-1])}


def test_all_four_models_load_elsewhere(answers: dict[str, Any]) -> None:
    assert not answers["code"].startswith(str(ROOT))
    assert answers["drift"][0]["status"] == "not_enough_data"
    assert len(answers["drift"]) == 1


def test_the_loaded_models_give_the_reference_answers(answers: dict[str, Any]) -> None:
    for entry, leaving, outlier, release in zip(
        answers["reference"],
        answers["classifier"],
        answers["outliers"],
        answers["release"],
        strict=True,
    ):
        expected = entry["answer"]
        assert leaving["1"] == pytest.approx(expected["attrition_probability"], abs=1e-9)
        assert leaving["0"] + leaving["1"] == pytest.approx(1.0)
        assert outlier["is_outlier"] is expected["outlier"]["is_outlier"]
        assert outlier["outlier_score"] == pytest.approx(expected["outlier"]["score"])
        assert release["attrition_probability"] == leaving["1"]
        ends = [release["interval_low"], release["interval_high"]]
        assert ends == pytest.approx(expected["interval"], abs=1e-9)
        assert release["decision"] == expected["decision"]
        assert json.loads(release["outlier_features"]) == expected["outlier"]["features"]
        assert json.loads(release["broken_rules"]) == expected["outlier"]["broken_rules"]
        named = [reason["feature"] for reason in json.loads(release["reasons"])]
        assert named == [reason["feature"] for reason in expected["reasons"]]


@pytest.mark.parametrize("which", ["the whole table", "10,000 legal records"])
def test_the_registered_model_and_the_bundle_agree(
    which: str,
    trained: Any,
    client: MlflowClient,
    dataset: Dataset,
    legal_records: list[dict[str, int | str]],
) -> None:
    """One is scikit-learn behind MLflow, the other the tables that the API looks things up in."""
    records = dataset.features if "table" in which else records_frame(legal_records)
    mlflow.set_tracking_uri(trained.uri)
    mlflow.set_registry_uri(trained.uri)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    theirs = model.predict(records)
    release = load(files_of(client) / BUNDLE_PATH)
    rows: list[Any] = records.to_dict("records")
    logit, _, contributions = release.classifier.evaluate(encode(rows))
    np.testing.assert_allclose(logit, theirs["logit"], rtol=0, atol=1e-9)
    total = contributions.sum(axis=0) + release.classifier.baseline[0]
    np.testing.assert_allclose(total, theirs["logit"], rtol=0, atol=1e-9)
    ours = predict(release.classifier, release.outliers, encode(rows))
    assert [each["decision"] for each in ours] == theirs["decision"].tolist()
    assert [each["outlier"]["is_outlier"] for each in ours] == theirs["is_outlier"].tolist()


def test_the_drift_model_judges_a_window(trained: Any, only_run: Run, dataset: Dataset) -> None:
    mlflow.set_tracking_uri(trained.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{only_run.info.run_id}/drift")
    window = dataset.features.head(400)
    stable = model.predict(window)
    assert stable["status"].unique().tolist() == ["ok"]
    assert stable["feature"].tolist() == [*DETECTED_NAMES, "all fields together"]
    moved = model.predict(window.assign(OverTime="Yes"))
    assert moved["status"].unique().tolist() == ["drift"]
    assert moved.loc[moved["drifted"], "feature"].tolist()[0] == "OverTime"


def test_a_second_training_gives_the_same_bundle_byte_for_byte(
    trained: Any, client: MlflowClient, command: Any, python: Any, tmp_path: Path
) -> None:
    database = tmp_path / "again.db"
    run = command(database, "--parameters", QUICK)
    done = subprocess.run(
        python(run), cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    again = MlflowClient(f"sqlite:///{database}", f"sqlite:///{database}")
    first, second = files_of(client) / BUNDLE_PATH, files_of(again) / BUNDLE_PATH
    assert {path.name for path in first.iterdir()} == {path.name for path in second.iterdir()}
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    tag = [store.get_model_version(NAME, "1").tags[TAG_BUNDLE] for store in (client, again)]
    assert tag[0] == tag[1]
