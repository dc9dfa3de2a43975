"""What makes training run again, and that nothing is trained twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import FIGURES, MODEL, Store

from infra.lifecycle.errors import TrainingError
from infra.lifecycle.training_run import TrainingRunProvider

PROVIDER = TrainingRunProvider()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a project whose training does nothing: what it trains is not looked at here."""
    root = tmp_path / "project"
    for package in ("contract", "training"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text("")
    (root / "training" / "__main__.py").write_text(
        "import json, pathlib, sys\n"
        "pathlib.Path('arguments.json').write_text(json.dumps(sys.argv[1:]))\n"
        "print('trained')\n"
    )
    (root / "data.csv").write_text("a,b\n")
    monkeypatch.chdir(root)
    return root


def inputs(store: Store | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "model_name": MODEL,
        "tracking_uri": store.uri if store else "sqlite:///nowhere.db",
        "artifacts": "artifacts",
        "data": "data.csv",
        "parameters": {"seed": 7.0},
        "code": ["contract", "training"],
        "retrain": "",
        "log_file": "logs/training.log",
        "timeout_minutes": 1.0,
        **changes,
    }


def checked(props: dict[str, Any]) -> dict[str, Any]:
    result = PROVIDER.check({}, props)
    assert result.failures == []
    return result.inputs


# check


def written(path: Path, text: str) -> dict[str, Any]:
    """Change a file, and no input."""
    path.write_text(text)
    return {}


DECIDES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "data": lambda root: written(root / "data.csv", "a,c\n"),
    "code": lambda root: written(root / "training" / "new.py", ""),
    "parameters": lambda _: {"parameters": {"seed": 8.0}},
    "no parameters": lambda _: {"parameters": {}},
    "retrain": lambda _: {"retrain": "again"},
}
DOES_NOT: dict[str, Callable[[Path], dict[str, Any]]] = {
    "nothing": lambda _: {},
    "where it logs": lambda _: {"log_file": "elsewhere.log"},
    "how long it may take": lambda _: {"timeout_minutes": 2.0},
    "the same bytes from elsewhere": lambda root: {
        "data": str((root / "data.csv").rename(root / "other.csv"))
    },
    "code of other packages": lambda root: written(root / "app.py", ""),
}


@pytest.mark.parametrize("change", DECIDES.values(), ids=DECIDES)
def test_what_decides_the_model_changes_the_fingerprint(
    project: Path, change: Callable[[Path], dict[str, Any]]
) -> None:
    before = checked(inputs())["fingerprint"]
    assert checked(inputs(**change(project)))["fingerprint"] != before


@pytest.mark.parametrize("change", DOES_NOT.values(), ids=DOES_NOT)
def test_nothing_else_does(project: Path, change: Callable[[Path], dict[str, Any]]) -> None:
    before = checked(inputs())["fingerprint"]
    assert checked(inputs(**change(project)))["fingerprint"] == before


def test_a_preview_shows_which_hash_changed(project: Path) -> None:
    before = checked(inputs())
    (project / "data.csv").write_text("a,c\n")
    after = checked(inputs())
    assert {key for key in before if before[key] != after[key]} == {"data_sha256", "fingerprint"}


def test_a_dataset_that_cannot_be_read_fails_the_check_and_names_the_key() -> None:
    (failure,) = PROVIDER.check({}, inputs(data="missing.csv")).failures
    assert failure.property == "data"
    assert "dataset 'missing.csv' cannot be read: No such file" in failure.reason
    assert "config key `dataset`" in failure.reason


# diff


def test_nothing_changed_is_no_change(store: Store) -> None:
    news = checked(inputs(store))
    assert PROVIDER.diff("id", {**news, "version": "1"}, news).changes is False


@pytest.mark.parametrize("key", ["fingerprint", "tracking_uri", "model_name"])
def test_another_run_another_registry_or_another_model_is_a_new_release(
    store: Store, key: str
) -> None:
    news = checked(inputs(store))
    result = PROVIDER.diff("id", {**news, key: "other"}, news)
    assert (result.changes, result.replaces) == (True, [key])


def test_a_changed_log_file_or_time_limit_trains_nothing(store: Store) -> None:
    olds = checked(inputs(store))
    news = checked(inputs(store, log_file="other", timeout_minutes=9.0))
    assert PROVIDER.diff("id", olds, news).changes is False


def test_a_registry_that_was_deleted_is_trained_for_again(store: Store) -> None:
    news = checked(inputs(store))
    store.path.unlink()
    result = PROVIDER.diff("id", news, news)
    assert (result.changes, result.replaces) == (True, ["fingerprint"])


# create


def test_a_release_with_the_same_fingerprint_is_adopted_and_nothing_trained(
    store: Store, project: Path
) -> None:
    props = checked(inputs(store))
    version = store.add(props["fingerprint"])
    result = PROVIDER.create(props)
    assert result.outs is not None
    assert result.id == props["fingerprint"]
    assert result.outs["adopted"] is True
    assert result.outs["version"] == version
    assert result.outs["metrics"] == FIGURES
    assert not (project / "arguments.json").exists()


def test_training_gets_everything_that_decides_it(store: Store, project: Path) -> None:
    props = checked(inputs(store))
    with pytest.raises(TrainingError, match=r"ended well but registered no release.*fingerprint"):
        PROVIDER.create(props)
    arguments = (project / "arguments.json").read_text()
    for part in (
        f"--tracking-uri={store.uri}",
        f"--model-name={MODEL}",
        f"--fingerprint={props['fingerprint']}",
        f"--code-sha256={props['code_sha256']}",
        f"--data-sha256={props['data_sha256']}",
        "--data=data.csv",
        "--artifacts=artifacts",
        r"--parameters={\"seed\": 7.0}",
        "--exit-with-stdin",
    ):
        assert part in arguments
    assert (project / "logs" / "training.log").read_text() == "trained\n"


def test_a_training_that_fails_is_an_error(store: Store, project: Path) -> None:
    (project / "training" / "__main__.py").write_text("raise SystemExit('error: no data')")
    with pytest.raises(
        TrainingError, match=r"status 1; nothing was registered.*\n  error: no data"
    ):
        PROVIDER.create(checked(inputs(store)))


def test_delete_keeps_the_release(store: Store) -> None:
    props = checked(inputs(store))
    version = store.add(props["fingerprint"])
    PROVIDER.delete("id", {**props, "version": version})
    assert store.registry.release(version).version == version
