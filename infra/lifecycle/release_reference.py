"""What a release expects of its population, read from its sealed bundle for the monitoring queries.

A resource, for the program itself reads nothing: a preview needs no artefact, and shows that the
queries will be written anew.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from contract.release import DRIFT
from infra.lifecycle.databricks import CredentialProvider, Credentials
from infra.lifecycle.errors import RegistryError
from infra.lifecycle.registry import RegistryAddress
from infra.lifecycle.release_files import fetch_release
from monitoring.reference import CountsError, Reference

__all__ = ["ReleaseReference", "ReleaseReferenceArgs", "ReleaseReferenceProvider"]

_DECIDES = ("version", "bundle_sha256")


@dataclass(frozen=True, kw_only=True)
class ReleaseReferenceArgs:
    """Which release, and the seal that its files must carry."""

    registry: RegistryAddress
    version: pulumi.Input[str]
    bundle_sha256: pulumi.Input[str]


class ReleaseReferenceProvider(CredentialProvider):
    """Reads the counts of a release's drift detector."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Read again what is of another release, or in another registry."""
        keys = (*_DECIDES, "registry")
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in keys))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Fetch and verify the bundle, and keep its counts.

        Raises:
            RegistryError: the registry does not answer, has no such release or an altered one, or
                the release has no counts.
        """
        return CreateResult(id_=f"{props['version']}@reference", outs=self._read(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Read another release's, as `create` does."""
        return UpdateResult(outs=self._read(news))

    def _read(self, props: dict[str, Any]) -> dict[str, Any]:
        return {**props, "counts": _counts(props, self.credentials)}


def _counts(props: Mapping[str, Any], credentials: Credentials) -> dict[str, Sequence[int]]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        fetch_release(props, credentials, bundle)
        try:
            drift = json.loads((bundle / DRIFT).read_bytes())
            return dict(Reference.of(props["version"], drift).counts)
        except FileNotFoundError as error:
            raise _unusable(props, "the release was sealed without it") from error
        except CountsError as error:
            raise _unusable(props, str(error)) from error


def _unusable(props: Mapping[str, Any], why: str) -> RegistryError:
    return RegistryError(
        f"release {props['version']} in the registry, {DRIFT}: {why}. It cannot be watched for "
        "drift: set `retrain` to train anew, or `releaseVersion` to serve another"
    )


class ReleaseReference(Resource, module="lifecycle", name="ReleaseReference"):
    """The table's records by field and bin, and by tenth of the score, in `counts`."""

    counts: pulumi.Output[dict[str, list[int]]]

    def __init__(
        self, name: str, args: ReleaseReferenceArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {**vars(args), "registry": args.registry.props(), "counts": None}
        super().__init__(ReleaseReferenceProvider(), name, props, opts)
