"""Runs Pulumi code against a monitor that records what it registers and makes nothing."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from pulumi.output import Unknown
from pulumi.runtime import configure, rpc, settings, stack
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2

ROOT = Path(__file__).parents[1]
PROJECT = "employee-retention"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One registration; `inputs` in clear under the SDK's camelCase names.

    `secrets` names the inputs that are secret or hold a secret anywhere; `parent`, `dependencies`
    and `by_input` are resource names, and `request` has every option as the SDK sent it.
    """

    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    secrets: set[str]
    parent: str
    dependencies: set[str]
    by_input: dict[str, set[str]]
    secret_outputs: set[str]
    provider: str
    request: Any


@dataclass
class Recorder(MockMonitor):
    """Answers registrations with their inputs plus `made`; functions with what `invokes` has.

    `made` is what providers would add, by resource name or else by the type's last word (nested
    keys in camelCase); what it lacks is unknown when `unknown` is set: no resource has its outputs
    yet, as in a first preview. `reads` are the outputs of looked-up resources, by name.
    """

    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    invokes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    reads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    unknown: bool = False
    resources: list[Recorded] = field(default_factory=list[Recorded])  # pyright: ignore[reportIncompatibleVariableOverride] - ours are richer
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    secret_outputs: set[str] = field(default_factory=set[str])
    invoked: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Recorded:
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    def of_type(self, type_: str) -> list[Recorded]:
        """Find the resources whose type ends like this, such as `ManagedCluster`."""
        return [resource for resource in self.resources if resource.type.endswith(f":{type_}")]

    def RegisterResource(self, request: Any) -> Any:
        urn = f"urn:pulumi:test::{PROJECT}::{request.type}::{request.name}"
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        received: dict[str, Any] = rpc.deserialize_properties(request.object, True)
        provider = rpc.unwrap_rpc_secret(received.pop("__provider", ""))
        inputs = {key: _clear(value) for key, value in received.items()}
        recorded = Recorded(
            type=request.type,
            name=request.name,
            custom=request.custom,
            inputs=inputs,
            secrets={key for key, value in received.items() if _holds_secret(value)},
            parent=_name(request.parent),
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
        kind = request.type.rpartition(":")[2]
        made: dict[str, Any] = {}
        if not self.unknown:
            made.update(self.made.get(request.name, self.made.get(kind, {})))
        answer = {
            key: rpc.wrap_rpc_secret(value)
            if key in recorded.secret_outputs | recorded.secrets
            else value
            for key, value in {**inputs, **made}.items()
        }
        known = request.custom and not self.unknown
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=made.get("id", f"id-of-{request.name}") if known else "",
            object=asyncio.run(rpc.serialize_properties(answer, {})),
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack" in request.urn:
            values: dict[str, Any] = rpc.deserialize_properties(request.outputs, True)
            self.secret_outputs = {key for key, value in values.items() if _holds_secret(value)}
            self.outputs = {key: _clear(value) for key, value in values.items()}
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        self.invoked.append(request.tok)
        if self.unknown:
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        answer = asyncio.run(rpc.serialize_properties(dict(self.invokes[request.tok]), {}))
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(answer)
        return response

    def ReadResource(self, request: Any) -> Any:
        urn = f"urn:pulumi:test::{PROJECT}::{request.type}::{request.name}"
        found = {} if self.unknown else dict(self.reads[request.name])
        answer = asyncio.run(rpc.serialize_properties({"name": request.name, **found}, {}))
        return resource_pb2.ReadResourceResponse(urn=urn, properties=answer)


def _clear(value: Any) -> Any:
    value = rpc.unwrap_rpc_secret(value)
    match value:
        case dict():
            return {key: _clear(item) for key, item in value.items()}  # pyright: ignore
        case list():
            return [_clear(item) for item in value]  # pyright: ignore
        case _:
            return value


def _holds_secret(value: Any) -> bool:
    if rpc.is_rpc_secret(value):
        return True
    match value:
        case dict():
            return any(_holds_secret(item) for item in value.values())  # pyright: ignore
        case list():
            return any(_holds_secret(item) for item in value)  # pyright: ignore
        case _:
            return False


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def known(value: Any) -> Any:
    return "(unknown)" if isinstance(value, Unknown) else value


def select(monitor: Any, config: Mapping[str, str], *, stack_name: str, preview: bool) -> None:
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
    # What a program that failed left unfinished belongs to an event loop that is gone.
    settings.SETTINGS.outputs.clear()  # pyright: ignore - typed as a decorated function
    pulumi.runtime.set_all_config(dict(config))
    settings.set_root_resource(None)  # pyright: ignore[reportArgumentType] - none yet


def record(
    program: Callable[[], None],
    recorder: Recorder | None = None,
    *,
    config: Mapping[str, str] | None = None,
    stack_name: str = "test",
) -> Recorder:
    """Run `program` and return what it registered.

    Resources that it makes are registered when this returns; an assertion inside an `apply` fails
    here, as does every other error of the program.
    """
    recorder = recorder or Recorder()
    select(recorder, config or {}, stack_name=stack_name, preview=recorder.unknown)
    asyncio.run(stack.run_in_stack(program))
    return recorder
