"""The registry over a real SQLite store of MLflow."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle_store import FIGURES, MODEL, Store, address

from contract.release import ReleaseError, check_tag
from infra.lifecycle.errors import NoSuchReleaseError, RegistryError
from infra.lifecycle.registry import Registry, RegistryAddress, Release


def test_a_release_is_what_its_tags_say(store: Store) -> None:
    version = store.add("f1")
    assert store.registry.release(version) == Release(
        version="1",
        run_id="",
        fingerprint="f1",
        bundle_sha256=store.tags(version)["bundle_sha256"],
        metrics=FIGURES,
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
    other = Registry(address(store.uri, "another-model"))
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
    assert store.tags(first)["proven_local"] == '{"a": 2.0, "b": 1.0}'
    assert store.tags(second)["proven_local"] == '{"records": 5.0}'
    assert store.registry.release(first).metrics == FIGURES


IMAGE = "registry.example/api@sha256:" + "a" * 64


def test_a_proof_is_what_the_stage_left(store: Store) -> None:
    version = store.add()
    assert store.registry.proof(version, "staging") == {}
    store.registry.move_stage("staging", version, {"image": IMAGE})
    assert store.registry.proof(version, "staging") == {"image": IMAGE}
    assert store.registry.proof(version, "production") == {}


def test_a_proof_that_is_no_object_proves_nothing(store: Store) -> None:
    version = store.add()
    store.tag(version, "proven_staging", '"yes"')
    assert store.registry.proof(version, "staging") == {}


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ({"image": IMAGE, "records": 1}, {"image": IMAGE, "records": 2}, 1),
        ({"image": IMAGE, "records": 1}, {"image": f"{IMAGE[:-1]}b", "records": 2}, 2),
        ({"records": 1}, {"image": IMAGE, "records": 2}, 2),
        ({"records": 1}, {"records": 2}, 2),
    ],
    ids=["same image", "another image", "the first image", "no image"],
)
def test_a_proof_of_the_same_image_stays(
    store: Store, first: dict[str, object], second: dict[str, object], kept: int
) -> None:
    version = store.add()
    for evidence in (first, second):
        store.registry.move_stage("staging", version, evidence)
    assert store.registry.proof(version, "staging")["records"] == kept


# Notes of moves


def moved(store: Store, version: str, stage: str = "staging") -> list[str]:
    prefix = f"moved_{stage}_"
    return sorted(key.removeprefix(prefix) for key in store.tags(version) if key.startswith(prefix))


def test_a_move_is_noted_on_the_version(store: Store) -> None:
    version = store.add()
    entry = {"who": "someone", "from": "", "to": version, "why": "x", "when": "20260101T000000Z"}
    store.registry.move_stage("staging", version, {}, entry)
    assert json.loads(store.tags(version)["moved_staging_20260101T000000Z"]) == entry


def test_the_ten_newest_notes_of_a_stage_are_kept(store: Store) -> None:
    version = store.add()
    # A stage whose name begins like the other's, and somebody's own tag, are left alone.
    others = {"moved_staging_eu_20200101T000000Z", "moved_staging_by_hand"}
    for key in others:
        store.tag(version, key, "{}")
    for day in range(10, 23):
        entry = {"when": f"202601{day}T000000Z"}
        store.registry.move_stage("staging", version, {}, entry)
        assert len(moved(store, version)) <= 12
    assert [note[6:8] for note in moved(store, version) if note[0] == "2"] == [
        str(day) for day in range(13, 23)
    ]
    assert others <= store.tags(version).keys()


def test_a_move_is_noted_before_the_alias_moves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.add()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.MlflowClient.set_registered_model_alias", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.registry.move_stage("staging", version, {}, {"when": "20260101T000000Z"})
    assert store.stages() == {}
    assert moved(store, version) == ["20260101T000000Z"]


# Tags


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("proven_a.b", "", "tag 'proven_a.b': its key contains '.', which Unity Catalog refuses"),
        ("a-b=c", "", "contains '- ='"),
        ("a,b", "", "contains ','"),
        ("a/b", "", "contains '/'"),
        ("a:b", "", "contains ':'"),
        ("", "", "tag '': its key is empty"),
        (" a", "", "is empty or ends in a space"),
        ("a" * 256, "", "its key has 256 characters; at most 255"),
        ("a", "x" * 1001, "tag 'a': its value has 1001 characters; at most 1000"),
    ],
    ids=lambda value: value[:12],
)
def test_a_tag_that_unity_catalog_would_refuse_is_named(key: str, value: str, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_tag(key, value)
    assert message in str(caught.value)


def test_a_tag_at_its_limits_passes() -> None:
    check_tag("a_Z 9" + "x" * 250, ".,-=/:" + "x" * 994)


def test_evidence_too_long_for_a_tag_is_an_error_that_moves_nothing(store: Store) -> None:
    version = store.add()
    with pytest.raises(RegistryError, match=r"alias staging: tag 'proven_staging': its value has"):
        store.registry.move_stage("staging", version, {"text": "x" * 1000})
    assert store.stages() == {}
    assert "proven_staging" not in store.tags(version)


# Who uses the model


def test_users_of_the_model_are_named_and_forgotten(store: Store) -> None:
    registry = store.registry
    assert registry.uses() == []
    registry.mark_use("staging", "hr-staging")
    registry.mark_use("production", "hr-production")
    registry.mark_use("production", "again")
    assert registry.uses() == ["production", "staging"]
    for _ in range(2):
        registry.clear_use("staging")
        assert registry.uses() == ["production"]


def test_a_model_that_is_missing_has_no_users(store: Store) -> None:
    registry = Registry(address(store.uri, "another-model"))
    assert registry.uses() == []
    registry.clear_use("staging")
    with pytest.raises(RegistryError, match=r"use by staging: .*another-model"):
        registry.mark_use("staging", "x")


def test_an_address_is_stored_whole() -> None:
    stored = RegistryAddress(model_name="m", tracking_uri="t", host="h").props()
    assert stored == {
        "model_name": "m",
        "tracking_uri": "t",
        "registry_uri": "",
        "host": "h",
        "azure_resource_id": "",
    }


def test_a_registry_beside_the_tracking_store_is_the_one_that_is_asked(
    store: Store, tmp_path: Path
) -> None:
    version = store.add("f1")
    elsewhere = {**address(f"sqlite:///{tmp_path / 'none.db'}"), "registry_uri": store.uri}
    assert Registry(elsewhere).release(version).fingerprint == "f1"


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


@pytest.mark.parametrize(
    ("versions", "known"),
    [
        (0, "there is none yet"),
        (2, "there are 2, 1"),
        (12, "there are 12, 11, 10, 9, 8, 7, 6, 5, 4, 3"),
    ],
)
def test_a_missing_version_comes_with_the_newest_that_there_are(
    store: Store, versions: int, known: str
) -> None:
    for _ in range(versions):
        store.add()
    with pytest.raises(RegistryError, match=rf"version 99: not found; {known}$") as caught:
        store.registry.release("99")
    assert isinstance(caught.value, NoSuchReleaseError) == (versions > 0)


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


@pytest.mark.parametrize("text", ["", "{", "[0.9]", "0.9", '{"a": "0.9"}', '{"a": true}'])
def test_figures_that_are_no_numbers_are_an_error(store: Store, text: str) -> None:
    version = store.add()
    store.tag(version, "metrics", text)
    message = r"version 1: its tag 'metrics' is no JSON object of numbers; restore it, train again"
    with pytest.raises(RegistryError, match=message):
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
        ask(Registry(address(f"sqlite:///{tmp_path / 'other.db'}")))


def test_a_locked_store_is_an_error_that_says_what_to_do(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    other = sqlite3.connect(store.path)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RegistryError, match="database is locked; another program holds the"):
            # A store that this process opens for the first time waits for 5 s; here for less.
            Registry(address(f"{store.uri}?timeout=0.2")).release("1")
    finally:
        other.close()
    assert "Traceback" not in capfd.readouterr().err
