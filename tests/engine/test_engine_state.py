"""The state file: whole or not at all, and never overwritten when it cannot be read."""

import json
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError
from engine.state import Record, State, passphrase_file

PASSPHRASE = "a passphrase"


def record(name: str, **more: Any) -> Record:
    return Record(urn=f"urn:{name}", type="t:m:T", name=name, custom=True, **more)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a state file with a secret in it."""
    path = tmp_path_factory.mktemp("state") / "state.json"
    state = State(path, PASSPHRASE)
    state.outputs, state.secret_outputs = {"key": "hush", "plain": 1.0}, ["key"]
    state.records = [record("a", inputs={"x": "hush", "y": [1.0]}, secrets=["x"]), record("b")]
    state.save()
    return path.read_bytes()


# Reading back


def test_what_is_saved_is_read_back(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(written)
    state = State(path, PASSPHRASE)
    assert state.outputs == {"key": "hush", "plain": 1.0}
    assert state.secret_outputs == ["key"]
    assert state.records == [
        record("a", inputs={"x": "hush", "y": [1.0]}, secrets=["x"]),
        record("b"),
    ]
    assert b"hush" not in written


def test_a_missing_file_is_an_empty_state_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "state.json"
    state = State(path, PASSPHRASE)
    assert (state.records, state.outputs) == ([], {})
    assert not path.parent.exists()
    state.save()
    assert path.exists()


def test_the_current_record_is_the_one_that_is_not_pending(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json", PASSPHRASE)
    state.records = [record("a", id="old", pending_delete=True), record("a", id="new")]
    current = state.current("urn:a")
    assert current is not None
    assert current.id == "new"
    assert state.current("urn:b") is None


# What cannot be read


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def just(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _: content


def changed(**changes: Any) -> Any:
    def change(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), **changes}).encode()

    return change


def other_fields(content: bytes) -> bytes:
    return content.replace(b'"custom"', b'"bespoke"')


UNREADABLE: list[Any] = [
    pytest.param(just(b""), "Expecting value", id="empty"),
    pytest.param(truncated, "line", id="truncated"),
    pytest.param(just(b"\xff\xfe"), "utf-8", id="not text"),
    pytest.param(just(b"[]"), "list", id="a list"),
    pytest.param(just(b"null"), "None", id="null"),
    pytest.param(just(b"{}"), "version", id="an empty object"),
    pytest.param(changed(version=2), "version 2, not 1", id="a later version"),
    pytest.param(changed(version="1"), "version 1, not 1", id="a version as text"),
    pytest.param(changed(resources=[{"urn": "x"}]), "not a state file", id="another record"),
    pytest.param(changed(resources=[7]), "not a state file", id="no records"),
    pytest.param(changed(outputs=7), "not a state file", id="no outputs"),
    pytest.param(other_fields, "not a state file .*bespoke", id="other fields"),
    pytest.param(changed(salt="AAAAAAAAAAAAAAAAAAAAAA=="), "another passphrase", id="another salt"),
]
NAKED = [
    pytest.param(just(b'{"version": 1}'), id="no salt"),
    pytest.param(changed(salt="A"), id="a broken salt"),
    pytest.param(changed(salt=7), id="a number as salt"),
]


@pytest.mark.parametrize(("damage", "message"), UNREADABLE)
def test_a_damaged_file_is_named_and_left_as_it_is(
    tmp_path: Path, written: bytes, damage: Any, message: str
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(damage(written))
    before = path.read_bytes()
    with pytest.raises(EngineError, match=rf"state\.json cannot be read: .*{message}.*left as it"):
        State(path, PASSPHRASE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", NAKED)
def test_a_damaged_salt_is_named_too(tmp_path: Path, written: bytes, damage: Any) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(damage(written))
    with pytest.raises(EngineError, match=r"state\.json cannot be read"):
        State(path, PASSPHRASE)


def test_another_passphrase_is_named_and_the_file_left_as_it_is(
    tmp_path: Path, written: bytes
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(written)
    with pytest.raises(EngineError, match="encrypted with another passphrase"):
        State(path, "another")
    assert path.read_bytes() == written


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(EngineError, match="cannot be read"):
        State(tmp_path / "state.json", PASSPHRASE)


# Writing


def test_a_full_disk_keeps_the_old_content_and_says_so(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(written)
    state = State(path, PASSPHRASE)
    (tmp_path / "state.tmp").symlink_to("/dev/full")
    state.records.append(record("c"))
    with pytest.raises(EngineError, match=r"cannot be written: No space left.*keeps what it held"):
        state.save()
    assert path.read_bytes() == written


def test_after_the_disk_was_full_it_can_be_saved(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(written)
    state = State(path, PASSPHRASE)
    (tmp_path / "state.tmp").symlink_to("/dev/full")
    with pytest.raises(EngineError):
        state.save()
    (tmp_path / "state.tmp").unlink()
    state.records = []
    state.save()
    assert State(path, PASSPHRASE).records == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state = State(tmp_path / "other" / "state.json", PASSPHRASE)
    (tmp_path / "other").write_text("in the way")
    with pytest.raises(EngineError, match="cannot be written"):
        state.save()


def _save_for_ever(path: Path, sizes: list[int]) -> None:
    state = State(path, PASSPHRASE)
    while True:
        for size in sizes:
            state.records = [record(str(i), inputs={"x": "y" * 50}) for i in range(size)]
            state.save()


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, sizes = tmp_path / "state.json", [1, 400]
    State(path, PASSPHRASE).save()
    writer = multiprocessing.get_context("fork").Process(
        target=_save_for_ever, args=(path, sizes), daemon=True
    )
    writer.start()
    try:
        seen: list[int] = []
        while len(seen) < 3000 or len(set(seen)) < 3:
            assert writer.is_alive()
            seen.append(len(json.loads(path.read_text())["resources"]))
    finally:
        writer.kill()
        writer.join()
    assert set(seen) == {0, *sizes}


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    State(path, PASSPHRASE).save()
    for _ in range(2):
        writer = multiprocessing.get_context("fork").Process(
            target=_save_for_ever, args=(path, [200]), daemon=True
        )
        before = path.stat().st_mtime_ns
        writer.start()
        while path.stat().st_mtime_ns == before:
            assert writer.is_alive()
        writer.kill()
        writer.join()
        assert len(State(path, PASSPHRASE).records) == 200


# The passphrase


def test_the_passphrase_is_private_and_stays(tmp_path: Path) -> None:
    path = passphrase_file(tmp_path / "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    assert len(first) >= 40
    assert passphrase_file(tmp_path / "new") == path
    assert path.read_text() == first
    assert [p.name for p in path.parent.iterdir()] == ["passphrase"]


def test_two_folders_have_two_passphrases(tmp_path: Path) -> None:
    first, second = (passphrase_file(tmp_path / name).read_text() for name in "ab")
    assert first != second


def test_a_half_written_passphrase_of_a_killed_run_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "passphrase.tmp").write_text("half")
    assert passphrase_file(tmp_path).read_text() != "half"


def test_the_passphrase_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = passphrase_file(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
