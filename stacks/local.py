"""The stack `local`: the whole lifecycle on one machine, nothing in the cloud.

Resource order is the release process: train, judge, start beside what serves, prove, switch, and
only then move the stage. Whatever fails, everything after it has not happened.
"""

from pathlib import Path

import pulumi

from contract import release as contract
from infra.lifecycle import (
    ApiKey,
    ApiKeyArgs,
    ApiProcess,
    ApiProcessArgs,
    ModelStage,
    ModelStageArgs,
    ReleaseGate,
    ReleaseGateArgs,
    SmokeTest,
    SmokeTestArgs,
    TrafficSwitch,
    TrafficSwitchArgs,
    TrainingRun,
    TrainingRunArgs,
)
from stacks.settings import LocalSettings

__all__ = ["MODEL_NAME", "compose"]

MODEL_NAME = "employee-attrition"
_STAGE = "local"
_HOST = "127.0.0.1"
_FOLDER = ".local"
"""Everything that the stack writes is below this folder of the project."""


def compose() -> None:
    """Declare the stack's resources and outputs."""
    settings = LocalSettings.load()
    # MLflow records absolute addresses of its files, so the registry has one too.
    registry = Path(_FOLDER, "mlflow").absolute()
    tracking_uri = f"sqlite:///{registry / 'mlflow.db'}"

    # A release that a person chose needs no training, and must not wait for one that fails.
    version = settings.release_version or _train(settings, registry, tracking_uri).version
    gate = ReleaseGate(
        "gate",
        ReleaseGateArgs(
            model_name=MODEL_NAME,
            tracking_uri=tracking_uri,
            stage=_STAGE,
            version=version,
            pinned=bool(settings.release_version),
            gates=settings.gates,
        ),
    )
    key = ApiKey("api-key", ApiKeyArgs(path=f"{_FOLDER}/api.key"))
    api = ApiProcess(
        "api",
        ApiProcessArgs(
            model_name=MODEL_NAME,
            tracking_uri=tracking_uri,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
            api_key_sha256=key.sha256,
            run_dir=f"{_FOLDER}/run",
            releases_dir=f"{_FOLDER}/releases",
            log_file=f"{_FOLDER}/logs/api.log",
        ),
    )
    smoke = SmokeTest(
        "smoke",
        SmokeTestArgs(
            url=api.private_url,
            release_dir=api.release_dir,
            version=gate.version,
            instance=api.instance,
            pid=api.pid,
            api_key=key.key,
        ),
    )
    traffic = TrafficSwitch(
        "traffic",
        TrafficSwitchArgs(
            host=_HOST,
            port=settings.api_port,
            port_key="employee-retention:apiPort in Pulumi.local.yaml",
            run_dir=f"{_FOLDER}/run",
            instance=api.instance,
            pid=api.pid,
        ),
        opts=pulumi.ResourceOptions(depends_on=[smoke]),
    )
    stage = ModelStage(
        "stage",
        ModelStageArgs(
            model_name=MODEL_NAME,
            tracking_uri=tracking_uri,
            stage=_STAGE,
            version=gate.version,
            evidence=smoke.evidence,
        ),
        opts=pulumi.ResourceOptions(depends_on=[traffic]),
    )

    pulumi.export("apiUrl", traffic.url)
    pulumi.export("docsUrl", pulumi.Output.concat(traffic.url, "/docs"))
    pulumi.export("apiKey", key.key)
    pulumi.export("apiKeyFile", key.path.apply(_absolute))
    pulumi.export("modelName", MODEL_NAME)
    pulumi.export("modelVersion", stage.version)
    pulumi.export("stage", _STAGE)
    pulumi.export("metrics", gate.metrics)
    pulumi.export("smokeTest", smoke.evidence)
    pulumi.export("mlflowTrackingUri", tracking_uri)
    pulumi.export("logFile", _absolute(f"{_FOLDER}/logs/api.log"))
    example = pulumi.Output.concat(api.release_dir, "/", contract.EXAMPLE_REQUEST)
    pulumi.export("exampleRequest", example.apply(_absolute))


def _train(settings: LocalSettings, registry: Path, tracking_uri: str) -> TrainingRun:
    return TrainingRun(
        "training",
        TrainingRunArgs(
            model_name=MODEL_NAME,
            tracking_uri=tracking_uri,
            artifacts=str(registry / "artifacts"),
            data=settings.dataset,
            parameters=settings.training_parameters,
            code=("contract", "training"),
            retrain=settings.retrain,
            log_file=f"{_FOLDER}/logs/training.log",
            timeout_minutes=settings.training_timeout_minutes,
        ),
    )


def _absolute(path: str) -> str:
    return str(Path(path).absolute())
