"""A training run that ends in one registered release.

The resource runs again exactly when code, data, parameters or the `retrain` nonce change: their
hash, the fingerprint, is its identity. A run that finished is found by its fingerprint and adopted,
so nothing is trained twice, also when the engine was killed before it could record the result.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
)

from contract.dataset import DatasetError, source_sha256
from infra.lifecycle.errors import TrainingError
from infra.lifecycle.executor import run_process
from infra.lifecycle.fingerprint import code_sha256, fingerprint
from infra.lifecycle.progress import say
from infra.lifecycle.registry import Registry, Release

__all__ = ["TrainingRun", "TrainingRunArgs", "TrainingRunProvider"]


@dataclass(frozen=True, kw_only=True)
class TrainingRunArgs:
    """What decides a training run, and where it writes.

    `data` is a path, a URL or `contract.dataset.PACKAGED`; `code` are the packages whose files
    count as the training code; `retrain` is any text: a new text trains anew. `artifacts` is the
    folder for the registry's files, `log_file` gets a copy of the run's output, and a run longer
    than `timeout_minutes` is stopped.
    """

    model_name: str
    tracking_uri: str
    artifacts: str
    data: str
    parameters: Mapping[str, Any]
    code: Sequence[str]
    retrain: str
    log_file: str
    timeout_minutes: int


class TrainingRunProvider(ResourceProvider):
    """Runs `python -m training` unless a release with the same fingerprint exists."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the hashes, so that a preview shows whether and why training would run."""
        try:
            data = source_sha256(news["data"])
        except DatasetError as error:
            return CheckResult(news, [CheckFailure("data", str(error))])
        code = code_sha256(news["code"])
        inputs = {
            **news,
            "data_sha256": data,
            "code_sha256": code,
            "fingerprint": fingerprint(
                code=code, data=data, parameters=news["parameters"], retrain=news["retrain"]
            ),
        }
        return CheckResult(inputs, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Ask for a new run when the fingerprint, the registry or the model's name differ."""
        identity = ("fingerprint", "tracking_uri", "model_name")
        replaces = [key for key in identity if olds.get(key) != news[key]]
        if not replaces and _store_is_gone(news["tracking_uri"]):
            replaces = ["fingerprint"]
        return DiffResult(changes=bool(replaces), replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Find the release by its fingerprint, or train it.

        Raises:
            TrainingError: the run failed, timed out, or registered nothing.
            RegistryError: the registry does not answer.
        """
        release = None if _store_is_gone(props["tracking_uri"]) else _find(props)
        adopted = release is not None
        if release is not None:
            say(f"release {release.version} was made from exactly these inputs: nothing to train")
        else:
            run_process(
                _command(props),
                log_file=Path(props["log_file"]),
                timeout_seconds=60 * props["timeout_minutes"],
            )
            release = _find(props)
        if release is None:
            raise TrainingError(
                f"training ended well but registered no release of {props['model_name']!r} with "
                f"fingerprint {props['fingerprint'][:12]}…; see {props['log_file']}"
            )
        outs = {**props, **asdict(release), "adopted": adopted}
        return CreateResult(id_=props["fingerprint"], outs=outs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Keep the run and its release: a registry is a record of what was done."""
        say("the run and its release stay in the registry")


def _find(props: Mapping[str, Any]) -> Release | None:
    return Registry(props["tracking_uri"], props["model_name"]).find(props["fingerprint"])


def _command(props: Mapping[str, Any]) -> list[str]:
    """Name the module and arguments that the Databricks job uses as well."""
    return [
        "training",
        f"--tracking-uri={props['tracking_uri']}",
        f"--artifacts={props['artifacts']}",
        f"--model-name={props['model_name']}",
        f"--fingerprint={props['fingerprint']}",
        f"--code-sha256={props['code_sha256']}",
        f"--data={props['data']}",
        f"--data-sha256={props['data_sha256']}",
        f"--parameters={json.dumps(props['parameters'], sort_keys=True)}",
        "--exit-with-stdin",
    ]


def _store_is_gone(tracking_uri: str) -> bool:
    """Whether the registry is a SQLite file that was deleted, or was never made."""
    prefix = "sqlite:///"
    return tracking_uri.startswith(prefix) and not Path(tracking_uri[len(prefix) :]).exists()


class TrainingRun(Resource, module="lifecycle", name="TrainingRun"):
    """A finished training run and the release that it registered."""

    version: pulumi.Output[str]
    run_id: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    bundle_sha256: pulumi.Output[str]
    metrics: pulumi.Output[dict[str, float]]

    def __init__(
        self, name: str, args: TrainingRunArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = dict.fromkeys(("version", "run_id", "bundle_sha256", "metrics", "adopted"))
        props = {**asdict(args), "fingerprint": None, **outputs}
        super().__init__(TrainingRunProvider(), name, props, opts)
