"""Promotion as an engine sees it: what a preview names, what an `up` moves, and the way back."""

import pytest
from lifecycle_production import Production, image, staged
from lifecycle_store import Store

from engine.errors import EngineError


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


def test_a_release_that_is_not_there_is_refused_by_the_preview(
    production: Production, store: Store
) -> None:
    first = staged(store)
    production.up()
    production.config["proj:releaseVersion"] = "99"
    with pytest.raises(EngineError, match=r"gate.*, version: .*version 99: not found; there are 1"):
        production.preview()
    assert production.deployed() == f"{first} {image(first)}"


def test_a_registry_without_a_release_may_be_about_to_get_one(production: Production) -> None:
    production.config["proj:releaseVersion"] = "99"
    assert "verdicts" not in production.preview()["gate"].record.inputs
    with pytest.raises(EngineError, match="version 99: not found; there is none yet"):
        production.up()


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
