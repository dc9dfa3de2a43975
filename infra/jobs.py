"""The Databricks jobs: training, and scoring a table.

Both run a module of the uploaded code by `infra.run_module`, with the lock file's versions, on
serverless compute or on a cluster that lives as long as the run. What a run gets are job-level
parameters, so that whoever starts one (the program, a schedule, a person) names them alike.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_databricks as dbx

from infra.workspace_code import RUNNER

__all__ = [
    "SCORING_PACKAGES",
    "SCORING_PARAMETERS",
    "TRAINING_PACKAGES",
    "TRAINING_PARAMETERS",
    "JobArgs",
    "JobCluster",
    "ScoringJob",
    "ScoringJobArgs",
    "TrainingJob",
    "TrainingJobArgs",
]

TRAINING_PARAMETERS = (
    "tracking_uri",
    "registry_uri",
    "experiment",
    "model_name",
    "fingerprint",
    "code_sha256",
    "data",
    "data_sha256",
    "parameters",
)
"""Job-level parameters of training; with dashes they are options of `python -m training`."""

SCORING_PARAMETERS = (
    "table",
    "output",
    "tracking_uri",
    "registry_uri",
    "model_name",
    "stage",
    "version",
    "key_column",
    "mode",
    "partitions",
)
"""Job-level parameters of scoring; with dashes they are options of `python -m batch`."""

_UNITY_CATALOG = "azure-storage-file-datalake"
"""MLflow reads and writes Unity Catalog's models in Azure's storage with it, and does not ask for
it itself."""

TRAINING_PACKAGES = (
    _UNITY_CATALOG,
    "databricks-sdk",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "psutil",
    "scikit-learn",
    "scipy",
    "skops",
    "sqlalchemy",
)
"""What `training` imports, and what its models are stored with."""

SCORING_PACKAGES = (_UNITY_CATALOG, "mlflow-skinny", "msgspec")
"""What `batch` imports, less what Spark brings and must agree with: PySpark, pandas and NumPy. Of
MLflow it needs the client alone; the whole would bring a pandas of its own."""

_ENVIRONMENT_VERSION = "5"
"""Of the serverless environment: its Python is `infra.pins.COMPUTE_PYTHON`'s minor version."""

_RETRIES = 1
_RETRY_WAIT_MILLISECONDS = 60_000
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True)
class JobCluster:
    """A cluster for one run: one machine, or a driver and one to `workers_max` workers."""

    spark_version: str
    node_type: str
    workers_max: int = 0


@dataclass(frozen=True, kw_only=True)
class JobArgs:
    """What every job has.

    `code_root` is `WorkspaceCode.root`, `requirements` are `name==version`; `cluster` is None for
    serverless compute. A run longer than `timeout_minutes`, its retry included, is stopped.
    `run_as` is a service principal's application id, or empty for the deployer. `defaults` are
    values of job-level parameters that a run need not name; the others are empty.
    """

    job_name: str
    code_root: pulumi.Input[str]
    requirements: Sequence[str]
    cluster: JobCluster | None
    timeout_minutes: int
    failure_emails: Sequence[str]
    run_as: str
    readers: Sequence[str]
    operators: Sequence[str]
    tags: Mapping[str, str]
    defaults: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class TrainingJobArgs(JobArgs):
    """A job of `python -m training`; `schedule` is a quartz expression in UTC, or empty for none.

    A scheduled run trains with the defaults, and registers nothing where code, data and parameters
    made a release before. Which release a stage serves stays the program's decision.
    """

    schedule: str


@dataclass(frozen=True, kw_only=True)
class ScoringJobArgs(JobArgs):
    """A job of `python -m batch`, which a person or another job starts with the table's name."""


class TrainingJob(pulumi.ComponentResource):
    """The training job; it takes a Databricks provider in its options.

    `id` is what runs are started by, `url` is the job's page.
    """

    id: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: TrainingJobArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:databricks:TrainingJob", name, None, opts)
        job = _create_job(
            self,
            name,
            args,
            module="training",
            parameters=_values(TRAINING_PARAMETERS, args.defaults),
        )
        self.id, self.url = job.id, job.url
        self.register_outputs({"id": self.id, "url": self.url})


class ScoringJob(pulumi.ComponentResource):
    """The scoring job; it takes a Databricks provider in its options. `url` is the job's page."""

    id: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: ScoringJobArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:databricks:ScoringJob", name, None, opts)
        job = _create_job(
            self, name, args, module="batch", parameters=_values(SCORING_PARAMETERS, args.defaults)
        )
        self.id, self.url = job.id, job.url
        self.register_outputs({"id": self.id, "url": self.url})


def _values(
    names: Sequence[str], defaults: Mapping[str, pulumi.Input[str]]
) -> dict[str, pulumi.Input[str]]:
    """Give every parameter a default.

    Raises:
        ValueError: there is a default for no parameter of the job.
    """
    if strangers := sorted(defaults.keys() - set(names)):
        raise ValueError(f"{strangers[0]!r} is no job parameter; known are {', '.join(names)}")
    return {name: defaults.get(name, "") for name in names}


def _create_job(
    parent: pulumi.ComponentResource,
    name: str,
    args: JobArgs,
    *,
    module: str,
    parameters: Mapping[str, pulumi.Input[str]],
) -> dbx.Job:
    schedule = args.schedule if isinstance(args, TrainingJobArgs) else ""
    job = dbx.Job(
        f"{name}-job",
        dbx.JobArgs(
            name=args.job_name,
            tasks=[_task(args, module, list(parameters))],
            environments=None if args.cluster else [_environment(module, args.requirements)],
            job_clusters=[_job_cluster(module, args.cluster, args.tags)] if args.cluster else None,
            parameters=[
                dbx.JobParameterArgs(name=parameter, default=value)
                for parameter, value in parameters.items()
            ],
            queue=dbx.JobQueueArgs(enabled=True),
            max_concurrent_runs=1,
            timeout_seconds=60 * args.timeout_minutes,
            schedule=_schedule(schedule) if schedule else None,
            email_notifications=_emails(args.failure_emails),
            notification_settings=dbx.JobNotificationSettingsArgs(
                no_alert_for_canceled_runs=True, no_alert_for_skipped_runs=True
            ),
            run_as=dbx.JobRunAsArgs(service_principal_name=args.run_as) if args.run_as else None,
            tags=args.tags,
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    if controls := _access_controls(args):
        dbx.Permissions(
            f"{name}-permissions",
            dbx.PermissionsArgs(job_id=job.id, access_controls=controls),
            opts=pulumi.ResourceOptions(parent=parent),
        )
    return job


def _task(args: JobArgs, module: str, parameters: Sequence[str]) -> dbx.JobTaskArgs:
    options = [
        f"--{parameter.replace('_', '-')}={{{{job.parameters.{parameter}}}}}"
        for parameter in parameters
    ]
    libraries = [
        dbx.JobTaskLibraryArgs(pypi=dbx.JobTaskLibraryPypiArgs(package=requirement))
        for requirement in args.requirements
    ]
    return dbx.JobTaskArgs(
        task_key=module,
        spark_python_task=dbx.JobTaskSparkPythonTaskArgs(
            python_file=pulumi.Output.concat(args.code_root, f"/{RUNNER}"),
            source="WORKSPACE",
            parameters=[args.code_root, module, *options],
        ),
        environment_key=None if args.cluster else module,
        job_cluster_key=module if args.cluster else None,
        libraries=libraries if args.cluster else None,
        # One more try: machines are lost, services hiccup. Serverless compute would try a failed
        # task three more times by itself, which for a wrong table is three times in vain.
        max_retries=_RETRIES,
        min_retry_interval_millis=_RETRY_WAIT_MILLISECONDS,
        retry_on_timeout=False,
        disable_auto_optimization=None if args.cluster else True,
        timeout_seconds=60 * args.timeout_minutes,
    )


def _environment(key: str, requirements: Sequence[str]) -> dbx.JobEnvironmentArgs:
    return dbx.JobEnvironmentArgs(
        environment_key=key,
        spec=dbx.JobEnvironmentSpecArgs(
            environment_version=_ENVIRONMENT_VERSION, dependencies=list(requirements)
        ),
    )


def _job_cluster(key: str, cluster: JobCluster, tags: Mapping[str, str]) -> dbx.JobJobClusterArgs:
    autoscale = dbx.JobJobClusterNewClusterAutoscaleArgs(
        min_workers=1, max_workers=cluster.workers_max
    )
    return dbx.JobJobClusterArgs(
        job_cluster_key=key,
        new_cluster=dbx.JobJobClusterNewClusterArgs(
            # Without it Databricks ignores `is_single_node`.
            kind="CLASSIC_PREVIEW",
            spark_version=cluster.spark_version,
            node_type_id=cluster.node_type,
            is_single_node=None if cluster.workers_max else True,
            autoscale=autoscale if cluster.workers_max else None,
            # Unity Catalog's models take this mode alone.
            data_security_mode="SINGLE_USER",
            custom_tags=tags,
        ),
    )


def _schedule(quartz: str) -> dbx.JobScheduleArgs:
    return dbx.JobScheduleArgs(
        quartz_cron_expression=quartz, timezone_id="UTC", pause_status="UNPAUSED"
    )


def _emails(addresses: Sequence[str]) -> dbx.JobEmailNotificationsArgs | None:
    return dbx.JobEmailNotificationsArgs(on_failures=list(addresses)) if addresses else None


def _access_controls(args: JobArgs) -> list[dbx.PermissionsAccessControlArgs]:
    """List who may see the job and who may run it; who is both may run it."""
    levels = dict.fromkeys(args.readers, "CAN_VIEW")
    levels |= dict.fromkeys(args.operators, "CAN_MANAGE_RUN")
    return [_access_control(principal, level) for principal, level in levels.items()]


def _access_control(principal: str, level: str) -> dbx.PermissionsAccessControlArgs:
    """Tell users (an e-mail address), service principals (an application id) and groups apart."""
    is_user, is_service = "@" in principal, _GUID.fullmatch(principal) is not None
    return dbx.PermissionsAccessControlArgs(
        permission_level=level,
        user_name=principal if is_user else None,
        service_principal_name=principal if is_service else None,
        group_name=None if is_user or is_service else principal,
    )
