"""Who uses the shared stack, and that it cannot be destroyed under their feet."""

from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import MODEL, Store
from lifecycle_unity_catalog import TOKEN, UnityCatalog, serving
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import Unknown

from infra.lifecycle import (
    RegistryAddress,
    SharedGuard,
    SharedGuardArgs,
    SharedUse,
    SharedUseArgs,
)
from infra.lifecycle.errors import RegistryError, StillUsedError
from infra.lifecycle.shared_use import SharedGuardProvider, SharedUseProvider
from tests.recorder import record

USE, GUARD = SharedUseProvider(), SharedGuardProvider()


def use(store: Store, stage: str = "staging") -> dict[str, Any]:
    return {"registry": store.address, "stage": stage}


def test_shared_is_held_until_every_environment_has_gone(store: Store) -> None:
    guard = {"registry": store.address}
    assert GUARD.create(guard).outs == guard
    GUARD.delete("guard", guard)
    USE.create(use(store, "staging"))
    assert USE.create(use(store, "production")).id == f"{MODEL}@production"
    with pytest.raises(StillUsedError, match="still used by production, staging: destroy that"):
        GUARD.delete("guard", guard)
    USE.delete("id", use(store, "production"))
    with pytest.raises(StillUsedError, match=r"used by staging: .*`pulumi destroy -s staging`"):
        GUARD.delete("guard", guard)
    USE.delete("id", use(store, "staging"))
    GUARD.delete("guard", guard)


def test_a_mark_is_left_once_and_taken_away_once(store: Store) -> None:
    for _ in range(2):
        USE.create(use(store))
    assert store.registry.uses() == ["staging"]
    for _ in range(2):
        USE.delete("id", use(store))
    assert store.registry.uses() == []


def test_a_store_that_was_deleted_holds_nobody_and_is_not_made_anew(store: Store) -> None:
    USE.create(use(store))
    store.path.unlink()
    USE.delete("id", use(store))
    GUARD.delete("guard", {"registry": store.address})
    assert not store.path.exists()


def test_in_unity_catalog_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_AUTH_TYPE"):
        # Set and removed: what the registry sets is then given back as well.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    configured = ConfigureRequest(Config({"databricks:token": TOKEN}, "project"))
    use, guard = SharedUseProvider(), SharedGuardProvider()
    use.configure(configured)
    guard.configure(configured)
    catalog = UnityCatalog()
    with serving(catalog):
        props = {"registry": catalog.address, "stage": "staging"}
        use.create(props)
        with pytest.raises(StillUsedError, match="used by staging"):
            guard.delete("guard", {"registry": catalog.address})
        use.delete("id", props)
        guard.delete("guard", {"registry": catalog.address})
    assert catalog.unknown == []


def test_a_registry_that_cannot_tell_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    guard = {"registry": Store(tmp_path / "mlflow.db").address}
    with pytest.raises(RegistryError, match=r"cannot be told: .*\n.*`pulumi state delete`"):
        GUARD.delete("guard", guard)


def test_a_mark_moves_with_its_registry_and_its_stage(store: Store) -> None:
    olds, unknown = use(store), Unknown()
    assert USE.diff("id", olds, use(store)).changes is False
    other = USE.diff("id", olds, use(store, "production"))
    assert (other.replaces, other.delete_before_replace) == (["stage"], True)
    moved = USE.diff("id", olds, {**olds, "registry": {**store.address, "host": "https://other"}})
    assert (moved.changes, moved.replaces) == (True, ["registry"])
    for registry in (unknown, {**store.address, "host": unknown}):
        assert USE.diff("id", olds, {**olds, "registry": registry}).changes is False


def test_a_guard_learns_a_new_address_without_being_replaced(store: Store) -> None:
    """A replacement would delete the old guard, and refuse while an environment is there."""
    olds = {"registry": store.address}
    news = {"registry": {**store.address, "host": "https://other"}}
    result = GUARD.diff("guard", olds, news)
    assert result.changes is True
    assert not result.replaces
    assert GUARD.update("guard", olds, news).outs == news
    assert GUARD.diff("guard", olds, olds).changes is False


def test_what_the_program_declares() -> None:
    def program() -> None:
        address = RegistryAddress(model_name=MODEL, tracking_uri="databricks", host="https://x")
        SharedUse("use", SharedUseArgs(registry=address, stage="staging"))
        SharedGuard("guard", SharedGuardArgs(registry=address))

    recorded = record(program)
    registry = recorded["guard"].inputs["registry"]
    assert registry["host"] == "https://x"
    assert recorded["use"].inputs == {"registry": registry, "stage": "staging"}
    assert recorded["use"].type == "pulumi-python:dynamic/lifecycle:SharedUse"
