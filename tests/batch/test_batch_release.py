"""A release that was altered, or that this code answers wrongly, scores nothing."""

# MLflow's own types are partly unknown (3.17.2, 2026-11).
# pyright: reportUnknownMemberType=false

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from app.release import load
from batch.errors import BatchError
from batch.registry import ModelAddress, fetch
from batch.scoring import scorer
from contract.employee import EXAMPLE
from contract.release import BUNDLE_PATH, REFERENCE, TAG_BUNDLE, seal
from tests.batch.batch_rows import KEY
from tests.batch.conftest import MODEL, Trained

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def address(trained: Trained, name: str = MODEL) -> ModelAddress:
    return ModelAddress(name=name, tracking_uri=trained.uri, registry_uri=trained.uri)


def register(trained: Trained, folder: Path, name: str, tags: dict[str, str]) -> None:
    """Register the folder, a model's, as version 1 of another model of the same registry."""
    client = MlflowClient(trained.uri, trained.uri)
    client.create_registered_model(name)
    client.create_model_version(name, source=folder.as_uri(), tags=tags)


def copy(trained: Trained, folder: Path) -> Path:
    bundle = folder / BUNDLE_PATH
    shutil.copytree(trained.bundle, bundle)
    return bundle


def test_the_stage_and_the_version_name_the_same_release(trained: Trained) -> None:
    at_stage = fetch(address(trained), stage="staging")
    assert at_stage.version == "1"
    sha256 = at_stage.release.manifest_sha256
    assert sha256 == fetch(address(trained), version="1").release.manifest_sha256
    assert sha256 == load(trained.bundle).manifest_sha256


def test_an_altered_bundle_is_refused(trained: Trained, tmp_path: Path) -> None:
    bundle = copy(trained, tmp_path)
    sha256 = load(bundle).manifest_sha256
    (bundle / REFERENCE).write_text("{}")
    register(trained, tmp_path, "altered", {TAG_BUNDLE: sha256})
    with pytest.raises(BatchError, match=rf"release 1: .*{REFERENCE}.*altered"):
        fetch(address(trained, "altered"), version="1")


def test_a_bundle_sealed_anew_is_refused(trained: Trained, tmp_path: Path) -> None:
    bundle = copy(trained, tmp_path)
    register(trained, tmp_path, "resealed", {TAG_BUNDLE: load(bundle).manifest_sha256})
    (bundle / REFERENCE).write_text((bundle / REFERENCE).read_text() + "\n")
    seal(bundle)
    with pytest.raises(BatchError, match="the registry says"):
        fetch(address(trained, "resealed"), version="1")


def test_a_version_that_is_no_release_is_refused(trained: Trained, tmp_path: Path) -> None:
    copy(trained, tmp_path)
    register(trained, tmp_path, "stranger", {})
    with pytest.raises(BatchError, match=f"no tag '{TAG_BUNDLE}'"):
        fetch(address(trained, "stranger"), version="1")


def test_wrong_answers_to_the_reference_records_stop_the_run(
    trained: Trained, tmp_path: Path
) -> None:
    bundle = copy(trained, tmp_path)
    content: dict[str, Any] = json.loads((bundle / REFERENCE).read_bytes())
    content["records"][2]["answer"]["interval"][1] += 0.001
    (bundle / REFERENCE).write_text(json.dumps(content))
    register(trained, tmp_path, "wrong", {TAG_BUNDLE: seal(bundle)})
    with pytest.raises(BatchError, match="reference record 2 is not answered"):
        fetch(address(trained, "wrong"), version="1")


def test_a_registry_that_does_not_answer_is_named_without_its_password() -> None:
    uri = "sqlite:////nowhere/at/all/mlflow.db?password=hush"
    with pytest.raises(BatchError, match="model registry sqlite:///") as caught:
        fetch(ModelAddress(name=MODEL, tracking_uri=uri, registry_uri=uri), version="1")
    assert "hush" not in str(caught.value)


def test_a_failing_worker_does_not_say_the_value(trained: Trained) -> None:
    release = load(trained.bundle)
    broken = replace(release, outliers=replace(release.outliers, bins=np.zeros(1, dtype=np.int64)))
    score = scorer(broken, [KEY])
    secret = 54_321
    with pytest.raises(RuntimeError, match=r"IndexError.*scoring\.py") as caught:
        list(score(iter([pd.DataFrame([{KEY: "1", **EXAMPLE, "MonthlyIncome": secret}])])))
    assert str(secret) not in str(caught.value)
    assert caught.value.__suppress_context__
