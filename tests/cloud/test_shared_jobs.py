"""The Databricks jobs: what runs, on which compute, with which versions, seen by whom."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pulumi
import pulumi_databricks as dbx
import pytest

from infra.jobs import (
    SCORING_PACKAGES,
    SCORING_PARAMETERS,
    TRAINING_PACKAGES,
    TRAINING_PARAMETERS,
    JobArgs,
    JobCluster,
    ScoringJob,
    ScoringJobArgs,
    TrainingJob,
    TrainingJobArgs,
)
from infra.lifecycle.errors import LifecycleError
from infra.pins import COMPUTE_PYTHON, pinned
from tests.recorder import ROOT, Recorder, record

SERVICE = "11111111-2222-3333-4444-555555555555"
CODE = "/Workspace/Shared/one/0123456789ab"
OURS = {"app", "batch", "contract", "training"}
SPARK_BRINGS = {"pyspark", "pandas", "numpy"}
CLUSTER = JobCluster(spark_version="17.3.x-scala2.13", node_type="Standard_D4ds_v5")

COMMON: dict[str, Any] = {
    "job_name": "the job",
    "code_root": CODE,
    "requirements": ["mlflow==1.0", "numpy==2.0"],
    "cluster": None,
    "timeout_minutes": 30,
    "failure_emails": ("on-call@contoso.com",),
    "run_as": SERVICE,
    "readers": ("analysts",),
    "operators": ("ada@contoso.com", SERVICE),
    "tags": {"cost-centre": "hr"},
    "defaults": {"tracking_uri": "databricks", "model_name": "main.hr.attrition"},
}
TRAINING = TrainingJobArgs(**COMMON, schedule="")
SCORING = ScoringJobArgs(**COMMON)
BOTH = pytest.mark.parametrize("args", [TRAINING, SCORING], ids=["training", "scoring"])


def build(args: JobArgs, *, unknown: bool = False) -> Recorder:
    def program() -> None:
        provider = dbx.Provider("inside", dbx.ProviderArgs(host="https://one.net"))
        opts = pulumi.ResourceOptions(providers=[provider])
        match args:
            case TrainingJobArgs():
                TrainingJob("it", args, opts=opts)
            case ScoringJobArgs():
                ScoringJob("it", args, opts=opts)
            case _:
                raise TypeError(args)

    made = {"it-job": {"id": "77", "url": "https://one.net/jobs/77"}}
    return record(program, Recorder(made=made, unknown=unknown))


def job(args: JobArgs) -> dict[str, Any]:
    return build(args)["it-job"].inputs


def task(args: JobArgs) -> dict[str, Any]:
    (only,) = job(args)["tasks"]
    return only


@BOTH
@pytest.mark.parametrize("unknown", [False, True])
def test_job_and_permissions_are_made_in_the_workspace_under_the_component(
    args: JobArgs, unknown: bool
) -> None:
    recorder = build(args, unknown=unknown)
    for name in ("it-job", "it-permissions"):
        assert recorder[name].parent == "it"
        assert "::inside::" in recorder[name].request.provider


def test_outputs_are_the_job_s_number_and_page() -> None:
    told: dict[str, str] = {}

    def program() -> None:
        made = TrainingJob("it", TRAINING)
        pulumi.Output.all(id=made.id, url=made.url).apply(told.update)

    record(program, Recorder(made={"it-job": {"id": "77", "url": "https://one.net/jobs/77"}}))
    assert told == {"id": "77", "url": "https://one.net/jobs/77"}


@pytest.mark.parametrize(
    ("args", "module", "names"),
    [(TRAINING, "training", TRAINING_PARAMETERS), (SCORING, "batch", SCORING_PARAMETERS)],
    ids=["training", "scoring"],
)
def test_the_task_runs_the_module_with_every_job_parameter(
    args: JobArgs, module: str, names: Sequence[str]
) -> None:
    python = task(args)["sparkPythonTask"]
    assert python["pythonFile"] == f"{CODE}/run_module.py"
    assert python["source"] == "WORKSPACE"
    root, ran, *options = python["parameters"]
    assert (root, ran) == (CODE, module)
    wanted = [f"--{name.replace('_', '-')}={{{{job.parameters.{name}}}}}" for name in names]
    assert options == wanted
    given = {parameter["name"]: parameter["default"] for parameter in job(args)["parameters"]}
    defaults = {"tracking_uri": "databricks", "model_name": "main.hr.attrition"}
    assert given == dict.fromkeys(names, "") | defaults


@pytest.mark.parametrize(
    ("module", "names"), [("training", TRAINING_PARAMETERS), ("batch", SCORING_PARAMETERS)]
)
def test_every_job_parameter_is_an_option_of_the_module(module: str, names: Sequence[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"^  (--[a-z0-9-]+)", shown.stdout, re.MULTILINE))
    assert {f"--{name.replace('_', '-')}" for name in names} <= options


def test_a_default_for_no_parameter_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'colour' is no job parameter"):
        build(replace(SCORING, defaults={"colour": "blue"}))


@BOTH
def test_runs_wait_for_one_another_and_end(args: JobArgs) -> None:
    found = job(args)
    assert found["queue"] == {"enabled": True}
    assert found["maxConcurrentRuns"] == 1
    assert found["timeoutSeconds"] == 30 * 60
    assert task(args)["timeoutSeconds"] == 30 * 60


@BOTH
@pytest.mark.parametrize("cluster", [None, CLUSTER])
def test_a_failed_task_is_tried_once_more_and_a_slow_one_is_not(
    args: JobArgs, cluster: JobCluster | None
) -> None:
    found = task(replace(args, cluster=cluster))
    assert found["maxRetries"] == 1
    assert found["retryOnTimeout"] is False
    # Serverless compute would repeat it by itself, beyond what is asked for.
    assert found.get("disableAutoOptimization") is (None if cluster else True)


@BOTH
def test_serverless_compute_brings_the_pinned_versions(args: JobArgs) -> None:
    found = job(args)
    (environment,) = found["environments"]
    assert environment["spec"] == {
        "environmentVersion": "5",
        "dependencies": ["mlflow==1.0", "numpy==2.0"],
    }
    assert task(args)["environmentKey"] == environment["environmentKey"]
    assert "jobClusters" not in found
    assert {"libraries", "jobClusterKey", "newCluster"}.isdisjoint(task(args))


@BOTH
def test_a_job_cluster_brings_the_same_versions(args: JobArgs) -> None:
    args = replace(args, cluster=CLUSTER)
    (cluster,) = job(args)["jobClusters"]
    assert task(args)["jobClusterKey"] == cluster["jobClusterKey"]
    assert task(args)["libraries"] == [
        {"pypi": {"package": "mlflow==1.0"}},
        {"pypi": {"package": "numpy==2.0"}},
    ]
    assert cluster["newCluster"] == {
        "sparkVersion": "17.3.x-scala2.13",
        "nodeTypeId": "Standard_D4ds_v5",
        "kind": "CLASSIC_PREVIEW",
        "isSingleNode": True,
        "dataSecurityMode": "SINGLE_USER",
        "customTags": {"cost-centre": "hr"},
    }
    assert "environments" not in job(args)
    assert "environmentKey" not in task(args)


def test_a_cluster_with_workers_grows_with_the_table() -> None:
    (cluster,) = job(replace(SCORING, cluster=replace(CLUSTER, workers_max=4)))["jobClusters"]
    assert cluster["newCluster"]["autoscale"] == {"minWorkers": 1, "maxWorkers": 4}
    assert "isSingleNode" not in cluster["newCluster"]


@BOTH
def test_the_job_is_tagged_and_runs_as_the_configured_principal(args: JobArgs) -> None:
    found = job(args)
    assert found["name"] == "the job"
    assert found["tags"] == {"cost-centre": "hr"}
    assert found["runAs"] == {"servicePrincipalName": SERVICE}
    assert "runAs" not in job(replace(args, run_as=""))


@BOTH
def test_failures_are_told_by_e_mail(args: JobArgs) -> None:
    assert job(args)["emailNotifications"] == {"onFailures": ["on-call@contoso.com"]}
    assert "emailNotifications" not in job(replace(args, failure_emails=()))


def test_there_is_a_schedule_only_where_one_is_configured() -> None:
    assert "schedule" not in job(TRAINING)
    assert "schedule" not in job(SCORING)
    assert job(replace(TRAINING, schedule="0 0 5 1 * ?"))["schedule"] == {
        "quartzCronExpression": "0 0 5 1 * ?",
        "timezoneId": "UTC",
        "pauseStatus": "UNPAUSED",
    }


@BOTH
def test_readers_see_the_job_and_operators_run_it(args: JobArgs) -> None:
    permissions = build(args)["it-permissions"]
    assert permissions.inputs["jobId"] == "77"
    assert permissions.inputs["accessControls"] == [
        {"permissionLevel": "CAN_VIEW", "groupName": "analysts"},
        {"permissionLevel": "CAN_MANAGE_RUN", "userName": "ada@contoso.com"},
        {"permissionLevel": "CAN_MANAGE_RUN", "servicePrincipalName": SERVICE},
    ]


def test_who_is_both_may_run_it() -> None:
    permissions = build(replace(TRAINING, readers=("hr",), operators=("hr",)))["it-permissions"]
    assert permissions.inputs["accessControls"] == [
        {"permissionLevel": "CAN_MANAGE_RUN", "groupName": "hr"}
    ]


@BOTH
def test_with_nobody_named_the_permissions_are_left_alone(args: JobArgs) -> None:
    """`Permissions` says who, and nobody else: an empty one would shut everybody out."""
    assert build(replace(args, readers=(), operators=())).of_type("Permissions") == []


# Versions


def imported(package: str, seen: set[Path] | None = None) -> Iterator[str]:
    """Yield the top-level packages that a package of ours imports, through others of ours."""
    seen = set[Path]() if seen is None else seen
    for path in (ROOT / package).glob("*.py"):
        yield from imported_by(path, seen)


def imported_by(path: Path, seen: set[Path]) -> Iterator[str]:
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                modules = [module, *(f"{module}.{alias.name}" for alias in names)]
            case _:
                continue
        for module in modules:
            top = module.partition(".")[0]
            if top in OURS:
                yield from imported_by(ROOT / f"{module.replace('.', '/')}.py", seen)
            else:
                yield top


def distributions(package: str) -> set[str]:
    """Name what must be installed to import all of a package of ours."""
    by_module = packages_distributions()
    tops = set(imported(package)) - sys.stdlib_module_names
    names = {re.sub(r"[-_.]+", "-", by_module[top][0]).lower() for top in tops}
    # Three bring the module `mlflow`, found in no certain order; the one that we lock is the whole.
    return {"mlflow" if name.startswith("mlflow-") else name for name in names}


def model_requirements() -> Sequence[str]:
    """Return `_PACKAGES` of `training.models`, whose import takes seconds."""
    tree = ast.parse((ROOT / "training" / "models.py").read_text(encoding="utf-8"))
    (value,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_PACKAGES"
    ]
    return value


UNITY_CATALOG = {"azure-storage-file-datalake"}
"""What MLflow's store for Unity Catalog imports, in Azure, when it reads or writes a model."""


def test_the_training_job_installs_what_training_imports_and_no_more() -> None:
    # Some, such as skops, MLflow imports: training only names them for whoever loads its models.
    imported = distributions("training") | set(model_requirements()) | UNITY_CATALOG
    assert imported == set(TRAINING_PACKAGES)


def test_the_scoring_job_installs_what_scoring_imports_less_what_spark_brings() -> None:
    """Another pandas or NumPy than the runtime's PySpark was built for is asking for trouble."""
    imported = distributions("batch") - SPARK_BRINGS
    # The client is all of MLflow that `batch` needs.
    assert imported - {"mlflow"} | {"mlflow-skinny"} | UNITY_CATALOG == set(SCORING_PACKAGES)
    assert "mlflow" in imported


def test_versions_are_those_of_the_lock_file() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for pin in pinned(TRAINING_PACKAGES):
        assert re.search(rf"^{re.escape(pin)}( ;.*)? \\$", lock, re.MULTILINE), pin


def test_versions_are_those_of_this_machine_where_python_makes_no_difference() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for pin in pinned(TRAINING_PACKAGES):
        name, _, pinned_version = pin.partition("==")
        if f"{pin} \\" in lock:
            assert pinned_version == version(name)


LOCK = """\
# a comment
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:00
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:01
    # via -r requirements-local.in
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:02
scipy==1.18.1
--only-binary :all:
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text(LOCK)
    return file


def test_a_pin_is_the_one_for_the_compute_s_python(lock: Path) -> None:
    assert COMPUTE_PYTHON.startswith("3.12.")
    assert pinned(["scipy", "numpy"], lock) == ["numpy==2.5.5", "scipy==1.18.1"]


@pytest.mark.parametrize("name", ["colorama", "pandas"])
def test_a_package_without_a_pin_is_refused(name: str, lock: Path) -> None:
    with pytest.raises(LifecycleError, match=f"requirements.txt pins no '{name}'.*make lock"):
        pinned([name], lock)
