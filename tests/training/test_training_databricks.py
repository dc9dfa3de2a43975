"""Training with a Databricks workspace: options as a job gives them, Unity Catalog, experiments."""

# MLflow is typed in part (2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from contract.dataset import PACKAGED, source_sha256
from contract.fingerprint import TRAINING_CODE, code_sha256, release_fingerprint
from contract.release import TAG_CODE, TAG_FINGERPRINT, verify
from infra.lifecycle.databricks import Credentials
from infra.lifecycle.registry import Registry
from infra.lifecycle.training_run import TrainingRunProvider
from tests.infra.lifecycle_unity_catalog import (
    MODEL,
    TOKEN,
    RefusedError,
    UnityCatalog,
    serving,
)
from training import tracking
from training.__main__ import main
from training.release import find_release

pytestmark = [
    # MLflow's table classes use what SQLAlchemy 2.1 deprecates (MLflow 3.17.2, 2026-11).
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
FINGERPRINT = "f0" * 32
OPTIONAL = (
    *("--registry-uri", "--experiment", "--artifacts", "--fingerprint", "--code-sha256"),
    *("--data", "--data-sha256", "--parameters"),
)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a run leaves where it stands goes away with the test."""
    monkeypatch.chdir(tmp_path)


def client_of(database: Path) -> MlflowClient:
    uri = f"sqlite:///{database}"
    return MlflowClient(uri, uri)


# options as a job gives them


@pytest.mark.usefixtures("quick")
def test_an_empty_text_is_the_default_and_hashes_are_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job leaves no option out, and a scheduled one knows no hash."""
    database = tmp_path / "mlflow.db"
    arguments = ["--tracking-uri", f"sqlite:///{database}", "--model-name", MODEL]
    assert main([*arguments, *(text for name in OPTIONAL for text in (name, ""))]) == 0
    code = code_sha256(TRAINING_CODE, ROOT)
    expected = release_fingerprint(code=code, data=source_sha256(PACKAGED), parameters={})
    (version,) = client_of(database).search_model_versions(f"name = '{MODEL}'")
    assert version.tags[TAG_FINGERPRINT] == expected
    assert version.tags[TAG_CODE] == code
    assert client_of(database).get_experiment_by_name(MODEL) is not None
    assert f"fingerprint {expected}" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_the_computed_fingerprint_is_the_one_that_the_program_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "mlflow.db"
    arguments = ["--tracking-uri", f"sqlite:///{database}", "--model-name", MODEL]
    assert main([*arguments, "--parameters", '{"seed": 7, "missed_leaver_cost": 2.5}']) == 0
    monkeypatch.chdir(ROOT)
    planned = TrainingRunProvider().check(
        {},
        {
            "data": PACKAGED,
            # As Pulumi's engine hands numbers over.
            "parameters": {"missed_leaver_cost": 2.5, "seed": 7.0},
            "code": list(TRAINING_CODE),
            "retrain": "",
        },
    )
    assert find_release(client_of(database), MODEL, planned.inputs["fingerprint"]) is not None


@pytest.mark.usefixtures("quick")
def test_tracking_and_registry_may_be_two_stores(tmp_path: Path) -> None:
    runs, models = tmp_path / "runs.db", tmp_path / "models.db"
    arguments = [
        *("--tracking-uri", f"sqlite:///{runs}", "--registry-uri", f"sqlite:///{models}"),
        *("--experiment", "/Shared/hr/attrition", "--model-name", MODEL),
        *("--fingerprint", FINGERPRINT, "--artifacts", str(tmp_path / "artifacts")),
    ]
    assert main(arguments) == 0
    experiment = client_of(runs).get_experiment_by_name("/Shared/hr/attrition")
    assert experiment is not None
    (run,) = client_of(runs).search_runs([experiment.experiment_id])
    version = find_release(client_of(models), MODEL, FINGERPRINT)
    assert version is not None
    assert version.run_id == run.info.run_id
    assert find_release(client_of(runs), MODEL, FINGERPRINT) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tracking-uri", "", "--model-name", "x"], "--tracking-uri: expected a text that is"),
        (["--tracking-uri", "x", "--model-name", ""], "--model-name: expected letters"),
    ],
)
def test_what_has_no_default_may_not_be_empty(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


# Unity Catalog


class Registrations(UnityCatalog):
    """Unity Catalog as one registers in it: a version is there before its files, and not ready."""

    def __init__(self) -> None:
        super().__init__()
        self.store = ""
        self.may_create = True
        self.folders: list[str] = []
        self.experiments: list[str] = []

    def answer(self, method: str, path: str, given: dict[str, Any]) -> dict[str, Any]:
        match method, path.rpartition("/unity-catalog")[2]:
            case "POST", "/registered-models/create":
                if not self.may_create:
                    raise RefusedError(403, "PERMISSION_DENIED", "no CREATE MODEL here")
                self.model_tags = {}
                return {"registered_model": {"name": MODEL}}
            case "POST", "/model-versions/create":
                version = self.add(status="PENDING_REGISTRATION")
                tags = {tag["key"]: tag["value"] for tag in given["tags"]}
                self.versions[version]["tags"] = tags
                return {"model_version": {"name": MODEL, "version": version}}
            case "POST", "/model-versions/finalize":
                self.versions[given["version"]]["status"] = "READY"
                return self._one(given)
            case "POST", "/api/2.0/fs/create-upload-url":
                return {"url": f"{self.store}{given['path']}"}
            case "POST", "/api/2.0/workspace/mkdirs":
                self.folders.append(given["path"])
                return {}
            case "GET", "/api/2.0/mlflow/experiments/get-by-name":
                raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", "no such experiment")
            case "POST", "/api/2.0/mlflow/experiments/create":
                if given["name"].rpartition("/")[0] not in self.folders:
                    raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", "Parent directory missing")
                self.experiments.append(given["name"])
                return {"experiment_id": "7"}
            case _:
                return super().answer(method, path, given)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registrations]:
    """Serve a catalog and the storage account that its versions' files go to."""
    catalog = Registrations()

    class Storage(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            catalog.files[self.path] = content
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    storage = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
    catalog.store = f"http://127.0.0.1:{storage.server_address[1]}"
    threading.Thread(target=storage.serve_forever, args=(0.01,), daemon=True).start()
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(catalog):
        monkeypatch.setenv("DATABRICKS_HOST", catalog.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        yield catalog
    storage.shutdown()
    storage.server_close()
    assert catalog.unknown == []


def test_a_release_is_registered_in_unity_catalog_found_and_fetched(
    catalog: Registrations,
    tmp_path: Path,
    python: Callable[[Sequence[str]], list[str]],
) -> None:
    """MLflow's own client refuses what Unity Catalog would: a model without outputs, for one."""
    catalog.may_create = False
    arguments = [
        *("--tracking-uri", f"sqlite:///{tmp_path / 'runs.db'}", "--registry-uri", "databricks-uc"),
        *("--model-name", MODEL, "--experiment", "/Shared/hr", "--fingerprint", FINGERPRINT),
        *("--parameters", '{"cv_folds": 2, "cv_repeats": 2}'),
        *("--artifacts", str(tmp_path / "artifacts")),
    ]
    done = subprocess.run(
        python(arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "release     version 1 registered"
    assert done.stderr == ""
    registry = Registry(catalog.address, Credentials(token=TOKEN))
    found = registry.find(FINGERPRINT)
    assert found is not None
    assert found.metrics["cv_roc_auc"] > 0.7
    bundle = registry.fetch_bundle(found.version, tmp_path / "fetched")
    assert verify(bundle) == found.bundle_sha256


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], None),
        (["READY"], "1"),
        (["READY", "READY"], "2"),
        (["READY", "PENDING_REGISTRATION", "FAILED_REGISTRATION"], "1"),
        (["PENDING_REGISTRATION"], None),
    ],
    ids=["none", "one", "the newest", "the ready one", "cut short"],
)
def test_only_a_version_with_all_its_files_is_a_release(
    catalog: Registrations, statuses: list[str], expected: str | None
) -> None:
    for status in statuses:
        catalog.add(FINGERPRINT, status=status)
    catalog.add("00")
    found = find_release(MlflowClient("databricks", "databricks-uc"), MODEL, FINGERPRINT)
    assert (found and str(found.version)) == expected


# an experiment in the workspace


@pytest.fixture
def mlflow_forgets(monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    """Give MLflow's defaults back after the test."""
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)


@pytest.mark.usefixtures("mlflow_forgets")
def test_the_folder_of_an_experiment_is_made_in_the_workspace(catalog: Registrations) -> None:
    store = tracking.open_store(
        "databricks", registry_uri="databricks-uc", experiment="/Shared/hr/x", artifacts=None
    )
    assert store.experiment_id == "7"
    assert catalog.folders == ["/Shared/hr"]
    assert catalog.experiments == ["/Shared/hr/x"]


@pytest.mark.usefixtures("mlflow_forgets")
def test_a_folder_that_may_not_be_made_is_one_line(
    catalog: Registrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "of somebody else")
    with pytest.raises(tracking.TrackingError, match=r"MLflow store databricks: .*access token"):
        tracking.open_store("databricks", experiment="/Shared/hr/x", artifacts=None)


def test_no_run_is_ended_for_a_host_of_the_same_name_on_databricks() -> None:
    """The store's client is never asked: on Databricks many hosts have one name."""
    client: Any = None
    store = tracking.Store(uri="databricks", client=client, experiment_id="7")
    assert tracking.end_stale_runs(store) == 0
