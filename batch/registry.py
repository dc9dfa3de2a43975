"""The release that a batch run scores with: looked up in the model registry, fetched and proven."""

# MLflow's own types are partly unknown (3.17.2, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import contextlib
import logging
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from app.release import Release, load, wrong_reference
from batch.errors import BatchError
from contract.dataset import shown
from contract.release import BUNDLE_PATH, TAG_BUNDLE, ReleaseError

__all__ = ["Fetched", "ModelAddress", "fetch"]

# A missing model and a missing alias carry different codes, by store.
_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


@dataclass(frozen=True, kw_only=True)
class ModelAddress:
    """A registered model: its name (`catalog.schema.model` in Unity Catalog) and where it is."""

    name: str
    tracking_uri: str
    registry_uri: str


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A verified release and the version under which the registry knows it."""

    version: str
    release: Release


def fetch(address: ModelAddress, *, stage: str = "", version: str = "") -> Fetched:
    """Fetch `version`, or where that is empty the release that the alias `stage` points to.

    Raises:
        BatchError: there is no such release, it was altered, or the registry does not answer.
    """
    mlflow.set_tracking_uri(address.tracking_uri)
    mlflow.set_registry_uri(address.registry_uri)
    what = f"version {version}" if version else f"stage {stage}"
    # After the import, which sets these levels itself: a new store logs each of its migrations,
    # and MLflow logs what it raises as well.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with _asking(address, what):
        client = MlflowClient(address.tracking_uri, address.registry_uri)
        number = version or str(client.get_model_version_by_alias(address.name, stage).version)
        # Asked for by number in any case: a store may leave the tags out of a search's answer.
        found = client.get_model_version(address.name, number)
    sha256 = _bundle_sha256(address, found)
    with tempfile.TemporaryDirectory() as folder:
        with _asking(address, what):
            # By the model's own URI: Unity Catalog hands out credentials for nothing else.
            bundle = download_artifacts(
                artifact_uri=f"models:/{address.name}/{number}/{BUNDLE_PATH}",
                dst_path=folder,
                tracking_uri=address.tracking_uri,
                registry_uri=address.registry_uri,
            )
        return Fetched(version=number, release=_proven(Path(bundle), sha256, number))


def _bundle_sha256(address: ModelAddress, found: ModelVersion) -> str:
    sha256 = dict(found.tags).get(TAG_BUNDLE)
    if not sha256:
        raise BatchError(
            f"model {address.name!r} version {found.version} is not a release of this program: it "
            f"has no tag {TAG_BUNDLE!r}; choose another --version or --stage"
        )
    return str(sha256)


def _proven(bundle: Path, sha256: str, version: str) -> Release:
    try:
        release = load(bundle, sha256)
    except ReleaseError as error:
        raise BatchError(f"release {version}: {error}") from error
    wrong = wrong_reference(release)
    if wrong is not None:
        raise BatchError(
            f"release {version}: reference record {wrong} is not answered as in training; the code "
            "of this job and the release do not fit: upload the code again, or train again"
        )
    return release


@contextlib.contextmanager
def _asking(address: ModelAddress, what: str) -> Generator[None]:
    where = f"model registry {shown(address.registry_uri)}, model {address.name!r}, {what}"
    try:
        yield
    except Exception as error:
        # MLflow passes on whatever its store raises: SQLAlchemy, HTTP and file errors alike.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        hint = "check --tracking-uri and --registry-uri, and who may read the model"
        if isinstance(error, MlflowException) and error.error_code in _NOT_FOUND:
            hint = "release to that stage first, or give an existing --version"
        raise BatchError(f"{where}: {reason.rstrip('.')}; {hint}") from error
