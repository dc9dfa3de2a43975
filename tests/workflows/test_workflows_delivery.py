"""`python -m delivery`, with a `pulumi` that notes what it is told: order, settings, reports."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from workflows_recorder import Commands, events

from delivery.events import Change, Release, Run, read
from delivery.report import LIMIT, code, report
from tests.recorder import ROOT

DEPLOYMENT = ("update", "kubernetes:apps/v1:Deployment", "api-release-deployment")
PREFIX = "employee-retention"


def deliver(commands: Commands, *arguments: str) -> tuple[int, str, str]:
    """Run it; return its status, its report and what it printed."""
    file = commands.folder / "report.md"
    result = commands.run(sys.executable, "-m", "delivery", *arguments, "--report", str(file))
    told = file.read_text() if file.exists() else ""
    return result.returncode, told, result.stdout + result.stderr


def entry(kind: str, **settings: str) -> dict[str, Any]:
    """What Pulumi's history has of a run with these settings."""
    config = {
        f"{PREFIX}:{key}": {"value": value, "secret": False} for key, value in settings.items()
    }
    return {"kind": kind, "config": config}


def history(**settings: str) -> str:
    """What Pulumi says of the last `up`, which ran with these settings."""
    return json.dumps([entry("update", **settings)])


def settings_of(commands: Commands, command: str) -> dict[str, str]:
    """Return the settings with which the last call of a command ran."""
    call = commands.calls(f"pulumi {command}")[-1]
    (text,) = (text for name, text in call.files.items() if name.endswith(".yaml"))
    return yaml.safe_load(text)["config"]


def test_a_preview_tells_release_figures_gates_and_plan(commands: Commands) -> None:
    commands.answer("pulumi preview", stdout="Previewing …\n", told=events(DEPLOYMENT))
    status, told, printed = deliver(commands, "preview", "staging")
    assert status == 0
    assert "Previewing …" in printed
    assert "**Release 7**, image `contoso.azurecr.io/attrition-api@sha256:aaa" in told
    assert "| cv_roc_auc |\n| --- |\n| 0.8650 |" in told
    assert "held_out_roc_auc 0.8427" in told
    assert "- `cv_roc_auc 0.8650, at least 0.8000: holds`" in told
    assert "| update | `api-release-deployment` | Deployment |" in told
    (call,) = commands.calls("pulumi preview")
    assert "--stack staging" in call.line
    assert "--policy-pack policies" in call.line
    assert not commands.calls("pulumi up")


def test_a_failing_preview_tells_how_far_it_came_and_why(commands: Commands) -> None:
    told = events(DEPLOYMENT, error="Traceback\n  …\nSettingsError: config key x must be set")
    commands.answer("pulumi preview", status=1, told=told)
    status, text, _ = deliver(commands, "preview", "staging")
    assert status == 1
    assert "**Failed.**" in text
    assert "SettingsError: config key x must be set" in text
    assert "api-release-deployment" in text


def test_a_preview_that_never_began_is_told_too(commands: Commands) -> None:
    commands.answer("pulumi preview", status=255, stdout="error: no stack named 'staging' found\n")
    status, text, _ = deliver(commands, "preview", "staging")
    assert status == 1
    assert "no stack named 'staging' found" in text


def test_a_state_that_cannot_be_read_is_told_too(commands: Commands) -> None:
    commands.answer("pulumi stack history", status=255)
    status, text, printed = deliver(commands, "preview", "staging")
    assert status == 1
    assert "the last `up` of staging cannot be read" in text
    assert "the last `up` of staging cannot be read" in printed
    assert not commands.calls("pulumi preview")


def test_a_policy_that_is_broken_is_told(commands: Commands) -> None:
    commands.answer("pulumi preview", status=1, told=events(policy="images:\n  no digest"))
    _, text, _ = deliver(commands, "preview", "staging")
    assert "- `mandatory: images: no digest`" in text


def test_an_apply_applies_once_without_asking(commands: Commands) -> None:
    commands.answer("pulumi up", told=events(DEPLOYMENT))
    status, text, _ = deliver(commands, "apply", "shared")
    assert status == 0
    assert "shared: applied" in text
    assert [call.arguments[1] for call in commands.calls("pulumi")] == ["stack", "up"]
    (call,) = commands.calls("pulumi up")
    assert "--yes --skip-preview" in call.line


def test_a_failing_apply_fails(commands: Commands) -> None:
    commands.answer("pulumi up", status=255, told=events(DEPLOYMENT, error="GateError: refused"))
    status, text, _ = deliver(commands, "apply", "staging")
    assert status == 1
    assert "staging: failed half-way" in text
    assert "GateError: refused" in text


def test_what_was_approved_is_applied(commands: Commands) -> None:
    told = events(DEPLOYMENT)
    commands.answer("pulumi preview", told=told)
    approved = read(map(json.dumps, told)).digest
    status, _, _ = deliver(commands, "apply", "production", "--approved", approved)
    assert status == 0
    assert [call.arguments[1] for call in commands.calls("pulumi")] == [
        *("stack", "preview", "stack", "up")
    ]


@pytest.mark.parametrize(
    "now",
    [
        events(DEPLOYMENT, ("delete", "azure-native:resources:ResourceGroup", "resource-group")),
        events(DEPLOYMENT, version="8"),
        events(),
    ],
    ids=["another change", "another release", "a change less"],
)
def test_another_plan_than_the_approved_one_is_not_applied(
    commands: Commands, now: list[dict[str, object]]
) -> None:
    commands.answer("pulumi preview", told=now)
    approved = read(map(json.dumps, events(DEPLOYMENT))).digest
    status, text, _ = deliver(commands, "apply", "production", "--approved", approved)
    assert status == 1
    assert "no longer the plan that was approved" in text
    assert not commands.calls("pulumi up")


def test_a_plan_that_fails_is_not_applied(commands: Commands) -> None:
    commands.answer("pulumi preview", status=1, told=events(DEPLOYMENT, error="no"))
    digest = read(map(json.dumps, events(DEPLOYMENT, error="no"))).digest
    status, text, _ = deliver(commands, "apply", "production", "--approved", digest)
    assert status == 1
    assert "production: not applied" in text
    assert not commands.calls("pulumi up")


def test_a_refresh_is_pulumis_own(commands: Commands) -> None:
    """It is part of the plan that is approved, and of the one that is applied."""
    told = events(DEPLOYMENT)
    commands.answer("pulumi preview", told=told)
    approved = read(map(json.dumps, told)).digest
    for arguments in (("preview",), ("apply", "--approved", approved)):
        command, *rest = arguments
        assert deliver(commands, command, "staging", "--refresh", *rest)[0] == 0
    runs = [*commands.calls("pulumi preview"), *commands.calls("pulumi up")]
    assert [call.arguments.count("--refresh") for call in runs] == [1, 1, 1]


@pytest.mark.parametrize("command", ["preview", "apply"])
def test_without_being_asked_nothing_is_refreshed(commands: Commands, command: str) -> None:
    deliver(commands, command, "staging")
    assert not commands.calls("--refresh")


def test_an_approval_without_a_plan_is_refused(commands: Commands) -> None:
    """A job that lost the digest on its way has nothing that was approved."""
    status, told, printed = deliver(commands, "apply", "production", "--approved", "")
    assert status == 1
    assert "--approved is empty" in told
    assert "--approved is empty" in printed
    assert not commands.calls("pulumi")


class TestSettings:
    """What workflows set holds until a workflow sets it again."""

    def test_one_that_is_set_now(self, commands: Commands) -> None:
        deliver(commands, "apply", "shared", "--set", "retrain=run-1")
        assert settings_of(commands, "up")[f"{PREFIX}:retrain"] == "run-1"

    def test_one_of_the_last_up(self, commands: Commands) -> None:
        commands.answer("pulumi stack history --stack shared", stdout=history(retrain="run-1"))
        deliver(commands, "apply", "shared")
        assert settings_of(commands, "up")[f"{PREFIX}:retrain"] == "run-1"

    def test_a_release_stays_with_its_reason(self, commands: Commands) -> None:
        last = history(releaseVersion="6", releaseReason="too many referrals")
        commands.answer("pulumi stack history", stdout=last)
        deliver(commands, "preview", "production")
        given = settings_of(commands, "preview")
        assert given[f"{PREFIX}:releaseVersion"] == "6"
        assert given[f"{PREFIX}:releaseReason"] == "too many referrals"

    def test_one_that_is_taken_away(self, commands: Commands) -> None:
        last = history(releaseVersion="6", releaseReason="too many referrals")
        commands.answer("pulumi stack history", stdout=last)
        deliver(
            commands,
            *("apply", "production", "--set", "releaseVersion="),
            *("--set", "releaseReason=mended = really"),
        )
        given = settings_of(commands, "up")
        assert f"{PREFIX}:releaseVersion" not in given
        assert given[f"{PREFIX}:releaseReason"] == "mended = really"

    def test_a_reason_does_not_outlive_its_release(self, commands: Commands) -> None:
        commands.answer("pulumi stack history", stdout=history(releaseReason="mended"))
        deliver(commands, "apply", "production")
        assert f"{PREFIX}:releaseReason" not in settings_of(commands, "up")

    @pytest.mark.parametrize("others", [1, 9, 10, 25])
    def test_what_is_no_up_is_passed_over(self, commands: Commands, others: int) -> None:
        """A `pulumi refresh` by hand runs with the stack's file, and knows of no choice."""
        past = [*(entry("refresh") for _ in range(others)), entry("update", releaseVersion="6")]
        past += [entry("update", releaseVersion="5")] * 10
        for page in range(4):
            told = json.dumps(past[10 * page : 10 * (page + 1)])
            commands.answer(
                f"history --stack staging --json --page-size 10 --page {page + 1}", stdout=told
            )
        deliver(commands, "preview", "staging")
        assert settings_of(commands, "preview")[f"{PREFIX}:releaseVersion"] == "6"

    @pytest.mark.parametrize("newer", [[], [entry("refresh")]])
    def test_nothing_outlives_the_stack(
        self, commands: Commands, newer: list[dict[str, Any]]
    ) -> None:
        past = [*newer, entry("destroy", releaseVersion="6"), entry("update", releaseVersion="6")]
        commands.answer("pulumi stack history", stdout=json.dumps(past))
        deliver(commands, "preview", "staging")
        assert f"{PREFIX}:releaseVersion" not in settings_of(commands, "preview")

    def test_a_past_without_an_up_ends(self, commands: Commands) -> None:
        full = json.dumps([entry("refresh")] * 10)
        commands.answer("pulumi stack history", "--page 1", stdout=full)
        commands.answer("pulumi stack history", "--page 2", stdout="[]")
        assert deliver(commands, "preview", "staging")[0] == 0
        assert len(commands.calls("pulumi stack history")) == 2

    def test_a_stack_without_a_past(self, commands: Commands) -> None:
        commands.answer("pulumi stack history", stdout="[]")
        status, _, _ = deliver(commands, "apply", "production")
        assert status == 0
        assert (
            settings_of(commands, "up")
            == yaml.safe_load((ROOT / "Pulumi.production.yaml").read_text())["config"]
        )

    def test_one_of_another_stack_is_refused(self, commands: Commands) -> None:
        status, text, _ = deliver(commands, "apply", "shared", "--set", "releaseVersion=6")
        assert status == 1
        assert "'releaseVersion' is not what a workflow sets for shared: use retrain" in text
        assert not commands.calls("pulumi up")

    def test_the_projects_files_stay_as_they_are(self, commands: Commands) -> None:
        before = (ROOT / "Pulumi.shared.yaml").read_bytes()
        deliver(commands, "apply", "shared", "--set", "retrain=run-1")
        assert (ROOT / "Pulumi.shared.yaml").read_bytes() == before
        assert commands.left_behind() == []


class TestDrift:
    """Every stack is looked at, and the worst is told."""

    def look(self, commands: Commands) -> tuple[int, str, str]:
        output = commands.folder / "output"
        commands.environment["GITHUB_OUTPUT"] = str(output)
        status, text, _ = deliver(commands, "drift")
        return status, text, output.read_text().strip()

    def test_none(self, commands: Commands) -> None:
        commands.answer("pulumi preview", told=events())
        status, _, state = self.look(commands)
        assert (status, state) == (0, "state=clean")
        stacks = [call.line.split("--stack ")[1].split()[0] for call in commands.calls("--refresh")]
        assert stacks == ["shared", "staging", "production"]

    def test_what_somebody_changed_in_the_cloud(self, commands: Commands) -> None:
        commands.answer("--stack shared", "--refresh", told=events(moved=True))
        commands.answer("pulumi preview", told=events())
        status, text, state = self.look(commands)
        assert (status, state) == (0, "state=drifted")
        assert "Changed in the cloud itself" in text
        assert "| changed | `images` | Registry | tags |" in text

    def test_what_main_asks_for_and_nobody_applied(self, commands: Commands) -> None:
        commands.answer("--stack production", "--refresh", told=events(DEPLOYMENT))
        commands.answer("pulumi preview", told=events())
        assert self.look(commands)[2] == "state=drifted"

    def test_a_stack_that_cannot_be_looked_at(self, commands: Commands) -> None:
        commands.answer("--stack staging", "--refresh", status=1)
        commands.answer("pulumi preview", told=events())
        status, text, state = self.look(commands)
        assert (status, state) == (1, "state=unknown")
        assert "### production" in text

    def test_drift_is_told_although_another_stack_cannot_be_looked_at(
        self, commands: Commands
    ) -> None:
        commands.answer("--stack shared", "--refresh", told=events(moved=True))
        commands.answer("--stack staging", "--refresh", status=1)
        commands.answer("pulumi preview", told=events())
        status, _, state = self.look(commands)
        assert (status, state) == (1, "state=drifted")


REGISTRY = "azure-native:containerregistry:Registry"
CLUSTER = "azure-native:containerservice:ManagedCluster"
WORKLOAD = "kubernetes:apps/v1:Deployment"
STAGE = "pulumi-python:dynamic/lifecycle:ModelStage"


def refreshed(
    kind: str, asked: dict[str, Any], had: dict[str, Any], has: dict[str, Any] | None, **given: Any
) -> tuple[Change, ...]:
    """Read a refresh: the inputs, the outputs before and after; `given` are the read's inputs."""
    urn = f"urn:pulumi:staging::employee-retention::{kind}::thing"
    old = {"inputs": asked, "outputs": had}
    new = None if has is None else {"inputs": {**asked, **given}, "outputs": has}
    metadata = {"op": "refresh", "urn": urn, "type": kind, "diffs": None, "detailedDiff": None}
    metadata |= {"old": old, "new": new}
    return read([json.dumps({"resOutputsEvent": {"metadata": metadata}})]).moved


class TestMoved:
    """Only what the program asked for can drift: the rest of a cloud moves every day."""

    POD: ClassVar = {"containers": [{"name": "api", "image": "api@sha256:aaa"}]}
    ASKED: ClassVar = {
        "metadata": {"labels": {"app.kubernetes.io/name": "api"}},
        "spec": {"replicas": 2, "template": {"spec": POD}},
    }

    def workload(self, *, version: str, ready: int, replicas: int = 2) -> dict[str, Any]:
        container = {**self.POD["containers"][0], "imagePullPolicy": "IfNotPresent"}
        return {
            "metadata": {
                "labels": {"app.kubernetes.io/name": "api"},
                "resourceVersion": version,
                "managedFields": [{"manager": f"manager-{version}"}],
            },
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
            "status": {"readyReplicas": ready},
        }

    def cluster(self, *, tag: str, nodes: int, patch: int, size: str = "D4s") -> dict[str, Any]:
        pool = {"name": "system", "count": nodes, "vmSize": size, "powerState": {"code": "Running"}}
        return {
            "agentPoolProfiles": [pool],
            "currentKubernetesVersion": f"1.34.{patch}",
            "eTag": tag,
            "kubernetesVersion": f"1.34.{patch}",
        }

    NODES: ClassVar = {
        "agentPoolProfiles": [{"name": "system", "count": 2, "vmSize": "D4s"}],
        "kubernetesVersion": "1.34",
    }

    def test_a_workloads_status_is_no_drift_nor_is_what_its_autoscaler_does(self) -> None:
        had = self.workload(version="1", ready=2)
        assert not refreshed(WORKLOAD, self.ASKED, had, had)
        has = self.workload(version="9", ready=4, replicas=4)
        assert not refreshed(WORKLOAD, self.ASKED, had, has)

    def test_a_clusters_entity_tag_nodes_and_patch_are_no_drift(self) -> None:
        had = self.cluster(tag="a", nodes=2, patch=1)
        assert not refreshed(CLUSTER, self.NODES, had, self.cluster(tag="b", nodes=5, patch=3))

    def test_a_clusters_machines_are(self) -> None:
        had = self.cluster(tag="a", nodes=2, patch=1)
        has = self.cluster(tag="b", nodes=2, patch=1, size="D2s")
        (change,) = refreshed(CLUSTER, self.NODES, had, has)
        assert change.keys == ("agentPoolProfiles",)

    def test_a_pool_more_is(self) -> None:
        had, has = (self.cluster(tag="a", nodes=2, patch=1) for _ in range(2))
        has["agentPoolProfiles"].append({"name": "more"})
        assert refreshed(CLUSTER, self.NODES, had, has)

    def test_a_label_a_container_and_one_that_is_gone_are(self) -> None:
        had = self.workload(version="1", ready=2)
        for labels in ({"app.kubernetes.io/name": "else"}, {}, None):
            has = self.workload(version="2", ready=2)
            has["metadata"]["labels"] = labels
            (change,) = refreshed(WORKLOAD, self.ASKED, had, has)
            assert change == Change(
                operation="changed", kind="Deployment", name="thing", keys=("metadata",)
            )
        has = self.workload(version="2", ready=2)
        has["spec"]["template"]["spec"]["containers"][0]["image"] = "api@sha256:bbb"
        (change,) = refreshed(WORKLOAD, self.ASKED, had, has)
        assert change.keys == ("spec",)

    def test_tags_that_are_gone_are(self) -> None:
        asked = {"tags": {"stage": "shared"}}
        (change,) = refreshed(REGISTRY, asked, {**asked, "id": "/r"}, {"id": "/r"})
        assert change.keys == ("tags",)

    def test_an_input_that_no_output_repeats_is_asked_of_the_read(self) -> None:
        asked = {"adminUserEnabled": False, "resourceGroupName": "rg"}
        assert not refreshed(REGISTRY, asked, {"id": "/r"}, {"id": "/r"})
        (change,) = refreshed(REGISTRY, asked, {"id": "/r"}, {"id": "/r"}, adminUserEnabled=True)
        assert change.keys == ("adminUserEnabled",)

    def test_how_a_cloud_spells_an_input_is_no_drift(self) -> None:
        had = {"cpu": "500m"}
        assert not refreshed(WORKLOAD, {"cpu": "0.5"}, had, had, cpu="500m")

    def test_an_alias_that_was_moved_by_hand_is(self) -> None:
        asked = {"stage": "staging", "version": "7", "evidence": {"image": "a"}}
        had = {**asked, "previous_version": "6"}
        (change,) = refreshed(STAGE, asked, had, {**had, "version": "5"})
        assert change.keys == ("version",)

    def test_what_is_gone_is(self) -> None:
        (change,) = refreshed(STAGE, {"version": "7"}, {"version": "7"}, None)
        assert (change.operation, change.keys) == ("gone", ())


def test_a_signal_to_stop_reaches_the_engine_which_ends_in_order(commands: Commands) -> None:
    ended, begun = commands.folder / "ended", commands.folder / "begun"
    waiting = (
        "import signal\n"
        f"def stop(*_): Path({str(ended)!r}).touch(); sys.exit(1)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        f"Path({str(begun)!r}).touch()"
    )
    commands.answer("pulumi up", code=waiting, seconds=60)
    with subprocess.Popen(
        [sys.executable, "-m", "delivery", "apply", "shared"],
        cwd=ROOT,
        env=commands.full_environment({}),
        stdout=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 30
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    assert ended.exists()


class TestReport:
    """Markdown that nobody's text can break."""

    def test_text_is_shown_and_does_nothing(self) -> None:
        assert code("a `b` | c\n@d") == r"`a 'b' \| c @d`"
        text = report("x", Run(errors=("``````\n@everybody",)), failed=True)
        assert text.count("`" * 6) == 2

    def test_it_fits_into_a_comment(self) -> None:
        many = tuple(Change(operation="create", kind="Thing", name="x" * 900) for _ in range(999))
        text = report("x", Run(changes=many, errors=("y" * 50_000,)), failed=True)
        assert len(text) <= LIMIT + 1
        assert text.endswith("the rest is in the run's log\n")

    def test_nothing_to_do(self) -> None:
        assert "Nothing to do" in report("x", Run(), failed=False)
        assert "Nothing to do" not in report("x", Run(), failed=True)

    def test_a_refusal_is_told_where_there_is_no_release(self) -> None:
        release = Release(version="", image="", figures={}, verdicts=("staging proved nothing",))
        text = report("x", Run(release=release), failed=False)
        assert "**No release**" in text
        assert "- `staging proved nothing`" in text

    def test_no_value_of_a_property_is_in_it(self) -> None:
        state = {"inputs": {"apiKey": "worth-nothing"}, "outputs": {}}
        urn = "urn:pulumi:s::p::pulumi-python:dynamic/lifecycle:ApiKey::api-key"
        metadata = {"op": "update", "urn": urn, "type": urn.split("::")[2], "new": state}
        metadata |= {"old": state, "diffs": ["apiKey"], "detailedDiff": {"apiKey": {}}}
        run = read([json.dumps({"resourcePreEvent": {"metadata": metadata}})])
        text = report("x", run, failed=False)
        assert "| update | `api-key` | ApiKey | apiKey |" in text
        assert "worth-nothing" not in text


def test_a_replacement_counts_once_and_default_providers_do_not() -> None:
    kind = "kubernetes:apps/v1:Deployment"
    told = events(
        *(
            (operation, kind, "a")
            for operation in ("create-replacement", "replace", "delete-replaced")
        ),
        ("create", "pulumi:providers:azure-native", "default_3_29_0"),
        ("create", "pulumi:providers:kubernetes", "cluster-kubernetes"),
        ("same", kind, "b"),
        ("read", "pulumi:pulumi:StackReference", "shared"),
    )
    names = [(change.operation, change.name) for change in read(map(json.dumps, told)).changes]
    assert names == [("replace", "a"), ("create", "cluster-kubernetes")]


def test_what_is_not_known_yet_is_no_version() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    release = read(map(json.dumps, events(version=unknown))).release
    assert release is not None
    assert release.version == ""


def test_the_order_of_events_does_not_change_a_plans_digest() -> None:
    other = ("create", "kubernetes:core/v1:Service", "api-service")
    one, two = events(DEPLOYMENT, other), events(other, DEPLOYMENT)
    assert read(map(json.dumps, one)).digest == read(map(json.dumps, two)).digest


def test_help_says_what_it_does() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "delivery", "apply", "--help"],
        cwd=Path(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "releaseVersion" in result.stdout
