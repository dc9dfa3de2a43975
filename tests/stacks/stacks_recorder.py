"""Runs the real program against a monitor that records what it registers and makes nothing."""

import asyncio
import os
import runpy
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from pulumi.output import Unknown
from pulumi.runtime import configure, rpc, settings, stack
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2

ROOT = Path(__file__).parents[2]
PROJECT = "employee-retention"
METRICS = {"cv_roc_auc": 0.83}
EVIDENCE = {"records": 50.0, "max_difference": 0.0}

OUTPUTS: dict[str, dict[str, Any]] = {
    "TrainingRun": {"version": "3", "bundle_sha256": "b3", "metrics": METRICS},
    "ReleaseGate": {"bundle_sha256": "b3", "metrics": METRICS},
    "ApiKey": {"key": "the-key-itself", "sha256": "hash-of-the-key"},
    "ApiProcess": {
        "instance": "i-1",
        "pid": 4711.0,
        "private_url": "http://127.0.0.1:1111",
        "release_dir": ".local/releases/i-1",
    },
    "SmokeTest": {"evidence": EVIDENCE},
    "TrafficSwitch": {"url": "http://127.0.0.1:8000"},
    "ModelStage": {},
}
"""What the providers would add to their inputs, by resource type."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One registration; `inputs` in clear, the secret ones named by `secrets`."""

    type: str
    name: str
    inputs: dict[str, Any]
    secrets: set[str]
    dependencies: set[str]
    by_input: dict[str, set[str]]
    secret_outputs: set[str]
    provider: str
    request: Any


@dataclass
class Recorder(MockMonitor):
    """`unknown`: no resource has its outputs yet, as in a first preview."""

    unknown: bool = False
    resources: list[Recorded] = field(default_factory=list[Recorded])  # pyright: ignore[reportIncompatibleVariableOverride] - ours are richer
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    secret_outputs: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Recorded:
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    def RegisterResource(self, request: Any) -> Any:
        urn = f"urn:{request.name}"
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn="urn:stack")
        received: dict[str, Any] = rpc.deserialize_properties(request.object, True)
        inputs = {key: rpc.unwrap_rpc_secret(value) for key, value in received.items()}
        provider = inputs.pop("__provider")
        recorded = Recorded(
            type=request.type,
            name=request.name,
            inputs=inputs,
            secrets={key for key, value in received.items() if rpc.is_rpc_secret(value)},
            dependencies={_name(dependency) for dependency in request.dependencies},
            by_input={
                key: {_name(found) for found in value.urns}
                for key, value in request.propertyDependencies.items()
                if value.urns
            },
            secret_outputs=set(request.additionalSecretOutputs),
            provider=provider,
            request=request,
        )
        with self._lock:
            self.resources.append(recorded)
        made = {} if self.unknown else OUTPUTS[request.type.rpartition(":")[2]]
        answer = {
            key: rpc.wrap_rpc_secret(value)
            if key in recorded.secret_outputs | recorded.secrets
            else value
            for key, value in {**inputs, **made}.items()
        }
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id="" if self.unknown else f"id-of-{request.name}",
            object=asyncio.run(rpc.serialize_properties(answer, {})),
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:
        values: dict[str, Any] = rpc.deserialize_properties(request.outputs, True)
        self.secret_outputs = {key for key, value in values.items() if rpc.is_rpc_secret(value)}
        self.outputs = {key: rpc.unwrap_rpc_secret(value) for key, value in values.items()}
        return empty_pb2.Empty()


def _name(urn: str) -> str:
    return urn.removeprefix("urn:")


def known(value: Any) -> Any:
    return "(unknown)" if isinstance(value, Unknown) else value


def select(monitor: Any, config: dict[str, str], *, stack_name: str, preview: bool) -> None:
    """Make `stack_name` the selected stack, with this config and no other."""
    deployment: Any = MockMonitor.GetDeploymentInfo(monitor, empty_pb2.Empty())  # pyright: ignore[reportUnknownMemberType] - untyped
    configure(
        MockSettings(
            monitor=monitor,
            monitor_features=set(deployment.supportedFeatures),
            engine=MockEngine(None),
            project=PROJECT,
            stack=stack_name,
            root_directory=str(ROOT),
            dry_run=preview,
            organization="organization",
            callbacks=None,
        )
    )
    pulumi.runtime.set_all_config(config)
    settings.set_root_resource(None)  # pyright: ignore[reportArgumentType] - none yet


def run(config: dict[str, str], *, stack_name: str = "local", unknown: bool = False) -> Recorder:
    """Run `__main__.py` in the current folder and return what it registered."""
    recorder = Recorder(unknown=unknown)
    select(recorder, config, stack_name=stack_name, preview=unknown)

    def main() -> None:
        runpy.run_path(os.fspath(ROOT / "__main__.py"), run_name="__main__")

    asyncio.run(stack.run_in_stack(main))
    return recorder
