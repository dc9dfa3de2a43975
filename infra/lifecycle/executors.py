"""Makes the executor that a resource's properties describe."""

from collections.abc import Mapping

from infra.lifecycle.databricks import Credentials, client
from infra.lifecycle.executor import Executor
from infra.lifecycle.executor_process import TrainingProcess

__all__ = ["executor_from"]


def executor_from(
    props: Mapping[str, str], registry: Mapping[str, str], credentials: Credentials
) -> Executor:
    """Make the executor that `props` describe, as `ProcessExecutor` or `DatabricksExecutor` do.

    Raises:
        WorkspaceError: there is no way into the workspace.
    """
    if props["kind"] == "databricks":
        # Imported here: a laptop needs no Databricks SDK.
        from infra.lifecycle.executor_databricks import TrainingJob

        return TrainingJob(
            client(registry, credentials).jobs,
            job_id=int(props["job_id"]),
            experiment=props["experiment"],
            data_path=props["data_path"],
        )
    return TrainingProcess(artifacts=props["artifacts"], log_file=props["log_file"])
