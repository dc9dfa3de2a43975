"""A figure, a file or a hash that was changed after training is noticed at promotion."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_production import Production, image, staged
from lifecycle_store import FIGURES, MODEL, Store

from contract.release import EVIDENCE, MANIFEST, seal
from engine.errors import EngineError
from infra.lifecycle.errors import GateError, RegistryError
from infra.lifecycle.release_gate import ReleaseGateProvider

WHAT_TO_DO = (
    "Restore the tag or the file that was changed, set `retrain` to train again, or choose another "
    "release with `releaseVersion`."
)


def gate(store: Store, version: str, *gates: dict[str, Any]) -> dict[str, Any]:
    return {
        "registry": store.address,
        "stage": "local",
        "version": version,
        "promote_from": "",
        "image_server": "",
        "pinned": False,
        "compared_with": "local",
        "gates": list(gates),
    }


def passed(props: dict[str, Any]) -> dict[str, Any]:
    outs = ReleaseGateProvider().create(props).outs
    assert outs is not None
    return outs


def refusal(props: dict[str, Any]) -> str:
    """Return what the gate says, between the line that all have and the advice that all have."""
    with pytest.raises(GateError) as caught:
        passed(props)
    head, *found, advice = str(caught.value).split("\n")
    assert head == (
        f"release {props['version']} in the registry, model '{MODEL}', does not reach the stage "
        "'local', which keeps what it has:"
    )
    assert advice == WHAT_TO_DO
    return "\n".join(line.removeprefix("  ") for line in found)


# What is noticed


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (
            {"cv_roc_auc": 0.92},
            "cv_roc_auc: 0.92 in the tag `metrics`, 0.82 in the release's evidence.json",
        ),
        (
            {"cv_roc_auc": 0.820001},
            "cv_roc_auc: 0.820001 in the tag `metrics`, 0.82 in the release's evidence.json",
        ),
        (
            {**FIGURES, "f1": 0.7},
            "f1: 0.7 in the tag `metrics`, not in the release's evidence.json",
        ),
        (
            {"held_out_brier": 0.1, "cv_roc_auc": 0.8, "cv_brier": 0.1},
            "cv_roc_auc: 0.8 in the tag `metrics`, 0.82 in the release's evidence.json\n"
            "held_out_brier: 0.1 in the tag `metrics`, 0.12 in the release's evidence.json",
        ),
        (
            {"cv_roc_auc": float("nan")},
            "cv_roc_auc: nan in the tag `metrics`, 0.82 in the release's evidence.json",
        ),
    ],
    ids=["another figure", "a millionth", "no such figure", "two of three", "no number"],
)
def test_a_changed_tag_is_refused_with_figure_and_both_numbers(
    store: Store, tag: dict[str, float], message: str
) -> None:
    version = store.add()
    store.tag(version, "metrics", json.dumps(tag))
    assert refusal(gate(store, version)) == message


def test_a_changed_tag_is_refused_before_a_gate_is_judged(store: Store) -> None:
    version = store.add()
    store.tag(version, "metrics", '{"cv_roc_auc": 0.79}')
    assert "FAILS" not in refusal(gate(store, version, {"metric": "cv_roc_auc", "at_least": 0.8}))


def test_whole_numbers_and_a_shorter_tag_are_no_change(store: Store) -> None:
    version = store.add(figures={"drift_power": 1.0, "cv_roc_auc": 0.82})
    store.tag(version, "metrics", '{"drift_power": 1}')
    assert passed(gate(store, version))["metrics"] == {"drift_power": 1}


def changed_evidence(bundle: Path) -> None:
    file = bundle / EVIDENCE
    file.write_text(file.read_text().replace("0.82", "0.92"))


def resealed(bundle: Path) -> None:
    changed_evidence(bundle)
    seal(bundle)


def without_evidence(bundle: Path) -> None:
    (bundle / EVIDENCE).unlink()


def without_manifest(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()


def with_a_stranger(bundle: Path) -> None:
    (bundle / "more.json").write_text("{}")


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "evidence": (
        changed_evidence,
        r"evidence\.json: its sha-256 is not the one in manifest\.json; the release was altered",
    ),
    "evidence and manifest": (
        resealed,
        r"manifest\.json: its sha-256 is [0-9a-f]{12}…, the registry says [0-9a-f]{12}…; the rel",
    ),
    "evidence gone": (without_evidence, r"evidence\.json: named in manifest\.json but missing"),
    "manifest gone": (without_manifest, r"no readable manifest\.json \(No such file"),
    "another file": (with_a_stranger, r"more\.json: not in manifest\.json; the release was altere"),
}


@pytest.mark.parametrize(("change", "message"), FILES.values(), ids=FILES)
def test_a_changed_file_is_refused_by_its_name(
    store: Store, change: Callable[[Path], None], message: str
) -> None:
    version = store.add()
    change(store.bundle(version))
    assert re.match(message, refusal(gate(store, version)))


def test_a_changed_hash_is_refused(store: Store) -> None:
    version = store.add()
    store.tag(version, "bundle_sha256", "0" * 64)
    found = refusal(gate(store, version))
    assert "manifest.json: its sha-256 is " in found
    assert "the registry says 000000000000…" in found


def sealed_anew(store: Store, change: Callable[[Path], None]) -> str:
    """Register a release that training sealed like this."""
    version = store.add()
    bundle = store.bundle(version)
    change(bundle)
    store.tag(version, "bundle_sha256", seal(bundle))
    return version


def test_a_release_that_was_sealed_without_evidence_is_refused(store: Store) -> None:
    version = sealed_anew(store, without_evidence)
    assert refusal(gate(store, version)) == "evidence.json: the release was sealed without it"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"figures": [0.82]}',
        '{"figures": {"cv_roc_auc": 0.82}}',
        '{"figures": {"cv_roc_auc": {"low": 0.8}}}',
        '{"figures": {"cv_roc_auc": {"value": null}}}',
    ],
)
def test_evidence_of_another_form_is_refused(store: Store, text: str) -> None:
    def other(bundle: Path) -> None:
        (bundle / EVIDENCE).write_text(text)

    version = sealed_anew(store, other)
    assert refusal(gate(store, version)) == "evidence.json: it has no `figures` with a `value`"


def test_a_bundle_of_another_format_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("contract.release.BUNDLE_FORMAT", 1)
        version = store.add()
    assert refusal(gate(store, version)) == (
        "manifest.json: bundle format 1; this code reads format 2"
    )


def test_files_that_are_gone_are_an_error_of_the_registry(store: Store) -> None:
    version = store.add()
    shutil.rmtree(store.bundle(version))
    with pytest.raises(RegistryError, match="version 1: "):
        passed(gate(store, version))


def test_a_preview_asks_for_no_files(store: Store) -> None:
    version = store.add()
    shutil.rmtree(store.bundle(version))
    inputs = ReleaseGateProvider().check({}, gate(store, version)).inputs
    assert inputs["metrics"] == FIGURES


# Gates on figures that the tag has no room for

FURTHER_GATES = [
    ({"at_most": 0.12}, ["held_out_brier 0.1200, at most 0.1200: holds"]),
    (
        {"at_most": 0.13, "max_rise": 0.0},
        [
            "held_out_brier 0.1200, at most 0.1300: holds",
            "held_out_brier 0.1200: not compared (the release to compare with has no such figure "
            "in its tag)",
        ],
    ),
]


@pytest.mark.parametrize(("bounds", "verdicts"), FURTHER_GATES, ids=["absolute", "comparing"])
def test_a_figure_beyond_the_tag_is_judged_at_the_update(
    store: Store, bounds: dict[str, float], verdicts: list[str]
) -> None:
    store.point("local", store.add())
    version = store.add()
    provider = ReleaseGateProvider()
    props = gate(store, version, {"metric": "held_out_brier", **bounds})
    inputs = provider.check({}, props).inputs
    later = ["held_out_brier: judged at the update, its figure is in the release's evidence"]
    assert inputs["verdicts"] == later
    outs = passed(inputs)
    assert outs["verdicts"] == verdicts
    assert outs["metrics"] == FIGURES
    # The verdicts of a preview and of the update differ, which is no change.
    again = provider.check(inputs, props).inputs
    assert again == inputs
    assert provider.diff("id", outs, again).changes is False


def test_a_figure_beyond_the_tag_can_fail(store: Store) -> None:
    props = gate(store, store.add(), {"metric": "held_out_brier", "at_most": 0.1199})
    with pytest.raises(GateError, match=r"\n  held_out_brier 0\.1200, at most 0\.1199: FAILS\n"):
        passed(props)


def test_a_figure_that_nobody_measured_fails_at_the_update_with_those_that_there_are(
    store: Store,
) -> None:
    props = gate(store, store.add(), {"metric": "held_out_bier", "at_most": 0.2})
    known = r"\(measured: cv_brier, cv_roc_auc, held_out_brier\)"
    with pytest.raises(GateError, match=rf"held_out_bier: not measured {known}"):
        passed(props)


# Under an engine: a refusal moves nothing, and the next `up` after mending goes through

Mend = Callable[[], None]


def change_tag(key: str, value: str) -> Callable[[Store, str], Mend]:
    def change(store: Store, version: str) -> Mend:
        before = store.tags(version)[key]
        store.tag(version, key, value)
        return lambda: store.tag(version, key, before)

    return change


def change_files(damage: Callable[[Path], None]) -> Callable[[Store, str], Mend]:
    def change(store: Store, version: str) -> Mend:
        bundle = store.bundle(version)
        copy = bundle.with_name("copy")
        shutil.copytree(bundle, copy)
        damage(bundle)

        def mend() -> None:
            shutil.rmtree(bundle)
            copy.rename(bundle)

        return mend

    return change


CHANGES: dict[str, tuple[Callable[[Store, str], Mend], str]] = {
    "figure": (change_tag("metrics", '{"cv_roc_auc": 0.92}'), r"0\.92 in the tag `metrics`, 0\.82"),
    "garbled tag": (change_tag("metrics", "0.92"), "its tag 'metrics' is no JSON object"),
    "hash": (change_tag("bundle_sha256", "0" * 64), r"registry says 000000000000…"),
    **{
        name: (change_files(FILES[name][0]), FILES[name][1])
        for name in ("evidence", "evidence and manifest", "evidence gone")
    },
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_stops_an_up_until_it_is_mended(
    production: Production, store: Store, change: Callable[[Store, str], Mend], message: str
) -> None:
    first = staged(store)
    production.up()
    second = staged(store)
    mend = change(store, second)
    stages, tags = store.stages(), [store.tags(version) for version in (first, second)]
    with pytest.raises(EngineError, match=message):
        production.up()
    assert store.stages() == stages
    assert [store.tags(version) for version in (first, second)] == tags
    assert production.deployed() == f"{first} {image(first)}"
    mend()
    assert production.up() == {"gate": "update", "stage": "update"}
    assert store.stages()["production"] == second
    assert "proven_production" in store.tags(second)


def test_the_first_release_of_a_stage_is_refused_too(production: Production, store: Store) -> None:
    version = staged(store)
    mend = change_tag("metrics", '{"cv_roc_auc": 0.92}')(store, version)
    # A preview knows the tag alone.
    assert production.preview()["gate"].changed["metrics"] == {"cv_roc_auc": 0.92}
    with pytest.raises(EngineError, match=r"0\.92 in the tag `metrics`"):
        production.up()
    assert production.state.records == []
    assert "production" not in store.stages()
    mend()
    assert production.up() == {"gate": "create", "stage": "create"}


def test_after_a_refusal_another_release_can_be_trained(
    production: Production, store: Store
) -> None:
    without_proof = staged(store)
    bundle = store.bundle(without_proof)
    without_evidence(bundle)
    store.tag(without_proof, "bundle_sha256", seal(bundle))
    with pytest.raises(EngineError, match=r"evidence\.json: the release was sealed without it"):
        production.up()
    second = staged(store)
    production.up()
    assert production.deployed() == f"{second} {image(second)}"


def test_a_release_without_a_proof_is_refused_for_that_first(
    production: Production, store: Store
) -> None:
    version = store.add()
    store.point("staging", version)
    changed_evidence(store.bundle(version))
    with pytest.raises(EngineError, match=r"it has no `proven_staging` with an image by digest"):
        production.up()


def test_a_gate_beyond_the_tag_stops_an_up_or_lets_it_pass_and_is_then_settled(
    production: Production, store: Store
) -> None:
    version = staged(store)
    gates = [{"metric": "held_out_brier", "at_most": 0.1}]
    production.config["proj:further_gates"] = json.dumps(gates)
    later = "held_out_brier: judged at the update, its figure is in the release's evidence"
    assert later in production.preview()["gate"].changed["verdicts"]
    with pytest.raises(EngineError, match=r"held_out_brier 0\.1200, at most 0\.1000: FAILS"):
        production.up()
    assert "production" not in store.stages()
    gates[0]["at_most"] = 0.2
    production.config["proj:further_gates"] = json.dumps(gates)
    assert production.up() == {"gate": "create", "stage": "create"}
    assert store.stages()["production"] == version
    (recorded,) = (r for r in production.state.records if r.name == "gate")
    assert "held_out_brier 0.1200, at most 0.2000: holds" in recorded.outputs["verdicts"]
    assert production.up() == {"gate": "same", "stage": "same"}
    (kept,) = (r for r in production.state.records if r.name == "gate")
    assert kept.outputs["verdicts"] == recorded.outputs["verdicts"]
