"""What the workflow files promise: pinned actions, least rights, no secret, an order of applies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflows_files import FILES, jobs, steps, workflow

from delivery.pulumi import SETTINGS
from tests.recorder import ROOT

JOBS = [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in jobs()]
ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "setup" / "action.yml").read_text())
TEXTS = {path.name: path.read_text() for path in FILES}
SCRIPTS = sorted((ROOT / ".github" / "scripts").iterdir())
BIN = Path(sys.executable).parent
_DEPLOYER = "${{ vars.AZURE_CLIENT_ID }}"
_READER = "${{ vars.AZURE_PREVIEW_CLIENT_ID }}"


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert [path.stem for path in FILES] == [
        *("deploy", "drift", "preview", "retrain", "rollback", "test")
    ]


def test_actions_are_few_and_pinned() -> None:
    used = [
        line.strip().removeprefix("- ")
        for text in [*TEXTS.values(), (ROOT / ".github/actions/setup/action.yml").read_text()]
        for line in text.splitlines()
        if re.match(r" *(- )?uses:", line)
    ]
    foreign = {line for line in used if "uses: ./" not in line}
    for line in foreign:
        assert re.fullmatch(r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    # One pin an action: two would be one that was forgotten.
    names = sorted(line.split()[1].split("@")[0] for line in foreign)
    assert names == ["actions/checkout", "actions/setup-python"]


@pytest.mark.parametrize(("name", "job", "content"), JOBS)
def test_each_job_has_the_rights_that_it_needs(
    name: str, job: str, content: dict[str, Any]
) -> None:
    assert workflow(name)["permissions"] == {}
    rights = dict(content["permissions"])
    assert rights.pop("contents") == "read"
    runs = " ".join(step.get("run", "") for step in steps(content))
    called = workflow("deploy") if "deploy.yml" in content.get("uses", "") else None
    needed: dict[str, str] = {}
    if "with_azure.sh" in runs or called:
        needed["id-token"] = "write"
    if "require_rules.sh" in runs or called:
        needed["actions"] = "read"
    if "comment.sh" in runs:
        needed["pull-requests"] = "write"
    if "drift_issue.sh" in runs:
        needed["issues"] = "write"
    assert rights == needed


@pytest.mark.parametrize(("name", "job", "content"), JOBS)
def test_each_job_ends_by_itself_and_keeps_no_token(
    name: str, job: str, content: dict[str, Any]
) -> None:
    if "uses" in content:
        return
    assert content["timeout-minutes"] <= 180
    (checkout,) = (s for s in steps(content) if "actions/checkout" in s.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("name", "job", "content"), JOBS)
def test_each_job_that_runs_the_program_has_the_history(
    name: str, job: str, content: dict[str, Any]
) -> None:
    """The image names the commit that changed it last: without history another than a laptop's."""
    if "uses" in content:
        return
    runs = " ".join(step.get("run", "") for step in steps(content))
    programs = ("-m delivery", "preview_offline.sh")
    (checkout,) = (s for s in steps(content) if "actions/checkout" in s.get("uses", ""))
    depth = checkout["with"].get("fetch-depth")
    assert depth == (0 if any(program in runs for program in programs) else None)


def test_no_workflow_knows_a_secret_or_trusts_a_fork() -> None:
    for text in [*TEXTS.values(), (ROOT / ".github/actions/setup/action.yml").read_text()]:
        assert "pull_request_target" not in text
        assert "workflow_run" not in text
        assert not re.search(r"\bsecrets\b[.:\[]", text)


@pytest.mark.parametrize(("name", "job", "content"), JOBS)
def test_what_a_pull_request_runs_is_never_the_deployer(
    name: str, job: str, content: dict[str, Any]
) -> None:
    if "pull_request" not in workflow(name)["on"]:
        return
    assert _DEPLOYER not in str(content)
    assert content.get("environment") in (None, "preview")
    if "id-token" in content["permissions"]:
        own = "github.event.pull_request.head.repo.full_name == github.repository"
        assert content["if"].startswith(own)
        assert content["env"]["AZURE_CLIENT_ID"] == _READER
    else:
        # Nothing but the code: a fork's job is this one.
        assert content["permissions"] == {"contents": "read"}
        assert "vars." not in str(content)
        assert "github.token" not in str(content)


@pytest.mark.parametrize(("name", "job", "content"), JOBS)
def test_the_deployer_works_in_an_environment_from_main_alone(
    name: str, job: str, content: dict[str, Any]
) -> None:
    if _DEPLOYER not in str(content):
        return
    assert content["environment"] in {*SETTINGS, "plan", "${{ inputs.stage }}"}
    earlier = job
    while needs := workflow(name)["jobs"][earlier].get("needs"):
        if "refs/heads/main" in workflow(name)["jobs"][earlier].get("if", ""):
            break
        earlier = needs
    assert "github.ref == 'refs/heads/main'" in workflow(name)["jobs"][earlier]["if"]


@pytest.mark.parametrize("name", ["deploy", "drift", "rollback"])
def test_environments_are_looked_at_before_one_is_named(name: str) -> None:
    """A job that names an environment which is not there makes it, and may be the deployer."""
    every = workflow(name)["jobs"]
    deploying = {job for job, content in every.items() if _DEPLOYER in str(content)}
    for job in deploying:
        while job != "rules":
            job = every[job]["needs"]
    assert "environment" not in every["rules"]
    command = steps(every["rules"])[-1]["run"].split()
    assert command[:2] == [".github/scripts/require_rules.sh", "production"]
    assert {*command[1:]} == {*SETTINGS, "plan"}


def test_no_other_workflow_is_the_deployer() -> None:
    names = {name for name, _, content in jobs() if _DEPLOYER in str(content)}
    assert names == {"deploy", "drift", "rollback"}


def test_previews_stop_for_newer_ones() -> None:
    concurrency = workflow("preview")["concurrency"]
    assert concurrency["cancel-in-progress"] is True
    assert "pull_request.number" in concurrency["group"]


def test_applies_wait_for_each_other_and_are_never_cancelled() -> None:
    applying = {
        (name, job): content
        for name, job, content in jobs()
        if any("delivery apply" in step.get("run", "") for step in steps(content))
    }
    assert set(applying) == {
        *(("deploy", stack) for stack in SETTINGS),
        ("rollback", "apply"),
    }
    for (name, job), content in applying.items():
        stack = "${{ inputs.stage }}" if name == "rollback" else job
        # One queue a stack for all workflows, and a place in it is not lost to the next one.
        expected = {"group": f"stack-{stack}", "cancel-in-progress": False, "queue": "max"}
        assert content["concurrency"] == expected
        assert content["environment"] == stack
        assert "concurrency" not in workflow(name)


def test_stacks_are_deployed_in_order_after_the_tests() -> None:
    deploy = workflow("deploy")["jobs"]
    order = ["test", "rules", "shared", "staging", "plan", "production"]
    assert list(deploy) == order
    assert [deploy[job].get("needs") for job in order] == [None, *order[:-1]]
    # An `if` of its own would let a job run after one that failed.
    assert [job for job in order if "if" in deploy[job]] == ["rules"]


def test_the_approved_plan_is_the_one_that_is_applied() -> None:
    for name, job in (("deploy", "production"), ("rollback", "apply")):
        content = workflow(name)["jobs"][job]
        assert content["env"]["APPROVED"] == "${{ needs.plan.outputs.digest }}"
        assert '--approved "$APPROVED"' in steps(content)[-1]["run"]
        plan = workflow(name)["jobs"]["plan"]
        assert plan["outputs"] == {"digest": "${{ steps.preview.outputs.digest }}"}


def test_training_by_schedule_is_off_until_somebody_sets_it() -> None:
    retrain = workflow("retrain")
    assert retrain["on"].keys() == {"workflow_dispatch", "schedule"}
    condition = retrain["jobs"]["deploy"]["if"]
    assert "vars.RETRAIN_SCHEDULE == 'on'" in condition
    assert "github.event_name == 'workflow_dispatch' ||" in condition


def test_a_rollback_asks_for_stage_version_and_reason() -> None:
    inputs = workflow("rollback")["on"]["workflow_dispatch"]["inputs"]
    assert inputs["stage"]["options"] == ["staging", "production"]
    assert list(inputs) == ["stage", "version", "reason"]
    assert inputs["reason"]["required"] is True


def test_what_the_steps_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    runs = [step["run"] for _, _, job in jobs() for step in steps(job) if "run" in step]
    runs += [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    scripts = {name for run in runs for name in re.findall(r"\S*/scripts/\S+\.sh", run)}
    made = {name for run in runs for name in re.findall(r"\bmake ([a-z-]+)", run)}
    wanted = {
        step["with"].get("needs") for _, _, j in jobs() for step in steps(j) if "with" in step
    }
    made |= {ACTION["inputs"]["needs"]["default"], *filter(None, wanted)}
    assert len(scripts) == 7
    assert {"check", "test", "setup-cloud"} <= made
    assert {name for name in scripts if not os.access(ROOT / name, os.X_OK)} == set()
    assert made <= targets


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_run_by_a_workflow_and_says_what_it_is_for(script: Path) -> None:
    assert os.access(script, os.X_OK)
    first, second, *_ = script.read_text().splitlines()
    assert first == "#!/usr/bin/env bash"
    assert second.startswith("# ")
    setup = (ROOT / ".github/actions/setup/action.yml").read_text()
    assert any(script.name in text for text in [*TEXTS.values(), setup])


def test_commands_that_can_be_run_by_hand_are_those_of_the_steps() -> None:
    """Each file's head says how a person runs the same."""
    for path in FILES:
        head = path.read_text().partition("\nname:")[0]
        assert "By hand:" in head
        for command in re.findall(r"(?:python -m delivery|make|\.github/scripts/\S+) ?\w+", head):
            assert command.split()[0] in ("python", "make") or (ROOT / command.split()[0]).exists()


def lint(*command: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {Path(command[0]).name} here: `make check` installs it")
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


SHELLCHECK, ACTIONLINT, ZIZMOR = (
    str(BIN / name) for name in ("shellcheck", "actionlint", "zizmor")
)


def test_shellcheck_has_nothing_to_complain_of() -> None:
    files = [*map(str, SCRIPTS), "bootstrap/bootstrap.sh", ".ci/run"]
    result = lint(SHELLCHECK, *files)
    assert result.returncode == 0, result.stdout


def test_actionlint_has_nothing_to_complain_of() -> None:
    result = lint(ACTIONLINT, "-shellcheck", SHELLCHECK, "-pyflakes=")
    assert result.returncode == 0, result.stdout


def test_zizmor_has_nothing_to_complain_of() -> None:
    result = lint(ZIZMOR, "--offline", "--no-progress", ".github")
    assert result.returncode == 0, result.stdout


def test_zizmor_would_complain(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = TEXTS["preview.yml"].replace("  pull_request:\n", "  pull_request_target:\n", 1)
    (folder / "preview.yml").write_text(text)
    result = lint(ZIZMOR, "--offline", "--no-progress", str(tmp_path))
    assert "dangerous-triggers" in result.stdout
