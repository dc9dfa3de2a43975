"""The machine-learning lifecycle as Pulumi resources.

Each resource is a dynamic provider: its code runs in the engine's provider process, never in the
program, so it may do no more than its inputs say. Module and class names are part of every stack's
state (providers are pickled by reference): a rename strands the resources that exist.
"""

from infra.lifecycle.api_key import ApiKey, ApiKeyArgs
from infra.lifecycle.api_process import ApiProcess, ApiProcessArgs
from infra.lifecycle.certificate import SelfSignedCertificate, SelfSignedCertificateArgs
from infra.lifecycle.errors import LifecycleError
from infra.lifecycle.executor import DatabricksExecutor, ProcessExecutor
from infra.lifecycle.model_stage import PINNED, PROMOTION, ModelStage, ModelStageArgs
from infra.lifecycle.registry import RegistryAddress
from infra.lifecycle.release_files import ReleaseFiles, ReleaseFilesArgs
from infra.lifecycle.release_gate import ReleaseGate, ReleaseGateArgs
from infra.lifecycle.release_reference import ReleaseReference, ReleaseReferenceArgs
from infra.lifecycle.shared_use import SharedGuard, SharedGuardArgs, SharedUse, SharedUseArgs
from infra.lifecycle.smoke_test import SmokeTest, SmokeTestArgs
from infra.lifecycle.traffic_switch import TrafficSwitch, TrafficSwitchArgs
from infra.lifecycle.training_run import TrainingRun, TrainingRunArgs
from infra.lifecycle.workspace_catalog import WorkspaceCatalog, WorkspaceCatalogArgs

__all__ = [
    "PINNED",
    "PROMOTION",
    "ApiKey",
    "ApiKeyArgs",
    "ApiProcess",
    "ApiProcessArgs",
    "DatabricksExecutor",
    "LifecycleError",
    "ModelStage",
    "ModelStageArgs",
    "ProcessExecutor",
    "RegistryAddress",
    "ReleaseFiles",
    "ReleaseFilesArgs",
    "ReleaseGate",
    "ReleaseGateArgs",
    "ReleaseReference",
    "ReleaseReferenceArgs",
    "SelfSignedCertificate",
    "SelfSignedCertificateArgs",
    "SharedGuard",
    "SharedGuardArgs",
    "SharedUse",
    "SharedUseArgs",
    "SmokeTest",
    "SmokeTestArgs",
    "TrafficSwitch",
    "TrafficSwitchArgs",
    "TrainingRun",
    "TrainingRunArgs",
    "WorkspaceCatalog",
    "WorkspaceCatalogArgs",
]
