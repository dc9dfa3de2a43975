import hashlib
import stat
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.lifecycle.api_key import ApiKey, ApiKeyArgs, ApiKeyProvider
from tests.recorder import Recorder, record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "api.key"


def inputs(path: object = "", rotation: str = "") -> dict[str, Any]:
    return {"path": str(path), "rotation": rotation}


def made(props: dict[str, Any]) -> dict[str, Any]:
    outs = ApiKeyProvider().create(props).outs
    assert outs is not None
    return outs


def updated(olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    assert ApiKeyProvider().diff("api-key", olds, news).changes is True
    outs = ApiKeyProvider().update("api-key", olds, news).outs
    assert outs is not None
    assert ApiKeyProvider().diff("api-key", outs, news).changes is False
    return outs


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_and_kept_in_a_private_file(path: Path) -> None:
    outs = made(inputs(path))
    assert path.read_text() == outs["key"] + "\n"
    assert mode(path) == 0o600
    assert len(outs["key"]) >= 43
    assert outs["sha256"] == outs["accepted_sha256"] == sha256(outs["key"])


def test_two_keys_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made(inputs(tmp_path / name))
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_the_key_that_an_interrupted_run_left_is_adopted_and_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("left behind\n")
    path.chmod(0o644)
    outs = made(inputs(path))
    assert outs["key"] == "left behind"
    assert mode(path) == 0o600


def test_an_empty_file_is_no_key(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("\n")
    outs = made(inputs(path))
    assert len(outs["key"]) >= 43


def test_nothing_changes_while_the_file_holds_the_key(path: Path) -> None:
    outs = made(inputs(path))
    assert ApiKeyProvider().diff("api-key", outs, inputs(path)).changes is False


@pytest.mark.parametrize("damage", ["missing", "another key", "empty"])
def test_a_file_without_the_key_is_written_again(path: Path, damage: str) -> None:
    outs = made(inputs(path))
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else "mine")
        path.chmod(0o666)
    assert updated(outs, inputs(path)) == outs
    assert path.read_text() == outs["key"] + "\n"
    assert mode(path) == 0o600


def test_the_key_moves_with_its_path(path: Path, tmp_path: Path) -> None:
    outs = made(inputs(path))
    news = inputs(tmp_path / "elsewhere" / "key")
    assert updated(outs, news) == {**outs, **news}
    assert not path.exists()
    assert Path(news["path"]).read_text() == outs["key"] + "\n"


def test_delete_removes_the_file_and_may_be_repeated(path: Path) -> None:
    outs = made(inputs(path))
    for _ in range(2):
        ApiKeyProvider().delete("api-key", outs)
        assert not path.exists()


# Without a file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_path_nothing_is_written(folder: Path) -> None:
    outs = made(inputs())
    assert len(outs["key"]) >= 43
    assert outs["path"] == ""
    assert outs["accepted_sha256"] == sha256(outs["key"])
    assert ApiKeyProvider().diff("api-key", outs, inputs()).changes is False
    rotated = updated(outs, inputs(rotation="1"))
    ApiKeyProvider().delete("api-key", rotated)
    assert list(folder.iterdir()) == []


def test_a_key_leaves_its_file_and_comes_back(path: Path) -> None:
    outs = made(inputs(path))
    hidden = updated(outs, inputs())
    assert hidden["key"] == outs["key"]
    assert not path.exists()
    assert updated(hidden, inputs(path)) == outs
    assert path.read_text() == outs["key"] + "\n"


# Rotation


@pytest.mark.parametrize("where", ["in a file", "in the state"])
def test_a_rotation_makes_a_new_key_and_accepts_the_previous_one(path: Path, where: str) -> None:
    place = path if where == "in a file" else ""
    first = made(inputs(place))
    second = updated(first, inputs(place, "june"))
    assert second["key"] != first["key"]
    assert second["rotation"] == "june"
    assert second["sha256"] == sha256(second["key"])
    assert second["accepted_sha256"] == f"{second['sha256']},{first['sha256']}"
    if place:
        assert path.read_text() == second["key"] + "\n"
    third = updated(second, inputs(place, "july"))
    assert third["accepted_sha256"] == f"{third['sha256']},{second['sha256']}"


def test_the_previous_key_is_still_accepted_after_the_file_was_written_again(path: Path) -> None:
    rotated = updated(made(inputs(path)), inputs(path, "june"))
    path.unlink()
    assert updated(rotated, inputs(path, "june")) == rotated


def test_a_first_key_may_have_a_rotation(path: Path) -> None:
    outs = made(inputs(path, "june"))
    assert outs["accepted_sha256"] == outs["sha256"]
    assert ApiKeyProvider().diff("api-key", outs, inputs(path, "june")).changes is False


def test_a_state_of_another_shape_keeps_its_key(path: Path) -> None:
    """Version 0.1.0 knew neither rotations nor what is accepted."""
    outs = made(inputs(path))
    olds = {key: outs[key] for key in ("path", "key", "sha256")}
    assert updated(olds, inputs(path)) == outs
    rotated = updated(olds, inputs(path, "june"))
    assert rotated["accepted_sha256"].endswith("," + outs["sha256"])


def test_the_key_is_a_secret_and_the_hashes_are_not() -> None:
    def program() -> None:
        key = ApiKey("key", ApiKeyArgs())
        pulumi.export("key", key.key)
        pulumi.export("sha256", key.sha256)
        pulumi.export("accepted", key.accepted_sha256)

    answers = {"key": "k", "sha256": "s", "accepted_sha256": "s"}
    recorded = record(program, Recorder(made={"key": answers}))
    assert recorded["key"].inputs == inputs()
    assert recorded.outputs == {"key": "k", "sha256": "s", "accepted": "s"}
    assert recorded.secret_outputs == {"key"}
