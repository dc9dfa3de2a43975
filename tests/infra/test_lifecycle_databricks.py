"""Reaching a Databricks workspace: whose credentials, where they are, and where they are not."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dill  # pyright: ignore[reportMissingTypeStubs] - what Pulumi pickles providers with
import pytest
import requests
from lifecycle_unity_catalog import MODEL, TOKEN, RefusedError, UnityCatalog, serving
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import Unknown

from infra.lifecycle import (
    DatabricksExecutor,
    RegistryAddress,
    TrainingRun,
    TrainingRunArgs,
    WorkspaceCatalog,
    WorkspaceCatalogArgs,
    workspace_catalog,
)
from infra.lifecycle.databricks import CredentialProvider, Credentials, client, environment
from infra.lifecycle.errors import WorkspaceError
from infra.lifecycle.executor_databricks import TrainingJob
from infra.lifecycle.executors import executor_from
from infra.lifecycle.workspace_catalog import WorkspaceCatalogProvider
from tests.recorder import Recorder, record

SECRET = "dapi-very-secret"
ADDRESS = {"host": "https://adb-1.2.azuredatabricks.net", "azure_resource_id": "/subscriptions/x"}


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(workspace_catalog, "_POLL_SECONDS", 0.01)


def config(**values: str) -> Config:
    return Config({f"databricks:{key}": value for key, value in values.items()}, "project")


# credentials


def test_the_environments_token_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Credentials.read(config()) == Credentials(token="")
    assert Credentials.read(config(token="of the stack")) == Credentials(token="of the stack")
    monkeypatch.setenv("DATABRICKS_TOKEN", "of the environment")
    assert Credentials.read(config(token="of the stack")) == Credentials(token="of the environment")


def test_a_token_is_never_shown() -> None:
    assert SECRET not in repr(Credentials(token=SECRET))
    assert SECRET not in str(Credentials(token=SECRET))


def test_a_provider_has_them_once_it_is_configured_and_is_pickled_without() -> None:
    provider = CredentialProvider()
    pickled: bytes = dill.dumps(provider)  # pyright: ignore[reportUnknownMemberType] - untyped
    provider.configure(ConfigureRequest(config(token=SECRET)))
    assert provider.credentials == Credentials(token=SECRET)
    assert SECRET.encode() not in pickled
    assert CredentialProvider().credentials == Credentials(token="")


def test_no_input_and_no_provider_of_a_program_holds_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the environment of the person who runs it has."""
    monkeypatch.setenv("DATABRICKS_TOKEN", SECRET)

    def program() -> None:
        address = RegistryAddress(model_name=MODEL, tracking_uri="databricks", **ADDRESS)
        WorkspaceCatalog("catalog", WorkspaceCatalogArgs(**ADDRESS))
        TrainingRun(
            "training",
            TrainingRunArgs(
                registry=address,
                executor=DatabricksExecutor(job_id="7", experiment="/x", data_path="/y"),
                data="package",
                parameters={},
                code=("training",),
                retrain="",
                timeout_minutes=1,
            ),
        )

    recorded = record(program, Recorder(), config={"databricks:token": SECRET})
    assert {resource.name for resource in recorded.resources} == {"catalog", "training"}
    for resource in recorded.resources:
        assert SECRET not in str(resource.inputs)
        assert SECRET.encode() not in base64.b64decode(resource.provider)


def test_training_on_databricks_says_where_and_by_which_job() -> None:
    def program() -> None:
        TrainingRun(
            "training",
            TrainingRunArgs(
                registry=RegistryAddress(model_name=MODEL, tracking_uri="databricks"),
                executor=DatabricksExecutor(job_id="7", experiment="/x", data_path="/y"),
                data="package",
                parameters={"seed": 7},
                code=("contract", "training"),
                retrain="again",
                timeout_minutes=30,
            ),
        )

    assert record(program)["training"].inputs == {
        "registry": {
            "model_name": MODEL,
            "tracking_uri": "databricks",
            "registry_uri": "",
            "host": "",
            "azure_resource_id": "",
        },
        "executor": {"kind": "databricks", "job_id": "7", "experiment": "/x", "data_path": "/y"},
        "data": "package",
        "parameters": {"seed": 7.0},
        "code": ["contract", "training"],
        "retrain": "again",
        "timeout_minutes": 30.0,
    }


# what MLflow and the SDK read


def test_a_token_is_the_only_way_in_where_there_is_one() -> None:
    assert environment(ADDRESS, Credentials(token=SECRET)) == {
        "DATABRICKS_HOST": ADDRESS["host"],
        "DATABRICKS_AZURE_RESOURCE_ID": ADDRESS["azure_resource_id"],
        "DATABRICKS_TOKEN": SECRET,
        "DATABRICKS_AUTH_TYPE": "pat",
    }


def test_without_a_token_azures_own_log_in_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Credentials(token="")
    assert environment(ADDRESS, nobody)["DATABRICKS_AUTH_TYPE"] == "azure-cli"
    assert "DATABRICKS_TOKEN" not in environment(ADDRESS, nobody)
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "github-oidc-azure")
    assert environment(ADDRESS, nobody)["DATABRICKS_AUTH_TYPE"] == "github-oidc-azure"


def test_elsewhere_the_sdk_finds_its_own_way() -> None:
    found = environment({"host": "https://x.cloud.databricks.com"}, Credentials(token=""))
    assert found == {"DATABRICKS_HOST": "https://x.cloud.databricks.com"}


def test_a_registry_outside_databricks_needs_no_variable() -> None:
    assert environment({"host": ""}, Credentials(token=SECRET)) == {}
    assert environment({}, Credentials(token=SECRET)) == {}


def test_a_workspace_without_a_host_is_an_error() -> None:
    with pytest.raises(WorkspaceError, match="no Databricks workspace is named"):
        client({"host": ""}, Credentials(token=SECRET))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every way lead nowhere: a name that is not known yet, a firewall."""

    def fail(*_: Any, **__: Any) -> Any:
        raise requests.ConnectionError("name not known")

    monkeypatch.setattr("databricks.sdk.config.requests.get", fail)
    monkeypatch.setattr("databricks.sdk.config.get_host_metadata", fail)


@pytest.mark.usefixtures("no_network")
def test_a_workspace_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(WorkspaceError, match=r"net does not answer: name not known") as caught:
        client(ADDRESS, Credentials(token=""))
    assert isinstance(caught.value.__cause__, OSError)


def test_a_person_who_is_not_logged_in_is_told_what_to_do(
    workspace: "Workspace", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError, match=r"cannot log in.*`az login`.*DATABRICKS_TOKEN"):
        client({**ADDRESS, "host": workspace.url}, Credentials(token=""))


# a workspace


class Workspace(UnityCatalog):
    """Answers, in turn, what `catalogs` has; the last one for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.catalogs: list[str | RefusedError] = []

    def answer(self, method: str, path: str, given: dict[str, Any]) -> dict[str, Any]:
        if path != "/api/2.1/unity-catalog/current-metastore-assignment":
            return super().answer(method, path, given)
        now = self.catalogs.pop(0) if len(self.catalogs) > 1 else self.catalogs[0]
        if isinstance(now, RefusedError):
            raise now
        return {"default_catalog_name": now, "metastore_id": "m", "workspace_id": 7}


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    with serving(workspace):
        yield workspace
    assert workspace.unknown == []


def create(workspace: Workspace, token: str = TOKEN) -> Any:
    provider = WorkspaceCatalogProvider()
    provider.configure(ConfigureRequest(config(token=token)))
    return provider.create({"host": workspace.url, "azure_resource_id": ""})


NOT_YET = RefusedError(404, "METASTORE_DOES_NOT_EXIST", "No metastore assigned for the workspace")
NOT_READY = RefusedError(400, "INVALID_STATE", "Workspace 7 has no metastore yet")


def test_the_catalogs_name_is_read(workspace: Workspace) -> None:
    workspace.catalogs = ["employee_retention_7"]
    result = create(workspace)
    assert result.id == "employee_retention_7"
    assert result.outs == {
        "host": workspace.url,
        "azure_resource_id": "",
        "catalog": "employee_retention_7",
    }


@pytest.mark.parametrize("answer", [NOT_YET, NOT_READY, ""], ids=["404", "400", "no catalog"])
def test_a_new_workspace_is_waited_for(
    workspace: Workspace, answer: str | RefusedError, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.catalogs = [answer, answer, "main"]
    assert create(workspace).id == "main"
    assert capsys.readouterr().out.count("the workspace has no catalog yet") == 2


@pytest.mark.usefixtures("no_network")
def test_a_workspace_that_does_not_answer_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its name may be minutes in the making as well."""
    monkeypatch.setattr(workspace_catalog, "_WAIT_SECONDS", 0.05)
    with pytest.raises(WorkspaceError, match=r"has no catalog after 0 s \(.*does not answer"):
        WorkspaceCatalogProvider().create(ADDRESS)


def test_a_workspace_that_never_gets_one_is_an_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_catalog, "_WAIT_SECONDS", 0.05)
    workspace.catalogs = [NOT_YET]
    with pytest.raises(WorkspaceError, match=r"no catalog after 0 s.*No metastore.*key `catalog`"):
        create(workspace)


REFUSALS = {
    "legacy": ("hive_metastore", r"hive_metastore, which holds no models.*key `catalog`"),
    "forbidden": (RefusedError(403, "PERMISSION_DENIED", "not for you"), "not for you"),
    "wrong": (RefusedError(400, "INVALID_PARAMETER_VALUE", "bad request"), "bad request"),
}


@pytest.mark.parametrize(("answer", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_will_never_be_well_is_not_waited_for(
    workspace: Workspace, answer: str | RefusedError, message: str
) -> None:
    workspace.catalogs = [answer]
    with pytest.raises(WorkspaceError, match=message):
        create(workspace)
    assert len([call for call in workspace.calls if "metastore" in call]) == 1


def test_the_wrong_token_is_an_error_that_does_not_show_it(workspace: Workspace) -> None:
    workspace.catalogs = ["main"]
    with pytest.raises(WorkspaceError, match="Invalid access token") as caught:
        create(workspace, token=SECRET)
    assert SECRET not in str(caught.value)


def test_another_workspace_has_another_catalog() -> None:
    provider = WorkspaceCatalogProvider()
    olds = {**ADDRESS, "catalog": "main"}
    assert provider.diff("main", olds, ADDRESS).changes is False
    moved = provider.diff("main", olds, {**ADDRESS, "host": "https://elsewhere"})
    assert (moved.changes, moved.replaces) == (True, ["host"])
    unknown: Any = Unknown()
    assert provider.diff("main", olds, {**ADDRESS, "host": unknown}).changes is False


def test_an_executor_speaks_to_the_workspace_of_the_registry(workspace: Workspace) -> None:
    props = {"kind": "databricks", "job_id": "7", "experiment": "/x", "data_path": "/y"}
    executor = executor_from(props, workspace.address, Credentials(token=TOKEN))
    assert isinstance(executor, TrainingJob)
