"""The stack `shared`: what the environments have in common, and the release that they take.

Databricks trains, registers and keeps the releases; the container registry, the log store and the
budget serve every environment. Nothing here is reached by a user of the API.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pulumi
from pulumi_azure_native import resources

from contract.fingerprint import TRAINING_CODE
from infra.budget import Budget, BudgetArgs
from infra.catalog import Catalog, CatalogArgs
from infra.container_registry import ContainerRegistry, ContainerRegistryArgs
from infra.databricks_workspace import (
    DatabricksWorkspace,
    DatabricksWorkspaceArgs,
    managed_resource_group_id,
)
from infra.dataset import canonical_csv
from infra.jobs import (
    SCORING_PACKAGES,
    TRAINING_PACKAGES,
    JobCluster,
    ScoringJob,
    ScoringJobArgs,
    TrainingJob,
    TrainingJobArgs,
)
from infra.lifecycle import (
    DatabricksExecutor,
    RegistryAddress,
    SharedGuard,
    SharedGuardArgs,
    TrainingRun,
    TrainingRunArgs,
    WorkspaceCatalog,
    WorkspaceCatalogArgs,
)
from infra.logs import LogStore, LogStoreArgs
from infra.naming import Names
from infra.pins import pinned
from infra.workspace_code import WorkspaceCode, WorkspaceCodeArgs
from stacks.settings import SharedSettings

__all__ = ["compose"]

_DATASETS = Path(".local/datasets")
"""Relative: what the state records must be the same on every machine."""
_FOLDER = "/Shared/employee-retention"
"""The project's folder in the Databricks workspace: code, and the experiment."""
_MODEL = "attrition"
_EXPERIMENT = f"{_FOLDER}/{_MODEL}"
_SCORING_CODE = ("app", "batch", "contract")
_SCORING_TIMEOUT_MINUTES = 120
_SCORING_WORKERS = 4
"""The most that a job cluster grows to for scoring; serverless compute decides by itself."""
_SERVERLESS = "serverless"


def compose() -> None:
    """Declare the stack's resources and outputs."""
    settings = SharedSettings.load()
    names = Names(settings.name_prefix, pulumi.get_stack())
    # Before anything is made in the cloud: a wrong table stops here.
    dataset = canonical_csv(settings.dataset, _DATASETS)

    group = _create_group(settings, names)
    budget = _create_budget(settings, names, group)
    images = _create_container_registry(settings, names, group)
    logs = _create_log_store(settings, names, group)
    workspace = _create_workspace(settings, names, group)
    catalog = _create_catalog(settings, workspace, dataset)
    registry = _registry(settings, workspace, catalog)
    scoring = _create_scoring_job(settings, workspace, registry)
    training = _create_training_job(settings, workspace, registry, catalog)
    release = _train(settings, registry, training, catalog, dataset)
    # Last made and first destroyed: it refuses while an environment lives on what is here.
    _guard(registry, [budget, images, logs, workspace, catalog, scoring, training, release])

    pulumi.export("workspaceHost", workspace.host)
    pulumi.export("workspaceId", workspace.id)
    pulumi.export("trackingUri", settings.tracking_uri)
    pulumi.export("registryUri", settings.registry_uri)
    pulumi.export("catalog", catalog.catalog)
    pulumi.export("schema", catalog.schema)
    pulumi.export("modelName", catalog.model_name)
    pulumi.export("modelVersion", release.version)
    pulumi.export("metrics", release.metrics)
    pulumi.export("trainingRunUrl", release.run_url)
    pulumi.export("trainingJobUrl", training.url)
    pulumi.export("scoringJobUrl", scoring.url)
    pulumi.export("containerRegistryId", images.id)
    pulumi.export("containerRegistryServer", images.server)
    pulumi.export("logWorkspaceId", logs.id)
    pulumi.export("logWorkspaceLocation", logs.location)


def _create_group(settings: SharedSettings, names: Names) -> resources.ResourceGroup:
    return resources.ResourceGroup(
        "resource-group",
        resources.ResourceGroupArgs(
            resource_group_name=names.resource_group(),
            location=settings.location,
            tags=settings.tags,
        ),
    )


def _create_budget(
    settings: SharedSettings, names: Names, group: resources.ResourceGroup
) -> Budget:
    return Budget(
        "budget",
        BudgetArgs(
            scope=group.id,
            budget_name=names.budget(),
            amount=settings.budget_amount,
            emails=settings.budget_emails,
            today=datetime.now(UTC).date(),
        ),
    )


def _create_container_registry(
    settings: SharedSettings, names: Names, group: resources.ResourceGroup
) -> ContainerRegistry:
    return ContainerRegistry(
        "container-registry",
        ContainerRegistryArgs(
            resource_group_name=group.name,
            registry_name=names.container_registry(),
            location=settings.location,
            tags=settings.tags,
            protect=settings.protect,
        ),
    )


def _create_log_store(
    settings: SharedSettings, names: Names, group: resources.ResourceGroup
) -> LogStore:
    return LogStore(
        "logs",
        LogStoreArgs(
            resource_group_name=group.name,
            workspace_name=names.log_workspace(),
            location=settings.location,
            retention_days=settings.log_retention_days,
            daily_quota_gb=settings.log_daily_quota_gb,
            tags=settings.tags,
            protect=settings.protect,
        ),
    )


def _create_workspace(
    settings: SharedSettings, names: Names, group: resources.ResourceGroup
) -> DatabricksWorkspace:
    return DatabricksWorkspace(
        "databricks",
        DatabricksWorkspaceArgs(
            resource_group_name=group.name,
            workspace_name=names.databricks_workspace(),
            managed_resource_group_id=group.id.apply(
                lambda id_: managed_resource_group_id(id_, names.managed_resource_group())
            ),
            location=settings.location,
            # A workflow's first log-in is good for minutes; it fetches a token while it is.
            auth_type="pat" if "DATABRICKS_TOKEN" in os.environ else "azure-cli",
            tags=settings.tags,
            protect=settings.protect,
        ),
    )


def _create_catalog(
    settings: SharedSettings, workspace: DatabricksWorkspace, dataset: Path
) -> Catalog:
    return Catalog(
        "catalog",
        CatalogArgs(
            catalog_name=settings.catalog or _automatic_catalog(workspace),
            schema_name=settings.schema,
            model_name=_MODEL,
            dataset=dataset,
            readers=settings.readers,
            operators=_operators(settings),
        ),
        opts=_inside(workspace),
    )


def _automatic_catalog(workspace: DatabricksWorkspace) -> pulumi.Output[str]:
    address = WorkspaceCatalogArgs(host=workspace.host, azure_resource_id=workspace.id)
    return WorkspaceCatalog("workspace-catalog", address).catalog


def _registry(
    settings: SharedSettings, workspace: DatabricksWorkspace, catalog: Catalog
) -> RegistryAddress:
    return RegistryAddress(
        model_name=catalog.model_name,
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri,
        host=workspace.host,
        azure_resource_id=workspace.id,
    )


def _create_scoring_job(
    settings: SharedSettings, workspace: DatabricksWorkspace, registry: RegistryAddress
) -> ScoringJob:
    code = WorkspaceCode(
        "scoring-code",
        WorkspaceCodeArgs(packages=_SCORING_CODE, root=f"{_FOLDER}/code/scoring"),
        opts=_inside(workspace),
    )
    return ScoringJob(
        "scoring-job",
        ScoringJobArgs(
            job_name="employee-retention scoring",
            code_root=code.root,
            requirements=pinned(SCORING_PACKAGES),
            cluster=_cluster(settings, workers_max=_SCORING_WORKERS),
            timeout_minutes=_SCORING_TIMEOUT_MINUTES,
            failure_emails=settings.failure_emails,
            run_as=settings.job_run_as,
            readers=settings.readers,
            operators=_operators(settings),
            tags=settings.tags,
            defaults={
                "tracking_uri": registry.tracking_uri,
                "registry_uri": registry.registry_uri,
                "model_name": registry.model_name,
            },
        ),
        opts=_inside(workspace),
    )


def _create_training_job(
    settings: SharedSettings,
    workspace: DatabricksWorkspace,
    registry: RegistryAddress,
    catalog: Catalog,
) -> TrainingJob:
    code = WorkspaceCode(
        "training-code",
        WorkspaceCodeArgs(packages=TRAINING_CODE, root=f"{_FOLDER}/code/training"),
        opts=_inside(workspace),
    )
    return TrainingJob(
        "training-job",
        TrainingJobArgs(
            job_name="employee-retention training",
            code_root=code.root,
            requirements=pinned(TRAINING_PACKAGES),
            cluster=_cluster(settings),
            timeout_minutes=settings.training_timeout_minutes,
            schedule=settings.training_schedule,
            failure_emails=settings.failure_emails,
            run_as=settings.job_run_as,
            readers=settings.readers,
            operators=_operators(settings),
            tags=settings.tags,
            defaults={
                "tracking_uri": registry.tracking_uri,
                "registry_uri": registry.registry_uri,
                "experiment": _EXPERIMENT,
                "model_name": registry.model_name,
                # What a schedule is for: a table at an URL may be another by then. Its own bytes
                # count there, not the canonical file's, so its first run makes a release anyway.
                "data": settings.dataset if "://" in settings.dataset else catalog.data_path,
                "parameters": json.dumps(settings.training_parameters, sort_keys=True),
            },
        ),
        opts=_inside(workspace),
    )


def _train(
    settings: SharedSettings,
    registry: RegistryAddress,
    job: TrainingJob,
    catalog: Catalog,
    dataset: Path,
) -> TrainingRun:
    return TrainingRun(
        "training",
        TrainingRunArgs(
            registry=registry,
            executor=DatabricksExecutor(
                job_id=job.id, experiment=_EXPERIMENT, data_path=catalog.data_path
            ),
            data=dataset.as_posix(),
            parameters=settings.training_parameters,
            code=TRAINING_CODE,
            retrain=settings.retrain,
            timeout_minutes=settings.training_timeout_minutes,
        ),
        # Whole components: a run needs the grants and permissions as well.
        opts=pulumi.ResourceOptions(depends_on=[job, catalog]),
    )


def _guard(registry: RegistryAddress, guarded: Sequence[pulumi.Resource]) -> None:
    SharedGuard(
        "guard",
        SharedGuardArgs(registry=registry),
        opts=pulumi.ResourceOptions(depends_on=guarded),
    )


def _cluster(settings: SharedSettings, *, workers_max: int = 0) -> JobCluster | None:
    """Describe the job's cluster: none where compute is serverless."""
    if settings.training_compute == _SERVERLESS:
        return None
    return JobCluster(
        spark_version=settings.job_cluster_spark_version,
        node_type=settings.job_cluster_node_type,
        workers_max=workers_max,
    )


def _operators(settings: SharedSettings) -> tuple[str, ...]:
    """List who runs the jobs: people, and whom the jobs run as."""
    runner = (settings.job_run_as,) if settings.job_run_as else ()
    return tuple(dict.fromkeys((*settings.operators, *runner)))


def _inside(workspace: DatabricksWorkspace) -> pulumi.ResourceOptions:
    """Make a component's resources in the workspace."""
    return pulumi.ResourceOptions(providers=[workspace.provider])
