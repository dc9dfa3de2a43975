"""Whole jobs: the steps of the workflow files themselves, with GitHub's expressions filled in.

Actions are left out, as is GitHub; the scripts, the program that they run and their order are real.
"""

import json
import shutil
from typing import ClassVar

import pytest
from workflows_files import JobRun, run_job
from workflows_recorder import Commands, events

from delivery.events import read

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq command")

CHANGE = ("create", "kubernetes:apps/v1:Deployment", "api-release-deployment")
VARIABLES = {
    "vars.AZURE_CLIENT_ID": "deployer",
    "vars.AZURE_PREVIEW_CLIENT_ID": "reader",
    "vars.AZURE_TENANT_ID": "tenant",
    "vars.AZURE_SUBSCRIPTION_ID": "subscription",
    "vars.PULUMI_BACKEND_URL": "azblob://pulumi?storage_account=contosostate",
    "github.token": "a-token-of-no-worth",
    "inputs.retrain": "",
}
IDENTITY = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?v=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a-request-token-of-no-worth",
}


@pytest.fixture
def github(commands: Commands) -> Commands:
    """A runner whose identity tokens are given, and whose environments have their rules."""
    commands.answer("curl", stdout=json.dumps({"value": "an-assertion-of-no-worth"}))
    commands.answer("gh api", "/deployment-branch-policies", stdout="branch main\n")
    commands.answer("gh api", "/environments/", stdout="1\ttrue\n")
    return commands


def run(commands: Commands, name: str, job: str, **context: str) -> JobRun:
    return run_job(commands, name, job, {**VARIABLES, **context}, **IDENTITY)


def commands_of(commands: Commands) -> list[str]:
    """List what was run of Azure, Pulumi and GitHub, by its first two words."""
    return [" ".join(call.arguments[:2]) for call in commands.calls()]


class TestPreview:
    """preview.yml."""

    CONTEXT: ClassVar = {"matrix.stack": "staging", "github.event.pull_request.number": "5"}

    def preview(self, commands: Commands) -> JobRun:
        return run_job(commands, "preview", "preview", {**VARIABLES, **self.CONTEXT}, **IDENTITY)

    def test_it_logs_in_as_the_reader_previews_and_comments(self, github: Commands) -> None:
        github.answer("pulumi preview", told=events(CHANGE))
        result = self.preview(github)
        assert result.status == 0, result.output
        assert commands_of(github)[1:] == [
            *("az login", "az account", "az account"),
            *("pulumi stack", "pulumi preview", "gh api", "gh api"),
        ]
        assert github.calls("az login --service-principal --username reader")
        assert not github.calls("deployer")
        comment = github.calls("--method POST")[0]
        assert "issues/5/comments" in comment.line
        (body,) = comment.files.values()
        assert body.startswith("<!-- preview: staging -->")
        assert "**Release 7**" in body

    def test_a_failing_preview_comments_and_fails(self, github: Commands) -> None:
        github.answer("pulumi preview", status=1, told=events(CHANGE, error="SettingsError: no"))
        result = self.preview(github)
        assert result.status == 1
        (body,) = github.calls("--method POST")[0].files.values()
        assert "**Failed.**" in body
        assert "SettingsError: no" in body

    def test_a_log_in_that_fails_comments_and_fails(self, github: Commands) -> None:
        github.answer("az login", status=1)
        result = self.preview(github)
        assert result.status == 1
        assert not github.calls("pulumi")
        (body,) = github.calls("--method POST")[0].files.values()
        assert "before there was anything to show" in body

    def test_only_the_comments_step_has_githubs_token(self, github: Commands) -> None:
        self.preview(github)
        holders = {c.arguments[0] for c in github.calls() if "GH_TOKEN" in c.environment}
        assert holders == {"gh"}

    def test_a_fork_gets_a_preview_without_any_account(self, github: Commands) -> None:
        github.answer("make preview STACK=staging", stdout="+ gate\n")
        result = run_job(github, "preview", "offline", {"matrix.stack": "staging"})
        assert result.status == 0
        assert commands_of(github) == ["make preview"]
        assert "+ gate" in result.summary


class TestDeploy:
    """deploy.yml: what one job hands to the next."""

    def test_shared_and_staging_apply_as_the_deployer(self, github: Commands) -> None:
        for stack in ("shared", "staging"):
            result = run(github, "deploy", stack)
            assert result.status == 0, result.output
            (up,) = github.calls(f"pulumi up --stack {stack}")
            assert up.environment["AZURE_CLIENT_ID"] == "deployer"
            assert up.environment["PULUMI_BACKEND_URL"].startswith("azblob://")
            assert f"{stack}: applied" in result.summary

    def test_without_a_new_value_nothing_is_retrained(self, github: Commands) -> None:
        run(github, "deploy", "shared")
        (up,) = github.calls("pulumi up")
        assert not any("retrain" in text for text in up.files.values())

    def test_retraining_hands_a_new_value_on(self, github: Commands) -> None:
        run(github, "deploy", "shared", **{"inputs.retrain": "run-42"})
        (up,) = github.calls("pulumi up")
        assert any("employee-retention:retrain: run-42" in text for text in up.files.values())

    def test_a_failing_apply_fails_its_job(self, github: Commands) -> None:
        github.answer("pulumi up", status=255, told=events(error="GateError: refused"))
        result = run(github, "deploy", "staging")
        assert result.status == 1
        assert "GateError: refused" in result.summary

    def test_the_approver_sees_release_figures_gates_and_plan(self, github: Commands) -> None:
        told = events(CHANGE)
        github.answer("pulumi preview", told=told)
        result = run(github, "deploy", "plan")
        assert result.status == 0, result.output
        for part in ("**Release 7**", "0.8650", "at least 0.8000: holds", "api-release-deployment"):
            assert part in result.summary
        assert result.outputs == {"digest": read(map(json.dumps, told)).digest}
        assert not github.calls("pulumi up")

    def test_environments_with_their_rules_let_it_go_on(self, github: Commands) -> None:
        result = run(github, "deploy", "rules")
        assert result.status == 0, result.output
        assert {call.arguments[0] for call in github.calls()} == {"gh"}

    def test_without_somebody_who_approves_nothing_begins(self, commands: Commands) -> None:
        commands.answer("gh api", "/environments/production", stdout="0\ttrue\n")
        result = run(commands, "deploy", "rules")
        assert result.status == 1
        assert "asks nobody" in result.output

    def test_production_applies_what_was_approved(self, github: Commands) -> None:
        github.answer("pulumi preview", told=events(CHANGE))
        digest = run(github, "deploy", "plan").outputs["digest"]
        result = run(github, "deploy", "production", **{"needs.plan.outputs.digest": digest})
        assert result.status == 0, result.output
        assert len(github.calls("pulumi up --stack production")) == 1

    def test_production_refuses_what_was_not_approved(self, github: Commands) -> None:
        github.answer("pulumi preview", told=events(CHANGE))
        result = run(github, "deploy", "production", **{"needs.plan.outputs.digest": "another"})
        assert result.status == 1
        assert "no longer the plan that was approved" in result.summary
        assert not github.calls("pulumi up")


class TestRollback:
    """rollback.yml."""

    CONTEXT: ClassVar = {
        "inputs.stage": "production",
        "inputs.version": "6",
        # Nobody's text is run, and it does nothing in a summary.
        "inputs.reason": "too many referrals; $(touch /tmp/x) `id` <img> @everybody",
    }

    def test_it_plans_and_applies_the_release_with_its_reason(self, github: Commands) -> None:
        github.answer("pulumi preview", told=events(CHANGE, version="6"))
        planned = run(github, "rollback", "plan", **self.CONTEXT)
        assert planned.status == 0, planned.output
        assert (
            "Reason: `too many referrals; $(touch /tmp/x) 'id' <img> @everybody`" in planned.summary
        )
        digest = {"needs.plan.outputs.digest": planned.outputs["digest"]}
        applied = run(github, "rollback", "apply", **self.CONTEXT, **digest)
        assert applied.status == 0, applied.output
        assert "Reason: `too many referrals" in applied.summary
        (up,) = github.calls("pulumi up --stack production")
        (settings,) = (text for name, text in up.files.items() if name.endswith(".yaml"))
        assert "employee-retention:releaseVersion: '6'" in settings
        assert "$(touch /tmp/x) `id`" in settings

    def test_an_empty_version_follows_again(self, github: Commands) -> None:
        pinned = {"employee-retention:releaseVersion": {"value": "6", "secret": False}}
        github.answer(
            "pulumi stack history", stdout=json.dumps([{"kind": "update", "config": pinned}])
        )
        context = {**self.CONTEXT, "inputs.stage": "staging", "inputs.version": ""}
        assert run(github, "rollback", "plan", **context).status == 0
        (preview,) = github.calls("pulumi preview --stack staging")
        assert not any("releaseVersion" in text for text in preview.files.values())


class TestDrift:
    """drift.yml."""

    def test_drift_becomes_an_issue(self, github: Commands) -> None:
        github.answer("pulumi preview", told=events(moved=True))
        result = run(github, "drift", "drift")
        assert result.status == 0, result.output
        created = github.calls("gh issue create")[0]
        assert any("Changed in the cloud itself" in text for text in created.files.values())

    def test_a_stack_that_cannot_be_looked_at_fails_and_the_rest_is_told(
        self, github: Commands
    ) -> None:
        github.answer("pulumi preview --stack staging", status=1)
        github.answer("pulumi preview", told=events(CHANGE))
        result = run(github, "drift", "drift")
        assert result.status == 1
        assert github.calls("gh issue create")

    def test_nothing_is_applied(self, github: Commands) -> None:
        run(github, "drift", "drift")
        assert {call.arguments[1] for call in github.calls("pulumi")} == {"stack", "preview"}
        assert len(github.calls("pulumi preview", "--refresh")) == 3


class TestTest:
    """test.yml."""

    @pytest.mark.parametrize(("job", "target"), [("check", "check"), ("test", "test")])
    def test_it_runs_what_a_person_runs(self, commands: Commands, job: str, target: str) -> None:
        assert run_job(commands, "test", job, {}).status == 0
        assert commands_of(commands) == [f"make {target}"]

    def test_a_failing_check_fails(self, commands: Commands) -> None:
        commands.answer("make check", status=2)
        assert run_job(commands, "test", "check", {}).status == 2
