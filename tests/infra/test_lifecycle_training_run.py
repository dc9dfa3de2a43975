"""What makes training run again, and that nothing is trained twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import FIGURES, MODEL, Store
from pulumi.output import Unknown

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


PROCESS = {"kind": "process", "artifacts": "artifacts", "log_file": "logs/training.log"}


def address(store: Store | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "model_name": MODEL,
        "tracking_uri": store.uri if store else "sqlite:///nowhere.db",
        "registry_uri": "",
        "host": "",
        "azure_resource_id": "",
        **changes,
    }


def inputs(store: Store | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "registry": address(store),
        "executor": PROCESS,
        "data": "data.csv",
        "parameters": {"seed": 7.0},
        "code": ["contract", "training"],
        "retrain": "",
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
    "where it logs": lambda _: {"executor": {**PROCESS, "log_file": "elsewhere.log"}},
    "where it runs": lambda _: {"executor": {"kind": "databricks", "job_id": "7"}},
    "how the engine writes a number": lambda _: {"parameters": {"seed": 7}},
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


def test_another_fingerprint_is_another_run(store: Store) -> None:
    news = checked(inputs(store))
    result = PROVIDER.diff("id", {**news, "fingerprint": "other"}, news)
    assert (result.changes, result.replaces) == (True, ["fingerprint"])


@pytest.mark.parametrize("key", ["tracking_uri", "registry_uri", "model_name", "host"])
def test_another_registry_or_another_model_needs_a_release_of_its_own(
    store: Store, key: str
) -> None:
    news = checked(inputs(store))
    olds = {**news, "registry": {**news["registry"], key: "other"}}
    result = PROVIDER.diff("id", olds, news)
    assert (result.changes, result.replaces) == (True, ["registry"])


@pytest.mark.parametrize(
    "change",
    [
        {"executor": {**PROCESS, "log_file": "other"}},
        {"executor": {"kind": "databricks", "job_id": "7", "experiment": "", "data_path": ""}},
        {"timeout_minutes": 9.0},
    ],
    ids=["log file", "where it runs", "time limit"],
)
def test_how_it_is_executed_trains_nothing(store: Store, change: dict[str, Any]) -> None:
    olds = checked(inputs(store))
    news = checked(inputs(store, **change))
    assert PROVIDER.diff("id", olds, news).changes is False


def test_a_state_that_knew_no_address_trains_or_adopts_anew(store: Store) -> None:
    """What version 0.1.0 left: the registry's URI and the model's name, and no address."""
    news = checked(inputs(store))
    olds = {**news, "model_name": MODEL, "tracking_uri": store.uri}
    del olds["registry"], olds["executor"]
    result = PROVIDER.diff("id", olds, news)
    assert (result.changes, result.replaces) == (True, ["registry"])


UNKNOWN: Any = Unknown()


@pytest.mark.parametrize(
    "change",
    [
        {"registry": UNKNOWN},
        {"registry": address(tracking_uri="databricks", host=UNKNOWN, model_name=UNKNOWN)},
        {"executor": {"kind": "databricks", "job_id": UNKNOWN}},
        {"executor": UNKNOWN},
    ],
    ids=["registry", "host and model", "job", "executor"],
)
def test_a_preview_needs_no_cloud(change: dict[str, Any]) -> None:
    """The first one knows neither workspace nor job, and shows the hashes all the same."""
    props = inputs(registry=address(tracking_uri="databricks"))
    news = checked({**props, **change})
    assert len(news["fingerprint"]) == 64
    assert PROVIDER.diff("id", checked(props), news).changes is False


@pytest.mark.parametrize("key", ["data", "parameters", "retrain", "code"])
def test_inputs_that_nobody_knows_yet_are_left_alone(key: str) -> None:
    props = inputs(registry=address(tracking_uri="databricks"))
    news = checked({**props, key: UNKNOWN})
    assert "fingerprint" not in news
    assert news[key] is UNKNOWN


def test_a_package_that_is_missing_fails_the_check_and_names_the_key() -> None:
    (failure,) = PROVIDER.check({}, inputs(code=["contract", "missing"])).failures
    assert failure.property == "code"
    assert "no folder 'missing'" in failure.reason


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
    assert result.outs["run_url"] == ""
    assert not (project / "arguments.json").exists()


def test_training_gets_everything_that_decides_it(store: Store, project: Path) -> None:
    props = checked(inputs(store))
    with pytest.raises(
        TrainingError,
        match=r"ended well but registered no release.*fingerprint.*see logs/training\.log",
    ):
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
        r"--parameters={\"seed\": 7}",
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
