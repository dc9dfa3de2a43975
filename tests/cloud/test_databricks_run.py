"""The Databricks job's files and parameters really run: uploaded, started, trained, registered.

Everything is real but the workspace, which is minilake: the code as `infra` uploads it, the job
with the parameters that `infra` gives it, `python -m training` in a process of the workspace,
MLflow, and the provider that starts the run, waits for it and finds the release.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.jobs import RunResultState
from databricks_minilake import TOKEN, Workspace
from pulumi.dynamic import Config, ConfigureRequest

from contract.fingerprint import TRAINING_CODE, canonical_json
from contract.release import verify
from infra.dataset import canonical_csv
from infra.lifecycle import executor_databricks
from infra.lifecycle.databricks import Credentials
from infra.lifecycle.errors import TrainingError
from infra.lifecycle.registry import Registry
from infra.lifecycle.training_run import TrainingRunProvider
from tests.recorder import ROOT

pytestmark = [
    # MLflow's table classes use what SQLAlchemy 2.1 deprecates (MLflow 3.17.2, 2026-11).
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

QUICK = {"cv_folds": 2.0, "cv_repeats": 2.0}
"""As the engine hands it over: every number with a fraction."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("databricks") / "minilake")
    yield workspace
    workspace.stop()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in the project's folder, and give back the variables that a provider sets."""
    before = dict(os.environ)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(executor_databricks, "_POLL_SECONDS", 0.2)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def provider() -> TrainingRunProvider:
    provider = TrainingRunProvider()
    config = Config({"databricks:token": TOKEN}, "employee-retention")
    provider.configure(ConfigureRequest(config))
    return provider


@pytest.fixture
def inputs(workspace: Workspace, tmp_path: Path) -> dict[str, Any]:
    """The resource's inputs, for a job, a registry and a table of the test's own."""
    table = canonical_csv("package", tmp_path / "datasets")
    uploaded = tmp_path / "volume.csv"
    shutil.copy(table, uploaded)
    return {
        "registry": {
            "model_name": "main.hr.attrition",
            "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
            "registry_uri": "",
            "host": workspace.host,
            "azure_resource_id": "",
        },
        "executor": {
            "kind": "databricks",
            "job_id": str(workspace.create_training_job()),
            "experiment": "/Shared/hr/attrition",
            "data_path": str(uploaded),
        },
        "data": str(table),
        "parameters": QUICK,
        "code": list(TRAINING_CODE),
        "retrain": "",
        "timeout_minutes": 10.0,
    }


def checked(provider: TrainingRunProvider, inputs: dict[str, Any]) -> dict[str, Any]:
    result = provider.check({}, inputs)
    assert result.failures == []
    return result.inputs


def job_id(inputs: dict[str, Any]) -> int:
    return int(inputs["executor"]["job_id"])


def made(provider: TrainingRunProvider, props: dict[str, Any]) -> dict[str, Any]:
    result = provider.create(props)
    assert result.id == props["fingerprint"]
    assert result.outs is not None
    return result.outs


def test_a_release_is_trained_registered_found_and_not_trained_again(
    workspace: Workspace,
    provider: TrainingRunProvider,
    inputs: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    props = checked(provider, inputs)
    outs = made(provider, props)
    (run,) = workspace.runs(job_id(inputs))
    assert (outs["version"], outs["adopted"]) == ("1", False)
    assert outs["run_url"] == run.run_page_url
    assert outs["metrics"]["cv_roc_auc"] > 0.7
    registry = Registry(inputs["registry"], Credentials(token=TOKEN))
    found = registry.find(props["fingerprint"])
    assert found is not None
    assert found.run_id == outs["run_id"]
    assert verify(registry.fetch_bundle("1", tmp_path / "fetched")) == outs["bundle_sha256"]
    said = capsys.readouterr().out
    assert f"run {run.run_id}: {run.run_page_url}" in said
    assert "TERMINATED (training TERMINATED)" in said
    assert "release     version 1 registered" in said

    again = made(provider, props)
    assert again == {**outs, "adopted": True, "run_url": ""}, "a run that minilake cannot tell"
    assert len(workspace.runs(job_id(inputs))) == 1
    assert "nothing to train" in capsys.readouterr().out


def test_a_failed_run_is_quoted_and_the_next_try_is_a_new_run_that_a_killed_wait_resumes(
    workspace: Workspace,
    provider: TrainingRunProvider,
    inputs: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    props = checked(provider, inputs)
    uploaded = Path(inputs["executor"]["data_path"])
    content = uploaded.read_bytes()
    uploaded.write_bytes(content + b"\n")
    with pytest.raises(TrainingError) as caught:
        provider.create(props)
    (failed,) = workspace.runs(job_id(inputs))
    message = str(caught.value)
    assert message.startswith(f"run {failed.run_id} of Databricks job {job_id(inputs)} ended as")
    assert "task training ended as FAILED" in message
    assert "the dataset changed between planning and training" in message
    assert "training ended with status 1" in message
    assert f"The whole run: {failed.run_page_url}" in message

    uploaded.write_bytes(content)
    killed_while_waiting(props)
    _, second = workspace.runs(job_id(inputs))
    assert second.end_time is None, "the run ended before it could be waited for again"
    capsys.readouterr()
    outs = made(provider, props)
    assert (outs["version"], outs["adopted"]) == ("1", False)
    _, last = workspace.runs(job_id(inputs))
    assert last.run_id == second.run_id
    assert last.state is not None
    assert last.state.result_state is RunResultState.SUCCESS
    assert f"run {second.run_id} is under way" in capsys.readouterr().out


WAIT = (
    "import json, sys; from infra.lifecycle.training_run import TrainingRunProvider; "
    "from infra.lifecycle.databricks import Credentials; "
    "provider = TrainingRunProvider(); provider.credentials = Credentials(token=sys.argv[2]); "
    "provider.create(json.loads(sys.argv[1]))"
)


def killed_while_waiting(props: dict[str, Any]) -> None:
    """Start the run in a process that is killed as soon as the run is under way."""
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, json.dumps(props), TOKEN],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stdout is not None
        for line in waiting.stdout:
            if line.strip().startswith("run "):
                break
        waiting.kill()
    assert waiting.returncode == -9


def test_a_run_that_nobody_planned_names_itself_by_its_inputs(
    workspace: Workspace, provider: TrainingRunProvider, inputs: dict[str, Any]
) -> None:
    """As a schedule starts it: without a fingerprint, or any hash."""
    run = workspace.client.jobs.run_now_and_wait(
        job_id(inputs),
        job_parameters={
            "tracking_uri": inputs["registry"]["tracking_uri"],
            "model_name": inputs["registry"]["model_name"],
            "data": inputs["executor"]["data_path"],
            "parameters": canonical_json(QUICK),
        },
    )
    assert run.state is not None
    assert run.state.result_state is RunResultState.SUCCESS
    outs = made(provider, checked(provider, inputs))
    assert (outs["version"], outs["adopted"]) == ("1", True)
