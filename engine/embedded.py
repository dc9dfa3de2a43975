"""The embedded engine: runs the Pulumi program where no Pulumi CLI can be had.

It answers the SDK as the engine's resource monitor does, in process, and calls the dynamic
providers' own check, diff, create, update and delete. It manages only resources whose provider
lives in this repository; any other it shows in a preview and refuses to apply. What it leaves out
beyond that: import, refresh, aliases, transforms, `ignore_changes` and `replace_on_changes`.

The SDK modules used here (`pulumi.runtime.mocks`, `.rpc`) are not public API: they are used in this
module and in `engine.properties` only, and the SDK is pinned.
"""

import asyncio
import base64
import contextlib
import logging
import runpy
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dill  # pyright: ignore[reportMissingTypeStubs] - it ships none
import pulumi
from google.protobuf import empty_pb2
from google.protobuf.message import Message
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider
from pulumi.runtime import configure, settings, stack
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2

from engine.errors import EngineError, as_engine_error
from engine.project import Project
from engine.properties import PROVIDER, received, sent, shown
from engine.state import Record, State, dependents_first

__all__ = ["Operation", "Report", "Step", "apply", "destroy", "preview"]

_DYNAMIC = "pulumi-python:dynamic"
_STACK = "pulumi:pulumi:Stack"
_UNSUPPORTED = {
    "importId",
    "ignoreChanges",
    "replaceOnChanges",
    "aliases",
    "aliasURNs",
    "replacement_trigger",
    "replace_with",
    "customTimeouts",
    "hooks",
    "transforms",
    "deletedWith",
    "hideDiffs",
    "state_migrations",
}
"""Options, as the SDK's message names them, that would change what is done."""

Operation = str
"""One of `create`, `update`, `replace`, `delete`, `same`; `foreign` and `read` for what only other
providers can make, or look up."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the engine does, or would do, with one resource.

    `changed` holds the inputs that are new or differ; secrets and unknown values are already words.
    """

    operation: Operation
    record: Record
    changed: dict[str, Any] = field(default_factory=dict[str, Any])
    done: bool = False


Report = Callable[[Step], None]


def preview(project: Project, state: State, report: Report) -> list[Step]:
    """Run the program and say what an apply would do; nothing is changed.

    Raises:
        EngineError: the program, or a resource's check, fails.
    """
    run = _Run(project, state, report, dry=True)
    run.program()
    run.delete_the_rest()
    return run.steps


def apply(project: Project, state: State, report: Report) -> list[Step]:
    """Bring what exists in line with the program; the state is saved after every resource.

    Raises:
        EngineError: the program or a resource fails, or a resource needs the Pulumi CLI; in the
            last case nothing has been changed.
    """
    planned = preview(project, state, lambda _: None)
    if foreign := [step.record for step in planned if step.operation in ("foreign", "read")]:
        raise EngineError(
            f"stack {project.stack!r} has {len(foreign)} resources of other providers, "
            f"{foreign[0].type} ({foreign[0].name!r}) first: they need the Pulumi CLI. Install it "
            "(https://www.pulumi.com/docs/install/) and run again with ENGINE=pulumi. Nothing was "
            "changed."
        )
    run = _Run(project, state, report, dry=False)
    run.program()
    run.delete_the_rest()
    return run.steps


def destroy(project: Project, state: State, report: Report) -> list[Step]:
    """Delete everything that the state holds, dependents first.

    Raises:
        EngineError: a resource is protected (nothing has been changed then), or a delete fails.
    """
    if protected := [record.name for record in state.records if record.protect]:
        raise EngineError(f"protected: {', '.join(protected)}; unprotect and apply first")
    run = _Run(project, state, report, dry=False)
    run.delete_the_rest()
    state.outputs = {}
    state.secret_outputs = []
    state.save()
    return run.steps


class _Run(MockMonitor):
    """One pass of the program, as the SDK's resource monitor."""

    def __init__(self, project: Project, state: State, report: Report, *, dry: bool) -> None:
        super().__init__(None)  # pyright: ignore[reportArgumentType] - every use is overridden
        self.steps: list[Step] = []
        self._project = project
        self._state = state
        self._report = report
        self._dry = dry
        self._seen: set[str] = set()
        self._outputs: tuple[dict[str, Any], set[str]] = ({}, set())
        self._providers: dict[str, ResourceProvider] = {}
        # Registrations arrive from several threads; resources are worked on one at a time.
        self._one_at_a_time = threading.Lock()

    def program(self) -> None:
        """Run `__main__.py` against this monitor."""
        project = self._project
        deployment: Any = self.GetDeploymentInfo(empty_pb2.Empty())  # pyright: ignore
        configure(
            MockSettings(
                monitor=self,
                monitor_features=set(deployment.supportedFeatures),
                engine=MockEngine(None),
                project=project.name,
                stack=project.stack,
                root_directory=str(project.root),
                dry_run=self._dry,
                organization="organization",
                callbacks=None,
            )
        )
        pulumi.runtime.set_all_config(project.config)
        settings.set_root_resource(None)  # pyright: ignore[reportArgumentType] - none yet
        # Whatever waited for a resource that failed fails with it: the first error is enough.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        main = str(project.root / "__main__.py")

        def run_main() -> None:
            runpy.run_path(main, run_name="__main__")

        asyncio.run(stack.run_in_stack(run_main))
        # Not when they are registered: a program that fails registers those it came to.
        if not self._dry:
            self._state.outputs, secret = self._outputs
            self._state.secret_outputs = sorted(secret)
            self._state.save()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Name a resource as the engine does: by the types of its ancestors, the stack excepted."""
        ancestors = parent.split("::")[2] if parent and f"::{_STACK}::" not in parent else ""
        qualified = f"{ancestors}${type_}" if ancestors else type_
        return f"urn:pulumi:{self._project.stack}::{self._project.name}::{qualified}::{name}"

    # What the SDK calls. Its own names, hence the spelling.

    def RegisterResource(self, request: Any) -> Any:
        """Create, update, replace or leave one resource; answer with its id and outputs."""
        with self._one_at_a_time:
            urn = self.make_urn(request.parent, request.type, request.name)
            if urn in self._seen:
                raise EngineError(f"two resources are named {request.name!r}: {urn}")
            self._seen.add(urn)
            inputs, secret = received(request.object)
            record = Record(
                urn=urn,
                type=request.type,
                name=request.name,
                custom=request.custom,
                parent=request.parent,
                dependencies=sorted(request.dependencies),
                property_dependencies={
                    key: sorted(value.urns)
                    for key, value in sorted(request.propertyDependencies.items())
                    if value.urns
                },
                protect=request.protect,
                retain_on_delete=request.retainOnDelete,
                inputs=inputs,
                secrets=sorted(secret | set(request.additionalSecretOutputs)),
            )
            if not request.custom:
                return self._register_component(record)
            if not request.type.startswith(_DYNAMIC):
                return self._register_foreign(record)
            _refuse_unsupported(request)
            first = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
            with _about(record):
                return self._bring_in_line(record, first)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Keep the outputs of the stack itself; those of components have no other reader."""
        if request.urn.endswith(f"::{_STACK}::{self._project.name}-{self._project.stack}"):
            self._outputs = received(request.outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> Any:
        """Know nothing in a preview: only Pulumi can look up what exists elsewhere."""
        urn = self.make_urn(request.parent, request.type, request.name)
        self._elsewhere("read", Record(urn=urn, type=request.type, name=request.name, custom=True))
        return resource_pb2.ReadResourceResponse(urn=urn, properties=request.properties)

    def Invoke(self, request: Any) -> Any:
        """Know nothing in a preview: only a provider's plugin can answer its functions."""
        record = Record(urn=request.tok, type=request.tok, name="a function", custom=True)
        self._elsewhere("read", record)
        return resource_pb2.ResourceInvokeResponse(unknown=True)

    def _elsewhere(
        self, operation: Operation, record: Record, *, changed: dict[str, Any] | None = None
    ) -> None:
        """Note what only other providers can do; the plan that precedes an apply was refused."""
        if not self._dry:
            raise EngineError(f"{record.label} needs the Pulumi CLI: run again with ENGINE=pulumi")
        self._step(operation, record, changed=changed)

    def _register_component(self, record: Record) -> Any:
        if not self._dry and record.type != _STACK:
            self._put(record)
        return resource_pb2.RegisterResourceResponse(urn=record.urn, object=sent(record.inputs, []))

    def _register_foreign(self, record: Record) -> Any:
        self._elsewhere("foreign", record, changed=shown(record.inputs, record.secrets))
        return resource_pb2.RegisterResourceResponse(
            urn=record.urn, object=sent(record.inputs, record.secrets)
        )

    def _bring_in_line(self, record: Record, delete_first: bool | None) -> Any:
        """Do what is needed; `delete_first` is the program's word on it, where it has one."""
        old = self._state.current(record.urn)
        provider = self._provider(record.inputs)
        checked = provider.check(dict(old.inputs) if old else {}, dict(record.inputs))
        if checked.failures:
            failure = checked.failures[0]
            raise EngineError(f"{record.label}, {failure.property}: {failure.reason}")
        record.inputs = {**checked.inputs, PROVIDER: record.inputs[PROVIDER]}
        if old is None:
            return self._create(record, provider, "create")
        result = provider.diff(old.id, dict(old.outputs), dict(record.inputs))
        if result.replaces:
            if old.protect:
                raise EngineError(
                    f"{record.label} has to be replaced but is protected, for its "
                    f"{', '.join(result.replaces)}; apply it unprotected first"
                )
            provider_says = bool(result.delete_before_replace)
            if (provider_says if delete_first is None else delete_first) and not self._dry:
                self._delete(old)
            return self._create(record, provider, "replace")
        changed = old.inputs != record.inputs if result.changes is None else result.changes
        return self._update(record, old, provider) if changed else self._keep(record, old)

    def _create(self, record: Record, provider: ResourceProvider, operation: Operation) -> Any:
        changed = shown(record.inputs, record.secrets)
        if self._dry:
            self._step(operation, record, changed=changed)
            return self._answer(record, record.inputs)
        self._step(operation, record, changed=changed)
        made = provider.create(dict(record.inputs))
        record.id = made.id
        record.outputs = {**(made.outs or {}), PROVIDER: record.inputs[PROVIDER]}
        if replaced := self._state.current(record.urn):
            replaced.pending_delete = True
        self._put(record)
        self._step(operation, record, done=True)
        return self._answer(record, record.outputs)

    def _update(self, record: Record, old: Record, provider: ResourceProvider) -> Any:
        record.id = old.id
        changed = shown(_difference(old.inputs, record.inputs), record.secrets)
        self._step("update", record, changed=changed)
        if self._dry:
            return self._answer(record, record.inputs)
        result = provider.update(old.id, dict(old.outputs), dict(record.inputs))
        record.outputs = {**(result.outs or {}), PROVIDER: record.inputs[PROVIDER]}
        self._put(record)
        self._step("update", record, done=True)
        return self._answer(record, record.outputs)

    def _keep(self, record: Record, old: Record) -> Any:
        record.id, record.outputs = old.id, old.outputs
        if not self._dry and record != old:
            self._put(record)
        self._step("same", record, done=True)
        return self._answer(record, record.outputs)

    def delete_the_rest(self) -> None:
        """Delete what was replaced and what left the program, dependents first."""
        for record in dependents_first(self._state.records):
            if not record.pending_delete and record.urn in self._seen:
                continue
            if record.protect and not record.pending_delete:
                raise EngineError(
                    f"{record.label} has left the program but is protected; put it back, or "
                    "apply it unprotected first"
                )
            self._step("delete", record)
            if not self._dry:
                self._delete(record)
                self._step("delete", record, done=True)

    def _delete(self, record: Record) -> None:
        if record.custom and not record.retain_on_delete:
            with _about(record):
                self._provider(record.outputs).delete(record.id, dict(record.outputs))
        self._state.records.remove(record)
        self._state.save()

    def _put(self, record: Record) -> None:
        """Record the resource as what its URN stands for now, and save."""
        records = self._state.records
        records[:] = [r for r in records if r.urn != record.urn or r.pending_delete]
        records.append(record)
        self._state.save()

    def _provider(self, properties: Mapping[str, Any]) -> ResourceProvider:
        pickled: str = properties[PROVIDER]
        if pickled not in self._providers:
            # By reference to a class of this repository: the state names code, it holds none.
            code = base64.b64decode(pickled)
            provider: ResourceProvider = dill.loads(code)  # noqa: S301 # pyright: ignore
            provider.configure(
                ConfigureRequest(Config(dict(self._project.config), self._project.name))
            )
            self._providers[pickled] = provider
        return self._providers[pickled]

    def _step(
        self,
        operation: Operation,
        record: Record,
        *,
        changed: dict[str, Any] | None = None,
        done: bool = False,
    ) -> None:
        step = Step(operation=operation, record=record, changed=changed or {}, done=done)
        if done or self._dry:
            self.steps.append(step)
        self._report(step)

    def _answer(self, record: Record, properties: dict[str, Any]) -> Any:
        return resource_pb2.RegisterResourceResponse(
            urn=record.urn, id=record.id, object=sent(properties, record.secrets)
        )


def _refuse_unsupported(request: Any) -> None:
    # The SDK sends some options always, as an empty message where they are not given.
    present = {
        field.name
        for field, value in request.ListFields()
        if not isinstance(value, Message) or value.ByteSize()
    }
    if unsupported := sorted(present & _UNSUPPORTED):
        raise EngineError(
            f"{request.name}: the embedded engine has no {unsupported[0]}; use ENGINE=pulumi"
        )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in new.items() if old.get(key) != value}


@contextlib.contextmanager
def _about(record: Record) -> Generator[None]:
    """Say of an error which resource it is about."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise as_engine_error(error, about=record.label) from error
