"""The stack `shared` as a whole: what it is made of, in which order, and what it tells."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.dataset import PACKAGED
from delivery.events import PASSED_OVER
from engine.project import load
from infra.dataset import canonical_csv
from infra.jobs import SCORING_PACKAGES, TRAINING_PACKAGES
from infra.naming import Names
from infra.pins import pinned
from stacks import deploy
from tests.recorder import ROOT, Recorder, record

GROUP_ID = "/subscriptions/0000-1111/resourceGroups/rg"
WORKSPACE_ID = f"{GROUP_ID}/providers/Microsoft.Databricks/workspaces/dbw"
HOST = "https://adb-1.2.azuredatabricks.net"
VOLUME = "/Volumes/dbw_one/employee_retention/datasets"
RUNNER = "11111111-2222-3333-4444-555555555555"
METRICS = {"cv_roc_auc": 0.86}
MADE: dict[str, dict[str, Any]] = {
    "resource-group": {"id": GROUP_ID, "name": "rg"},
    "databricks-workspace": {"id": WORKSPACE_ID, "workspaceUrl": HOST.removeprefix("https://")},
    "workspace-catalog": {"catalog": "dbw_one"},
    "catalog-schema": {"id": "dbw_one.employee_retention"},
    "catalog-volume": {"id": "dbw_one.employee_retention.datasets", "volumePath": VOLUME},
    "catalog-model": {"id": "dbw_one.employee_retention.attrition"},
    "training-job-job": {"id": "77", "url": f"{HOST}/jobs/77"},
    "scoring-job-job": {"id": "88", "url": f"{HOST}/jobs/88"},
    "container-registry-registry": {"id": "/acr", "loginServer": "one.azurecr.io"},
    "logs-workspace": {"id": "/logs"},
    "training": {"version": "4", "metrics": METRICS, "run_url": f"{HOST}/jobs/77/runs/5"},
}
OUTPUTS = {
    "workspaceHost",
    "workspaceId",
    "trackingUri",
    "registryUri",
    "modelName",
    "modelVersion",
    "metrics",
    "containerRegistryId",
    "containerRegistryServer",
    "logWorkspaceId",
    "logWorkspaceLocation",
    "trainingJobUrl",
    "scoringJobUrl",
    "trainingRunUrl",
    "catalog",
    "schema",
}
TAGGABLE = {
    "azure-native:resources:ResourceGroup",
    "azure-native:databricks:Workspace",
    "azure-native:containerregistry:Registry",
    "azure-native:operationalinsights:Workspace",
    "databricks:index/job:Job",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project's code and settings, with a `.local` of its own, as the current folder."""
    folder = tmp_path_factory.mktemp("project")
    for package in ("app", "batch", "contract", "infra", "training"):
        (folder / package).symlink_to(ROOT / package)
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    shutil.copy(ROOT / "Pulumi.shared.yaml", folder)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def compose(settings: dict[str, Any] | None = None, *, unknown: bool = False) -> Recorder:
    config = load(Path.cwd(), "shared").config
    for key, value in (settings or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        config[f"employee-retention:{key}"] = text
    recorder = Recorder(made=MADE, unknown=unknown)
    return record(deploy, recorder, config=config, stack_name="shared")


@pytest.fixture(scope="module")
def shared(project: Path) -> Recorder:
    assert project == Path.cwd()
    return compose()


@pytest.fixture(scope="module")
def names() -> Names:
    return Names("contoso", "shared")


def test_it_tells_the_environments_what_they_need(shared: Recorder) -> None:
    assert shared.outputs.keys() == OUTPUTS
    assert shared.outputs == {
        "workspaceHost": HOST,
        "workspaceId": WORKSPACE_ID,
        "trackingUri": "databricks",
        "registryUri": "databricks-uc",
        "catalog": "dbw_one",
        "schema": "employee_retention",
        "modelName": "dbw_one.employee_retention.attrition",
        "modelVersion": "4",
        "metrics": METRICS,
        "trainingRunUrl": f"{HOST}/jobs/77/runs/5",
        "trainingJobUrl": f"{HOST}/jobs/77",
        "scoringJobUrl": f"{HOST}/jobs/88",
        "containerRegistryId": "/acr",
        "containerRegistryServer": "one.azurecr.io",
        "logWorkspaceId": "/logs",
        "logWorkspaceLocation": shared["logs-workspace"].inputs["location"],
    }
    assert shared.secret_outputs == set()


@pytest.mark.usefixtures("project")
def test_a_first_preview_makes_the_same_resources(shared: Recorder) -> None:
    """Before anything is made the program knows no id, and still says all that it would make."""
    preview = compose(unknown=True)
    assert {(r.type, r.name) for r in preview.resources} == {
        (r.type, r.name) for r in shared.resources
    }
    assert preview.outputs.keys() == OUTPUTS


def test_what_the_program_ignores_is_passed_over_where_drift_is_looked_for(
    shared: Recorder,
) -> None:
    ignored = {r.type: tuple(r.request.ignoreChanges) for r in shared.resources}
    kinds = (
        "azure-native:consumption:Budget",
        "databricks:index/registeredModel:RegisteredModel",
    )
    assert {kind: paths for kind, paths in ignored.items() if paths} == {
        kind: PASSED_OVER[kind] for kind in kinds
    }


def test_names_on_azure_are_the_naming_module_s(shared: Recorder, names: Names) -> None:
    assert shared["resource-group"].inputs["resourceGroupName"] == names.resource_group()
    workspace = shared["databricks-workspace"].inputs
    assert workspace["workspaceName"] == names.databricks_workspace()
    assert workspace["managedResourceGroupId"] == (
        f"/subscriptions/0000-1111/resourceGroups/{names.managed_resource_group()}"
    )
    registry = shared["container-registry-registry"].inputs
    assert registry["registryName"] == names.container_registry()
    assert shared["logs-workspace"].inputs["workspaceName"] == names.log_workspace()
    assert shared["budget-monthly"].inputs["budgetName"] == names.budget()
    assert shared["budget-monthly"].inputs["scope"] == GROUP_ID


def test_everything_on_azure_lies_in_the_group(shared: Recorder) -> None:
    inside = [r for r in shared.resources if "resourceGroupName" in r.inputs]
    assert len(inside) == 4
    for resource in inside:
        if resource.name != "resource-group":
            assert resource.inputs["resourceGroupName"] == "rg"
            assert "resource-group" in resource.dependencies


@pytest.mark.usefixtures("project")
def test_everything_that_takes_tags_has_them() -> None:
    shared = compose({"tags": {"cost-centre": "hr"}})
    tagged = [r for r in shared.resources if r.type in TAGGABLE]
    assert {r.type for r in tagged} == TAGGABLE
    assert len(tagged) == 6
    for resource in tagged:
        assert resource.inputs["tags"].items() >= {("cost-centre", "hr")}
        assert resource.inputs["tags"] == tagged[0].inputs["tags"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("protect", [True, False])
def test_what_holds_data_is_protected_by_one_setting(protect: bool) -> None:
    shared = compose({"protect": protect})
    protected = {r.name for r in shared.resources if r.request.protect}
    everything = {"databricks-workspace", "container-registry-registry", "logs-workspace"}
    assert protected == (everything if protect else set())


def test_every_resource_of_a_component_is_its_child(shared: Recorder) -> None:
    """At the top there are components, the group, and the lifecycle: nothing lies about."""
    loose = {r.name for r in shared.resources if r.custom and r.parent.startswith("employee-")}
    assert loose == {"resource-group", "workspace-catalog", "training", "guard"}


def test_everything_in_the_workspace_is_made_by_its_provider(shared: Recorder) -> None:
    inside = [r for r in shared.resources if r.type.startswith("databricks:")]
    assert len(inside) > 30
    for resource in inside:
        assert "::databricks-provider::" in resource.request.provider, resource.name


def test_nothing_secret_is_among_the_inputs(shared: Recorder) -> None:
    """The stack has no secrets: registry and workspace are entered by identity."""
    assert {r.name for r in shared.resources if r.secrets} == set()


@pytest.mark.usefixtures("shared")
def test_no_employee_and_no_place_on_this_machine_is_recorded(shared: Recorder) -> None:
    text = json.dumps([r.inputs for r in shared.resources], default=str)
    first = canonical_csv(PACKAGED, Path(".local/datasets")).read_text().splitlines()[1]
    assert first not in text
    assert str(ROOT) not in text
    assert str(Path.cwd()) not in text


def test_the_catalog_is_the_workspace_s_own(shared: Recorder) -> None:
    assert shared["workspace-catalog"].inputs["host"] == HOST
    assert shared["workspace-catalog"].inputs["azure_resource_id"] == WORKSPACE_ID
    assert shared["catalog-schema"].inputs["catalogName"] == "dbw_one"


@pytest.mark.usefixtures("project")
def test_a_configured_catalog_is_not_asked_for() -> None:
    shared = compose({"catalog": "main"})
    assert shared.of_type("WorkspaceCatalog") == []
    assert shared["catalog-schema"].inputs["catalogName"] == "main"
    assert shared.outputs["catalog"] == "main"


def test_training_runs_the_job_on_the_uploaded_table(shared: Recorder) -> None:
    run = shared["training"].inputs
    file = canonical_csv(PACKAGED, Path(".local/datasets"))
    assert run["data"] == file.as_posix()
    assert shared["catalog-dataset"].inputs["source"] == file.as_posix()
    assert run["executor"]["kind"] == "databricks"
    assert run["executor"]["job_id"] == "77"
    assert run["executor"]["data_path"] == f"{VOLUME}/{file.name}"
    assert run["executor"]["experiment"] == "/Shared/employee-retention/attrition"
    assert run["code"] == ["contract", "training"]
    assert run["registry"] == {
        "model_name": "dbw_one.employee_retention.attrition",
        "tracking_uri": "databricks",
        "registry_uri": "databricks-uc",
        "host": HOST,
        "azure_resource_id": WORKSPACE_ID,
    }


def test_a_run_waits_for_code_table_model_and_permissions(shared: Recorder) -> None:
    waits = closure(shared, "training")
    assert {"training-job-job", "catalog-dataset", "catalog-model"} <= waits
    assert {name for name in waits if name.startswith("training-code-")} == {
        r.name for r in shared.resources if r.name.startswith("training-code-")
    }


@pytest.mark.usefixtures("project")
def test_a_run_waits_until_whoever_it_runs_as_may() -> None:
    shared = compose({"jobRunAs": RUNNER, "readers": ["analysts"]})
    waits = closure(shared, "training")
    grants = {r.name for r in shared.of_type("Grant")}
    assert {r.inputs["principal"] for r in shared.of_type("Grant")} == {RUNNER, "analysts"}
    assert len(grants) == 4 + 3
    assert grants | {"training-job-permissions"} <= waits
    for job in ("training-job", "scoring-job"):
        assert shared[f"{job}-job"].inputs["runAs"] == {"servicePrincipalName": RUNNER}
        levels = shared[f"{job}-permissions"].inputs["accessControls"]
        assert {"permissionLevel": "CAN_MANAGE_RUN", "servicePrincipalName": RUNNER} in levels


def test_the_guard_is_made_last_and_so_goes_first(shared: Recorder) -> None:
    """What it guards cannot be destroyed before it has agreed."""
    guarded = closure(shared, "guard")
    custom = {r.name for r in shared.resources if r.custom}
    assert custom - guarded == {"guard"}


def closure(shared: Recorder, name: str) -> set[str]:
    """Name every resource that must be there before this one."""
    found: set[str] = set()
    left = [name]
    while left:
        for dependency in shared[left.pop()].dependencies - found:
            found.add(dependency)
            left.append(dependency)
    return found


@pytest.mark.parametrize(
    ("job", "module", "packages", "folders"),
    [
        ("training-job", "training", TRAINING_PACKAGES, {"contract", "training"}),
        ("scoring-job", "batch", SCORING_PACKAGES, {"app", "batch", "contract"}),
    ],
)
def test_a_job_runs_its_own_code_with_the_locked_versions(
    shared: Recorder, job: str, module: str, packages: tuple[str, ...], folders: set[str]
) -> None:
    inputs = shared[f"{job}-job"].inputs
    (task,) = inputs["tasks"]
    root, ran, *_ = task["sparkPythonTask"]["parameters"]
    assert ran == module
    code = job.replace("-job", "-code")
    files = {
        r.inputs["path"] for r in shared.of_type("WorkspaceFile") if r.name.startswith(f"{code}-")
    }
    inside = {path.removeprefix(f"{root.removeprefix('/Workspace')}/") for path in files}
    wanted = {p.relative_to(ROOT).as_posix() for f in folders for p in (ROOT / f).rglob("*.py")}
    assert inside == wanted | {"run_module.py"}
    assert inputs["environments"][0]["spec"]["dependencies"] == pinned(packages)


def test_the_job_s_files_and_parameters_really_train(shared: Recorder, tmp_path: Path) -> None:
    """What Databricks would do: put the files in place, fill in the parameters, run the task."""
    for file in shared.of_type("WorkspaceFile"):
        place = Path(f"{tmp_path}/Workspace{file.inputs['path']}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(base64.b64decode(file.inputs["contentBase64"]))
    job = shared["training-job-job"].inputs
    given = {parameter["name"]: parameter["default"] for parameter in job["parameters"]}
    given["data"] = str(Path(shared["training"].inputs["data"]).absolute())
    given["tracking_uri"] = given["registry_uri"] = f"sqlite:///{tmp_path}/mlflow.db"
    task = job["tasks"][0]["sparkPythonTask"]
    command = [task["pythonFile"], *task["parameters"]]
    filled = [
        re.sub(r"\{\{job\.parameters\.(\w+)\}\}", lambda found: given[found[1]], part)
        for part in command
    ]
    placed = [re.sub(r"^/Workspace/", f"{tmp_path}/Workspace/", part) for part in filled]
    done = subprocess.run(
        # Isolated: nothing of this project but what was uploaded can be imported.
        [sys.executable, "-I", *placed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "release     version 1 registered" in done.stdout
    assert f"experiment {given['experiment']} is open" in done.stdout


def test_both_jobs_know_the_registry(shared: Recorder) -> None:
    for job in ("training-job-job", "scoring-job-job"):
        given = {p["name"]: p["default"] for p in shared[job].inputs["parameters"]}
        assert given["tracking_uri"] == "databricks"
        assert given["registry_uri"] == "databricks-uc"
        assert given["model_name"] == "dbw_one.employee_retention.attrition"


@pytest.mark.usefixtures("project")
def test_training_settings_reach_the_run_and_the_job() -> None:
    shared = compose(
        {
            "trainingParameters": {"seed": 7},
            "trainingTimeoutMinutes": 45,
            "retrain": "again",
            "trainingSchedule": "0 0 5 1 * ?",
            "failureEmails": ["on-call@contoso.com"],
        }
    )
    run = shared["training"].inputs
    assert (run["parameters"], run["timeout_minutes"], run["retrain"]) == ({"seed": 7}, 45, "again")
    job = shared["training-job-job"].inputs
    assert job["timeoutSeconds"] == 45 * 60
    assert job["schedule"]["quartzCronExpression"] == "0 0 5 1 * ?"
    assert job["emailNotifications"] == {"onFailures": ["on-call@contoso.com"]}
    assert {"name": "parameters", "default": '{"seed": 7}'} in job["parameters"]
    assert "schedule" not in shared["scoring-job-job"].inputs


@pytest.mark.usefixtures("project")
def test_a_job_cluster_is_a_matter_of_configuration() -> None:
    shared = compose({"trainingCompute": "job-cluster"})
    (training,) = shared["training-job-job"].inputs["jobClusters"]
    (scoring,) = shared["scoring-job-job"].inputs["jobClusters"]
    assert training["newCluster"]["isSingleNode"] is True
    assert scoring["newCluster"]["autoscale"]["maxWorkers"] > 1
    for cluster in (training, scoring):
        assert cluster["newCluster"]["sparkVersion"] == "17.3.x-scala2.13"
        assert cluster["newCluster"]["nodeTypeId"] == "Standard_D4ds_v5"


@pytest.mark.usefixtures("project")
def test_limits_and_money_are_a_matter_of_configuration() -> None:
    settings = {
        "logRetentionDays": 180,
        "logDailyQuotaGb": 3,
        "budgetAmount": 700,
        "budgetEmails": ["cfo@contoso.com"],
        "location": "northeurope",
    }
    shared = compose(settings)
    logs, budget = shared["logs-workspace"].inputs, shared["budget-monthly"].inputs
    assert logs["retentionInDays"] == 180
    assert logs["workspaceCapping"] == {"dailyQuotaGb": 3}
    assert budget["amount"] == 700
    assert budget["notifications"]["actual"]["contactEmails"] == ["cfo@contoso.com"]
    locations = {r.inputs["location"] for r in shared.resources if "location" in r.inputs}
    assert locations == {"northeurope"}


def test_a_table_that_is_wrong_stops_it_before_anything_is_made(
    project: Path, tmp_path: Path
) -> None:
    assert project == Path.cwd()
    table = tmp_path / "wrong.csv"
    table.write_text("Age,Name\n41,Jane Doe\n")
    config = load(Path.cwd(), "shared").config | {"employee-retention:dataset": str(table)}
    recorder = Recorder(made=MADE)
    with pytest.raises(Exception, match=r"wrong.csv': column '\w+' is missing") as caught:
        record(deploy, recorder, config=config, stack_name="shared")
    assert "Jane" not in str(caught.value)
    assert recorder.resources == []
