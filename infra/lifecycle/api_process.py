"""The API as a detached process of this machine: one process a release, green beside blue.

A process listens on a private address of its own until `TrafficSwitch` hands it the public one. So
a release that fails its smoke test has never answered anybody.
"""

import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from contract import release as contract
from infra.lifecycle import process
from infra.lifecycle.errors import ProcessError
from infra.lifecycle.fingerprint import code_sha256, fingerprint
from infra.lifecycle.registry import Registry

__all__ = ["ApiProcess", "ApiProcessArgs", "ApiProcessProvider"]


@dataclass(frozen=True, kw_only=True)
class ApiProcessArgs:
    """The release to serve and the folders that its process may use.

    `run_dir` holds control sockets, `releases_dir` the fetched bundles; both are relative to the
    project's folder. `api_key_sha256` is the hash of the key that callers must send.
    """

    model_name: str
    tracking_uri: str
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    api_key_sha256: pulumi.Input[str]
    run_dir: str
    releases_dir: str
    log_file: str


_DECIDES = ("model_name", "tracking_uri", "version", "bundle_sha256", "api_key_sha256", "log_file")


class ApiProcessProvider(ResourceProvider):
    """Starts and stops `python -m app` for one release."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the generation: a hash of everything that decides what the process would do."""
        decides = {key: news[key] for key in _DECIDES}
        if not all(isinstance(value, str) for value in decides.values()):
            return CheckResult(news, [])
        generation = fingerprint(code=code_sha256(("app", "contract")), **decides)
        return CheckResult({**news, "generation": generation}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for another generation; in place, start what died and end strays."""
        if olds["generation"] != news.get("generation"):
            return DiffResult(changes=True, replaces=["generation"])
        status = process.ask(_control(olds), command="status")
        alive = status is not None and status["pid"] == olds["pid"]
        whole = alive and _release_dir(olds).is_dir()
        return DiffResult(changes=not whole or bool(_strays(olds)))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Fetch the release, start its process beside any other, wait until it is ready.

        Raises:
            ProcessError: the release is altered, or the process does not become ready.
            RegistryError: the registry does not answer or has no such release.
        """
        # A name of its own, also for a generation that ran before: that one's process may still be
        # answering, and its record, marked for deletion, will end whatever bears its name.
        instance = f"{props['generation'][:8]}-{secrets.token_hex(3)}"
        return CreateResult(id_=instance, outs=_serve({**props, "instance": instance}))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Start the process again under its name, as `create` does."""
        return UpdateResult(outs=_serve({**news, "instance": olds["instance"]}))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Drain the process, end it, and remove its copy of the release."""
        process.stop(props["run_dir"], _control(props))
        shutil.rmtree(_release_dir(props), ignore_errors=True)


def _strays(props: dict[str, Any]) -> list[str]:
    """Find processes that serve nobody: recorded by no run, or no longer answering."""
    controls = [control for control, _ in process.instances(props["run_dir"])]
    statuses = [(control, process.ask(control, command="status")) for control in controls]
    return [
        control
        for control, status in statuses
        if status is None or (not status["public"] and control != _control(props))
    ]


def _serve(props: dict[str, Any]) -> dict[str, Any]:
    for control in _strays(props):
        process.stop(props["run_dir"], control)
    bundle = _fetched(props)
    settings = {
        "RELEASE_DIR": str(bundle),
        "RELEASE_VERSION": props["version"],
        "RELEASE_SHA256": props["bundle_sha256"],
        "API_KEY_SHA256": props["api_key_sha256"],
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    status = process.start(_control(props), settings, Path(props["log_file"]))
    return {
        **props,
        "pid": status["pid"],
        "private_url": status["private_url"],
        "release_dir": str(bundle),
    }


def _fetched(props: dict[str, Any]) -> Path:
    """Copy the release's bundle from the registry, once, and verify it every time."""
    target = _release_dir(props)
    try:
        if target.exists():
            contract.verify(target, props["bundle_sha256"])
            return target
    except contract.ReleaseError:
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    registry = Registry(props["tracking_uri"], props["model_name"])
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fetched = registry.fetch_bundle(props["version"], Path(folder))
        try:
            contract.verify(fetched, props["bundle_sha256"])
        except contract.ReleaseError as error:
            raise ProcessError(
                f"release {props['version']} in the registry: {error}. Set `retrain` to train "
                "anew, or `releaseVersion` to serve another"
            ) from error
        fetched.rename(target)
    return target


def _release_dir(props: dict[str, Any]) -> Path:
    return Path(props["releases_dir"], props["instance"])


def _control(props: dict[str, Any]) -> str:
    return process.control_path(props["run_dir"], props["instance"])


class ApiProcess(Resource, module="lifecycle", name="ApiProcess"):
    """A ready API process; `private_url` reaches it and no other release."""

    instance: pulumi.Output[str]
    pid: pulumi.Output[int]
    private_url: pulumi.Output[str]
    release_dir: pulumi.Output[str]

    def __init__(
        self, name: str, args: ApiProcessArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = dict.fromkeys(("instance", "pid", "private_url", "release_dir"))
        super().__init__(ApiProcessProvider(), name, {**vars(args), **outputs}, opts)
