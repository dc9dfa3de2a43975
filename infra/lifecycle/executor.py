"""How a training run is executed: what a program says to choose a way, and the one interface.

Both ways run the same entry point, `python -m training`, with the same options.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import pulumi

from contract.fingerprint import canonical_json

__all__ = [
    "DatabricksExecutor",
    "Executor",
    "ProcessExecutor",
    "TrainingRequest",
]


@dataclass(frozen=True, kw_only=True)
class ProcessExecutor:
    """Train in a child process on this machine.

    `artifacts` is the folder for the registry's files; `log_file` gets a copy of the output.
    """

    artifacts: str
    log_file: str

    def props(self) -> dict[str, pulumi.Input[str]]:
        """Return what the resource stores."""
        return {"kind": "process", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class DatabricksExecutor:
    """Train as a run of a Databricks job, in the workspace that the registry's address names.

    `experiment` is the MLflow experiment's path in the workspace, and `data_path` is where the job
    reads the bytes that the resource hashed.
    """

    job_id: pulumi.Input[str]
    experiment: pulumi.Input[str]
    data_path: pulumi.Input[str]

    def props(self) -> dict[str, pulumi.Input[str]]:
        """Return what the resource stores."""
        return {
            "kind": "databricks",
            "job_id": self.job_id,
            "experiment": self.experiment,
            "data_path": self.data_path,
        }


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What is to be trained: `registry` is the address's properties, hashes are 64 hex digits."""

    registry: Mapping[str, str]
    data: str
    data_sha256: str
    code_sha256: str
    parameters: Mapping[str, Any]
    fingerprint: str

    def options(self, *, experiment: str = "", data: str = "") -> dict[str, str]:
        """Return the entry point's options: a job's parameters have these very names."""
        return {
            "tracking_uri": self.registry["tracking_uri"],
            "registry_uri": self.registry.get("registry_uri", ""),
            "experiment": experiment,
            "model_name": self.registry["model_name"],
            "fingerprint": self.fingerprint,
            "code_sha256": self.code_sha256,
            "data": data or self.data,
            "data_sha256": self.data_sha256,
            "parameters": canonical_json(self.parameters),
        }


class Executor(Protocol):
    """One way to run the training program."""

    def run(self, request: TrainingRequest, *, timeout_seconds: float) -> str:
        """Train, with progress on stdout, until it has ended well; return the run's page or "".

        Raises:
            TrainingError: it failed, or took longer than `timeout_seconds` and was stopped.
        """
        ...

    def page(self, request: TrainingRequest) -> str:
        """Return the address of the page of the run that has trained this, or "" without one."""
        ...
