"""The gate before a stage and the stage itself, over a real registry."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import FIGURES, MODEL, Store, address
from pulumi.output import Unknown

from infra.lifecycle.errors import GateError, RegistryError
from infra.lifecycle.gates import Gate
from infra.lifecycle.model_stage import ModelStage, ModelStageArgs, ModelStageProvider
from infra.lifecycle.registry import Registry, RegistryAddress
from infra.lifecycle.release_gate import ReleaseGate, ReleaseGateArgs, ReleaseGateProvider
from tests.recorder import record

GATES = [{"metric": "cv_roc_auc", "at_least": 0.80, "max_drop": 0.02}]
IMAGE = "hr.azurecr.io/attrition-api@sha256:" + "a" * 64
OTHER_IMAGE = "hr.azurecr.io/attrition-api@sha256:" + "b" * 64
ADDED = ("version", "bundle_sha256", "metrics", "image", "verdicts")


def gate(store: Store, version: object, **changes: Any) -> dict[str, Any]:
    return {
        "registry": store.address,
        "stage": "local",
        "version": version,
        "promote_from": "",
        "image_server": "",
        "pinned": False,
        "compared_with": "local",
        "gates": GATES,
        **changes,
    }


def promoting(store: Store, version: str = "", **changes: Any) -> dict[str, Any]:
    """Return the inputs of production's gate: without a version, as the program sends them."""
    production = {
        "stage": "production",
        "promote_from": "staging",
        "compared_with": "production",
        "pinned": bool(version),
    }
    props = gate(store, version, **{**production, **changes})
    return props if version else {key: value for key, value in props.items() if key != "version"}


def created(props: dict[str, Any]) -> dict[str, Any]:
    outs = ReleaseGateProvider().create(props).outs
    assert outs is not None
    return outs


def checked(props: dict[str, Any], olds: dict[str, Any] | None = None) -> dict[str, Any]:
    result = ReleaseGateProvider().check(olds or {}, props)
    assert result.failures == []
    return result.inputs


# The gate


def test_a_release_that_holds_its_gates_passes_with_its_figures(store: Store) -> None:
    version = store.add("f1")
    result = ReleaseGateProvider().create(gate(store, version))
    assert result.id == f"{MODEL}@local"
    assert result.outs == {
        **gate(store, version),
        "bundle_sha256": store.tags(version)["bundle_sha256"],
        "metrics": FIGURES,
        "image": "",
        "verdicts": [
            "cv_roc_auc 0.8200, at least 0.8000: holds",
            "cv_roc_auc 0.8200: not compared (no release at the stage, or this one is pinned)",
        ],
    }


@pytest.mark.parametrize("props", [gate, promoting])
def test_a_release_that_is_not_there_is_refused_before_anything_is_done(
    store: Store, props: Callable[..., dict[str, Any]]
) -> None:
    """A preview that let it pass would be approved, and the apply would fail."""
    store.add()
    store.add()
    (failure,) = ReleaseGateProvider().check({}, props(store, "99")).failures
    assert failure.property == "version"
    assert failure.reason.endswith("version 99: not found; there are 2, 1")


def test_a_registry_without_any_release_refuses_nothing_yet(store: Store) -> None:
    """An `up` of everything trains the first one."""
    assert checked(gate(store, "1")) == gate(store, "1")


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
    assert created(gate(store, worse, compared_with="other"))["version"] == worse


def test_a_release_is_compared_with_the_stage_that_is_named(store: Store) -> None:
    store.point("production", store.add("good", figures={"cv_roc_auc": 0.90}))
    store.point("staging", store.add("bad", figures={"cv_roc_auc": 0.10}))
    version = store.add("new", figures={"cv_roc_auc": 0.89})
    props = gate(store, version, stage="staging", compared_with="production")
    assert created(props)["verdicts"][1] == (
        "cv_roc_auc 0.8900, at least (0.9 now, less 0.02) 0.8800: holds"
    )


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
    # A preview shows a failing gate, it does not fail.
    inputs = checked(gate(store, version))
    assert inputs["metrics"] == {"cv_roc_auc": 0.7}
    assert inputs["verdicts"] == [
        "cv_roc_auc 0.7000, at least 0.8000: FAILS",
        "cv_roc_auc 0.7000: not compared (no release at the stage, or this one is pinned)",
    ]


@pytest.mark.parametrize("version", [Unknown(), "7"], ids=["not known yet", "not in the registry"])
def test_a_preview_without_the_release_shows_the_rest(store: Store, version: object) -> None:
    news = gate(store, version)
    assert checked(news) == news


@pytest.mark.parametrize("pinned", [False, True])
def test_what_was_judged_is_not_judged_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, pinned: bool
) -> None:
    version = store.add()
    outs = created(gate(store, version, pinned=pinned))

    def asked(*_: object) -> None:
        raise AssertionError("the registry was asked")

    monkeypatch.setattr("infra.lifecycle.registry.open_client", asked)
    inputs = checked(gate(store, version, pinned=pinned), outs)
    assert inputs == outs
    assert ReleaseGateProvider().diff("id", outs, inputs).changes is False


def test_a_gate_whose_check_found_no_registry_is_completed_by_the_next(store: Store) -> None:
    version = store.add()
    outs = created(gate(store, version))
    inputs = checked(gate(store, version), olds=gate(store, version))
    assert inputs == outs
    assert ReleaseGateProvider().diff("id", outs, inputs).changes is False


def test_a_state_of_another_shape_is_judged_again(store: Store) -> None:
    """Version 0.1.0 stored the address in parts, and neither image nor promotion."""
    version = store.add()
    old = {"model_name": MODEL, "tracking_uri": store.uri, "stage": "local", "version": version}
    olds = {**old, "pinned": False, "gates": GATES, "verdicts": ["held"], "metrics": FIGURES}
    inputs = checked(gate(store, version), olds)
    assert inputs.keys() >= set(ADDED)
    assert ReleaseGateProvider().diff("id", olds, inputs).changes is True


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2"},
        {"stage": "other"},
        {"pinned": True},
        {"registry": {"model_name": "other", "tracking_uri": "other"}},
        {"promote_from": "other"},
        {"compared_with": "other"},
        {"image": IMAGE},
        {"gates": []},
        {"gates": [{"metric": "cv_roc_auc", "at_least": 0.81, "max_drop": 0.02}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_decides_is_judged_again(store: Store, changes: dict[str, Any]) -> None:
    outs = created(gate(store, store.add()))
    news = checked(gate(store, "1"), outs)
    assert ReleaseGateProvider().diff("id", outs, news).changes is False
    assert ReleaseGateProvider().diff("id", outs, {**news, **changes}).changes is True


# Promotion


def test_a_preview_names_the_release_that_the_stage_before_proved(store: Store) -> None:
    store.add("f1")
    version = store.add("f2", figures={"cv_roc_auc": 0.79})
    store.add("f3")
    store.point("staging", version)
    store.prove(version, "staging", IMAGE)
    inputs = checked(promoting(store))
    assert {key: inputs[key] for key in ADDED} == {
        "version": version,
        "bundle_sha256": store.tags(version)["bundle_sha256"],
        "metrics": {"cv_roc_auc": 0.79},
        "image": IMAGE,
        "verdicts": [
            "cv_roc_auc 0.7900, at least 0.8000: FAILS",
            "cv_roc_auc 0.7900: not compared (no release at the stage, or this one is pinned)",
        ],
    }


def test_what_a_preview_names_is_what_is_deployed(store: Store) -> None:
    version = store.add()
    store.point("staging", version)
    store.prove(version, "staging", IMAGE)
    inputs = checked(promoting(store))
    # Between preview and create another release reached staging: that is for the next up.
    later = store.add("later")
    store.point("staging", later)
    outs = created(inputs)
    assert outs == inputs
    assert (outs["version"], outs["image"]) == (version, IMAGE)


def test_a_new_release_flows_through_and_an_unchanged_one_does_nothing(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    store.point("staging", first)
    store.prove(first, "staging", IMAGE)
    outs = created(promoting(store))
    store.point("production", first)
    provider = ReleaseGateProvider()
    same = checked(promoting(store), outs)
    assert (same, provider.diff("id", outs, same).changes) == (outs, False)
    store.point("staging", second)
    store.prove(second, "staging", OTHER_IMAGE)
    inputs = checked(promoting(store), outs)
    assert (inputs["version"], inputs["image"]) == (second, OTHER_IMAGE)
    assert provider.diff("id", outs, inputs).changes is True
    assert provider.update("id", outs, inputs).outs == inputs


def test_the_same_release_in_another_image_is_a_change(store: Store) -> None:
    version = store.add()
    store.point("staging", version)
    store.prove(version, "staging", IMAGE)
    outs = created(promoting(store))
    store.prove(version, "staging", OTHER_IMAGE)
    inputs = checked(promoting(store), outs)
    assert inputs["image"] == OTHER_IMAGE
    assert ReleaseGateProvider().diff("id", outs, inputs).changes is True


def test_nothing_is_promoted_before_the_stage_before_has_proven_something(store: Store) -> None:
    store.add()
    message = "staging has proven nothing yet: run `pulumi up -s staging` first"
    inputs = checked(promoting(store))
    assert inputs == {**promoting(store), "verdicts": [message]}
    with pytest.raises(GateError, match=f"^{message}$"):
        created(inputs)


def test_a_stage_keeps_its_release_when_the_stage_before_is_destroyed(store: Store) -> None:
    version = store.add()
    store.prove(version, "staging", IMAGE)
    store.point("production", version)
    assert created(promoting(store))["version"] == version


@pytest.mark.parametrize(
    "image",
    [
        "",
        "hr.azurecr.io/attrition-api:3",
        "hr.azurecr.io/attrition-api@sha256:abc",
        "attrition-api@sha256:" + "a" * 64,
        IMAGE + "0",
        " " + IMAGE,
    ],
)
@pytest.mark.parametrize("version", ["", "1"], ids=["promoted", "pinned"])
def test_a_release_without_a_proven_image_is_refused(
    store: Store, version: str, image: str
) -> None:
    found = store.add()
    store.point("staging", found)
    store.prove(found, "staging", image)
    inputs = checked(promoting(store, version))
    assert inputs["image"] == ""
    with pytest.raises(GateError) as caught:
        created(inputs)
    own = "`proven_production` or " if version else ""
    assert str(caught.value) == inputs["verdicts"][0]
    assert str(caught.value) == (
        f"release 1 of '{MODEL}' may not reach the stage 'production': it has no {own}"
        "`proven_staging` with an image by digest. Have staging prove it (`pulumi config set "
        "releaseVersion 1 -s staging`, then `pulumi up -s staging`), or choose a release that was "
        "proven"
    )


@pytest.mark.parametrize("version", ["", "1"], ids=["promoted", "pinned"])
@pytest.mark.parametrize("server", ["another.azurecr.io", "hr.azurecr.io.another.example", "hr"])
def test_a_proof_with_an_image_of_another_registry_is_none(
    store: Store, version: str, server: str
) -> None:
    """Who may tag a version writes such a proof: it would choose what production runs."""
    found = store.add()
    store.point("staging", found)
    for stage in ("staging", "production"):
        store.prove(found, stage, IMAGE.replace("hr.azurecr.io", server))
    inputs = checked(promoting(store, version, image_server="hr.azurecr.io"))
    assert inputs["image"] == ""
    with pytest.raises(GateError, match=r"with an image of hr\.azurecr\.io by digest"):
        created(inputs)
    store.prove(found, "staging", IMAGE)
    assert created(promoting(store, version, image_server="hr.azurecr.io"))["image"] == IMAGE


def test_a_proof_of_the_stage_itself_counts_for_a_pin_only(store: Store) -> None:
    version = store.add()
    store.point("staging", version)
    store.prove(version, "production", IMAGE)
    assert created(promoting(store, version))["image"] == IMAGE
    with pytest.raises(GateError, match="it has no `proven_staging` with"):
        created(promoting(store))


def test_a_rollback_brings_back_the_image_that_the_stage_had(store: Store) -> None:
    version = store.add()
    store.prove(version, "production", IMAGE)
    store.prove(version, "staging", OTHER_IMAGE)
    assert created(promoting(store, version))["image"] == IMAGE
    store.point("staging", version)
    assert created(promoting(store))["image"] == OTHER_IMAGE


def test_a_pin_needs_the_stage_before_to_have_nothing(store: Store) -> None:
    version = store.add()
    store.prove(version, "staging", IMAGE)
    assert store.stages() == {}
    assert created(promoting(store, version))["version"] == version


def test_a_stage_without_one_before_gives_its_own_image_back_to_a_pin(store: Store) -> None:
    version = store.add()
    staging = {"stage": "staging", "compared_with": "production"}
    assert created(gate(store, version, **staging, pinned=True))["image"] == ""
    store.prove(version, "staging", IMAGE)
    assert created(gate(store, version, **staging, pinned=True))["image"] == IMAGE
    assert created(gate(store, version, **staging))["image"] == ""


def test_a_proven_release_must_hold_the_gates_too(store: Store) -> None:
    version = store.add(figures={"cv_roc_auc": 0.5})
    store.point("staging", version)
    store.prove(version, "staging", IMAGE)
    with pytest.raises(GateError, match=r"cv_roc_auc 0\.5000, at least 0\.8000: FAILS"):
        created(promoting(store))


@pytest.mark.parametrize("key", ["host", "tracking_uri", "model_name"])
def test_a_preview_before_the_registry_is_known_shows_the_rest(store: Store, key: str) -> None:
    news = promoting(store, registry={**store.address, key: Unknown()})
    assert checked(news) == news
    assert ReleaseGateProvider().diff("id", created(gate(store, store.add())), news).changes


def test_a_preview_shows_the_rest_when_the_registry_does_not_answer(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "broken.db").write_text("no database, " * 100)
    broken = address(f"sqlite:///{tmp_path / 'broken.db'}")
    news = promoting(store, registry=broken)
    assert checked(news) == news
    with pytest.raises(RegistryError, match="not a database"):
        created(news)


def test_a_gate_that_chooses_its_release_leaves_the_version_open(store: Store) -> None:
    """An empty version is no input: it is an output then, and not known in a first preview."""

    def program() -> None:
        for name, version in (("open", ""), ("given", "3")):
            ReleaseGate(
                name,
                ReleaseGateArgs(
                    registry=RegistryAddress(model_name=MODEL, tracking_uri=store.uri),
                    stage="production",
                    version=version,
                    promote_from="staging",
                    pinned=False,
                    compared_with="production",
                    gates=[Gate(metric="auc", at_least=0.8)],
                ),
            )

    recorded = record(program)
    assert "version" not in recorded["open"].inputs
    assert recorded["given"].inputs == {
        "registry": store.address,
        "stage": "production",
        "version": "3",
        "promote_from": "staging",
        "image_server": "",
        "pinned": False,
        "compared_with": "production",
        "gates": [{"metric": "auc", "at_least": 0.8}],
    }


# The stage


def stage(store: Store, version: str, **changes: Any) -> dict[str, Any]:
    return {
        "registry": store.address,
        "stage": "local",
        "version": version,
        "evidence": {"records": 50.0},
        "reason": "promotion",
        **changes,
    }


def notes(store: Store, version: str, stage: str = "local") -> list[dict[str, str]]:
    """Return the notes of moves on a version, the oldest first."""
    tags = sorted(store.tags(version).items())
    return [json.loads(value) for key, value in tags if key.startswith(f"moved_{stage}_")]


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a person of this machine, also where the tests run in a workflow."""
    for name in ("GITHUB_ACTOR", "GITHUB_RUN_ID", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "someone")
    monkeypatch.setattr("socket.gethostname", lambda: "a-laptop")


def test_a_stage_moves_and_remembers_the_version_that_it_left(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    provider = ModelStageProvider()
    made = provider.create(stage(store, first))
    assert made.outs is not None
    assert made.id == f"{MODEL}@local"
    assert made.outs == {**stage(store, first), "placed": first, "previous_version": ""}
    assert store.stages() == {"local": first}
    outs = provider.update(made.id, made.outs, stage(store, second)).outs
    assert outs == {**stage(store, second), "placed": second, "previous_version": first}
    assert store.stages() == {"local": second}
    assert store.tags(second)["proven_local"] == '{"records": 50.0}'


def test_moving_again_after_an_interrupted_run_does_no_harm(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    store.point("local", first)
    for previous in (first, ""):
        outs = ModelStageProvider().update("id", {}, stage(store, second)).outs
        assert outs is not None
        assert outs["previous_version"] == previous
        assert [(note["from"], note["to"]) for note in notes(store, second)] == [(first, second)]
    assert store.stages() == {"local": second}


def test_a_refresh_finds_where_the_alias_is_and_the_next_up_moves_it_back(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    provider = ModelStageProvider()
    made = provider.create(stage(store, second))
    assert made.outs is not None
    seen = provider.read(made.id, made.outs)
    assert (seen.id, seen.outs) == (made.id, made.outs)
    store.point("local", first)
    seen = provider.read(made.id, made.outs)
    assert (seen.id, seen.outs) == (made.id, {**made.outs, "version": first})
    assert seen.outs is not None
    assert provider.diff(made.id, seen.outs, stage(store, second)).changes
    provider.update(made.id, seen.outs, stage(store, second))
    assert store.stages() == {"local": second}


def test_an_alias_at_what_is_no_release_is_moved_back(store: Store) -> None:
    version = store.add("f1")
    provider = ModelStageProvider()
    made = provider.create(stage(store, version))
    assert made.outs is not None
    foreign = str(store.client.create_model_version(MODEL, "file:///nowhere").version)
    store.point("local", foreign)
    seen = provider.read(made.id, made.outs)
    assert seen.outs is not None
    assert seen.outs == {**made.outs, "version": foreign}
    with pytest.raises(RegistryError, match=r"not a release of this program.*take it away"):
        Registry(store.address).at_stage("local")
    assert provider.update(made.id, seen.outs, stage(store, version)).outs
    assert store.stages() == {"local": version}


def test_a_refresh_finds_that_an_alias_is_gone(store: Store) -> None:
    version = store.add("f1")
    made = ModelStageProvider().create(stage(store, version))
    assert made.outs is not None
    store.client.delete_registered_model_alias(MODEL, "local")
    assert ModelStageProvider().read(made.id, made.outs).id == ""


def test_a_store_that_was_deleted_is_looked_at_without_making_it_anew(store: Store) -> None:
    """An empty one in its place would hide from training that there is everything to train."""
    made = ModelStageProvider().create(stage(store, store.add("f1")))
    assert made.outs is not None
    store.path.unlink()
    assert ModelStageProvider().read(made.id, made.outs).id == ""
    ModelStageProvider().delete(made.id, made.outs)
    assert not store.path.exists()


def test_a_refresh_says_that_a_registry_does_not_answer(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("no database")
    elsewhere = {**store.address, "tracking_uri": f"sqlite:///{tmp_path}/other.db"}
    with pytest.raises(RegistryError, match=r"other\.db"):
        ModelStageProvider().read("id", stage(store, "1", registry=elsewhere))


def test_a_move_is_noted_with_who_when_from_to_and_why(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    before = datetime.now(UTC).replace(microsecond=0)
    ModelStageProvider().create(stage(store, first))
    ModelStageProvider().update("id", {}, stage(store, second, reason="better on the night shift"))
    (made,), (moved,) = notes(store, first), notes(store, second)
    when = datetime.strptime(moved.pop("when"), "%Y%m%dT%H%M%S%z")
    assert before <= when <= datetime.now(UTC)
    assert moved == {
        "who": "someone@a-laptop",
        "from": first,
        "to": second,
        "why": "better on the night shift",
    }
    assert (made["from"], made["to"], made["why"]) == ("", first, "promotion")


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({"GITHUB_ACTOR": "octo"}, "octo"),
        (
            {
                "GITHUB_ACTOR": "octo",
                "GITHUB_RUN_ID": "42",
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "o/r",
            },
            "octo (https://github.com/o/r/actions/runs/42)",
        ),
    ],
    ids=["without a run", "with its run"],
)
def test_a_move_by_a_workflow_names_who_started_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], who: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    version = store.add()
    ModelStageProvider().create(stage(store, version))
    assert notes(store, version)[0]["who"] == who


def test_a_user_without_a_name_is_a_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    version = store.add()
    ModelStageProvider().create(stage(store, version))
    assert notes(store, version)[0]["who"] == f"{os.getuid()}@a-laptop"


def test_a_rollback_is_noted_and_keeps_the_proof_that_the_version_had(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    provider = ModelStageProvider()
    for version, records, image in ((first, 1, IMAGE), (second, 2, OTHER_IMAGE), (first, 3, IMAGE)):
        evidence = {"image": image, "records": records}
        provider.update("id", {}, stage(store, version, evidence=evidence, reason="pinned"))
    assert store.stages() == {"local": first}
    assert json.loads(store.tags(first)["proven_local"]) == {"image": IMAGE, "records": 1}
    assert {(note["from"], note["to"]) for note in notes(store, first)} >= {(second, first)}


def test_the_same_version_in_another_image_is_proven_again_and_no_move(store: Store) -> None:
    version = store.add()
    provider = ModelStageProvider()
    provider.create(stage(store, version, evidence={"image": IMAGE}))
    outs = provider.update("id", {}, stage(store, version, evidence={"image": OTHER_IMAGE})).outs
    assert outs is not None
    assert outs["previous_version"] == ""
    assert store.registry.proof(version, "local") == {"image": OTHER_IMAGE}
    assert len(notes(store, version)) == 1


@pytest.mark.parametrize(("length", "failures"), [(0, 0), (500, 0), (501, 1)])
def test_a_reason_that_cannot_be_noted_fails_the_check(
    store: Store, length: int, failures: int
) -> None:
    found = ModelStageProvider().check({}, stage(store, "1", reason="x" * length)).failures
    assert len(found) == failures
    assert all("has 501 characters, at most 500" in failure.reason for failure in found)


def test_the_longest_reason_fits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "a" * 39)
    monkeypatch.setenv("GITHUB_RUN_ID", "1" * 12)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a" * 39 + "/" + "b" * 100)
    version = store.add()
    ModelStageProvider().create(stage(store, version, reason="x" * 500))
    assert notes(store, version)[0]["why"] == "x" * 500


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


def test_delete_leaves_an_alias_that_a_refresh_found_elsewhere(store: Store) -> None:
    first, second = store.add("f1"), store.add("f2")
    provider = ModelStageProvider()
    made = provider.create(stage(store, first))
    assert made.outs is not None
    store.point("local", second)
    seen = provider.read(made.id, made.outs)
    assert seen.outs is not None
    provider.delete(made.id, seen.outs)
    assert store.stages() == {"local": second}
    # Once the program wants that version too, it is this resource's, and is proven.
    assert provider.diff(made.id, seen.outs, stage(store, second)).changes
    outs = provider.update(made.id, seen.outs, stage(store, second)).outs
    assert outs is not None
    assert not provider.diff(made.id, outs, stage(store, second)).changes
    assert store.registry.proof(second, "local") == {"records": 50.0}
    provider.delete(made.id, outs)
    assert store.stages() == {}


@pytest.mark.parametrize(
    ("changes", "changed", "replaces"),
    [
        ({}, False, []),
        ({"version": "2"}, True, []),
        ({"version": Unknown()}, True, []),
        ({"evidence": {"records": 1.0}}, False, []),
        ({"evidence": {"records": 50.0, "image": IMAGE}}, True, []),
        ({"evidence": Unknown()}, True, []),
        ({"evidence": {"image": Unknown()}}, True, []),
        ({"reason": "another"}, False, []),
        ({"stage": "other"}, True, ["stage"]),
        ({"registry": {"model_name": "other"}}, True, ["registry"]),
        ({"registry": {"tracking_uri": "other"}}, True, ["registry"]),
        ({"registry": {"registry_uri": "other"}}, True, ["registry"]),
        ({"registry": {"host": "other"}}, True, ["registry"]),
        ({"registry": {"azure_resource_id": "other"}}, False, []),
        ({"registry": {"host": Unknown()}}, False, []),
        ({"registry": {"host": "other"}, "stage": "other"}, True, ["registry", "stage"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_another_version_moves_and_another_address_is_another_stage(
    store: Store, changes: dict[str, Any], changed: bool, replaces: list[str]
) -> None:
    olds = {**stage(store, "1"), "previous_version": ""}
    registry = {**store.address, **changes.get("registry", {})}
    news = {**stage(store, "1"), **changes, "registry": registry}
    result = ModelStageProvider().diff("id", olds, news)
    assert (result.changes, result.replaces) == (changed, replaces)


def test_a_state_of_another_shape_is_the_same_stage(store: Store) -> None:
    """Version 0.1.0 stored the address in parts: replaced, its deletion would take the alias."""
    version, moved = store.add("f1"), store.add("f2")
    old = {"model_name": MODEL, "tracking_uri": store.uri, "stage": "local", "version": version}
    olds = {**old, "evidence": {"records": 50.0}, "previous_version": ""}
    store.point("local", version)
    result = ModelStageProvider().diff("id", olds, stage(store, version))
    assert (result.changes, result.replaces) == (False, [])
    ModelStageProvider().delete("id", olds)
    assert store.stages() == {}
    store.point("local", moved)
    seen = ModelStageProvider().read("id", olds).outs
    assert seen is not None
    ModelStageProvider().delete("id", seen)
    assert store.stages() == {"local": moved}


def test_a_stage_is_registered_with_everything_that_it_needs(store: Store) -> None:
    def program() -> None:
        ModelStage(
            "stage",
            ModelStageArgs(
                registry=RegistryAddress(model_name=MODEL, tracking_uri=store.uri),
                stage="local",
                version="1",
                evidence={"records": 50.0},
            ),
        )

    assert record(program)["stage"].inputs == stage(store, "1")
