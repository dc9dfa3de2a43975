"""The same program under the Pulumi engine, where a `pulumi` command is found."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.workspace import Workspace, load

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="there is no pulumi command on the PATH"
)


@pytest.fixture(scope="module")
def both(workspace: Workspace) -> Generator[dict[str, dict[str, Any]]]:
    """The stack's resources under each engine in turn, by name; Pulumi holds the stack then."""
    workspace.up()
    state = json.loads((workspace.folder / ".local/embedded/local.json").read_text())
    embedded = {r["name"]: r for r in state["resources"]}
    workspace.run("down")
    workspace.up(engine="pulumi")
    exported = json.loads(_pulumi(workspace, "stack", "export", "-s", "local"))["deployment"][
        "resources"
    ]
    yield {"embedded": embedded, "pulumi": {_name(r["urn"]): r for r in exported}}
    workspace.run("down", engine="pulumi")
    workspace.up()


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _pulumi(workspace: Workspace, *arguments: str) -> str:
    """Run the pulumi command as a person does who has read the README."""
    command = f". .local/pulumi/env && pulumi {' '.join(arguments)}"
    result = subprocess.run(
        ["bash", "-c", command], cwd=workspace.folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _registry(workspace: Workspace, expression: str) -> str:
    """Ask the registry, or change it, as a person does who has MLflow."""
    code = (
        "from mlflow import MlflowClient; NAME = 'employee-attrition'; "
        f"print(MlflowClient('{workspace.tracking_uri}').{expression})"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout.strip()


# What each engine makes of its own: names of processes, and the hash of a key made anew.
_MADE_ANEW = {"instance", "pid", "url", "release_dir", "api_key", "api_key_sha256", "generation"}


def test_both_engines_register_the_same_resources(both: dict[str, dict[str, Any]]) -> None:
    embedded, pulumi = both["embedded"], both["pulumi"]
    ours = {name: r for name, r in pulumi.items() if r["type"].startswith("pulumi-python:dynamic")}
    assert ours.keys() == embedded.keys()
    for name, theirs in ours.items():
        mine = embedded[name]
        assert mine["urn"] == theirs["urn"]
        assert mine["type"] == theirs["type"]
        assert mine["parent"] == theirs["parent"]
        assert sorted(mine["dependencies"]) == sorted(theirs.get("dependencies", []))
        assert _dependencies(mine["property_dependencies"]) == _dependencies(
            theirs.get("propertyDependencies", {})
        )
        assert mine["inputs"].keys() == theirs["inputs"].keys(), name
        for key in mine["inputs"].keys() - _MADE_ANEW:
            assert mine["inputs"][key] == theirs["inputs"][key], f"{name}.{key}"


def _dependencies(by_property: dict[str, list[str] | None]) -> dict[str, list[str]]:
    return {key: sorted(urns) for key, urns in by_property.items() if urns}


def test_both_engines_keep_the_same_secrets(both: dict[str, dict[str, Any]]) -> None:
    def sealed(values: dict[str, Any]) -> set[str]:
        return {
            key
            for key, value in values.items()
            if (isinstance(value, str) and value.startswith("secret:"))
            or (isinstance(value, dict) and "ciphertext" in value)
        }

    for name, mine in both["embedded"].items():
        theirs = both["pulumi"][name]
        assert sealed(mine["inputs"]) == sealed(theirs["inputs"]), name
        assert sealed(mine["outputs"]) == sealed(theirs["outputs"]), name
    assert sealed(both["embedded"]["api-key"]["outputs"]) == {"key"}


def test_a_second_up_changes_nothing(workspace: Workspace, both: dict[str, dict[str, Any]]) -> None:
    printed = workspace.up(engine="auto").stdout
    assert "engine: pulumi (it holds the stack)" in printed
    assert re.search(r"8 unchanged", printed)
    assert workspace.outputs()["apiUrl"] == workspace.url


def test_pulumi_up_by_hand(workspace: Workspace, both: dict[str, dict[str, Any]]) -> None:
    printed = _pulumi(workspace, "up", "-s", "local", "--yes", "--non-interactive")
    assert "8 unchanged" in printed
    workspace.configure()


def test_a_refresh_finds_an_alias_that_was_moved_by_hand(
    workspace: Workspace, both: dict[str, dict[str, Any]]
) -> None:
    """Taken away, or pointed at another version: the next `up` puts it right."""
    version = workspace.release()
    other = _registry(workspace, "create_model_version(NAME, 'file:///nowhere').version")
    for change, said in (
        ("delete_registered_model_alias(NAME, 'local')", "1 deleted"),
        (f"set_registered_model_alias(NAME, 'local', '{other}')", "1 updated"),
    ):
        _registry(workspace, change)
        printed = _pulumi(workspace, "refresh", "-s", "local", "--yes", "--non-interactive")
        assert said in printed, printed
        assert "7 unchanged" in printed
        workspace.up(engine="pulumi")
        alias = "get_model_version_by_alias(NAME, 'local').version"
        assert _registry(workspace, alias) == version
    _registry(workspace, f"delete_model_version(NAME, '{other}')")
    assert "8 unchanged" in workspace.up(engine="pulumi").stdout


def test_a_refresh_leaves_a_lost_registry_to_be_trained_for(
    workspace: Workspace, both: dict[str, dict[str, Any]]
) -> None:
    store = Path(workspace.tracking_uri.removeprefix("sqlite:///"))
    kept = store.rename(store.with_suffix(".kept"))
    try:
        printed = _pulumi(workspace, "refresh", "-s", "local", "--yes", "--non-interactive")
        assert "1 deleted" in printed, printed
        assert not store.exists()
        preview = _pulumi(workspace, "preview", "-s", "local", "--non-interactive")
        assert re.search(r"TrainingRun +training +replace", preview), preview
    finally:
        kept.rename(store)
    workspace.up(engine="pulumi")
    assert "8 unchanged" in workspace.up(engine="pulumi").stdout


def test_a_failing_gate_and_a_switch_under_load(
    workspace: Workspace, both: dict[str, dict[str, Any]]
) -> None:
    before = workspace.release()
    workspace.configure(gates=[{"metric": "cv_roc_auc", "at_least": 0.99}])
    error = workspace.refused(engine="pulumi")
    assert re.search(r"cv_roc_auc 0\.8\d+, at least 0\.9900: FAILS", error)
    assert "FAILS" in workspace.refused(engine="pulumi")
    assert workspace.release() == before
    workspace.configure(gates=None, retrain="under pulumi")
    with load(workspace) as seen:
        workspace.up(engine="pulumi")
        now = workspace.release()
        assert now != before
        workspace.configure(releaseVersion=before)
        workspace.up(engine="pulumi")
    assert workspace.release() == before
    assert seen.failures == []
    assert set(seen.answers) == {before, now}
    assert len(workspace.api_processes()) == 1
    workspace.configure(releaseVersion=None, retrain=None)


def test_killed_during_training(workspace: Workspace, both: dict[str, dict[str, Any]]) -> None:
    workspace.configure(retrain="killed under pulumi")
    assert workspace.up_killed_at("classifier ", engine="pulumi")
    printed = workspace.up(engine="pulumi").stdout
    assert "cut short" in printed
    assert "nothing to train" not in printed
    assert len(workspace.processes()) == len(workspace.api_processes()) == 1


def test_the_embedded_engine_does_not_touch_what_pulumi_holds(
    workspace: Workspace, both: dict[str, dict[str, Any]]
) -> None:
    result = workspace.run("up", check=False)
    assert result.status == 1
    assert "held by the pulumi engine" in result.stderr


def test_nothing_under_version_control_is_written_by_make(
    workspace: Workspace, both: dict[str, dict[str, Any]]
) -> None:
    before = (workspace.folder / "Pulumi.local.yaml").read_bytes()
    workspace.up(engine="pulumi")
    assert (workspace.folder / "Pulumi.local.yaml").read_bytes() == before
    assert Path(workspace.folder, ".local/pulumi/workspace/Pulumi.local.yaml").exists()
