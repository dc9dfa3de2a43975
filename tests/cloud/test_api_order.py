"""Blue and green by resource order: what waits for what, and what a new release changes."""

from dataclasses import replace
from typing import Any

import pytest
from api_program import ARGS, objects, release, run, slot
from pulumi.output import Unknown

from infra.lifecycle.release_slot import ReleaseSlotProvider, slot_name
from tests.recorder import Recorder

SERVES = "api-service"
SMOKE = "api-release-smoke-test"


@pytest.fixture(scope="module")
def recorded() -> Recorder:
    return run()


def before(recorder: Recorder, name: str) -> set[str]:
    """Return everything that is made before `name`."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        new = {d for each in waiting for d in recorder[each].dependencies} - found
        found |= new
        waiting = new
    return found


def test_the_smoke_test_waits_for_all_of_the_release(recorded: Recorder) -> None:
    assert before(recorded, SMOKE) >= {
        "api-namespace",
        "api-account",
        "api-policy-deny-all",
        "api-policy-to-api",
        "api-policy-from-smoke-test",
        "api-release-settings",
        "api-release-accepted-keys",
        "api-release-deployment",
        "api-release-autoscaler",
        "api-release-budget",
        "api-release-service",
        "api-release-smoke-key",
    }


def test_what_serves_turns_after_the_smoke_test_and_not_before(recorded: Recorder) -> None:
    assert SMOKE in before(recorded, SERVES)
    assert SERVES not in before(recorded, SMOKE)
    for name in objects(recorded):
        if name.startswith("api-release-"):
            assert SERVES not in before(recorded, name), name


def test_pods_wait_for_what_guards_them(recorded: Recorder) -> None:
    assert before(recorded, "api-release-deployment") >= {
        "api-policy-deny-all",
        "api-policy-to-api",
        "api-account",
    }


def test_the_autoscaler_does_not_wait_for_the_pods(recorded: Recorder) -> None:
    """Else the release would be proved with one pod, and serve with it for a while."""
    assert "api-release-deployment" not in before(recorded, "api-release-autoscaler")


def test_the_gateway_waits_for_what_its_users_name(recorded: Recorder) -> None:
    assert before(recorded, "api-gateway-route") >= {
        "api-namespace",
        "api-gateway-namespace",
        "api-gateway-certificate",
        "api-gateway-gateway",
    }


def test_nothing_is_put_into_the_cluster_before_it_is_ready() -> None:
    recorder = run(after=True)
    for name in objects(recorder):
        assert "ready" in before(recorder, name), name


def test_a_new_release_gets_objects_of_its_own() -> None:
    """Names change, so the new ones come first; places in the program stay, so they replace."""
    old, new = objects(run(release("7"))), objects(run(release("8"), name=slot("8", 2)))
    assert old.keys() == new.keys()
    renamed = {
        name for name in old if old[name]["metadata"]["name"] != new[name]["metadata"]["name"]
    }
    assert renamed == {name for name in old if name.startswith("api-release-")}
    assert all(new[name]["metadata"]["name"].startswith(slot("8", 2)) for name in renamed)
    changed = {name for name in old if old[name] != new[name]} - renamed
    assert changed == {SERVES}
    assert old[SERVES]["spec"]["selector"]["employee-retention/release"] == slot("7")
    assert new[SERVES]["spec"]["selector"]["employee-retention/release"] == slot("8", 2)


def test_a_releases_services_select_its_pods_alone() -> None:
    old, new = objects(run(release("7"))), objects(run(release("8"), name=slot("8", 2)))
    pods = new["api-release-deployment"]["spec"]["template"]["metadata"]["labels"]
    assert new["api-release-service"]["spec"]["selector"].items() <= pods.items()
    assert not old["api-release-service"]["spec"]["selector"].items() <= pods.items()
    selector = new["api-release-deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pods.items()


def test_names_fit_into_labels() -> None:
    for manifest in objects(run()).values():
        assert len(manifest["metadata"]["name"]) <= 63


def test_the_evidence_is_there_once_the_release_serves(recorded: Recorder) -> None:
    assert recorded.outputs["evidence"] == {"image": ARGS.image, "job": f"{slot()}-smoke"}


def test_everything_is_a_child_on_the_given_cluster(recorded: Recorder) -> None:
    manifests = objects(recorded)
    assert manifests
    for name in manifests:
        found = recorded[name]
        assert found.parent.startswith("api"), name
        assert "::cluster::" in found.request.provider, name


def test_a_first_preview_needs_no_cluster() -> None:
    recorder = run(unknown=True)
    assert objects(recorder).keys() == objects(run()).keys()


class TestSlot:
    """The provider that gives a release its name."""

    PROVIDER = ReleaseSlotProvider()

    @staticmethod
    def news(version: str = "7", settings: str = "s") -> dict[str, Any]:
        image = str(release(version).image)
        return {"base": "attrition-api", "version": version, "image": image, "settings": settings}

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        result = self.PROVIDER.check(olds, news)
        assert not result.failures
        return dict(result.inputs)

    def test_the_first(self) -> None:
        assert self.check({}, self.news())["name"] == "attrition-api-r7-77777777-g1"

    def test_the_same_stays(self) -> None:
        first = self.check({}, self.news())
        again = self.check({**first, "generation": 1.0}, self.news())
        assert again == first
        assert not self.PROVIDER.diff("id", first, again).changes

    def test_going_back_is_a_name_of_its_own(self) -> None:
        """After a failed `up` the old objects still have the old name, and are to be deleted."""
        seven = self.check({}, self.news("7"))
        eight = self.check(seven, self.news("8"))
        back = self.check(eight, self.news("7"))
        names = [each["name"] for each in (seven, eight, back)]
        assert names == [
            "attrition-api-r7-77777777-g1",
            "attrition-api-r8-88888888-g2",
            "attrition-api-r7-77777777-g3",
        ]
        assert self.PROVIDER.diff("id", seven, eight).changes
        assert self.PROVIDER.update("id", seven, eight).outs == eight
        assert self.PROVIDER.create(seven).outs == seven

    def test_other_keys_are_proved_too(self) -> None:
        first = self.check({}, self.news())
        assert self.check(first, self.news(settings="t"))["name"].endswith("-g2")

    @pytest.mark.parametrize("key", ["version", "image", "settings"])
    def test_an_unknown_is_left_open(self, key: str) -> None:
        first = self.check({}, self.news())
        inputs = self.check(first, {**self.news(), key: Unknown()})
        assert not {"name", "generation"} & inputs.keys()

    @pytest.mark.parametrize(
        ("version", "image", "message"),
        [
            ("7", "crone.azurecr.io/attrition-api:7", "by its digest"),
            ("seven", release("7").image, "model version's number"),
            ("7" * 40, release("7").image, "characters"),
        ],
    )
    def test_what_cannot_be_named_is_refused(self, version: str, image: str, message: str) -> None:
        (failure,) = (
            self.PROVIDER.check({}, {**self.news(), "version": version, "image": image}).failures
            or []
        )
        assert message in failure.reason

    def test_slot_names_are_labels(self) -> None:
        name = slot_name("attrition-api", "9" * 9, str(ARGS.image), 9999)
        assert len(f"{name}-smoke") <= 63


def test_a_change_of_the_keys_changes_the_slot_and_tells_nothing() -> None:
    slots = [
        run(replace(ARGS, accepted_sha256=keys))["api-slot"]
        for keys in ("a" * 64, f"{'b' * 64},{'a' * 64}")
    ]
    first, second = (each.inputs["settings"] for each in slots)
    assert first != second
    assert "a" * 16 not in first + second
    assert not slots[0].secrets


def test_a_change_of_the_settings_changes_the_slot() -> None:
    slots = [
        run(replace(ARGS, environment=environment))["api-slot"].inputs["settings"]
        for environment in ({}, {"A": "1"}, {"A": "2"}, {"A": "1", "B": "1"}, {"B": "1", "A": "1"})
    ]
    assert len(set(slots)) == 4
    assert slots[3] == slots[4]
