"""The policy pack as Pulumi's engine starts it: a process of its own, asked over gRPC."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.output import Unknown
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies.declared import Resource

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Diagnostic:
    """What the pack answers, as the engine prints it."""

    policy: str
    urn: str
    mandatory: bool
    text: str


@dataclass(frozen=True)
class Pack:
    """The running pack of the project in `root`."""

    root: Path
    stub: Any

    def info(self) -> Any:
        return self.stub.GetAnalyzerInfo(empty_pb2.Empty())

    def judge(self, resources: Sequence[Resource], *, stack: str) -> list[Diagnostic]:
        """Judge each resource before it is made, then all of them: what a preview does."""
        urn = f"urn:pulumi:{stack}::employee-retention::pulumi:pulumi:Stack::it"
        top = Resource(type="pulumi:pulumi:Stack", name="it", urn=urn, properties={})
        known = [top, *(_of_stack(resource, stack) for resource in resources)]
        answers = [self.stub.Analyze(_message(r, analyzer_pb2.AnalyzeRequest)) for r in known]
        everything = analyzer_pb2.AnalyzeStackRequest(
            resources=[_message(resource, analyzer_pb2.AnalyzerResource) for resource in known]
        )
        answers.append(self.stub.AnalyzeStack(everything))
        return [_diagnostic(found) for answer in answers for found in answer.diagnostics]


@contextlib.contextmanager
def running(root: Path, environment: Mapping[str, str] | None = None) -> Generator[Pack]:
    """Put the pack into the project in `root`, start it there, and end it."""
    shutil.copytree(
        ROOT / "policies",
        root / "policies",
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    # As `pulumi-language-python` does: the pack's folder is the program.
    with subprocess.Popen(
        [sys.executable, "-u", str(root / "policies"), "127.0.0.1:0", str(root / "policies")],
        cwd=root / "policies",
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Pack(root, analyzer_pb2_grpc.AnalyzerStub(channel))
        finally:
            process.terminate()


def _of_stack(resource: Resource, stack: str) -> Resource:
    urn = f"urn:pulumi:{stack}::{resource.urn.partition('::')[2]}"
    return Resource(
        type=resource.type,
        name=resource.name,
        urn=urn,
        properties=resource.properties,
        protect=resource.protect,
    )


def _message(resource: Resource, kind: Any) -> Any:
    properties = struct_pb2.Struct()
    properties.update(_sent(dict(resource.properties)))
    return kind(
        type=resource.type,
        name=resource.name,
        urn=resource.urn,
        properties=properties,
        options=analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect),
    )


def _sent(value: Any) -> Any:
    if isinstance(value, Unknown):
        return UNKNOWN_STRING_VALUE
    if isinstance(value, dict):
        return {key: _sent(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_sent(item) for item in cast(list[Any], value)]
    return value


def _diagnostic(found: Any) -> Diagnostic:
    return Diagnostic(
        policy=found.policyName,
        urn=found.urn,
        mandatory=found.enforcementLevel == analyzer_pb2.MANDATORY,
        text=found.message,
    )
