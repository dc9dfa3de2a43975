"""The model registry, as the lifecycle sees it: releases (model versions) and stages (aliases).

One thin layer over `MlflowClient`, which takes seconds to import: it is imported when the first
question is asked, so that an `up` that changes nothing asks none. Only what Unity Catalog can do is
used, also where the registry is a file: its search knows names and returns no tags, for instance.
"""

import contextlib
import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pulumi

from contract import release as contract
from contract.dataset import shown
from infra.lifecycle.databricks import Credentials
from infra.lifecycle.errors import NoSuchReleaseError, RegistryError
from infra.lifecycle.mlflow_client import is_missing, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Registry", "RegistryAddress", "Release"]

_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_READY = "READY"
_NO_TOKEN = Credentials(token="")
_MOVES_KEPT = 10
_VERSIONS_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class RegistryAddress:
    """Where a registered model is; an input of every resource that speaks to the registry.

    `model_name` has three parts in Unity Catalog (`catalog.schema.model`). `registry_uri` is only
    set where it differs from `tracking_uri`: `databricks-uc` beside `databricks`. `host`
    (`https://…`) and `azure_resource_id` name the workspace where an URI says Databricks.
    """

    model_name: pulumi.Input[str]
    tracking_uri: pulumi.Input[str]
    registry_uri: pulumi.Input[str] = ""
    host: pulumi.Input[str] = ""
    azure_resource_id: pulumi.Input[str] = ""

    def props(self) -> dict[str, pulumi.Input[str]]:
        """Return the address as resources store it, under the key `registry`."""
        return dict(vars(self))


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

    `address` is `RegistryAddress` as resources store it. Every method raises RegistryError when the
    store does not answer or lacks what is asked for.
    """

    def __init__(self, address: Mapping[str, str], credentials: Credentials = _NO_TOKEN) -> None:
        self._address = address
        self._credentials = credentials
        self._model = address["model_name"]
        self._tracking_uri = address["tracking_uri"]
        self._registry_uri = address.get("registry_uri") or self._tracking_uri
        self._opened: MlflowClient | None = None

    def release(self, version: str) -> Release:
        """Look up one version.

        Raises:
            NoSuchReleaseError: it is not there; the message lists those that are.
        """
        with self._asking(f"version {version}"):
            try:
                return _release(self._client.get_model_version(self._model, version))
            except Exception as error:
                if not is_missing(error):
                    raise
                there = [str(found.version) for found in self._versions()][:_VERSIONS_SHOWN]
                known = f"there are {', '.join(there)}" if there else "there is none yet"
                kind = NoSuchReleaseError if there else RegistryError
                raise self._error(f"version {version}", f"not found; {known}", kind) from error

    def find(self, fingerprint: str) -> Release | None:
        """Look up the newest release that was made from exactly these inputs, if there is one."""
        with self._asking("releases"):
            for version in self._versions():
                # A registration that was cut short leaves a version without files.
                if version.status != _READY:
                    continue
                complete = self._with_tags(version)
                if complete.tags.get(contract.TAG_FINGERPRINT) == fingerprint:
                    return _release(complete)
        return None

    def at_stage(self, stage: str) -> Release | None:
        """Look up the release that the stage's alias points to, if it points anywhere."""
        found = self._pointed_at(stage)
        try:
            return None if found is None else _release(found)
        except RegistryError as error:
            remedy = f"point the alias {stage!r} at a release, or take it away"
            raise RegistryError(f"{error}; {remedy}") from error

    def version_at(self, stage: str) -> str:
        """Name the version that the stage's alias points to, a release or not; empty for none."""
        found = self._pointed_at(stage)
        return "" if found is None else str(found.version)

    def _pointed_at(self, stage: str) -> "ModelVersion | None":
        with self._asking(f"alias {stage}"):
            try:
                return self._client.get_model_version_by_alias(self._model, stage)
            except Exception as error:
                if is_missing(error):
                    return None
                raise

    def proof(self, version: str, stage: str) -> dict[str, Any]:
        """Return the evidence by which the version was proven for the stage; empty without."""
        with self._asking(f"version {version}"):
            tags = self._client.get_model_version(self._model, version).tags
            return _evidence(tags, stage)

    def move_stage(
        self,
        stage: str,
        version: str,
        evidence: Mapping[str, Any],
        entry: Mapping[str, str] | None = None,
    ) -> None:
        """Mark the version as proven for the stage, then point the stage's alias at it.

        A proof that names the same image stays as it is: a rollback proves nothing new.
        `entry` is noted on the version before the alias moves, so that no move is without one. Its
        `when` (`20261122T012243Z`) is part of the tag's key. The ten newest entries of a version
        and stage are kept: Unity Catalog has room for 50 tags, for three stages and the release.
        """
        with self._asking(f"alias {stage}"):
            tags = self._client.get_model_version(self._model, version).tags
            image = evidence.get("image")
            if not image or _evidence(tags, stage).get("image") != image:
                self._tag(version, f"{contract.TAG_PROVEN}{stage}", evidence)
            if entry is not None:
                pattern = re.compile(rf"{contract.TAG_MOVED}{re.escape(stage)}_\d{{8}}T\d{{6}}Z")
                moves = sorted(key for key in tags if pattern.fullmatch(key))
                for key in moves[: max(0, len(moves) - _MOVES_KEPT + 1)]:
                    self._client.delete_model_version_tag(self._model, version, key)
                self._tag(version, f"{contract.TAG_MOVED}{stage}_{entry['when']}", entry)
            self._client.set_registered_model_alias(self._model, stage, version)

    def clear_stage(self, stage: str, version: str) -> None:
        """Remove the stage's alias if it points at `version`; anything else is not ours."""
        if self.version_at(stage) == version:
            with self._asking(f"alias {stage}"):
                self._client.delete_registered_model_alias(self._model, stage)

    def mark_use(self, stage: str, value: str) -> None:
        """Note on the registered model that the stage's environment depends on it."""
        with self._asking(f"use by {stage}"):
            key = f"{contract.TAG_USED_BY}{stage}"
            contract.check_tag(key, value)
            cast(Any, self._client).set_registered_model_tag(self._model, key, value)

    def clear_use(self, stage: str) -> None:
        """Remove the stage's note, if there is one."""
        if stage in self.uses():
            with self._asking(f"use by {stage}"):
                key = f"{contract.TAG_USED_BY}{stage}"
                self._client.delete_registered_model_tag(self._model, key)

    def uses(self) -> list[str]:
        """Name the stages whose environments depend on the model, sorted; none without a model."""
        with self._asking("uses"):
            try:
                model: Any = self._client.get_registered_model(self._model)
            except Exception as error:
                if is_missing(error):
                    return []
                raise
        keys: list[str] = list(model.tags)
        prefix = contract.TAG_USED_BY
        return sorted(key.removeprefix(prefix) for key in keys if key.startswith(prefix))

    def fetch_bundle(self, version: str, target: Path) -> Path:
        """Copy the release's serving bundle into the folder `target`; return where it is."""
        import mlflow
        import mlflow.artifacts

        with self._asking(f"version {version}"):
            opened = self._client
            if self._registry_uri.startswith("databricks"):
                # Unity Catalog gives access to a version's files by the version's name alone, and
                # what fetches them opens clients of its own, which go by MLflow's defaults.
                mlflow.set_tracking_uri(self._tracking_uri)
                mlflow.set_registry_uri(self._registry_uri)
                uri = f"models:/{self._model}/{version}"
            else:
                uri = opened.get_model_version_download_uri(self._model, version)
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{uri}/{contract.BUNDLE_PATH}",
                    dst_path=str(target),
                    tracking_uri=self._tracking_uri,
                    registry_uri=self._registry_uri,
                )
            )

    def _versions(self) -> "list[ModelVersion]":
        """List every version, the newest first; those of Unity Catalog come without tags."""
        try:
            return sorted(self._pages(), key=lambda found: int(found.version), reverse=True)
        except Exception as error:
            if is_missing(error):
                return []
            raise

    def _pages(self) -> "Iterator[ModelVersion]":
        token: str | None = None
        while True:
            query = f"name = '{self._model}'"
            page: Any = self._client.search_model_versions(query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _with_tags(self, version: "ModelVersion") -> "ModelVersion":
        # What Unity Catalog found has a method `tags` that raises in place of the property.
        if isinstance(cast(Any, version).tags, dict):
            return version
        return self._client.get_model_version(self._model, version.version)

    def _tag(self, version: str, key: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, sort_keys=True)
        contract.check_tag(key, text)
        self._client.set_model_version_tag(self._model, version, key, text)

    @property
    def _client(self) -> "MlflowClient":
        if self._opened is None:
            self._opened = open_client(self._address, self._credentials)
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
            raise self._error(what, f"{reason}{hint}") from error

    def _error(
        self, what: str, reason: str, kind: type[RegistryError] = RegistryError
    ) -> RegistryError:
        where = " at ".join(filter(None, (shown(self._registry_uri), self._address.get("host"))))
        return kind(f"model registry {where}, model {self._model!r}, {what}: {reason}")


def _evidence(tags: Mapping[str, str], stage: str) -> dict[str, Any]:
    found: Any = json.loads(tags.get(f"{contract.TAG_PROVEN}{stage}", "{}"))
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _release(version: "ModelVersion") -> Release:
    tags: dict[str, str] = dict(version.tags)
    if version.status != _READY:
        raise RegistryError(
            f"model {version.name!r} version {version.version} is {version.status}: its "
            "registration did not finish; train again, or choose another"
        )
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
        metrics=_metrics(version, tags[contract.TAG_METRICS]),
    )


def _metrics(version: "ModelVersion", text: str) -> dict[str, float]:
    """Read the tag, which anybody who may write tags can have changed."""
    with contextlib.suppress(ValueError):
        found: Any = json.loads(text)
        if isinstance(found, dict):
            metrics = cast(dict[str, Any], found)
            if all(type(value) in (int, float) for value in metrics.values()):
                return metrics
    raise RegistryError(
        f"model {version.name!r} version {version.version}: its tag {contract.TAG_METRICS!r} is no "
        "JSON object of numbers; restore it, train again, or choose another release"
    )
