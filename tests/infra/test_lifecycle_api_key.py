import hashlib
import stat
from pathlib import Path

import pytest

from infra.lifecycle.api_key import ApiKeyProvider


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "api.key"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_made_and_kept_in_a_private_file(path: Path) -> None:
    outs = ApiKeyProvider().create({"path": str(path)}).outs
    assert outs is not None
    assert path.read_text() == outs["key"] + "\n"
    assert mode(path) == 0o600
    assert len(outs["key"]) >= 43
    assert outs["sha256"] == hashlib.sha256(outs["key"].encode()).hexdigest()


def test_two_keys_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ApiKeyProvider().create({"path": str(tmp_path / name)})
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_the_key_that_an_interrupted_run_left_is_adopted_and_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("left behind\n")
    path.chmod(0o644)
    outs = ApiKeyProvider().create({"path": str(path)}).outs
    assert outs is not None
    assert outs["key"] == "left behind"
    assert mode(path) == 0o600


def test_an_empty_file_is_no_key(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("\n")
    outs = ApiKeyProvider().create({"path": str(path)}).outs
    assert outs is not None
    assert len(outs["key"]) >= 43


def test_nothing_changes_while_the_file_holds_the_key(path: Path) -> None:
    outs = ApiKeyProvider().create({"path": str(path)}).outs
    assert outs is not None
    assert ApiKeyProvider().diff("api-key", outs, {"path": str(path)}).changes is False


@pytest.mark.parametrize("damage", ["missing", "another key", "empty"])
def test_a_file_without_the_key_is_written_again(path: Path, damage: str) -> None:
    provider = ApiKeyProvider()
    outs = provider.create({"path": str(path)}).outs
    assert outs is not None
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else "mine")
        path.chmod(0o666)
    news = {"path": str(path)}
    assert provider.diff("api-key", outs, news).changes is True
    assert provider.update("api-key", outs, news).outs == outs
    assert path.read_text() == outs["key"] + "\n"
    assert mode(path) == 0o600


def test_the_key_moves_with_its_path(path: Path, tmp_path: Path) -> None:
    provider = ApiKeyProvider()
    outs = provider.create({"path": str(path)}).outs
    news = {"path": str(tmp_path / "elsewhere" / "key")}
    assert outs is not None
    assert provider.diff("api-key", outs, news).changes is True
    moved = provider.update("api-key", outs, news).outs
    assert moved == {**outs, **news}
    assert not path.exists()
    assert Path(news["path"]).read_text() == outs["key"] + "\n"


def test_delete_removes_the_file_and_may_be_repeated(path: Path) -> None:
    provider = ApiKeyProvider()
    outs = provider.create({"path": str(path)}).outs
    assert outs is not None
    for _ in range(2):
        provider.delete("api-key", outs)
        assert not path.exists()
