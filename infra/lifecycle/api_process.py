"""The API as a detached process of this machine: one process a release, green beside blue.

A process listens on a private address of its own until `TrafficSwitch` hands it the public one. So
a release that fails its smoke test has never answered anybody.
"""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    UpdateResult,
)
from pulumi.output import contains_unknowns

from contract.fingerprint import code_sha256, fingerprint
from infra.lifecycle import process
from infra.lifecycle.databricks import CredentialProvider, Credentials
from infra.lifecycle.registry import RegistryAddress
from infra.lifecycle.release_files import fetch_release

__all__ = ["ApiProcess", "ApiProcessArgs", "ApiProcessProvider"]


@dataclass(frozen=True, kw_only=True)
class ApiProcessArgs:
    """The release to serve and the folders that its process may use.

    `run_dir` holds control sockets, `releases_dir` the fetched bundles, each in a folder whose name
    begins with the version and a hyphen; both are relative to the project's folder.
    `api_key_sha256` is the hash of the key that the API accepts, `environment` what else the
    process is told, by the names in `app.__main__`; nothing secret.
    """

    registry: RegistryAddress
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    api_key_sha256: pulumi.Input[str]
    environment: Mapping[str, str]
    run_dir: str
    releases_dir: str
    log_file: str


_CODE = ("app", "contract")
_SERVED = ("*.py", "page/*")
"""Files that a process reads once: its code, and the page that it serves."""

_DECIDES = ("registry", "version", "bundle_sha256", "api_key_sha256", "environment", "log_file")


class ApiProcessProvider(CredentialProvider):
    """Starts and stops `python -m app` for one release."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the generation: a hash of everything that decides what the process would do."""
        decides = {key: news[key] for key in _DECIDES}
        if contains_unknowns(decides):
            return CheckResult(news, [])
        generation = fingerprint(code=code_sha256(_CODE, patterns=_SERVED), **decides)
        return CheckResult({**news, "generation": generation}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for another generation; in place, start what died and end strays."""
        if olds["generation"] != news.get("generation"):
            return DiffResult(changes=True, replaces=["generation"])
        status = process.ask(process.control_of(olds), command="status")
        alive = status is not None and status["pid"] == olds["pid"]
        whole = alive and _release_dir(olds).is_dir()
        return DiffResult(changes=not whole or bool(_strays(olds)))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Fetch the release, start its process beside any other, wait until it is ready.

        Raises:
            ProcessError: the process does not become ready.
            RegistryError: the registry does not answer, or has no such release or an altered one.
        """
        # A name of its own, also for a generation that ran before: that one's process may still be
        # answering, and its record, marked for deletion, will end whatever bears its name. The
        # version comes first: a log line says its release, and what that expects is in the folder.
        instance = f"{props['version']}-{props['generation'][:8]}-{secrets.token_hex(3)}"
        outs = _serve({**props, "instance": instance}, self.credentials)
        return CreateResult(id_=instance, outs=outs)

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Start the process again under its name, as `create` does."""
        return UpdateResult(outs=_serve({**news, "instance": olds["instance"]}, self.credentials))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Drain the process, end it, and remove its copy of the release."""
        process.stop(props["run_dir"], process.control_of(props))
        shutil.rmtree(_release_dir(props), ignore_errors=True)


def _strays(props: dict[str, Any]) -> list[str]:
    """Find processes that serve nobody: recorded by no run, or no longer answering."""
    own = process.control_of(props)
    return [
        control
        for control, status in process.statuses(props["run_dir"]).items()
        if status is None or (not status["public"] and control != own)
    ]


def _serve(props: dict[str, Any], credentials: Credentials) -> dict[str, Any]:
    for control in _strays(props):
        process.stop(props["run_dir"], control)
    bundle = _release_dir(props)
    fetch_release(props, credentials, bundle)
    settings = {
        **props["environment"],
        "RELEASE_DIR": str(bundle),
        "RELEASE_VERSION": props["version"],
        "RELEASE_SHA256": props["bundle_sha256"],
        "API_KEY_SHA256": props["api_key_sha256"],
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    status = process.start(process.control_of(props), settings, Path(props["log_file"]))
    return {
        **props,
        "pid": status["pid"],
        "private_url": status["private_url"],
        "release_dir": str(bundle),
    }


def _release_dir(props: dict[str, Any]) -> Path:
    return Path(props["releases_dir"], props["instance"])


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
        props = {**vars(args), "registry": args.registry.props(), **outputs}
        super().__init__(ApiProcessProvider(), name, props, opts)
