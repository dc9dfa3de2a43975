"""Every stack on Azure previews with no credentials, no Pulumi CLI and no network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lifecycle.workspace import Workspace

AZURE = ["shared", "staging", "production"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("preview") / "project")


def run(
    workspace: Workspace, command: str, stack: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line with a home without log-ins, and no variable that names a cloud."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    environment = {**kept, "HOME": str(workspace.folder / "home"), "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "-m", "engine", command, "--stack", stack, *options],
        cwd=workspace.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module", params=AZURE)
def preview(request: pytest.FixtureRequest, workspace: Workspace) -> tuple[str, str]:
    result = run(workspace, "preview", request.param)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return request.param, result.stdout


EXPECTED = {
    "shared": {
        "Workspace": 2,
        "Registry": 1,
        "Schema": 1,
        "Volume": 1,
        "RegisteredModel": 1,
        "Job": 2,
        "Budget": 1,
        "TrainingRun": 1,
        "SharedGuard": 1,
    },
    "staging": {
        "StackReference": 1,
        "ManagedCluster": 1,
        "DataCollectionRule": 1,
        "Image": 1,
        "ReleaseGate": 1,
        "Deployment": 1,
        "Job": 1,
        "Gateway": 1,
        "HTTPRoute": 1,
        "ModelStage": 1,
    },
    "production": {
        "StackReference": 1,
        "ManagedCluster": 1,
        "Image": 0,
        "ReleaseGate": 1,
        "Deployment": 1,
        "Job": 1,
        "ModelStage": 1,
    },
}
"""How many resources of a kind a stack has, of those that make it what it is."""


def test_it_shows_what_the_stack_is_made_of(preview: tuple[str, str]) -> None:
    stack, printed = preview
    kinds = re.findall(r"^ [+?] \S+ +(\S+) +(?:by|create|read)", printed, re.MULTILINE)
    assert {kind: kinds.count(kind) for kind in EXPECTED[stack]} == EXPECTED[stack]


def test_what_only_the_cloud_knows_is_unknown(preview: tuple[str, str]) -> None:
    assert "[unknown]" in preview[1]


def test_it_leaves_no_secret_on_the_screen(preview: tuple[str, str]) -> None:
    stack, printed = preview
    if stack != "shared":
        assert "[secret]" in printed
    assert not re.search(r"BEGIN [A-Z ]*PRIVATE KEY|api_?key: [A-Za-z0-9_-]{20}", printed)


def test_it_makes_no_state(preview: tuple[str, str], workspace: Workspace) -> None:
    assert not Path(workspace.folder, ".local", "embedded", f"{preview[0]}.json").exists()


def test_it_says_that_the_policies_hold(preview: tuple[str, str]) -> None:
    assert re.search(r"policies: \d+ rules hold", preview[1])


@pytest.mark.parametrize(
    ("command", "options", "instead"),
    [
        ("up", [], "pulumi up -s production"),
        ("down", [], "pulumi destroy -s production"),
        ("outputs", [], "pulumi stack output -s production"),
        ("preview", ["--engine", "pulumi"], "pulumi preview -s production"),
    ],
)
def test_what_needs_the_cloud_says_how_to_do_it(
    workspace: Workspace, command: str, options: list[str], instead: str
) -> None:
    result = run(workspace, command, "production", *options)
    assert result.returncode == 1
    assert f"`{instead}`" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_setting_is_named_with_its_file_and_an_example(workspace: Workspace) -> None:
    file = workspace.folder / "Pulumi.production.yaml"
    before = file.read_text()
    file.write_text(before.replace("employee-retention:hostname", "employee-retention:hostnam"))
    try:
        result = run(workspace, "preview", "production")
    finally:
        file.write_text(before)
    assert result.returncode == 1
    assert "employee-retention:hostnam (Pulumi.production.yaml) is not a setting" in result.stderr
    assert "Traceback" not in result.stderr
