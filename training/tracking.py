"""The MLflow store: opened with errors that say what to do, runs that always end.

MLflow's own messages for a locked SQLite file are tracebacks of fifty lines after minutes of
retries; here they become one `TrackingError`.
"""

# MLflow's own types are partly unknown (3.17.2, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import contextlib
import socket
import sqlite3
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import mlflow
import psutil
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import is_databricks_uri
from sqlalchemy.exc import SQLAlchemyError

from contract.dataset import shown

__all__ = ["Store", "TrackingError", "end_stale_runs", "open_store", "tracked_run"]

_LOCK_TIMEOUT_SECONDS = 5.0

_TAG_HOST = "host"
_TAG_PID = "pid"
_TAG_STARTED = "process_started"
_UNAVAILABLE = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


class TrackingError(Exception):
    """The MLflow store cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """An open MLflow store and the experiment in it."""

    uri: str
    client: MlflowClient
    experiment_id: str


def open_store(
    uri: str, *, experiment: str, artifacts: str | None, registry_uri: str = ""
) -> Store:
    """Open `uri` for tracking, and `registry_uri` (or `uri`); create a missing experiment.

    `artifacts` is the folder or URI for the artifacts of an experiment that is created here.

    Raises:
        TrackingError: the store is locked, unreadable or unreachable, or the experiment deleted.
    """
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(registry_uri or uri)
    try:
        for path in {_sqlite_path(uri), _sqlite_path(registry_uri)}:
            if path:
                _check_lock(path) if path.exists() else _create_sqlite(path)
        client = MlflowClient()
        found = client.get_experiment_by_name(experiment)
        if found is None:
            if is_databricks_uri(uri) and experiment.startswith("/"):
                _make_folder_of(experiment)
            location = _location(artifacts)
            experiment_id = client.create_experiment(experiment, artifact_location=location)
        elif found.lifecycle_stage != "active":
            raise TrackingError(
                f"MLflow store {shown(uri)}: experiment {experiment!r} is deleted; restore it with "
                f"`mlflow experiments restore -x {found.experiment_id}`, or choose another name"
            )
        else:
            experiment_id = found.experiment_id
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise _tracking_error(uri, error) from error
    return Store(uri=uri, client=client, experiment_id=str(experiment_id))


def end_stale_runs(store: Store) -> int:
    """End as KILLED the running runs whose process on this host is gone; return how many.

    None on Databricks: there a host's name is that of its container, and many have the same.
    """
    if is_databricks_uri(store.uri):
        return 0
    host = socket.gethostname()
    filters = f"attributes.status = 'RUNNING' and tags.{_TAG_HOST} = '{host}'"
    stale = [
        run
        for run in store.client.search_runs([store.experiment_id], filters)
        if not _is_alive(run.data.tags)
    ]
    for run in stale:
        store.client.set_terminated(run.info.run_id, "KILLED")
    return len(stale)


@contextlib.contextmanager
def tracked_run(store: Store, tags: Mapping[str, str]) -> Generator[str]:
    """Run the block as one MLflow run and yield its id; a block that raises ends it as FAILED.

    Raises:
        TrackingError: the store became locked or unavailable meanwhile.
    """
    process = psutil.Process()
    own = {
        _TAG_HOST: socket.gethostname(),
        _TAG_PID: str(process.pid),
        _TAG_STARTED: str(process.create_time()),
    }
    try:
        with mlflow.start_run(experiment_id=store.experiment_id, tags={**tags, **own}) as run:
            yield str(run.info.run_id)
    except MlflowException as error:
        if error.error_code not in _UNAVAILABLE:
            raise
        raise _tracking_error(store.uri, error) from error


def _sqlite_path(uri: str) -> Path | None:
    path = uri.removeprefix("sqlite:///")
    return None if path == uri or "?" in path or path == ":memory:" else Path(path)


def _check_lock(path: Path) -> None:
    # Asking SQLite itself takes seconds at most; MLflow retries a locked file for minutes.
    with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _create_sqlite(path: Path) -> None:
    """Create the store under another name, and give it its own when it is complete.

    MLflow's migrations are not atomic: a new file whose process is ended between two of them, or
    that two processes create at once, can never be opened again (3.17.2, tried 2026-11).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        fresh = Path(folder, path.name)
        MlflowClient(f"sqlite:///{fresh}").search_experiments(max_results=1)
        if not path.exists():
            fresh.rename(path)


def _make_folder_of(experiment: str) -> None:
    """Create the workspace folder that an experiment on Databricks, named by its path, lies in."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    try:
        WorkspaceClient().workspace.mkdirs(str(PurePosixPath(experiment).parent))
    except (DatabricksError, ValueError) as error:
        raise OSError(f"the folder of experiment {experiment}: {error}") from error


def _tracking_error(uri: str, error: Exception) -> TrackingError:
    reason = str(error).partition("\n")[0]
    if "database is locked" in reason:
        return TrackingError(
            f"MLflow store {shown(uri)}: the database is locked; stop what else writes to it "
            "(another training run, an MLflow server) and run again"
        )
    return TrackingError(
        f"MLflow store {shown(uri)}: {reason}; check --tracking-uri and that the store can be "
        "written to"
    )


def _location(artifacts: str | None) -> str | None:
    if artifacts is None or "://" in artifacts:
        return artifacts
    return Path(artifacts).resolve().as_uri()


def _is_alive(tags: Mapping[str, str]) -> bool:
    try:
        started = psutil.Process(int(tags[_TAG_PID])).create_time()
    except (psutil.NoSuchProcess, ValueError, KeyError):
        return False
    except psutil.AccessDenied:
        return True
    # Numbers of processes are given anew, in containers at once: the start tells two apart.
    return abs(started - float(tags.get(_TAG_STARTED, started))) < 1.0
