"""A resource provider that the real engine is attached to: the half that all stand-ins share.

The engine attaches providers named in PULUMI_DEBUG_PROVIDERS over gRPC instead of starting a
plugin. Secrets arrive in clear (`accept_secrets` is left out): the engine keeps the secret bit of
every property whose name comes back, as it does for any provider that knows no secrets.
"""

# grpcio and the SDK's generated protobufs carry no usable types (1.85 and 3.272, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false

import importlib.metadata
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from cloud_up_ledger import Ledger, Thing, differing
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import (
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

_T = TypeVar("_T")

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How the engine writes a value that a preview cannot know."""


class RefusedError(Exception):
    """The cloud refuses what it was asked for; the engine shows the message."""


class NotReadyError(Exception):
    """The object was made, and did not become ready; the engine keeps it in its state as such."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """Keeps objects in a ledger. Subclasses say what they are called, and do what is special."""

    package: str
    """The Python package of the provider, whose version it has."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.invoked: list[str] = []

    # What a subclass may say -----------------------------------------------------------------

    def checked(self, thing: Thing, old: dict[str, Any], seed: bytes) -> dict[str, Any]:
        """Return the object's inputs with the defaults that the provider adds."""
        return thing.inputs

    def replacing(self, thing: Thing, old: Thing, changed: Sequence[str]) -> list[str]:
        """Of the paths of inputs that changed, return those that need another object."""
        return []

    def ignoring(self, thing: Thing, path: str) -> bool:
        """Whether another value of this input is no change."""
        return False

    def preview(self, thing: Thing) -> None:
        """Do what the provider does already when a preview plans to make or change the object."""

    def delete_first(self, thing: Thing, old: Thing) -> bool:
        """Whether the old object must go before the new one can be made."""
        return False

    def identify(self, thing: Thing) -> str:
        """Return the id of the object that these inputs make."""
        return thing.name

    def make(self, thing: Thing) -> dict[str, Any]:
        """Make the object; return what its outputs have beside the inputs."""
        return {}

    def made(self, thing: Thing) -> None:
        """Wait until an object that is in the ledger is ready; raise NotReadyError if it is not."""

    def change(self, thing: Thing, old: Thing) -> dict[str, Any]:
        """Change the object; return what its outputs have beside the inputs."""
        return self.make(thing)

    def unmake(self, thing: Thing) -> None:
        """Take the object away."""

    def call(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer a function."""
        raise RefusedError(f"the stand-in knows no function {token}")

    # The protocol ----------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=importlib.metadata.version(self.package))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        changed = list(differing(_read(request.old_inputs), _read(request.news)))
        return _diff(changed, self.replacing_provider(_read(request.old_inputs), changed))

    def replacing_provider(self, old: dict[str, Any], changed: Sequence[str]) -> list[str]:
        """Of the provider's own settings that changed, return those that replace everything."""
        return []

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        thing = Thing(urn=request.urn, id="", inputs=_read(request.news))
        inputs = self._guarded(
            context, lambda: self.checked(thing, _read(request.olds), request.randomSeed)
        )
        return provider_pb2.CheckResponse(inputs=_struct(inputs))

    def Diff(self, request: Any, context: Any) -> Any:
        old = self.ledger.get(request.urn, request.id) or Thing(
            urn=request.urn, id=request.id, inputs={}, outputs=_read(request.olds)
        )
        before = Thing(
            urn=request.urn, id=request.id, inputs=_read(request.old_inputs), outputs=old.outputs
        )
        new = Thing(urn=request.urn, id=request.id, inputs=_read(request.news))
        differ = differing(before.inputs, new.inputs)
        changed = [path for path in differ if not self.ignoring(new, path)]
        replaces = self._guarded(context, lambda: self.replacing(new, before, changed))
        return _diff(changed, replaces, delete_first=self.delete_first(new, before))

    def Create(self, request: Any, context: Any) -> Any:
        thing = Thing(urn=request.urn, id="", inputs=_read(request.properties))
        if request.preview:
            self._guarded(context, lambda: self.preview(thing))
            return provider_pb2.CreateResponse(properties=request.properties)
        self._guarded(context, lambda: self._create(thing))
        self._await(context, thing)
        return provider_pb2.CreateResponse(id=thing.id, properties=_struct(thing.outputs))

    def _create(self, thing: Thing) -> None:
        thing.id = self.identify(thing)
        if self.ledger.find(thing.stack, thing.kind, lambda other: other.id == thing.id):
            raise RefusedError(f"{thing.kind} {thing.id!r} already exists")
        thing.outputs = {**thing.inputs, **self.make(thing)}
        self.ledger.add(thing)

    def Read(self, request: Any, context: Any) -> Any:
        thing = self.ledger.get(request.urn, request.id)
        if thing is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=thing.id, properties=_struct(thing.outputs), inputs=_struct(thing.inputs)
        )

    def Update(self, request: Any, context: Any) -> Any:
        new = Thing(urn=request.urn, id=request.id, inputs=_read(request.news))
        if request.preview:
            self._guarded(context, lambda: self.preview(new))
            return provider_pb2.UpdateResponse(properties=request.news)
        self._guarded(context, lambda: self._update(new))
        self._await(context, new)
        return provider_pb2.UpdateResponse(properties=_struct(new.outputs))

    def _update(self, new: Thing) -> None:
        old = self.ledger.get(new.urn, new.id)
        if old is None:
            raise RefusedError(f"{new.kind} {new.id!r} is not there")
        new.outputs = {**new.inputs, **self.change(new, old)}
        self.ledger.change(new.urn, new.id, new.inputs, new.outputs)

    def Delete(self, request: Any, context: Any) -> Any:
        thing = self.ledger.get(request.urn, request.id)
        if thing is not None:
            self._guarded(context, lambda: self.unmake(thing))
            self.ledger.remove(request.urn, request.id)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        self.invoked.append(request.tok)
        answer = self._guarded(context, lambda: self.call(request.tok, _read(request.args)))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(_struct(answer))
        return response

    def _await(self, context: Any, thing: Thing) -> None:
        try:
            self.made(thing)
        except NotReadyError as error:
            _not_ready(context, thing, error.reason)

    def _guarded(self, context: Any, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except RefusedError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception:
            context.abort(grpc.StatusCode.INTERNAL, f"stand-in: {traceback.format_exc()}")
        raise AssertionError("abort raises")


def serve(stand_in: StandIn) -> tuple[Any, int]:
    """Serve on a free port; return the server, to be stopped, and the port."""
    server: Any = grpc.server(ThreadPoolExecutor(max_workers=64))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(stand_in, server)
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _diff(changed: Sequence[str], replaces: Sequence[str], *, delete_first: bool = False) -> Any:
    kinds = provider_pb2.PropertyDiff
    response = provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME
        if changed or replaces
        else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted({_top(path) for path in (*changed, *replaces)}),
        replaces=sorted({_top(path) for path in replaces}),
        deleteBeforeReplace=bool(replaces) and delete_first,
        hasDetailedDiff=True,
    )
    for path in {*changed, *replaces}:
        kind = kinds.UPDATE_REPLACE if path in replaces else kinds.UPDATE
        response.detailedDiff[path].CopyFrom(kinds(kind=kind, inputDiff=True))
    return response


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _not_ready(context: Any, thing: Thing, reason: str) -> None:
    """End the call as a provider does whose object exists but did not become ready."""
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=thing.id,
            properties=_struct(thing.outputs),
            inputs=_struct(thing.inputs),
            reasons=[reason],
        )
    )
    message = f"resource {thing.id} was successfully created, but did not become ready: {reason}"
    status = status_pb2.Status(
        code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[detail]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)


def _struct(values: dict[str, Any]) -> Any:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def _read(struct: Any) -> dict[str, Any]:
    return {key: _whole(value) for key, value in json_format.MessageToDict(struct).items()}


def _whole(value: Any) -> Any:
    """Turn the protocol's floats back into whole numbers where they are."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case _:
            return value
