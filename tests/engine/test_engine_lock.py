"""One run at a time: who holds the lock, and who left it behind."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_children import end, line, python

from engine.errors import EngineError
from engine.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from engine.lock import exclusive
with exclusive(Path(sys.argv[1]), "make up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "test.lock"


@pytest.fixture
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = python(HOLD, path)
    assert line(process) == "held"
    yield process
    end(process)


def test_the_first_run_finds_nobody(path: Path) -> None:
    with exclusive(path, "make up") as left_by:
        assert left_by is None
        assert path.exists()


def test_a_run_after_another_finds_nobody(path: Path) -> None:
    for _ in range(2):
        with exclusive(path, "make up") as left_by:
            assert left_by is None


def test_a_second_run_is_refused_with_process_and_command(
    path: Path, holder: "subprocess.Popen[str]"
) -> None:
    with (
        pytest.raises(EngineError, match=rf"process {holder.pid} on .* since .* \(make up\)"),
        exclusive(path, "make down"),
    ):
        pytest.fail("two runs at once")


def test_who_is_refused_does_not_take_the_note_away(
    path: Path, holder: "subprocess.Popen[str]"
) -> None:
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(EngineError, match=str(holder.pid)), exclusive(path, "make down"):
            pytest.fail("two runs at once")
    assert path.read_bytes() == before


def test_a_lock_whose_note_is_not_written_yet_is_refused_too(
    path: Path, holder: "subprocess.Popen[str]"
) -> None:
    path.write_text("")
    with (
        pytest.raises(EngineError, match="one that has just begun"),
        exclusive(path, "make down"),
    ):
        pytest.fail("two runs at once")


def test_the_lock_of_a_killed_run_is_taken_over_and_its_process_named(
    path: Path, holder: "subprocess.Popen[str]"
) -> None:
    end(holder)
    with exclusive(path, "make up") as left_by:
        assert left_by is not None
        assert f"process {holder.pid} on " in left_by
        assert "(make up)" in left_by
    with exclusive(path, "make up") as left_by:
        assert left_by is None


def test_a_run_that_failed_leaves_nothing_behind(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(path, "make up"):
        raise ZeroDivisionError
    with exclusive(path, "make up") as left_by:
        assert left_by is None


def test_a_child_of_a_killed_run_does_not_keep_its_lock(path: Path) -> None:
    """The API outlives `make up`: it must not inherit the lock."""
    code = HOLD.replace(
        "    print(",
        "    import subprocess; child = subprocess.Popen(['sleep', '60'])\n"
        "    print(child.pid, flush=True)\n    print(",
    )
    process = python(code, path)
    child = int(line(process))
    assert line(process) == "held"
    process.kill()
    process.wait()
    try:
        with exclusive(path, "make up") as left_by:
            assert left_by is not None
    finally:
        subprocess.run(["kill", str(child)], check=True)
        process.communicate()


@pytest.mark.parametrize("note", ["{", "[]", '{"pid": 1}', "null", "text"])
def test_an_unreadable_note_is_nobody(path: Path, note: str) -> None:
    path.parent.mkdir()
    path.write_text(note)
    with exclusive(path, "make up") as left_by:
        assert left_by is None


def test_a_lock_that_cannot_be_written_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(EngineError, match=r"test\.lock"), exclusive(path, "make up"):
        pytest.fail("no lock was had")
