"""The model registry, as the lifecycle sees it: releases (model versions) and stages (aliases).

One thin layer over `MlflowClient`, which takes seconds to import: it is imported when the first
question is asked, so that an `up` that changes nothing asks none.
"""

import contextlib
import json
import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import release as contract
from contract.dataset import shown
from infra.lifecycle.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Registry", "Release"]

_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A registered model version and what its tags say of it."""

    version: str
    run_id: str
    fingerprint: str
    bundle_sha256: str
    metrics: dict[str, float]


class Registry:
    """Releases and stages of one registered model.

    Every method raises RegistryError when the store does not answer or lacks what is asked for.
    """

    def __init__(self, tracking_uri: str, model_name: str) -> None:
        self._tracking_uri = tracking_uri
        self._model = model_name
        self._opened: MlflowClient | None = None

    def release(self, version: str) -> Release:
        """Look up one version."""
        with self._asking(f"version {version}"):
            return _release(self._client.get_model_version(self._model, version))

    def find(self, fingerprint: str) -> Release | None:
        """Look up the newest release that was made from exactly these inputs, if there is one."""
        query = f"name = '{self._model}' and tags.{contract.TAG_FINGERPRINT} = '{fingerprint}'"
        with self._asking("releases"):
            found = self._client.search_model_versions(query)
        return _release(max(found, key=lambda v: int(v.version))) if found else None

    def at_stage(self, stage: str) -> Release | None:
        """Look up the release that the stage's alias points to, if it points to one."""
        from mlflow.exceptions import MlflowException

        with self._asking(f"alias {stage}"):
            try:
                return _release(self._client.get_model_version_by_alias(self._model, stage))
            except MlflowException as error:
                # A missing model and a missing alias carry different codes, by store.
                if error.error_code in (_NOT_FOUND, "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def move_stage(self, stage: str, version: str, evidence: dict[str, Any]) -> None:
        """Mark the version as proven for the stage, then point the stage's alias at it."""
        tag = f"{contract.TAG_PROVEN}.{stage}"
        with self._asking(f"alias {stage}"):
            self._client.set_model_version_tag(
                self._model, version, tag, json.dumps(evidence, sort_keys=True)
            )
            self._client.set_registered_model_alias(self._model, stage, version)

    def clear_stage(self, stage: str, version: str) -> None:
        """Remove the stage's alias if it points at `version`; anything else is not ours."""
        current = self.at_stage(stage)
        if current is not None and current.version == version:
            with self._asking(f"alias {stage}"):
                self._client.delete_registered_model_alias(self._model, stage)

    def fetch_bundle(self, version: str, target: Path) -> Path:
        """Copy the release's serving bundle into the folder `target`; return where it is."""
        import mlflow.artifacts

        with self._asking(f"version {version}"):
            uri = self._client.get_model_version_download_uri(self._model, version)
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{uri}/{contract.BUNDLE_PATH}",
                    dst_path=str(target),
                    tracking_uri=self._tracking_uri,
                )
            )

    @property
    def _client(self) -> "MlflowClient":
        if self._opened is None:
            from mlflow import MlflowClient

            # A new store logs every one of its migrations, and a failing one a traceback of what it
            # raises as well. After the import, which sets these levels itself.
            logging.getLogger("alembic").setLevel(logging.WARNING)
            logging.getLogger("mlflow").setLevel(logging.CRITICAL)

            self._opened = MlflowClient(self._tracking_uri, self._tracking_uri)
        return self._opened

    @contextlib.contextmanager
    def _asking(self, what: str) -> Generator[None]:
        try:
            yield
        except RegistryError:
            raise
        except Exception as error:
            # MLflow passes on whatever its store raises: SQLAlchemy, HTTP and file errors alike.
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            hint = (
                "; another program holds the store: close it and run again"
                if "locked" in reason
                else ""
            )
            raise RegistryError(
                f"model registry {shown(self._tracking_uri)}, model {self._model!r}, {what}: "
                f"{reason}{hint}"
            ) from error


def _release(version: "ModelVersion") -> Release:
    tags: dict[str, str] = dict(version.tags)
    missing = {contract.TAG_FINGERPRINT, contract.TAG_BUNDLE, contract.TAG_METRICS} - tags.keys()
    if missing:
        raise RegistryError(
            f"model {version.name!r} version {version.version} is not a release of this program: "
            f"it has no tag {sorted(missing)[0]!r}"
        )
    return Release(
        version=str(version.version),
        run_id=version.run_id or "",
        fingerprint=tags[contract.TAG_FINGERPRINT],
        bundle_sha256=tags[contract.TAG_BUNDLE],
        metrics=json.loads(tags[contract.TAG_METRICS]),
    )
