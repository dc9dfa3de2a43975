"""A real MLflow registry in a temporary folder, filled without training."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.release import BUNDLE_PATH, EVIDENCE, seal
from infra.lifecycle.registry import Registry, RegistryAddress

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "employee-attrition"
FIGURES = {"cv_roc_auc": 0.82, "cv_brier": 0.10}
FURTHER = {"held_out_brier": 0.12}
"""A figure of the evidence that the tag has no room for."""


def address(uri: str, model: str = MODEL) -> dict[str, Any]:
    """Return the address of a model in the store at `uri`, as resources store it."""
    return dict(RegistryAddress(model_name=model, tracking_uri=uri).props())


def seal_release(bundle: Path, figures: dict[str, float]) -> str:
    """Write and seal a bundle whose evidence has `figures` and `FURTHER`; return its sha-256."""
    bundle.mkdir(parents=True)
    evidence = {
        name: {"value": value, "low": None, "high": None, "meaning": "made up"}
        for name, value in {**FURTHER, **figures}.items()
    }
    (bundle / EVIDENCE).write_text(json.dumps({"figures": evidence}))
    (bundle / "content.json").write_text("{}")
    return seal(bundle)


class Store:
    """One SQLite store, by the same client that the registry uses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uri = f"sqlite:///{path}"

    @property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(self.uri, self.uri)

    @property
    def address(self) -> dict[str, str]:
        """Return the address as resources store it."""
        return address(self.uri)

    @property
    def registry(self) -> Registry:
        return Registry(self.address)

    def create_model(self) -> None:
        self.client.create_registered_model(MODEL)

    def add(
        self,
        fingerprint: str = "f",
        *,
        figures: dict[str, float] | None = None,
        source: Path | None = None,
        without: str = "",
    ) -> str:
        """Register a release with a sealed bundle, or with the files in `source`, as they are."""
        figures = FIGURES if figures is None else figures
        sha256 = "0" * 64
        if source is None:
            source = Path(tempfile.mkdtemp(prefix="model-", dir=self.path.parent))
            sha256 = seal_release(source / BUNDLE_PATH, figures)
        tags = {
            "fingerprint": fingerprint,
            "bundle_sha256": sha256,
            "metrics": json.dumps(figures),
        }
        tags.pop(without, None)
        made = self.client.create_model_version(MODEL, source=str(source), tags=tags)
        return str(made.version)

    def bundle(self, version: str) -> Path:
        """Return the folder in which the registry has a release's bundle."""
        return Path(str(self.client.get_model_version(MODEL, version).source)) / BUNDLE_PATH

    def point(self, stage: str, version: str) -> None:
        self.client.set_registered_model_alias(MODEL, stage, version)

    def tag(self, version: str, key: str, value: str) -> None:
        self.client.set_model_version_tag(MODEL, version, key, value)

    def prove(self, version: str, stage: str, image: str) -> None:
        """Write the proof that a stage leaves, without moving its alias."""
        self.tag(version, f"proven_{stage}", json.dumps({"image": image, "records": 25}))

    def stages(self) -> dict[str, str]:
        model: Any = self.client.get_registered_model(MODEL)
        return {alias: str(version) for alias, version in model.aliases.items()}

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(MODEL, version).tags)
