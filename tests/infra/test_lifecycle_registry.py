"""The registry over a real SQLite store of MLflow."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle_store import FIGURES, MODEL, Store

from infra.lifecycle.errors import RegistryError
from infra.lifecycle.registry import Registry, Release


def test_a_release_is_what_its_tags_say(store: Store) -> None:
    version = store.add("f1")
    assert store.registry.release(version) == Release(
        version="1", run_id="", fingerprint="f1", bundle_sha256="sha-of-f1", metrics=FIGURES
    )


def test_a_release_is_found_by_its_fingerprint(store: Store) -> None:
    store.add("f1")
    store.add("f2")
    found = store.registry.find("f2")
    assert found is not None
    assert found.version == "2"


def test_of_equal_fingerprints_the_newest_version_by_number_is_found(store: Store) -> None:
    for _ in range(11):
        store.add("same")
    found = store.registry.find("same")
    assert found is not None
    assert found.version == "11"


@pytest.mark.parametrize("fingerprint", ["f", "f12", "F1", ""])
def test_another_fingerprint_is_not_found(store: Store, fingerprint: str) -> None:
    store.add("f1")
    assert store.registry.find(fingerprint) is None


def test_a_store_without_the_model_has_no_release_and_no_stage(store: Store) -> None:
    other = Registry(store.uri, "another-model")
    assert other.find("f1") is None
    assert other.at_stage("local") is None


def test_a_stage_points_at_nothing_until_it_is_moved(store: Store) -> None:
    version = store.add()
    assert store.registry.at_stage("local") is None
    store.registry.move_stage("local", version, {"records": 5.0})
    at_stage = store.registry.at_stage("local")
    assert at_stage is not None
    assert at_stage.version == version
    assert store.registry.at_stage("production") is None


def test_moving_a_stage_leaves_the_evidence_on_the_version(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    store.registry.move_stage("local", first, {"b": 1.0, "a": 2.0})
    store.registry.move_stage("local", second, {"records": 5.0})
    assert store.stages() == {"local": second}
    assert store.tags(first)["proven.local"] == '{"a": 2.0, "b": 1.0}'
    assert store.tags(second)["proven.local"] == '{"records": 5.0}'
    assert store.registry.release(first).metrics == FIGURES


def test_clearing_a_stage_leaves_others_alone(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    store.point("local", first)
    store.point("production", first)
    store.registry.clear_stage("local", second)
    assert store.stages() == {"local": first, "production": first}
    store.registry.clear_stage("local", first)
    assert store.stages() == {"production": first}
    store.registry.clear_stage("local", first)
    assert store.stages() == {"production": first}


@pytest.mark.parametrize("version", ["9", "not a number"])
def test_a_missing_version_is_named_with_store_and_model(store: Store, version: str) -> None:
    with pytest.raises(RegistryError) as caught:
        store.registry.release(version)
    for part in (store.uri, repr(MODEL), f"version {version}"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stage_cannot_be_moved_to_a_missing_version(store: Store) -> None:
    version = store.add()
    store.point("local", version)
    with pytest.raises(RegistryError, match=r"alias local: .*9"):
        store.registry.move_stage("local", "9", {})
    assert store.stages() == {"local": version}


@pytest.mark.parametrize("tag", ["fingerprint", "bundle_sha256", "metrics"])
def test_a_version_of_another_program_is_no_release(store: Store, tag: str) -> None:
    version = store.add(without=tag)
    with pytest.raises(
        RegistryError, match=rf"version 1 is not a release of this program: it has no tag '{tag}'"
    ):
        store.registry.release(version)


def test_a_stage_on_a_version_of_another_program_is_an_error(store: Store) -> None:
    store.point("local", store.add(without="metrics"))
    with pytest.raises(RegistryError, match="not a release"):
        store.registry.at_stage("local")


def test_a_bundle_is_copied(store: Store, tmp_path: Path) -> None:
    bundle = tmp_path / "model" / "artifacts" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    version = store.add(source=tmp_path / "model")
    (tmp_path / "target").mkdir()
    fetched = store.registry.fetch_bundle(version, tmp_path / "target")
    assert fetched.is_relative_to(tmp_path / "target")
    assert (fetched / "manifest.json").read_text() == "{}"
    assert (bundle / "manifest.json").exists()


def test_a_bundle_whose_files_are_gone_is_an_error(store: Store, tmp_path: Path) -> None:
    version = store.add(source=tmp_path / "gone")
    with pytest.raises(RegistryError, match="version 1"):
        store.registry.fetch_bundle(version, tmp_path)


QUESTIONS: list[Callable[[Registry], object]] = [
    lambda registry: registry.find("f"),
    lambda registry: registry.release("1"),
    lambda registry: registry.at_stage("local"),
    lambda registry: registry.move_stage("local", "1", {}),
]


@pytest.mark.parametrize("ask", QUESTIONS, ids=["find", "release", "at_stage", "move_stage"])
def test_a_file_that_is_no_store_is_an_error(
    tmp_path: Path, store: Store, ask: Callable[[Registry], object]
) -> None:
    (tmp_path / "other.db").write_text("no database, " * 100)
    with pytest.raises(RegistryError, match=r"other\.db, model .*file is not a database"):
        ask(Registry(f"sqlite:///{tmp_path / 'other.db'}", MODEL))


def test_a_locked_store_is_an_error_that_says_what_to_do(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    other = sqlite3.connect(store.path)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RegistryError, match="database is locked; another program holds the"):
            # A store that this process opens for the first time waits for 5 s; here for less.
            Registry(f"{store.uri}?timeout=0.2", MODEL).release("1")
    finally:
        other.close()
    assert "Traceback" not in capfd.readouterr().err
