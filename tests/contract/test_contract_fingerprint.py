"""Hashes that decide what runs again: everything that counts does, and nothing else."""

import os
from pathlib import Path
from typing import Any

import pytest

from contract.fingerprint import (
    TRAINING_CODE,
    CodeError,
    canonical_json,
    code_sha256,
    fingerprint,
    release_fingerprint,
)
from tests.recorder import ROOT


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "inner" / "module.py").write_text("x = 1\n")
    return tmp_path / "one"


def digest() -> str:
    return code_sha256(["one", "two"])


def test_dates_byte_code_order_and_other_files_do_not_count(package: Path) -> None:
    before = digest()
    os.utime(package / "__init__.py", (0, 0))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "module.pyc").write_bytes(b"x")
    (package / "notes.md").write_text("x")
    assert digest() == before
    assert code_sha256(("two", "one")) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "change", ["content", "line ends", "new", "renamed", "moved", "removed", "deep"]
)
def test_every_change_of_the_code_counts(package: Path, change: str) -> None:
    before = digest()
    module = package / "inner" / "module.py"
    match change:
        case "content":
            module.write_text("x = 2\n")
        case "line ends":
            module.write_bytes(b"x = 1\r\n")
        case "new":
            (package / "new.py").write_text("")
        case "renamed":
            module.rename(package / "inner" / "other.py")
        case "moved":
            module.rename(package / "module.py")
        case "removed":
            module.unlink()
        case _:
            (package / "inner" / "a" / "b").mkdir(parents=True)
            (package / "inner" / "a" / "b" / "c.py").write_text("")
    assert digest() != before


def test_content_that_wanders_between_files_counts(package: Path) -> None:
    (package / "a.py").write_text("ab")
    (package / "b.py").write_text("c")
    before = digest()
    (package / "a.py").write_text("a")
    (package / "b.py").write_text("bc")
    assert digest() != before


def test_the_order_of_names_does_not_count_and_every_value_does() -> None:
    assert fingerprint(a=1, b={"x": 1, "y": 2}) == fingerprint(b={"y": 2, "x": 1}, a=1)
    values = [
        fingerprint(a=1),
        fingerprint(a=2),
        fingerprint(b=1),
        fingerprint(a="1"),
        fingerprint(a=[1]),
        fingerprint(a=None),
        fingerprint(),
    ]
    assert len(set(values)) == len(values)


def test_other_files_count_where_a_pattern_says_so(package: Path) -> None:
    def served() -> str:
        return code_sha256(["one"], patterns=("*.py", "page/*"))

    before = served()
    assert before == code_sha256(["one"])
    (package / "notes.md").write_text("x")
    (package / "page" / "folder").mkdir(parents=True)
    assert served() == before
    (package / "page" / "page.css").write_text("x")
    assert served() != before


def test_a_package_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CodeError, match=r"no folder 'missing' in .* to hash"):
        code_sha256(["one", "missing"])


def test_where_the_code_lies_does_not_count(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The uploaded code has the hash of the project's."""
    before = digest()
    monkeypatch.chdir("/")
    assert code_sha256(["one", "two"], package.parent) == before


def test_the_training_code_is_there() -> None:
    assert len(code_sha256(TRAINING_CODE, ROOT)) == 64


def test_the_same_number_is_written_in_one_way() -> None:
    """What a person wrote as 7 the engine hands over as 7.0."""
    assert canonical_json({"b": [1.0, 2.5], "a": {"c": 7.0}, "d": True}) == (
        '{"a": {"c": 7}, "b": [1, 2.5], "d": true}'
    )
    assert fingerprint(a={"b": (7.0,)}) == fingerprint(a={"b": [7]})
    assert fingerprint(a=1) != fingerprint(a=True)


def test_everything_that_decides_a_release_counts() -> None:
    def of(**changes: Any) -> str:
        parts: Any = {"code": "c", "data": "d", "parameters": {"seed": 7}, "retrain": ""}
        return release_fingerprint(**{**parts, **changes})

    changes: list[dict[str, Any]] = [
        {},
        {"code": "x"},
        {"data": "x"},
        {"parameters": {}},
        {"retrain": "x"},
    ]
    assert len({of(**change) for change in changes}) == len(changes)
    assert of() == release_fingerprint(code="c", data="d", parameters={"seed": 7.0})
