"""A release's serving bundle, copied from the registry into a folder of this machine, verified."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from contract import release as contract
from infra.lifecycle.databricks import CredentialProvider, Credentials
from infra.lifecycle.errors import RegistryError
from infra.lifecycle.registry import Registry, RegistryAddress

__all__ = ["ReleaseFiles", "ReleaseFilesArgs", "ReleaseFilesProvider", "fetch_release"]


def fetch_release(props: Mapping[str, Any], credentials: Credentials, target: Path) -> None:
    """Copy the bundle of `props` (`registry`, `version`, `bundle_sha256`) into the folder `target`.

    A copy that is there already and verifies is kept; any other is replaced as a whole.

    Raises:
        RegistryError: the registry does not answer, or has no such release or an altered one.
    """
    try:
        if target.exists():
            contract.verify(target, props["bundle_sha256"])
            return
    except contract.ReleaseError:
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    registry = Registry(props["registry"], credentials)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fetched = registry.fetch_bundle(props["version"], Path(folder))
        try:
            contract.verify(fetched, props["bundle_sha256"])
        except contract.ReleaseError as error:
            raise RegistryError(
                f"release {props['version']} in the registry: {error}. Set `retrain` to train "
                "anew, or `releaseVersion` to serve another"
            ) from error
        fetched.rename(target)


@dataclass(frozen=True, kw_only=True)
class ReleaseFilesArgs:
    """Which release, and the folder (relative to the project's) that holds one folder a release."""

    registry: RegistryAddress
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]
    releases_dir: str


class ReleaseFilesProvider(CredentialProvider):
    """Fetches a bundle, and again if its copy was lost or altered."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Fetch another release beside the old one, and a lost or altered copy in its place."""
        keys = ("version", "bundle_sha256", "releases_dir")
        replaces = [key for key in keys if olds[key] != news.get(key)]
        moved = olds["registry"] != news["registry"]
        return DiffResult(changes=bool(replaces) or moved or _is_lost(olds), replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Fetch and verify the bundle.

        Raises:
            RegistryError: the registry does not answer, or has no such release or an altered one.
        """
        return CreateResult(id_=_folder(props).name, outs=self._fetched(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Fetch it again, as `create` does."""
        return UpdateResult(outs=self._fetched(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the copy."""
        shutil.rmtree(props["release_dir"], ignore_errors=True)

    def _fetched(self, props: dict[str, Any]) -> dict[str, Any]:
        fetch_release(props, self.credentials, _folder(props))
        return {**props, "release_dir": str(_folder(props))}


def _folder(props: Mapping[str, Any]) -> Path:
    return Path(props["releases_dir"], f"{props['version']}-{props['bundle_sha256'][:12]}")


def _is_lost(props: Mapping[str, Any]) -> bool:
    try:
        contract.verify(Path(props["release_dir"]), props["bundle_sha256"])
    except contract.ReleaseError:
        return True
    return False


class ReleaseFiles(Resource, module="lifecycle", name="ReleaseFiles"):
    """A verified copy of a release's bundle in `release_dir`."""

    release_dir: pulumi.Output[str]

    def __init__(
        self, name: str, args: ReleaseFilesArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {**vars(args), "registry": args.registry.props(), "release_dir": None}
        super().__init__(ReleaseFilesProvider(), name, props, opts)
