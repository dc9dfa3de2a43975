"""Promotion as an engine sees it: what a preview names, what an `up` moves, and the way back."""

from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import MODEL, Store

from engine import embedded
from engine.embedded import Step
from engine.errors import EngineError
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
        gates=[Gate(metric="cv_roc_auc", at_least=0.8, max_drop=0.02)],
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


@pytest.fixture
def production(tmp_path: Path, store: Store) -> Production:
    return Production(tmp_path / "production", store)


def image(version: str) -> str:
    return IMAGE[:-1] + version


def staged(store: Store, **changes: Any) -> str:
    """Register a release that staging proves; return its version."""
    version = store.add(**changes)
    store.prove(version, "staging", image(version))
    store.point("staging", version)
    return version


def test_before_staging_a_preview_says_so_and_an_up_stops(
    production: Production, store: Store
) -> None:
    store.add()
    message = "staging has proven nothing yet: run `pulumi up -s staging` first"
    planned = production.preview()
    assert planned["gate"].changed["verdicts"] == [message]
    assert "version" not in planned["gate"].record.inputs
    with pytest.raises(EngineError, match=message):
        production.up()
    assert production.state.records == []
    assert "production" not in store.stages()


def test_the_first_preview_names_the_release_in_every_resource(
    production: Production, store: Store
) -> None:
    version = staged(store)
    planned = production.preview()
    assert {step.operation for step in planned.values()} == {"create"}
    assert planned["gate"].changed["version"] == version
    assert planned["gate"].changed["metrics"] == {"cv_roc_auc": 0.82, "cv_brier": 0.1}
    assert planned["stage"].changed["version"] == version
    assert planned["stage"].changed["evidence"] == {"image": image(version)}


def test_a_release_flows_through_and_a_second_up_changes_nothing(
    production: Production, store: Store
) -> None:
    version = staged(store)
    assert production.up() == {"gate": "create", "stage": "create"}
    assert production.deployed() == f"{version} {image(version)}"
    assert store.stages()["production"] == version
    before = store.tags(version)
    assert production.up() == {"gate": "same", "stage": "same"}
    assert store.tags(version) == before


def test_the_next_release_is_named_by_a_preview_and_brought_by_an_up(
    production: Production, store: Store
) -> None:
    staged(store)
    production.up()
    second = staged(store)
    planned = production.preview()
    assert {step.operation for step in planned.values()} == {"update"}
    assert planned["gate"].changed["version"] == second
    assert planned["stage"].changed == {
        "version": second,
        "evidence": {"image": image(second)},
    }
    assert store.stages()["production"] == "1"
    production.up()
    assert production.deployed() == f"{second} {image(second)}"
    assert store.stages()["production"] == second


def test_a_worse_release_stops_at_the_gate_and_the_old_one_stays(
    production: Production, store: Store
) -> None:
    first = staged(store)
    production.up()
    staged(store, figures={"cv_roc_auc": 0.7})
    failing = "cv_roc_auc 0.7000, at least 0.8000: FAILS"
    assert failing in production.preview()["gate"].changed["verdicts"]
    for _ in range(2):
        with pytest.raises(EngineError, match=failing):
            production.up()
    assert production.deployed() == f"{first} {image(first)}"
    assert store.stages()["production"] == first


def test_a_rollback_by_config_brings_back_the_version_and_its_image(
    production: Production, store: Store
) -> None:
    first = staged(store)
    production.up()
    staged(store)
    production.up()
    production.config["proj:releaseVersion"] = first
    assert production.up() == {"gate": "update", "stage": "update"}
    assert production.deployed() == f"{first} {image(first)}"
    assert store.stages() == {"staging": "2", "production": first}
    assert production.up() == {"gate": "same", "stage": "same"}
    del production.config["proj:releaseVersion"]
    production.up()
    assert production.deployed() == f"2 {image('2')}"


def test_an_unproven_pin_is_refused(production: Production, store: Store) -> None:
    first = staged(store)
    production.up()
    production.config["proj:releaseVersion"] = store.add()
    with pytest.raises(EngineError, match=r"release 2 of .* may not reach the stage 'production'"):
        production.up()
    assert production.deployed() == f"{first} {image(first)}"


def test_a_preview_goes_on_when_the_registry_is_out_of_order(
    production: Production, store: Store
) -> None:
    staged(store)
    production.up()
    store.path.write_text("no database, " * 100)
    planned = production.preview()
    assert {name: step.operation for name, step in planned.items()} == {
        "gate": "update",
        "stage": "update",
    }
    assert "verdicts" not in planned["gate"].record.inputs
    with pytest.raises(EngineError, match="not a database"):
        production.up()
