"""A training run that ends in one registered release.

The resource runs again exactly when code, data, parameters or the `retrain` nonce change: their
hash, the fingerprint, is its identity. A run that finished is found by its fingerprint and adopted,
so nothing is trained twice, also when the engine was killed before it could record the result.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource
from pulumi.output import Unknown

from contract.dataset import DatasetError, source_sha256
from contract.fingerprint import CodeError, code_sha256, release_fingerprint
from infra.lifecycle.databricks import CredentialProvider
from infra.lifecycle.errors import LifecycleError, TrainingError
from infra.lifecycle.executor import (
    DatabricksExecutor,
    Executor,
    ProcessExecutor,
    TrainingRequest,
)
from infra.lifecycle.executors import executor_from
from infra.lifecycle.mlflow_client import store_is_gone
from infra.lifecycle.progress import say
from infra.lifecycle.registry import Registry, RegistryAddress, Release

__all__ = ["TrainingRun", "TrainingRunArgs", "TrainingRunProvider"]

_DECIDES = ("data", "parameters", "code", "retrain")
_PLACE = ("model_name", "tracking_uri", "registry_uri", "host")
"""What tells one registry from another."""


@dataclass(frozen=True, kw_only=True)
class TrainingRunArgs:
    """What decides a training run, where its release goes, and how it is executed.

    `data` is a path, a URL or `contract.dataset.PACKAGED`, readable where the program runs; `code`
    are the packages whose files count as the training code; `retrain` is any text: a new text
    trains anew. A run longer than `timeout_minutes` is stopped.
    """

    registry: RegistryAddress
    executor: ProcessExecutor | DatabricksExecutor
    data: str
    parameters: Mapping[str, Any]
    code: Sequence[str]
    retrain: str
    timeout_minutes: int


class TrainingRunProvider(CredentialProvider):
    """Runs `python -m training` unless a release with the same fingerprint exists."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the hashes, so that a preview shows whether and why training would run."""
        if any(isinstance(news[key], Unknown) for key in _DECIDES):
            return CheckResult(news, [])
        try:
            data = source_sha256(news["data"])
        except DatasetError as error:
            return CheckResult(news, [CheckFailure("data", str(error))])
        try:
            code = code_sha256(news["code"])
        except CodeError as error:
            return CheckResult(news, [CheckFailure("code", str(error))])
        inputs = {
            **news,
            "data_sha256": data,
            "code_sha256": code,
            "fingerprint": release_fingerprint(
                code=code, data=data, parameters=news["parameters"], retrain=news["retrain"]
            ),
        }
        return CheckResult(inputs, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Ask for a new run when the fingerprint, the registry or the model's name differ.

        How it is executed decides nothing, and neither does what a preview does not know yet.
        """
        replaces: list[str] = []
        if _differs(olds.get("fingerprint"), news.get("fingerprint")):
            replaces.append("fingerprint")
        before, after = _address(olds), _address(news)
        if after and any(_differs(before.get(key), after.get(key)) for key in _PLACE):
            replaces.append("registry")
        if not replaces and store_is_gone(after):
            replaces = ["fingerprint"]
        return DiffResult(changes=bool(replaces), replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Find the release by its fingerprint, or train it.

        Raises:
            TrainingError: the run failed, timed out, or registered nothing.
            RegistryError: the registry does not answer.
            WorkspaceError: the Databricks workspace does not answer, or refuses.
        """
        release = None if store_is_gone(props["registry"]) else self._find(props)
        adopted = release is not None
        if adopted:
            say(f"release {release.version} was made from exactly these inputs: nothing to train")
            run_url = self._page(props)
        else:
            seconds = 60 * props["timeout_minutes"]
            run_url = self._executor(props).run(_request(props), timeout_seconds=seconds)
            release = self._find(props)
        if release is None:
            raise TrainingError(
                f"training ended well but registered no release of "
                f"{props['registry']['model_name']!r} with fingerprint "
                f"{props['fingerprint'][:12]}…; see {run_url or props['executor']['log_file']}"
            )
        outs = {**props, **_results(release), "adopted": adopted, "run_url": run_url}
        return CreateResult(id_=props["fingerprint"], outs=outs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Keep the run and its release: a registry is a record of what was done."""
        say("the run and its release stay in the registry")

    def _find(self, props: Mapping[str, Any]) -> Release | None:
        return Registry(props["registry"], self.credentials).find(props["fingerprint"])

    def _executor(self, props: Mapping[str, Any]) -> Executor:
        return executor_from(props["executor"], props["registry"], self.credentials)

    def _page(self, props: Mapping[str, Any]) -> str:
        # A release that is there is adopted, whether or not the workspace still knows its run.
        with contextlib.suppress(LifecycleError):
            return self._executor(props).page(_request(props))
        return ""


def _request(props: Mapping[str, Any]) -> TrainingRequest:
    names = ("registry", "data", "data_sha256", "code_sha256", "parameters", "fingerprint")
    return TrainingRequest(**{name: props[name] for name in names})


def _results(release: Release) -> dict[str, Any]:
    return {
        "version": release.version,
        "run_id": release.run_id,
        "bundle_sha256": release.bundle_sha256,
        "metrics": release.metrics,
    }


def _address(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the registry's address; empty when it is unknown, or of a state that had none."""
    address = props.get("registry")
    return dict[str, Any](address) if isinstance(address, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType] - what the engine sent


def _differs(old: Any, new: Any) -> bool:
    return not isinstance(new, Unknown) and old != new


class TrainingRun(Resource, module="lifecycle", name="TrainingRun"):
    """A finished training run and the release that it registered.

    `run_url` is the page of its run in the Databricks workspace, "" on a laptop.
    """

    version: pulumi.Output[str]
    run_id: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    bundle_sha256: pulumi.Output[str]
    metrics: pulumi.Output[dict[str, float]]
    adopted: pulumi.Output[bool]
    run_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: TrainingRunArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = ("version", "run_id", "bundle_sha256", "metrics", "adopted", "run_url")
        props = {
            "registry": args.registry.props(),
            "executor": args.executor.props(),
            "data": args.data,
            "parameters": args.parameters,
            "code": list(args.code),
            "retrain": args.retrain,
            "timeout_minutes": args.timeout_minutes,
            "fingerprint": None,
            **dict.fromkeys(outputs),
        }
        super().__init__(TrainingRunProvider(), name, props, opts)
