"""The stack `local`: the whole lifecycle on one machine, nothing in the cloud.

Resource order is the release process: train, judge, start beside what serves, prove, switch, and
only then move the stage. Whatever fails, everything after it has not happened.
"""

import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi

from contract import release as contract
from contract.fingerprint import TRAINING_CODE
from infra.lifecycle import (
    PINNED,
    PROMOTION,
    ApiKey,
    ApiKeyArgs,
    ApiProcess,
    ApiProcessArgs,
    ModelStage,
    ModelStageArgs,
    ProcessExecutor,
    RegistryAddress,
    ReleaseFiles,
    ReleaseFilesArgs,
    ReleaseGate,
    ReleaseGateArgs,
    SmokeTest,
    SmokeTestArgs,
    TrafficSwitch,
    TrafficSwitchArgs,
    TrainingRun,
    TrainingRunArgs,
)
from stacks.reader import SettingsError
from stacks.settings import LocalSettings

__all__ = ["MODEL_NAME", "compose"]

MODEL_NAME = "employee-attrition"
_STAGE = "local"
_HOST = "127.0.0.1"
_CONTAINER = "container"
_DOCKER_SDKS = ("pulumi_docker", "pulumi_docker_build")
_DOCKER_SECONDS = 30
_FOLDER = ".local"
"""Everything that the stack writes is below this folder of the project."""


@dataclass(frozen=True, kw_only=True)
class _Served:
    """An API that passed its smoke test and answers at `url`; `last` is the last step to that."""

    url: pulumi.Output[str]
    release_dir: pulumi.Output[str]
    evidence: pulumi.Output[dict[str, Any]]
    last: pulumi.Resource
    log: dict[str, pulumi.Input[str]]
    """The output that says where its log is: `logFile`, or `container`."""


def compose() -> None:
    """Declare the stack's resources and outputs.

    Raises:
        SettingsError: a config key is wrong, or this machine cannot run what it asks for.
    """
    settings = LocalSettings.load()
    if settings.api_runtime == _CONTAINER:
        # Before anything is declared: training would else be through when Docker turns out missing.
        _check_containers_can_be_run()
    # MLflow records absolute addresses of its files, so the registry has one too.
    files = Path(_FOLDER, "mlflow").absolute()
    registry = RegistryAddress(
        model_name=MODEL_NAME, tracking_uri=f"sqlite:///{files / 'mlflow.db'}"
    )

    # A release that a person chose needs no training, and must not wait for one that fails.
    pinned = bool(settings.release_version)
    version = settings.release_version or _train(settings, registry, files).version
    gate = ReleaseGate(
        "gate",
        ReleaseGateArgs(
            registry=registry,
            stage=_STAGE,
            version=version,
            promote_from="",
            pinned=pinned,
            compared_with=_STAGE,
            gates=settings.gates,
        ),
    )
    key = ApiKey("api-key", ApiKeyArgs(path=f"{_FOLDER}/api.key"))
    serve = _serve_container if settings.api_runtime == _CONTAINER else _serve_process
    served = serve(settings, registry, gate, key)
    stage = ModelStage(
        "stage",
        ModelStageArgs(
            registry=registry,
            stage=_STAGE,
            version=gate.version,
            evidence=served.evidence,
            reason=settings.release_reason or (PINNED if pinned else PROMOTION),
        ),
        opts=pulumi.ResourceOptions(depends_on=[served.last]),
    )

    pulumi.export("apiUrl", served.url)
    pulumi.export("docsUrl", pulumi.Output.concat(served.url, "/docs"))
    pulumi.export("apiKey", key.key)
    pulumi.export("apiKeyFile", key.path.apply(_absolute))
    pulumi.export("modelName", MODEL_NAME)
    pulumi.export("modelVersion", stage.version)
    pulumi.export("stage", _STAGE)
    pulumi.export("metrics", gate.metrics)
    pulumi.export("smokeTest", served.evidence)
    pulumi.export("mlflowTrackingUri", registry.tracking_uri)
    for name, value in served.log.items():
        pulumi.export(name, value)
    example = pulumi.Output.concat(served.release_dir, "/", contract.EXAMPLE_REQUEST)
    pulumi.export("exampleRequest", example.apply(_absolute))


def _train(settings: LocalSettings, registry: RegistryAddress, files: Path) -> TrainingRun:
    return TrainingRun(
        "training",
        TrainingRunArgs(
            registry=registry,
            executor=ProcessExecutor(
                artifacts=str(files / "artifacts"), log_file=f"{_FOLDER}/logs/training.log"
            ),
            data=settings.dataset,
            parameters=settings.training_parameters,
            code=TRAINING_CODE,
            retrain=settings.retrain,
            timeout_minutes=settings.training_timeout_minutes,
        ),
    )


def _serve_process(
    settings: LocalSettings, registry: RegistryAddress, gate: ReleaseGate, key: ApiKey
) -> _Served:
    """Start a process beside the one that serves, prove it, and hand it the public address."""
    log_file = f"{_FOLDER}/logs/api.log"
    api = ApiProcess(
        "api",
        ApiProcessArgs(
            registry=registry,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
            api_key_sha256=key.accepted_sha256,
            environment=settings.api_environment,
            run_dir=f"{_FOLDER}/run",
            releases_dir=f"{_FOLDER}/releases",
            log_file=log_file,
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
    return _Served(
        url=traffic.url,
        release_dir=api.release_dir,
        evidence=smoke.evidence,
        last=traffic,
        log={"logFile": _absolute(log_file)},
    )


def _check_containers_can_be_run() -> None:
    missing: list[str] = []
    if not all(find_spec(name) for name in _DOCKER_SDKS):
        missing.append("Docker's Pulumi SDKs (`make setup-cloud` installs them)")
    if not _docker_answers():
        missing.append("a Docker that answers (`docker version` shows its server)")
    if missing:
        raise SettingsError(
            "config key employee-retention:apiRuntime (Pulumi.local.yaml): `container` needs "
            f"{' and '.join(missing)}, and the Pulumi CLI (ENGINE=pulumi); or take the key out"
        )


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run(  # noqa: S603 - the program found on the PATH; no shell
            [docker, "version"], capture_output=True, timeout=_DOCKER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def _serve_container(
    settings: LocalSettings, registry: RegistryAddress, gate: ReleaseGate, key: ApiKey
) -> _Served:
    """Build the image that the cloud runs, prove it on a port of its own, then serve from it.

    A port has one container: the switch takes as long as the new one takes to start.
    """
    # Imported here: a laptop without Docker has no use for the SDKs, which come with the cloud's.
    from infra.local_container import (
        LocalContainer,
        LocalContainerArgs,
        LocalImage,
        LocalImageArgs,
    )

    files = ReleaseFiles(
        "release",
        ReleaseFilesArgs(
            registry=registry,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
            releases_dir=f"{_FOLDER}/releases",
        ),
    )
    image = LocalImage(
        "image",
        LocalImageArgs(
            release_dir=files.release_dir,
            version=gate.version,
            bundle_sha256=gate.bundle_sha256,
        ),
    )
    candidate = LocalContainer(
        "candidate",
        LocalContainerArgs(
            image=image.ref,
            accepted_sha256=key.accepted_sha256,
            environment=settings.api_environment,
        ),
    )
    smoke = SmokeTest(
        "smoke",
        SmokeTestArgs(
            url=candidate.url,
            release_dir=files.release_dir,
            version=gate.version,
            instance=candidate.container_id,
            pid=0,
            api_key=key.key,
        ),
    )
    api = LocalContainer(
        "api",
        LocalContainerArgs(
            image=image.ref,
            accepted_sha256=key.accepted_sha256,
            environment=settings.api_environment,
            port=settings.api_port,
            after=[smoke],
        ),
    )
    return _Served(
        url=api.url,
        release_dir=files.release_dir,
        evidence=smoke.evidence,
        last=api,
        log={"container": api.container_id},
    )


def _absolute(path: str) -> str:
    return str(Path(path).absolute())
