"""An engine that is killed at any point: the next run goes on from there, and nothing is left over.

Each test kills with SIGKILL, so that no clean-up code runs.
"""

import contextlib
import sqlite3

import psutil
import pytest

from tests.lifecycle.workspace import Workspace, load


def _versions(workspace: Workspace) -> list[tuple[int, str]]:
    """List (version, fingerprint) of every registered release, straight from the store."""
    with sqlite3.connect(workspace.tracking_uri.removeprefix("sqlite:///")) as store:
        return store.execute(
            "select version, value from model_version_tags where key = 'fingerprint'"
            " order by version"
        ).fetchall()


def _training_processes(workspace: Workspace) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in workspace.processes():
        # One that has just ended may be listed still, and tells nothing.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "training" in process.cmdline():
                found.append(process)
    return found


def test_killed_during_training(workspace: Workspace) -> None:
    workspace.up()
    before, served = _versions(workspace), workspace.release()
    workspace.configure(retrain="killed during training")
    assert workspace.up_killed_at("classifier ")
    gone, alive = psutil.wait_procs(_training_processes(workspace), timeout=20)
    assert alive == [], f"training outlived its engine ({gone=})"
    assert _versions(workspace) == before
    assert workspace.release() == served
    printed = workspace.up().stdout
    assert "cut short" in printed
    assert "nothing to train" not in printed
    after = _versions(workspace)
    assert len(after) == len(before) + 1
    assert workspace.release() == str(after[-1][0])


def test_killed_after_training_registered_trains_no_second_time(workspace: Workspace) -> None:
    workspace.up()
    before = _versions(workspace)
    workspace.configure(retrain="killed after registration")
    assert workspace.up_killed_at(" registered")
    assert len(_versions(workspace)) == len(before) + 1
    assert "nothing to train" in workspace.up().stdout
    after = _versions(workspace)
    assert len(after) == len(before) + 1
    assert len({fingerprint for _, fingerprint in after}) == len(after)
    assert workspace.release() == str(after[-1][0])


@pytest.mark.parametrize(
    "marker",
    [
        "gate       ReleaseGate    updating",
        "api        ApiProcess     replacing",
        "smoke      SmokeTest      updating",
        "traffic    TrafficSwitch  updating",
        "stage      ModelStage     updating",
        "api        ApiProcess     deleting",
    ],
)
def test_killed_during_promotion(two_releases: Workspace, marker: str) -> None:
    """Moving between two releases, killed at each step in turn, loses no request."""
    workspace = two_releases
    workspace.up()
    before = workspace.release()
    wanted = "2" if before == "1" else "1"
    workspace.configure(releaseVersion=wanted)
    with load(workspace) as seen:
        assert workspace.up_killed_at(marker)
        assert workspace.release() in (before, wanted)
        workspace.up()
        assert workspace.release() == wanted
    assert seen.failures == []
    assert set(seen.answers) == {before, wanted}
    assert len(workspace.api_processes()) == 1
    assert workspace.changes_nothing()


def test_killed_right_after_the_process_started_leaves_no_stray(two_releases: Workspace) -> None:
    """The started process serves nobody; when the way back is chosen then, it has to end."""
    workspace = two_releases
    workspace.configure(releaseVersion="1")
    workspace.up()
    workspace.configure(releaseVersion="2")
    assert workspace.up_killed_at("api        ApiProcess     replaced")
    assert len(workspace.api_processes()) == 2
    workspace.configure(releaseVersion="1")
    workspace.up()
    assert workspace.release() == "1"
    assert len(workspace.api_processes()) == 1
    assert workspace.changes_nothing()
