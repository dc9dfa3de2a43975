"""The stack `local` as a whole: the real program, its resources, their order and its outputs."""

import base64
import itertools
import json
import pickletools
from pathlib import Path

import dill  # pyright: ignore[reportMissingTypeStubs] - it ships none
import pytest
from stacks_recorder import EVIDENCE, METRICS, run

import stacks
from stacks.reader import SettingsError
from tests.recorder import PROJECT, ROOT, Recorder, known

TYPE = "pulumi-python:dynamic/lifecycle:"
RESOURCES = {
    "training": ("TrainingRun", "infra.lifecycle.training_run", "TrainingRunProvider"),
    "gate": ("ReleaseGate", "infra.lifecycle.release_gate", "ReleaseGateProvider"),
    "api-key": ("ApiKey", "infra.lifecycle.api_key", "ApiKeyProvider"),
    "api": ("ApiProcess", "infra.lifecycle.api_process", "ApiProcessProvider"),
    "smoke": ("SmokeTest", "infra.lifecycle.smoke_test", "SmokeTestProvider"),
    "traffic": ("TrafficSwitch", "infra.lifecycle.traffic_switch", "TrafficSwitchProvider"),
    "stage": ("ModelStage", "infra.lifecycle.model_stage", "ModelStageProvider"),
}
"""Part of every stack's state: a change here strands resources that exist."""

API_ENVIRONMENT = {
    "RATE_LIMIT_PER_SECOND": "100",
    "RATE_LIMIT_BURST": "200",
    "MAX_IN_FLIGHT": "64",
    "WINDOW_RECORDS": "20",
    "WINDOW_SECONDS": "60",
    "DOCS_ENABLED": "true",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def program(config: dict[str, str], folder: Path) -> Recorder:
    return run(config)


def test_logical_names_and_types_are_pinned(program: Recorder) -> None:
    assert {r.name: r.type for r in program.resources} == {
        name: TYPE + kind for name, (kind, _, _) in RESOURCES.items()
    }


@pytest.mark.parametrize("name", RESOURCES)
def test_a_provider_is_pickled_by_reference_to_a_pinned_class(program: Recorder, name: str) -> None:
    _, module, cls = RESOURCES[name]
    pickled = base64.b64decode(program[name].provider)
    texts = [
        argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)
    ]
    assert set(texts) == {module, cls}
    assert len(pickled) < 200, "the state holds code, not the name of a class"
    loaded = dill.loads(pickled)  # pyright: ignore[reportUnknownMemberType] - untyped
    assert (type(loaded).__module__, type(loaded).__qualname__) == (module, cls)


# Inputs


def registry(folder: Path) -> dict[str, str]:
    return {
        "model_name": "employee-attrition",
        "tracking_uri": f"sqlite:///{folder}/.local/mlflow/mlflow.db",
        "registry_uri": "",
        "host": "",
        "azure_resource_id": "",
    }


def test_training_gets_what_decides_it(program: Recorder, folder: Path) -> None:
    assert program["training"].inputs == {
        "registry": registry(folder),
        "executor": {
            "kind": "process",
            "artifacts": f"{folder}/.local/mlflow/artifacts",
            "log_file": ".local/logs/training.log",
        },
        "data": "package",
        "parameters": {},
        "code": ["contract", "training"],
        "retrain": "",
        "timeout_minutes": 30.0,
    }


def test_the_gate_judges_the_release_that_was_just_trained(program: Recorder, folder: Path) -> None:
    assert program["gate"].inputs == {
        "registry": registry(folder),
        "stage": "local",
        "version": "3",
        "promote_from": "",
        "image_server": "",
        "pinned": False,
        "compared_with": "local",
        "gates": [
            {"metric": "cv_roc_auc", "at_least": 0.8, "max_drop": 0.02},
            {"metric": "cv_brier", "at_most": 0.11, "max_rise": 0.01},
            {"metric": "fairness_four_fifths", "at_least": 0.8},
            {"metric": "fairness_calibration_gap", "at_most": 0.08},
        ],
    }


def test_the_api_serves_the_release_that_passed(program: Recorder, folder: Path) -> None:
    assert program["api"].inputs == {
        "registry": registry(folder),
        "version": "3",
        "bundle_sha256": "b3",
        "api_key_sha256": "hash-of-the-key",
        "environment": API_ENVIRONMENT,
        "run_dir": ".local/run",
        "releases_dir": ".local/releases",
        "log_file": ".local/logs/api.log",
    }


def test_the_smoke_test_asks_the_private_address(program: Recorder) -> None:
    assert program["smoke"].inputs == {
        "url": "http://127.0.0.1:1111",
        "release_dir": ".local/releases/i-1",
        "version": "3",
        "instance": "i-1",
        "pid": 4711.0,
        "api_key": "the-key-itself",
    }


def test_traffic_goes_to_the_process_that_was_tested(program: Recorder) -> None:
    assert program["traffic"].inputs == {
        "host": "127.0.0.1",
        "port": 8000.0,
        "port_key": "employee-retention:apiPort in Pulumi.local.yaml",
        "run_dir": ".local/run",
        "instance": "i-1",
        "pid": 4711.0,
    }


def test_the_stage_moves_with_the_evidence(program: Recorder, folder: Path) -> None:
    assert program["stage"].inputs == {
        "registry": registry(folder),
        "stage": "local",
        "version": "3",
        "evidence": EVIDENCE,
        "reason": "promotion",
    }


def test_config_reaches_the_resources(config: dict[str, str], folder: Path) -> None:
    changes = {
        "dataset": "mine.csv",
        "trainingParameters": '{"seed": 7}',
        "trainingTimeoutMinutes": "5",
        "retrain": "again",
        "gates": '[{"metric": "m", "at_most": 1}]',
        "apiPort": "8001",
        "apiDocs": "false",
    }
    program = run({**config, **{f"{PROJECT}:{key}": value for key, value in changes.items()}})
    training = program["training"].inputs
    assert training["data"] == "mine.csv"
    assert training["parameters"] == {"seed": 7.0}
    assert training["timeout_minutes"] == 5.0
    assert training["retrain"] == "again"
    assert program["gate"].inputs["gates"] == [{"metric": "m", "at_most": 1.0}]
    assert program["traffic"].inputs["port"] == 8001.0
    assert program["api"].inputs["environment"]["DOCS_ENABLED"] == "false"


def test_a_pinned_release_is_judged_without_waiting_for_training(
    config: dict[str, str], folder: Path
) -> None:
    program = run({**config, f"{PROJECT}:releaseVersion": "2"})
    assert program["gate"].inputs["version"] == "2"
    assert program["gate"].inputs["pinned"] is True
    assert program["gate"].dependencies == set()
    assert program["stage"].inputs["reason"] == "pinned by releaseVersion"
    assert program.outputs["modelVersion"] == "2"


def test_the_reason_of_a_move_is_the_persons(config: dict[str, str], folder: Path) -> None:
    program = run({**config, f"{PROJECT}:releaseReason": "too many referrals"})
    assert program["stage"].inputs["reason"] == "too many referrals"


def test_everything_is_written_below_one_folder(program: Recorder, folder: Path) -> None:
    paths = ("artifacts", "log_file", "path", "run_dir", "releases_dir", "release_dir")
    for resource in program.resources:
        for key in paths:
            if key in resource.inputs:
                path = (folder / resource.inputs[key]).relative_to(folder)
                assert path.parts[0] == ".local", f"{resource.name}: {key}"
    assert list(folder.glob("**/.local")) == [], "declaring resources writes nothing"


# Order


def test_each_step_waits_for_the_one_before(program: Recorder) -> None:
    order = ["training", "gate", "api", "smoke", "traffic", "stage"]
    for before, after in itertools.pairwise(order):
        assert before in program[after].dependencies, f"{after} does not wait for {before}"


def test_what_an_input_comes_from(program: Recorder) -> None:
    by_input = {resource.name: resource.by_input for resource in program.resources}
    assert by_input["training"] == by_input["api-key"] == {}
    assert by_input["gate"] == {"version": {"training"}}
    assert by_input["api"] == {
        "version": {"gate"},
        "bundle_sha256": {"gate"},
        "api_key_sha256": {"api-key"},
    }
    assert by_input["smoke"] == {
        **{key: {"api"} for key in ("url", "release_dir", "instance", "pid")},
        "version": {"gate"},
        "api_key": {"api-key"},
    }
    assert by_input["traffic"] == {"instance": {"api"}, "pid": {"api"}}
    assert by_input["stage"] == {"version": {"gate"}, "evidence": {"smoke"}}


def test_in_a_first_preview_only_what_is_decided_by_config_is_known(
    config: dict[str, str], folder: Path
) -> None:
    program = run(config, unknown=True)
    assert len(program.resources) == len(RESOURCES)
    unknown = {
        resource.name: {k for k, v in resource.inputs.items() if known(v) == "(unknown)"}
        for resource in program.resources
    }
    assert unknown == {
        "training": set(),
        "gate": {"version"},
        "api-key": set(),
        "api": {"version", "bundle_sha256", "api_key_sha256"},
        "smoke": {"url", "release_dir", "version", "instance", "pid", "api_key"},
        "traffic": {"instance", "pid"},
        "stage": {"version", "evidence"},
    }


def test_no_option_is_used_that_the_embedded_engine_lacks(program: Recorder) -> None:
    for resource in program.resources:
        request = resource.request
        assert not request.aliases
        assert not request.ignoreChanges
        assert not request.replaceOnChanges
        assert not request.importId
        assert not request.deleteBeforeReplace
        assert not request.deletedWith
        assert not request.transforms
        assert not request.hooks.ListFields()
        assert not request.customTimeouts.ListFields()


# Secrets


def test_only_the_key_is_a_secret_and_it_is_one_everywhere(program: Recorder) -> None:
    assert program["api-key"].secret_outputs == {"key"}
    secrets = {resource.name: resource.secrets for resource in program.resources}
    assert secrets == {**{name: set[str]() for name in RESOURCES}, "smoke": {"api_key"}}
    assert program.secret_outputs == {"apiKey"}


def test_the_key_is_in_no_other_input_or_output(program: Recorder) -> None:
    inputs = {
        f"{resource.name}.{key}"
        for resource in program.resources
        for key, value in resource.inputs.items()
        if "the-key-itself" in json.dumps(value)
    }
    assert inputs == {"smoke.api_key"}
    outputs = {k for k, v in program.outputs.items() if "the-key-itself" in json.dumps(v)}
    assert outputs == {"apiKey"}


# Outputs


def test_the_outputs_say_where_everything_is(program: Recorder, folder: Path) -> None:
    assert program.outputs == {
        "apiUrl": "http://127.0.0.1:8000",
        "docsUrl": "http://127.0.0.1:8000/docs",
        "apiKey": "the-key-itself",
        "apiKeyFile": f"{folder}/.local/api.key",
        "modelName": "employee-attrition",
        "modelVersion": "3",
        "stage": "local",
        "metrics": METRICS,
        "smokeTest": EVIDENCE,
        "mlflowTrackingUri": f"sqlite:///{folder}/.local/mlflow/mlflow.db",
        "logFile": f"{folder}/.local/logs/api.log",
        "exampleRequest": f"{folder}/.local/releases/i-1/example.json",
    }


# In a container


@pytest.fixture
def docker(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` on the PATH, alone there, which answers."""
    program = tmp_path_factory.mktemp("bin") / "docker"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    return program


@pytest.fixture
def contained(
    config: dict[str, str], folder: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> Recorder:
    for name in ("app", "contract", "image"):
        (folder / name).symlink_to(ROOT / name)
    return run({**config, f"{PROJECT}:apiRuntime": "container", f"{PROJECT}:apiPort": "8010"})


def test_a_container_is_built_from_the_release_that_passed(contained: Recorder) -> None:
    assert contained["release"].by_input["version"] == {"gate"}
    assert contained["image-build"].inputs["push"] is False
    assert contained["image-build"].inputs["context"]["named"] == {
        "release": {"location": ".local/releases/3-b3"}
    }
    (port,) = contained["api-container"].inputs["ports"]
    assert (port["external"], port["ip"]) == (8010.0, "127.0.0.1")
    for name in ("candidate-container", "api-container"):
        told = {f"{key}={value}" for key, value in API_ENVIRONMENT.items()}
        assert told < set(known(contained[name].inputs["envs"]))


def test_a_container_passes_the_same_smoke_test_before_the_stage_moves(
    contained: Recorder,
) -> None:
    assert contained["smoke"].type == f"{TYPE}SmokeTest"
    assert contained["smoke"].by_input["url"] == {"candidate-container"}
    assert "smoke" in contained["api-container"].dependencies
    assert "api-container" in contained["stage"].dependencies
    assert contained["candidate-container"].inputs["ports"][0].get("external") is None
    assert not {"traffic"} & {r.name for r in contained.resources if r.custom}


def refused_container(config: dict[str, str]) -> str:
    with pytest.raises(SettingsError, match=r"apiRuntime \(Pulumi\.local\.yaml\)") as caught:
        run({**config, f"{PROJECT}:apiRuntime": "container"})
    assert "the Pulumi CLI (ENGINE=pulumi)" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("state", ["not there", "no daemon"])
def test_a_container_without_docker_is_refused_before_anything_is_declared(
    config: dict[str, str],
    folder: Path,
    docker: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    if state == "not there":
        monkeypatch.setenv("PATH", "")
    else:
        docker.write_text("#!/bin/sh\nexit 1\n")
    found = refused_container(config)
    assert "a Docker that answers" in found
    assert "setup-cloud" not in found


def test_a_container_without_its_sdks_is_refused_with_the_command_that_installs_them(
    config: dict[str, str], folder: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_: str) -> None: ...

    monkeypatch.setattr("stacks.local.find_spec", nowhere)
    found = refused_container(config)
    assert "`make setup-cloud`" in found
    assert "a Docker that answers" not in found


# Stacks


@pytest.mark.parametrize("name", ["lokal", "dev", "Local"])
def test_an_unknown_stack_is_refused_with_those_that_exist(
    config: dict[str, str], folder: Path, name: str
) -> None:
    with pytest.raises(
        SettingsError, match=f"composes no stack '{name}', only local, shared, staging"
    ):
        run(config, stack_name=name)


def test_wrong_config_registers_nothing(config: dict[str, str], folder: Path) -> None:
    with pytest.raises(SettingsError, match="apiPort"):
        run({**config, f"{PROJECT}:apiPort": "x"})


def test_every_composition_has_its_config_file() -> None:
    root = Path(__file__).parents[2]
    files = {path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml")}
    assert set(stacks.COMPOSITIONS) == files
