"""The gate before a stage and the stage itself, over a real registry."""

from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_store import FIGURES, MODEL, Store
from pulumi.output import Unknown

from infra.lifecycle.errors import GateError, RegistryError
from infra.lifecycle.model_stage import ModelStageProvider
from infra.lifecycle.release_gate import ReleaseGateProvider

GATES = [{"metric": "cv_roc_auc", "at_least": 0.80, "max_drop": 0.02}]


def gate(store: Store, version: object, **changes: Any) -> dict[str, Any]:
    return {
        "model_name": MODEL,
        "tracking_uri": store.uri,
        "stage": "local",
        "version": version,
        "pinned": False,
        "gates": GATES,
        **changes,
    }


def created(props: dict[str, Any]) -> dict[str, Any]:
    outs = ReleaseGateProvider().create(props).outs
    assert outs is not None
    return outs


# The gate


def test_a_release_that_holds_its_gates_passes_with_its_figures(store: Store) -> None:
    version = store.add("f1")
    result = ReleaseGateProvider().create(gate(store, version))
    assert result.id == f"{MODEL}@local"
    assert result.outs == {
        **gate(store, version),
        "bundle_sha256": "sha-of-f1",
        "metrics": FIGURES,
        "verdicts": [
            "cv_roc_auc 0.8200, at least 0.8000: holds",
            "cv_roc_auc 0.8200: not compared (no release at the stage, or this one is pinned)",
        ],
    }


@pytest.mark.parametrize("call", ["create", "update"])
def test_a_release_that_fails_a_gate_is_stopped_with_figure_and_bound(
    store: Store, call: str
) -> None:
    version = store.add(figures={"cv_roc_auc": 0.7512})
    provider = ReleaseGateProvider()
    message = (
        r"release 1 of 'employee-attrition' does not reach the stage 'local', which keeps what it "
        r"has:\n  cv_roc_auc 0\.7512, at least 0\.8000: FAILS\n.*releaseVersion"
    )
    calls: dict[str, Callable[[dict[str, Any]], object]] = {
        "create": provider.create,
        "update": lambda news: provider.update("id", {}, news),
    }
    with pytest.raises(GateError, match=message):
        calls[call](gate(store, version))
    assert store.stages() == {}


def test_only_the_gates_that_fail_are_quoted(store: Store) -> None:
    version = store.add(figures={"cv_roc_auc": 0.9, "cv_brier": 0.2})
    gates = [*GATES, {"metric": "cv_brier", "at_most": 0.11}, {"metric": "f1", "at_least": 0.1}]
    with pytest.raises(GateError) as caught:
        created(gate(store, version, gates=gates))
    assert "cv_brier 0.2000, at most 0.1100: FAILS" in str(caught.value)
    assert "f1: not measured" in str(caught.value)
    assert "cv_roc_auc 0.9" not in str(caught.value)


def test_a_worse_release_is_compared_with_the_one_that_the_stage_has(store: Store) -> None:
    store.point("local", store.add("good", figures={"cv_roc_auc": 0.90}))
    worse = store.add("worse", figures={"cv_roc_auc": 0.85})
    with pytest.raises(GateError, match=r"cv_roc_auc 0\.8500, at least \(0\.9 now, less 0\.02\)"):
        created(gate(store, worse))
    assert created(gate(store, worse, stage="other"))["version"] == worse


def test_a_pinned_release_is_not_compared_but_still_judged(store: Store) -> None:
    store.point("local", store.add("good", figures={"cv_roc_auc": 0.90}))
    worse = store.add("worse", figures={"cv_roc_auc": 0.85})
    bad = store.add("bad", figures={"cv_roc_auc": 0.5})
    assert created(gate(store, worse, pinned=True))["version"] == worse
    with pytest.raises(GateError, match=r"cv_roc_auc 0\.5000, at least 0\.8000"):
        created(gate(store, bad, pinned=True))


def test_a_release_that_the_stage_has_already_passes_again(store: Store) -> None:
    version = store.add()
    store.point("local", version)
    assert created(gate(store, version))["version"] == version


def test_a_missing_version_is_an_error(store: Store) -> None:
    with pytest.raises(RegistryError, match="version 7"):
        created(gate(store, "7"))


def test_a_preview_shows_the_verdicts(store: Store) -> None:
    version = store.add(figures={"cv_roc_auc": 0.7})
    checked = ReleaseGateProvider().check({}, gate(store, version))
    # A preview shows a failing gate, it does not fail.
    assert checked.failures == []
    assert checked.inputs["verdicts"] == [
        "cv_roc_auc 0.7000, at least 0.8000: FAILS",
        "cv_roc_auc 0.7000: not compared (no release at the stage, or this one is pinned)",
    ]


@pytest.mark.parametrize("version", [Unknown(), "7"], ids=["not known yet", "not in the registry"])
def test_a_preview_without_the_release_shows_the_rest(store: Store, version: object) -> None:
    news = gate(store, version)
    checked = ReleaseGateProvider().check({}, news)
    assert (checked.failures, checked.inputs) == ([], news)


def test_what_was_judged_is_not_judged_again(store: Store) -> None:
    version = store.add()
    outs = created(gate(store, version))
    store.path.unlink()
    provider = ReleaseGateProvider()
    assert provider.check(outs, gate(store, version)).inputs["verdicts"] == outs["verdicts"]
    assert provider.diff("id", outs, gate(store, version)).changes is False


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2"},
        {"stage": "other"},
        {"pinned": True},
        {"model_name": "other"},
        {"tracking_uri": "other"},
        {"gates": []},
        {"gates": [{"metric": "cv_roc_auc", "at_least": 0.81, "max_drop": 0.02}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_decides_is_judged_again(store: Store, changes: dict[str, Any]) -> None:
    outs = created(gate(store, store.add()))
    news = {**gate(store, "1"), **changes}
    assert ReleaseGateProvider().diff("id", outs, news).changes is True


# The stage


def stage(store: Store, version: str, **changes: Any) -> dict[str, Any]:
    return {
        "model_name": MODEL,
        "tracking_uri": store.uri,
        "stage": "local",
        "version": version,
        "evidence": {"records": 50.0},
        **changes,
    }


def test_a_stage_moves_and_remembers_the_version_that_it_left(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    provider = ModelStageProvider()
    made = provider.create(stage(store, first))
    assert made.outs is not None
    assert made.id == f"{MODEL}@local"
    assert made.outs == {**stage(store, first), "previous_version": ""}
    assert store.stages() == {"local": first}
    outs = provider.update(made.id, made.outs, stage(store, second)).outs
    assert outs == {**stage(store, second), "previous_version": first}
    assert store.stages() == {"local": second}
    assert store.tags(second)["proven.local"] == '{"records": 50.0}'


def test_moving_again_after_an_interrupted_run_does_no_harm(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    store.point("local", first)
    for previous in (first, ""):
        outs = ModelStageProvider().update("id", {}, stage(store, second)).outs
        assert outs is not None
        assert outs["previous_version"] == previous
    assert store.stages() == {"local": second}


def test_a_stage_on_a_missing_version_keeps_what_it_has(store: Store) -> None:
    first = store.add()
    store.point("local", first)
    with pytest.raises(RegistryError, match="alias local"):
        ModelStageProvider().update("id", {}, stage(store, "9"))
    assert store.stages() == {"local": first}


def test_delete_removes_the_alias_and_no_release(store: Store) -> None:
    version = store.add()
    outs = ModelStageProvider().create(stage(store, version)).outs
    assert outs is not None
    for _ in range(2):
        ModelStageProvider().delete("id", outs)
        assert store.stages() == {}
    assert store.registry.release(version).version == version


def test_delete_leaves_an_alias_that_was_moved_by_hand(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    outs = ModelStageProvider().create(stage(store, first)).outs
    assert outs is not None
    store.point("local", second)
    ModelStageProvider().delete("id", outs)
    assert store.stages() == {"local": second}


@pytest.mark.parametrize(
    ("changes", "changed", "replaces"),
    [
        ({}, False, []),
        ({"version": "2"}, True, []),
        ({"evidence": {"records": 1.0}}, False, []),
        ({"stage": "other"}, True, ["stage"]),
        ({"model_name": "other"}, True, ["model_name"]),
        ({"tracking_uri": "other"}, True, ["tracking_uri"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_another_version_moves_and_another_address_is_another_stage(
    store: Store, changes: dict[str, Any], changed: bool, replaces: list[str]
) -> None:
    olds = {**stage(store, "1"), "previous_version": ""}
    result = ModelStageProvider().diff("id", olds, {**stage(store, "1"), **changes})
    assert (result.changes, result.replaces) == (changed, replaces)
