import os
from pathlib import Path

import pytest

from infra.lifecycle.errors import LifecycleError
from infra.lifecycle.fingerprint import code_sha256, fingerprint


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


def test_a_package_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LifecycleError, match=r"no folder 'missing' in .* to hash"):
        code_sha256(["one", "missing"])
