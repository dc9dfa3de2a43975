"""Bad days: each ends in a message that says what to do, the old release serves on, and the next
`up` works."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from contract.employee import EXAMPLE
from tests.lifecycle.workspace import Workspace


@pytest.fixture
def stack(workspace: Workspace) -> Generator[Workspace]:
    """The stack, up before and after, with whatever the test configured taken back."""
    workspace.up()
    config, release = dict(workspace.config), workspace.release()
    yield workspace
    workspace.config = config
    workspace.configure()
    workspace.up()
    assert workspace.release() == release
    assert workspace.changes_nothing()


def test_a_taken_port_is_an_error_that_names_the_config_key(stack: Workspace) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        stack.configure(apiPort=port)
        error = stack.refused()
    assert f"127.0.0.1:{port} is taken" in error
    assert "employee-retention:apiPort in Pulumi.local.yaml" in error
    assert stack.answers()


def test_the_port_can_change(stack: Workspace) -> None:
    old = stack.port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        stack.port = probe.getsockname()[1]
    stack.configure(apiPort=stack.port)
    try:
        stack.up()
        assert stack.answers()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old), timeout=2)
    finally:
        stack.port = old


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dataset": "no/such/file.csv"}, r"no/such/file\.csv.*cannot be read.*`dataset`"),
        ({"trainingParameters": {"wrong": 1}}, r"trainingParameters .*'wrong' is unknown"),
        ({"apiPort": "high"}, r"employee-retention:apiPort \(Pulumi\.local\.yaml\) must be"),
        ({"apiPrt": 8001}, r"employee-retention:apiPrt .* is not a setting"),
        ({"gates": [{"metric": "cv_roc_auc"}]}, r"employee-retention:gates .* for example"),
        ({"releaseVersion": "999"}, r"version 999"),
    ],
)
def test_a_wrong_setting_is_named(
    stack: Workspace, settings: dict[str, object], expected: str
) -> None:
    stack.configure(**settings)
    assert re.search(expected, stack.refused(), re.DOTALL)
    assert stack.answers()


def test_a_wrong_table_is_named_by_column_and_row_and_no_value(stack: Workspace) -> None:
    names = [*EXAMPLE, "Attrition"]
    rows = [[*map(str, EXAMPLE.values()), "No" if i % 5 else "Yes"] for i in range(400)]
    rows[41][names.index("JobRole")] = "Astronaut"
    table = stack.folder / "table.csv"
    table.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    stack.configure(dataset=str(table))
    error = stack.refused()
    assert "JobRole" in error
    assert "42" in error
    assert "Astronaut" not in error
    assert stack.answers()


def test_a_locked_registry_is_an_error_that_says_so(stack: Workspace) -> None:
    store = stack.tracking_uri.removeprefix("sqlite:///")
    with sqlite3.connect(store, isolation_level=None) as holder:
        holder.execute("begin exclusive")
        stack.configure(retrain="while locked")
        error = stack.refused()
        holder.execute("rollback")
    holder.close()
    assert "locked" in error
    assert "another program holds the store" in error
    assert stack.answers()


@pytest.mark.usefixtures("two_releases")
def test_an_altered_release_is_not_served(stack: Workspace) -> None:
    serving = stack.release()
    other = "2" if serving == "1" else "1"
    with sqlite3.connect(stack.tracking_uri.removeprefix("sqlite:///")) as store:
        (source,) = store.execute(
            "select storage_location from model_versions where version = ?", (other,)
        ).fetchone()
    store.close()
    file = Path(source.removeprefix("file://")) / "artifacts" / "bundle" / "classifier.json"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"0", b"1", 1))
    stack.configure(releaseVersion=other)
    try:
        error = stack.refused()
    finally:
        file.write_bytes(content)
    assert f"release {other} in the registry" in error
    assert "classifier.json" in error
    assert stack.release() == serving


def test_a_full_disk_loses_nothing(stack: Workspace) -> None:
    """No file may grow over 64 KiB here, so that the registry's store cannot be written."""
    stack.configure(retrain="on a full disk")
    command = "ulimit -f 64; exec " + " ".join([sys.executable, "-m", "engine", "up"])
    state = stack.folder / ".local/embedded/local.json"
    before = state.read_bytes()
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 1
    assert "error:" in result.stderr
    assert state.read_bytes() == before
    assert stack.answers()


def test_an_api_process_that_died_is_started_again(stack: Workspace) -> None:
    (process,) = stack.api_processes()
    process.kill()
    process.wait(10)
    assert not stack.answers()
    printed = stack.up().stdout
    assert re.search(r"~ api +ApiProcess +updated", printed)
    assert stack.answers()


def test_a_second_up_at_the_same_time_is_refused_and_told_who_holds_it(stack: Workspace) -> None:
    stack.configure(retrain="two at the same time")
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "up"],
        cwd=stack.folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "TrainingRun" in line:
                break
        error = stack.refused()
        first.terminate()
    assert f"process {first.pid} on" in error
    assert "make up" in error


def test_a_lost_registry_is_made_again(stack: Workspace) -> None:
    """Someone removes the store by hand: an up trains anew instead of trusting its own state."""
    store = Path(stack.tracking_uri.removeprefix("sqlite:///"))
    kept = store.rename(store.with_suffix(".kept"))
    try:
        printed = stack.run("preview").stdout
        assert re.search(r"± training +TrainingRun +replace", printed)
    finally:
        kept.rename(store)


def test_an_unreadable_state_is_kept_and_named(stack: Workspace) -> None:
    state = stack.folder / ".local/embedded/local.json"
    content = state.read_text()
    state.write_text(content[: len(content) // 2])
    try:
        error = stack.refused()
        assert str(state) in error
        assert state.read_text() == content[: len(content) // 2]
    finally:
        state.write_text(content)
    assert json.loads(content)["resources"]


def test_a_process_whose_control_socket_is_gone_is_replaced(stack: Workspace) -> None:
    """Someone cleans the run folder: the process holds the port, and nobody can ask it."""
    (before,) = stack.api_processes()
    for socket_file in (stack.folder / ".local/run").iterdir():
        socket_file.unlink()
    stack.up()
    (after,) = stack.api_processes()
    assert after.pid != before.pid
    assert stack.answers()


def test_a_removed_copy_of_the_release_is_fetched_again(stack: Workspace) -> None:
    example = Path(stack.outputs()["exampleRequest"])
    shutil.rmtree(example.parent)
    stack.up()
    assert example.exists()


def test_a_dataset_address_with_a_secret_is_refused_unseen(stack: Workspace) -> None:
    stack.configure(dataset="https://example.invalid/table.csv?sig=hush-hush")
    error = stack.refused()
    assert "employee-retention:dataset" in error
    assert "hush-hush" not in error
