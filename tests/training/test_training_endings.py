"""Every way in which a run may end: registered, adopted, refused, failed, locked out, orphaned."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from contract.dataset import shown
from training import pipeline, tracking
from training.__main__ import main
from training.release import find_release

pytestmark = [
    # MLflow's table classes use what SQLAlchemy 2.1 deprecates (MLflow 3.17.2, 2026-11).
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

Command = Callable[..., list[str]]
ROOT = Path(__file__).resolve().parents[2]
NAME = "attrition"
FINGERPRINT = "f0" * 32


@pytest.fixture
def copied(trained: Any, tmp_path: Path) -> Path:
    """A copy of the database after one training, for tests that write."""
    return Path(shutil.copy(trained.database, tmp_path / "mlflow.db"))


def client_of(database: Path) -> MlflowClient:
    uri = f"sqlite:///{database}"
    return MlflowClient(uri, uri)


def runs_of(database: Path) -> list[Run]:
    client = client_of(database)
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def versions_of(database: Path) -> int:
    return len(client_of(database).search_model_versions(f"name = '{NAME}'"))


def run_main(arguments: Sequence[str]) -> int:
    return main(list(arguments))


@pytest.mark.usefixtures("quick")
def test_the_same_fingerprint_is_registered_once(
    copied: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(command(copied)) == 0
    stdout = capsys.readouterr().out
    assert stdout.endswith("version 1 has this fingerprint: none registered\n")
    assert versions_of(copied) == 1
    assert {run.info.status for run in runs_of(copied)} == {"FINISHED"}


@pytest.mark.usefixtures("quick")
def test_another_fingerprint_becomes_the_next_version(copied: Path, command: Command) -> None:
    assert run_main(command(copied, "--fingerprint", "AB")) == 0
    found = find_release(client_of(copied), NAME, "ab")
    assert found is not None
    assert int(found.version) == 2


@pytest.mark.usefixtures("quick")
def test_an_unexpected_error_ends_the_run_as_failed_and_registers_nothing(
    copied: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(pipeline, "log_release", fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        run_main(command(copied, "--fingerprint", "ab"))
    assert sorted(run.info.status for run in runs_of(copied)) == ["FAILED", "FINISHED"]
    assert versions_of(copied) == 1


@pytest.mark.usefixtures("quick")
def test_a_locked_store_is_one_line(
    copied: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tracking, "_LOCK_TIMEOUT_SECONDS", 0.1)
    other = sqlite3.connect(copied)
    try:
        other.execute("BEGIN EXCLUSIVE")
        assert run_main(command(copied)) == 1
    finally:
        other.close()
    stderr = capsys.readouterr().err
    assert stderr.startswith(
        f"error: MLflow store sqlite:///{copied}: the database is locked; stop"
    )
    assert stderr.count("\n") == 1


def test_an_interrupted_run_ends_without_a_traceback(
    tmp_path: Path, command: Command, python: Command
) -> None:
    arguments = python(command(tmp_path / "mlflow.db"))
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert "Traceback" not in child.stdout.read()
    assert child.returncode == -signal.SIGINT


def test_a_store_is_created_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "new" / "mlflow.db"

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "MlflowClient", fail)
        with pytest.raises(tracking.TrackingError, match="no space left on device; check"):
            tracking.open_store(f"sqlite:///{database}", experiment=NAME, artifacts=None)
    assert list(database.parent.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_no_store_is_one_line(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "mlflow.db"
    database.write_text("not a database, but long enough to look like one" * 100)
    assert run_main(command(database)) == 1
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"error: MLflow store sqlite:///{database}: file is not a database;")
    assert stderr.count("\n") == 1


@pytest.mark.usefixtures("quick")
def test_a_deleted_experiment_is_one_line(
    copied: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    client = client_of(copied)
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    assert run_main(command(copied)) == 1
    assert "experiment 'attrition' is deleted; restore it with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--data", "absent.csv"], "error: dataset 'absent.csv' cannot be read"),
        (["--data-sha256", "0" * 64], "the dataset changed between planning and training"),
        (["--parameters", '{"depth": 3}'], "error: parameter 'depth' is unknown; known: cv_folds"),
    ],
)
@pytest.mark.usefixtures("quick")
def test_an_expected_error_is_one_line_and_leaves_no_store(
    extra: list[str],
    message: str,
    tmp_path: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database = tmp_path / "mlflow.db"
    assert run_main(command(database, *extra)) == 1
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert not database.exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--model-name", "o'brien"], "--model-name: expected letters"),
        (["--fingerprint", "xyz"], "--fingerprint: expected 1 to 64 hexadecimal digits"),
        (["--colour", "red"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_usage_is_refused(
    extra: list[str],
    message: str,
    tmp_path: Path,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_main(command(tmp_path / "mlflow.db", *extra))
    assert message in capsys.readouterr().err


def test_ends_at_once_with_its_parent(
    trained: Any,
    copied: Path,
    command: Command,
    python: Callable[[Sequence[str]], list[str]],
) -> None:
    with subprocess.Popen(
        python(command(copied, "--exit-with-stdin", "--fingerprint", "ab")),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # The run is open when the classifier is fitted: an orphan would leave it RUNNING for ever.
        for line in process.stdout:
            if line.startswith("classifier"):
                break
        process.stdin.close()
        assert process.wait(timeout=5) == 70
        assert process.stderr.read() == ""
    assert sorted(run.info.status for run in runs_of(copied)) == ["FINISHED", "RUNNING"]
    store = tracking.open_store(f"sqlite:///{copied}", experiment=NAME, artifacts=None)
    assert tracking.end_stale_runs(store) == 1
    assert sorted(run.info.status for run in runs_of(copied)) == ["FINISHED", "KILLED"]
    assert versions_of(copied) == 1


def test_only_runs_of_this_hosts_dead_processes_are_ended(copied: Path) -> None:
    store = tracking.open_store(f"sqlite:///{copied}", experiment=NAME, artifacts=None)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    own, host = psutil.Process(), socket.gethostname()
    started = str(own.create_time())

    def start(host: str, pid: int, started: str) -> str:
        tags = {"host": host, "pid": str(pid), "process_started": started}
        return str(store.client.create_run(store.experiment_id, tags=tags).info.run_id)

    dead = start(host, gone.pid, started)
    reused = start(host, own.pid, str(own.create_time() - 100))
    alive = start(host, own.pid, started)
    elsewhere = start("another-host", gone.pid, started)
    assert tracking.end_stale_runs(store) == 2
    status = {run.info.run_id: run.info.status for run in runs_of(copied)}
    assert (status[dead], status[reused]) == ("KILLED", "KILLED")
    assert (status[alive], status[elsewhere]) == ("RUNNING", "RUNNING")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("package", "package"),
        ("/data/hr.csv", "/data/hr.csv"),
        ("https://u:p@host/hr.csv?sig=secret#x", "https://host/hr.csv"),
        ("postgresql://u:p@host:5432/mlflow", "postgresql://host:5432/mlflow"),
        ("sqlite:////tmp/m.db", "sqlite:////tmp/m.db"),
    ],
)
def test_addresses_are_shown_without_their_secrets(address: str, text: str) -> None:
    assert shown(address) == text
