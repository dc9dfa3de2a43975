"""A real MLflow registry in a temporary folder, filled without training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.lifecycle.registry import Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL = "employee-attrition"
FIGURES = {"cv_roc_auc": 0.82, "cv_brier": 0.10}


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
    def registry(self) -> Registry:
        return Registry(self.uri, MODEL)

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
        """Register a release; return its version."""
        tags = {
            "fingerprint": fingerprint,
            "bundle_sha256": f"sha-of-{fingerprint}",
            "metrics": json.dumps(FIGURES if figures is None else figures),
        }
        tags.pop(without, None)
        made = self.client.create_model_version(
            MODEL, source=str(source or self.path.parent / "source"), tags=tags
        )
        return str(made.version)

    def point(self, stage: str, version: str) -> None:
        self.client.set_registered_model_alias(MODEL, stage, version)

    def stages(self) -> dict[str, str]:
        model: Any = self.client.get_registered_model(MODEL)
        return {alias: str(version) for alias, version in model.aliases.items()}

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(MODEL, version).tags)
