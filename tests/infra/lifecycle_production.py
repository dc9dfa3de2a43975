"""The stack `production` of a small program: a gate that promotes from staging, and a stage."""

from pathlib import Path
from typing import Any

from lifecycle_store import MODEL, Store

from engine import embedded
from engine.embedded import Step
from engine.project import Project
from engine.state import State

PROGRAM = f"""
import pulumi
from infra.lifecycle import (
    ModelStage, ModelStageArgs, RegistryAddress, ReleaseGate, ReleaseGateArgs
)
from infra.lifecycle.gates import Gate

config = pulumi.Config()
version = config.get("releaseVersion") or ""
registry = RegistryAddress(model_name={MODEL!r}, tracking_uri=config.require("store"))
gate = ReleaseGate(
    "gate",
    ReleaseGateArgs(
        registry=registry,
        stage="production",
        version=version,
        promote_from="staging",
        pinned=bool(version),
        compared_with="production",
        gates=[
            Gate(metric="cv_roc_auc", at_least=0.8, max_drop=0.02),
            *(Gate(**gate) for gate in config.get_object("further_gates") or []),
        ],
    ),
)
stage = ModelStage(
    "stage",
    ModelStageArgs(
        registry=registry,
        stage="production",
        version=gate.version,
        evidence=gate.image.apply(lambda image: {{"image": image}}),
    ),
)
pulumi.export("deployed", pulumi.Output.concat(stage.version, " ", gate.image))
"""
IMAGE = "hr.azurecr.io/attrition-api@sha256:" + "a" * 64


class Production:
    """The stack `production`, in a folder of its own, over a store."""

    def __init__(self, root: Path, store: Store) -> None:
        root.mkdir()
        (root / "__main__.py").write_text(PROGRAM)
        self.config = {"proj:store": store.uri}
        self._project = Project(name="proj", stack="production", root=root, config=self.config)

    @property
    def state(self) -> State:
        return State(self._project.root / "state.json", "only this test knows it")

    def preview(self) -> dict[str, Step]:
        steps = embedded.preview(self._project, self.state, lambda _: None)
        return {step.record.name: step for step in steps}

    def up(self) -> dict[str, str]:
        steps = embedded.apply(self._project, self.state, lambda _: None)
        return {step.record.name: step.operation for step in steps}

    def deployed(self) -> Any:
        return self.state.outputs.get("deployed")


def image(version: str) -> str:
    return IMAGE[:-1] + version


def staged(store: Store, **changes: Any) -> str:
    """Register a release that staging proves; return its version."""
    version = store.add(**changes)
    store.prove(version, "staging", image(version))
    store.point("staging", version)
    return version
