"""The lifecycle end to end, on the real table, as a person runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.workspace import Workspace, load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_first_up_says_where_everything_is_and_its_curl_line_works(workspace: Workspace) -> None:
    assert workspace.first_up is not None
    printed = workspace.first_up.stdout
    assert workspace.url in printed
    assert f"{workspace.url}/docs" in printed
    assert "employee-attrition version 1" in printed
    assert "cv_roc_auc 0.8" in printed
    for word in ("make mlflow", "tail -f", "make outputs", "make down"):
        assert word in printed
    line = next(line for line in workspace.up().stdout.splitlines() if "curl " in line)
    curl = line[line.index("curl ") :]
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    (prediction,) = json.loads(answer.stdout)["predictions"]
    assert 0 < prediction["attrition_probability"] < 1
    assert workspace.outputs()["apiKey"] not in printed


def test_training_shows_its_progress_line_by_line(workspace: Workspace) -> None:
    assert workspace.first_up is not None
    printed = workspace.first_up.stdout
    assert "1,470 rows x 30 features" in printed
    assert printed.index("dataset ") < printed.index("evaluate ") < printed.index("version 1 reg")


def test_second_up_changes_nothing(workspace: Workspace) -> None:
    workspace.up()
    before = [process.pid for process in workspace.api_processes()]
    printed = workspace.up().stdout
    operations = re.findall(r"^ (.) \S+ +\S+ +(.*)$", printed, re.MULTILINE)
    assert operations == [("=", "same")] * 7
    assert [process.pid for process in workspace.api_processes()] == before


def test_outputs_are_one_json_object(workspace: Workspace) -> None:
    outputs = workspace.outputs()
    wanted = {"apiUrl", "apiKey", "modelName", "modelVersion", "mlflowTrackingUri", "logFile"}
    assert wanted <= outputs.keys()
    assert outputs["apiUrl"] == workspace.url
    assert outputs["mlflowTrackingUri"] == workspace.tracking_uri


def test_outputs_before_the_first_up_are_empty_and_say_what_comes_first(tmp_path: Path) -> None:
    found = Workspace(tmp_path / "project").run("outputs", engine="auto")
    assert found.stdout == "{}\n"
    assert found.stderr == "there is nothing to see yet: make up comes first\n"


def test_the_run_holds_three_models_and_the_release_is_one_proven_version(
    workspace: Workspace,
) -> None:
    """In a child, from another folder: the models must load where the project is not."""
    probe = """
import json, sys, tempfile, os
os.chdir(tempfile.gettempdir())
import mlflow
from mlflow import MlflowClient
mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient(sys.argv[1], sys.argv[1])
version = client.get_model_version_by_alias("employee-attrition", "local")
example = None
found = {}
for name in ("classifier", "drift", "outliers"):
    model = mlflow.pyfunc.load_model(f"runs:/{version.run_id}/{name}")
    example = model.input_example if example is None else example
    model.predict(model.input_example)
    found[name] = [model.metadata.signature is not None, model.input_example is not None]
release = mlflow.pyfunc.load_model(f"models:/employee-attrition@local")
found["release"] = [release.metadata.signature is not None, len(release.predict(example)) > 0]
run = client.get_run(version.run_id)
artifacts = [a.path for a in client.list_artifacts(version.run_id)]
print(json.dumps({"models": found, "tags": dict(version.tags), "metrics": run.data.metrics,
                  "params": run.data.params, "artifacts": artifacts}))
"""
    result = subprocess.run(
        [sys.executable, "-c", probe, workspace.tracking_uri],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert sorted(found["models"]) == ["classifier", "drift", "outliers", "release"]
    assert all(model == [True, True] for model in found["models"].values())
    tags = found["tags"]
    assert {"fingerprint", "data_sha256", "code_sha256", "bundle_sha256", "metrics"} <= tags.keys()
    assert json.loads(tags["proven_local"])["records"] == 25
    assert found["metrics"]["cv_roc_auc"] > 0.8
    assert found["params"]
    assert "model-card.md" in found["artifacts"]


def test_a_gate_that_does_not_hold_names_figure_and_bound_and_the_old_release_serves(
    workspace: Workspace,
) -> None:
    workspace.up()
    before = workspace.release()
    workspace.configure(gates=[{"metric": "cv_roc_auc", "at_least": 0.99}])
    try:
        error = workspace.refused()
        assert re.search(r"cv_roc_auc 0\.8\d+, at least 0\.9900: FAILS", error)
        assert workspace.release() == before
        # A gate is a resource, not a hook: it is judged again, not skipped.
        assert "FAILS" in workspace.refused()
    finally:
        workspace.configure(gates=None)
        workspace.up()


def test_a_new_release_and_the_way_back_lose_no_request(two_releases: Workspace) -> None:
    workspace = two_releases
    workspace.configure(releaseVersion=None, retrain=None)
    workspace.up()
    first = workspace.release()
    with load(workspace) as seen:
        workspace.configure(retrain="a new release")
        workspace.up()
        second = workspace.release()
        assert second != first
        workspace.configure(releaseVersion=first)
        workspace.up()
        assert workspace.release() == first
        assert workspace.outputs()["modelVersion"] == first
    workspace.configure(releaseVersion=None)
    assert seen.failures == []
    assert set(seen.answers) == {first, second}
    assert min(seen.answers.values()) > 10
    assert len(workspace.api_processes()) == 1


def test_the_monitor_shows_the_release_that_serves_also_after_a_switch_and_a_way_back(
    two_releases: Workspace,
) -> None:
    workspace = two_releases
    for version in ("1", "2", "1"):
        workspace.configure(releaseVersion=version, retrain=None)
        workspace.up()
        page = workspace.monitor()
        assert f"<h1>Release {version}, as of " in page
        assert "<svg" in page
    workspace.configure(releaseVersion=None)


def test_preview_shows_what_only_an_up_can_know_as_unknown(workspace: Workspace) -> None:
    workspace.up()
    before = workspace.release()
    nonce = workspace.config.get("retrain")
    workspace.configure(retrain="only a preview")
    try:
        printed = workspace.run("preview").stdout
        assert re.search(r"± training +TrainingRun +replace", printed)
        assert "version: [unknown]" in printed
        assert workspace.outputs()["apiKey"] not in printed
        assert workspace.release() == before
    finally:
        workspace.configure(retrain=nonce)
    assert workspace.changes_nothing()


def test_the_secret_is_in_no_log_and_no_state(workspace: Workspace) -> None:
    workspace.up()
    key = workspace.outputs()["apiKey"].encode()
    held = [
        path.relative_to(workspace.folder).as_posix()
        for path in (workspace.folder / ".local").rglob("*")
        if path.is_file() and key in path.read_bytes()
    ]
    assert held == [".local/api.key"]
    assert (workspace.folder / ".local/api.key").stat().st_mode & 0o077 == 0
    assert (workspace.folder / ".local/passphrase").stat().st_mode & 0o077 == 0


def test_down_stops_everything_and_twice_is_fine_and_up_finds_the_release_again(
    workspace: Workspace,
) -> None:
    workspace.up()
    version = workspace.release()
    workspace.run("down")
    assert workspace.processes() == []
    assert not workspace.answers()
    assert not (workspace.folder / ".local/api.key").exists()
    assert "nothing to do" in workspace.run("down").stdout
    printed = workspace.up().stdout
    assert "nothing to train" in printed
    assert workspace.release() == version
