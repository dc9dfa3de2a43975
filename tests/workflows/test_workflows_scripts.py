"""The scripts in .github/scripts, run for real, with the cloud's and GitHub's commands noted."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from workflows_recorder import Commands

from tests.recorder import ROOT

SCRIPTS = ROOT / ".github" / "scripts"
REPOSITORY = {"GITHUB_REPOSITORY": "contoso/retention", "GITHUB_RUN_ID": "42"}
ASSERTION = "an-assertion-of-no-worth"
IDENTITY = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?v=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a-request-token-of-no-worth",
    "AZURE_CLIENT_ID": "client",
    "AZURE_TENANT_ID": "tenant",
    "AZURE_SUBSCRIPTION_ID": "subscription",
}
needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq command")


def script(
    commands: Commands, name: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return commands.run(str(SCRIPTS / name), *arguments, environment=environment)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.02)


# `image.sh` takes no argument.
@pytest.mark.parametrize("name", sorted({path.name for path in SCRIPTS.iterdir()} - {"image.sh"}))
def test_without_what_it_needs_a_script_says_how_to_use_it(commands: Commands, name: str) -> None:
    result = script(commands, name)
    assert result.returncode == 2
    assert f"usage: {name}" in result.stderr
    assert commands.calls() == []


@needs_jq
class TestWithAzure:
    """`with_azure.sh`: a log-in for as long as the command takes."""

    @pytest.fixture
    def github(self, commands: Commands) -> Commands:
        commands.answer("curl", stdout=json.dumps({"value": ASSERTION}))
        commands.environment |= IDENTITY
        return commands

    def test_by_hand_it_is_your_own_log_in(self, commands: Commands) -> None:
        result = script(commands, "with_azure.sh", "sh", "-c", 'echo "<$AZURE_CONFIG_DIR>"')
        assert result.stdout == "<>\n"
        assert commands.calls() == []

    def test_it_logs_in_before_the_command_runs(self, github: Commands) -> None:
        result = script(github, "with_azure.sh", "pulumi", "up", "--stack", "a b")
        assert result.returncode == 0, result.stderr
        asked, login, account, databricks, run = github.calls()
        assert asked.arguments[-1].endswith("/?v=1&audience=api%3A%2F%2FAzureADTokenExchange")
        assert login.line.startswith(
            "az login --service-principal --username client --tenant tenant"
        )
        assert login.arguments[login.arguments.index("--federated-token") + 1] == ASSERTION
        assert account.line == "az account set --subscription subscription"
        assert "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d" in databricks.line
        assert run.arguments == ["pulumi", "up", "--stack", "a b"]
        assert run.environment["ARM_USE_OIDC"] == "true"
        assert run.environment["ARM_SUBSCRIPTION_ID"] == "subscription"
        assert Path(run.environment["AZURE_CONFIG_DIR"]).name == "login"

    def test_the_request_token_is_in_no_argument_and_nothing_is_printed(
        self, github: Commands
    ) -> None:
        result = script(github, "with_azure.sh", "pulumi", "up")
        (asked,) = github.calls("curl")
        assert "Authorization: bearer a-request-token-of-no-worth" in asked.stdin
        assert not github.calls("a-request-token-of-no-worth")
        assert "no-worth" not in result.stdout + result.stderr

    def test_the_assertion_is_a_file_that_only_the_owner_reads(self, github: Commands) -> None:
        show = 'cat "$AZURE_FEDERATED_TOKEN_FILE"; stat -c " %a" "$AZURE_FEDERATED_TOKEN_FILE"'
        result = script(github, "with_azure.sh", "sh", "-c", show)
        assert result.stdout == f"{ASSERTION}\n 600\n"

    def test_a_long_command_outlives_the_assertion(self, commands: Commands) -> None:
        """The file changes under it, and the CLI is logged in anew in a folder of its own."""
        commands.environment |= {**IDENTITY, "AZURE_RENEW_SECONDS": "0.2"}
        commands.answer("curl", stdout=json.dumps({"value": "first"}), once=True)
        commands.answer("curl", stdout=json.dumps({"value": "second"}))
        wait = (
            'first=$(readlink "$AZURE_CONFIG_DIR");'
            'until [ "$(cat "$AZURE_FEDERATED_TOKEN_FILE")" = second ] &&'
            ' [ "$(readlink "$AZURE_CONFIG_DIR")" != "$first" ]; do sleep 0.05; done; echo renewed'
        )
        result = script(commands, "with_azure.sh", "timeout", "60", "sh", "-c", wait)
        assert result.stdout == "renewed\n", result.stderr
        folders = [call.environment["AZURE_CONFIG_DIR"] for call in commands.calls("az login")]
        assert len(folders) == len(set(folders)) >= 2

    def test_a_renewal_that_fails_is_told_and_tried_again(self, commands: Commands) -> None:
        commands.environment |= {**IDENTITY, "AZURE_RENEW_SECONDS": "0.2"}
        good = json.dumps({"value": ASSERTION})
        commands.answer("curl", stdout=good, once=True)
        commands.answer(
            "curl",
            stdout=good,
            code="if sum('curl' in t for t in told) == 1: sys.exit(22)",
        )
        wait = (
            'first=$(readlink "$AZURE_CONFIG_DIR");'
            'while [ "$(readlink "$AZURE_CONFIG_DIR")" = "$first" ]; do sleep 0.05; done'
        )
        result = script(commands, "with_azure.sh", "timeout", "60", "sh", "-c", wait)
        assert result.returncode == 0
        assert result.stderr.count("was not renewed") == 1

    def test_a_log_in_that_fails_is_not_moved_into_place(self, commands: Commands) -> None:
        commands.environment |= {**IDENTITY, "AZURE_RENEW_SECONDS": "0.2"}
        commands.answer("curl", stdout=json.dumps({"value": ASSERTION}))
        commands.answer("az login", once=True)
        commands.answer("az login", status=1)
        marker = commands.folder / "told"
        wait = (
            f'until [ "$(grep -c "az login" {commands.folder}/calls)" -ge 3 ]; do sleep 0.05; done;'
            f'readlink "$AZURE_CONFIG_DIR" > {marker}'
        )
        result = script(commands, "with_azure.sh", "timeout", "60", "sh", "-c", wait)
        assert result.returncode == 0, result.stderr
        assert marker.read_text() == "login.0\n"

    def test_without_a_log_in_the_command_does_not_run(self, github: Commands) -> None:
        github.answer("az login", status=1)
        result = script(github, "with_azure.sh", "pulumi", "up")
        assert result.returncode == 1
        assert not github.calls("pulumi")
        assert github.left_behind() == []

    @pytest.mark.parametrize("missing", ["AZURE_CLIENT_ID", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    def test_what_is_not_set_is_named(self, github: Commands, missing: str) -> None:
        result = script(github, "with_azure.sh", "pulumi", "up", **{missing: ""})
        assert result.returncode == 2
        assert f"error: {missing} is not set" in result.stderr

    @pytest.mark.parametrize("status", [0, 1, 42])
    def test_it_ends_as_the_command_ended_and_leaves_nothing(
        self, github: Commands, status: int
    ) -> None:
        result = script(github, "with_azure.sh", "sh", "-c", f"exit {status}")
        assert result.returncode == status
        assert github.left_behind() == []

    def test_a_short_command_leaves_no_renewal_behind(self, github: Commands) -> None:
        """One that stays keeps the output open, and the run would not end: `run` waits for it."""
        for name in ("az", "curl"):
            quick = github.folder / "bin" / name
            quick.write_text(f"#!/bin/sh\necho '{json.dumps({'value': ASSERTION})}'\n")
        many = f"for i in $(seq 40); do {SCRIPTS / 'with_azure.sh'} true; done"
        result = github.run("sh", "-c", many, environment={"AZURE_RENEW_SECONDS": "100000"})
        assert result.returncode == 0
        assert result.stderr == ""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_cancelled_run_lets_the_engine_end_in_order(
        self, github: Commands, number: signal.Signals
    ) -> None:
        begun, ended = github.folder / "begun", github.folder / "ended"
        waiting = (
            "import signal\n"
            f"def stop(*_): time.sleep(0.3); Path({str(ended)!r}).touch(); sys.exit(7)\n"
            "signal.signal(signal.SIGINT, stop)\n"
            f"Path({str(begun)!r}).touch()"
        )
        github.answer("pulumi up", code=waiting, seconds=60)
        with subprocess.Popen(
            [str(SCRIPTS / "with_azure.sh"), "pulumi", "up"],
            env=github.full_environment({}),
            start_new_session=True,
        ) as process:
            wait_for(begun)
            process.send_signal(number)
            assert process.wait(30) == 7
        assert ended.exists()
        assert github.left_behind() == []


class TestComment:
    """`comment.sh`: one comment a stack."""

    def comment(self, commands: Commands, report: str | None) -> subprocess.CompletedProcess[str]:
        file = commands.folder / "report.md"
        if report is not None:
            file.write_text(report)
        return script(commands, "comment.sh", "staging", str(file), PULL_REQUEST="5", **REPOSITORY)

    def body(self, commands: Commands) -> str:
        (call,) = commands.calls("--method")
        (text,) = call.files.values()
        return text

    def test_the_first_one_is_made(self, commands: Commands) -> None:
        assert self.comment(commands, "### Preview\n").returncode == 0
        (call,) = commands.calls("--method")
        assert "--method POST repos/contoso/retention/issues/5/comments" in call.line
        body = self.body(commands)
        assert body.startswith("<!-- preview: staging -->\n### Preview\n")
        assert "https://github.com/contoso/retention/actions/runs/42" in body
        assert commands.left_behind() == []

    def test_the_next_one_takes_its_place(self, commands: Commands) -> None:
        commands.answer("gh api --paginate", stdout="17\n23\n")
        assert self.comment(commands, "new").returncode == 0
        (call,) = commands.calls("--method")
        assert "--method PATCH repos/contoso/retention/issues/comments/17" in call.line

    def test_it_looks_for_a_workflows_own_comment_of_this_stack(self, commands: Commands) -> None:
        self.comment(commands, "new")
        (listed,) = commands.calls("--paginate")
        assert '.user.type == "Bot"' in listed.line
        assert 'startswith("<!-- preview: staging -->")' in listed.line

    def test_without_a_report_it_says_that_there_is_none(self, commands: Commands) -> None:
        assert self.comment(commands, None).returncode == 0
        assert "**Failed** before there was anything to show" in self.body(commands)

    def test_what_github_refuses_fails(self, commands: Commands) -> None:
        commands.answer("--method POST", status=1)
        assert self.comment(commands, "x").returncode == 1


class TestDriftIssue:
    """`drift_issue.sh`: one open issue, for as long as there is drift."""

    def keep(self, commands: Commands, state: str) -> subprocess.CompletedProcess[str]:
        file = commands.folder / "report.md"
        file.write_text("### shared\n")
        return script(commands, "drift_issue.sh", state, str(file), **REPOSITORY)

    def test_drift_opens_one(self, commands: Commands) -> None:
        assert self.keep(commands, "drifted").returncode == 0
        listed, label, created = commands.calls("gh")
        assert "--label drift --state open" in listed.line
        assert "label create drift" in label.line
        assert "issue create --repo contoso/retention --label drift" in created.line
        assert any("### shared" in text for text in created.files.values())

    def test_more_drift_is_written_into_it(self, commands: Commands) -> None:
        commands.answer("gh issue list", stdout="9\n")
        assert self.keep(commands, "drifted").returncode == 0
        assert [call.arguments[2:4] for call in commands.calls("gh issue")][1] == ["edit", "9"]
        assert not commands.calls("create")

    def test_it_closes_when_all_is_well(self, commands: Commands) -> None:
        commands.answer("gh issue list", stdout="9\n")
        assert self.keep(commands, "clean").returncode == 0
        assert commands.calls("gh issue close 9")

    def test_where_all_is_well_nothing_is_done(self, commands: Commands) -> None:
        assert self.keep(commands, "clean").returncode == 0
        assert len(commands.calls()) == 1

    def test_what_is_unknown_changes_nothing(self, commands: Commands) -> None:
        commands.answer("gh issue list", stdout="9\n")
        assert self.keep(commands, "unknown").returncode == 0
        assert len(commands.calls()) == 1

    def test_another_state_is_an_error(self, commands: Commands) -> None:
        result = self.keep(commands, "odd")
        assert result.returncode == 2
        assert "use drifted, clean, unknown" in result.stderr


class TestRequireRules:
    """`require_rules.sh`: GitHub makes a missing environment without a rule."""

    def ask(self, commands: Commands) -> subprocess.CompletedProcess[str]:
        return script(commands, "require_rules.sh", "production", "plan", **REPOSITORY)

    def environment(
        self, commands: Commands, name: str, rules: str, branches: str = "branch main"
    ) -> None:
        address = f"repos/contoso/retention/environments/{name}"
        commands.answer(f"gh api {address}/deployment-branch-policies", stdout=f"{branches}\n")
        commands.answer(f"gh api {address} ", stdout=f"{rules}\n")

    def test_main_alone_and_somebody_who_approves(self, commands: Commands) -> None:
        self.environment(commands, "production", "1\ttrue")
        self.environment(commands, "plan", "0\ttrue")
        result = self.ask(commands)
        assert result.returncode == 0, result.stderr
        assert len(commands.calls("gh api")) == 4

    @pytest.mark.parametrize("name", ["production", "plan"])
    @pytest.mark.parametrize(
        ("rules", "branches", "wrong"),
        [
            ("1\tfalse", "branch main", "is not for selected branches"),
            ("1\ttrue", "", "is open to nothing"),
            ("1\ttrue", "branch *", "is open to branch *"),
            ("1\ttrue", "branch main, branch release", "is open to branch main, branch release"),
            ("1\ttrue", "tag main", "is open to tag main"),
        ],
    )
    def test_one_that_is_open_to_more(
        self, commands: Commands, name: str, rules: str, branches: str, wrong: str
    ) -> None:
        self.environment(commands, name, rules, branches)
        for other in ("production", "plan"):
            self.environment(commands, other, "1\ttrue")
        result = self.ask(commands)
        assert result.returncode == 1
        assert f"the environment {name} {wrong}" in result.stderr

    def test_one_that_asks_nobody(self, commands: Commands) -> None:
        self.environment(commands, "production", "0\ttrue")
        result = self.ask(commands)
        assert result.returncode == 1
        assert "the environment production asks nobody" in result.stderr

    @pytest.mark.parametrize(
        ("missing", "wrong"),
        [
            ("plan ", "there is no environment plan"),
            ("plan/", "the branches of the environment plan cannot be read"),
        ],
    )
    def test_what_cannot_be_read(self, commands: Commands, missing: str, wrong: str) -> None:
        refused = '{"message": "Not Found"}'
        commands.answer("gh api", f"environments/{missing}", status=1, stdout=refused)
        self.environment(commands, "production", "1\ttrue")
        self.environment(commands, "plan", "1\ttrue")
        result = self.ask(commands)
        assert result.returncode == 1
        assert wrong in result.stderr

    @needs_jq
    @pytest.mark.parametrize(
        ("question", "answer", "told"),
        [
            (0, {"protection_rules": [{"type": "required_reviewers"}, {"type": "branch_policy"}],
                 "deployment_branch_policy": {"protected_branches": False,
                                              "custom_branch_policies": True}}, "1\ttrue"),
            (0, {"protection_rules": [{"type": "branch_policy"}],
                 "deployment_branch_policy": {"protected_branches": True,
                                              "custom_branch_policies": False}}, "0\tfalse"),
            (0, {"protection_rules": [{"type": "wait_timer"}], "deployment_branch_policy": None},
             "0\tfalse"),
            (0, {}, "0\tfalse"),
            (1, {"total_count": 1, "branch_policies": [{"name": "main", "type": "branch"}]},
             "branch main"),
            (1, {"total_count": 2, "branch_policies": [{"name": "*", "type": "branch"},
                                                       {"name": "main", "type": "tag"}]},
             "branch *, tag main"),
            (1, {"total_count": 1, "branch_policies": [{"name": "main"}]}, "branch main"),
            (1, {}, ""),
        ],
    )  # fmt: skip
    def test_what_it_asks_of_githubs_answers(
        self, commands: Commands, question: int, answer: dict[str, object], told: str
    ) -> None:
        self.environment(commands, "production", "1\ttrue")
        self.ask(commands)
        call = commands.calls("gh api")[question]
        query = call.arguments[call.arguments.index("--jq") + 1]
        result = subprocess.run(
            ["jq", "--raw-output", query],
            input=json.dumps(answer),
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout == f"{told}\n"


class TestPreviewOffline:
    """`preview_offline.sh`: what a fork gets."""

    @pytest.mark.parametrize("status", [0, 2])
    def test_it_tells_what_make_prints_and_ends_as_it_does(
        self, commands: Commands, status: int
    ) -> None:
        summary = commands.folder / "summary.md"
        commands.answer("make preview STACK=staging", stdout="+ gate\n```\n", status=status)
        result = script(commands, "preview_offline.sh", "staging", GITHUB_STEP_SUMMARY=str(summary))
        assert (result.returncode != 0) == (status != 0)
        assert "+ gate" in result.stdout
        told = summary.read_text()
        assert ("**Failed.**" in told) == (status != 0)
        assert "    + gate\n    ```\n" in told

    def test_for_real_it_needs_no_account(self, tmp_path: Path) -> None:
        """The embedded engine, with no cloud command and no log-in at hand."""
        summary = tmp_path / "summary.md"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(summary),
            # What is installed is installed: no stamp file is looked at.
            "MAKEFLAGS": "--old-file=.venv/cloud.stamp",
        }
        result = subprocess.run(
            [str(SCRIPTS / "preview_offline.sh"), "staging"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "ManagedCluster" in summary.read_text()


@needs_jq
class TestImage:
    """`image.sh`: what is built is what `make up` has trained, and what is scanned is that."""

    def build(self, commands: Commands) -> subprocess.CompletedProcess[str]:
        release = commands.folder / "release"
        release.mkdir()
        (release / "manifest.json").write_text("{}")
        outputs = {"exampleRequest": str(release / "example.json"), "modelVersion": "3"}
        commands.answer("make --silent outputs", stdout=json.dumps(outputs))
        return script(commands, "image.sh")

    def test_it_trains_builds_scans_and_cleans_up(self, commands: Commands) -> None:
        assert self.build(commands).returncode == 0
        up, _, build, scan, down = commands.calls()
        assert up.line == "make up"
        assert f"--build-context release={commands.folder}/release" in build.line
        assert "RELEASE_VERSION=3" in build.line
        # sha-256 of "{}"
        assert (
            "RELEASE_SHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61" in build.line
        )
        image = build.arguments[build.arguments.index("--tag") + 1]
        assert f"docker:{image} --fail-on high --only-fixed" in scan.line
        assert "@sha256:" in scan.line
        assert down.line == "make down"

    @pytest.mark.parametrize("failing", ["docker buildx", "docker run"])
    def test_what_fails_fails_and_is_cleaned_up(self, commands: Commands, failing: str) -> None:
        commands.answer(failing, status=1)
        assert self.build(commands).returncode == 1
        assert commands.calls()[-1].line == "make down"


class TestInstallTools:
    """`install_tools.sh`: nothing is installed that is not what was published."""

    def download(self, commands: Commands, *, checksum: str) -> None:
        """Hand out an archive with a `pulumi` in it, and a list of checksums."""
        commands.answer(
            "curl",
            code=(
                "import io, tarfile\n"
                "path = Path(arguments[arguments.index('--output') + 1])\n"
                "if 'checksums' in path.name:\n"
                "    import hashlib\n"
                "    archive = next(path.parent.glob('*.tar.gz'))\n"
                "    real = hashlib.sha256(archive.read_bytes()).hexdigest()\n"
                f"    path.write_text(({checksum!r} or real) + '  ' + archive.name + '\\n')\n"
                "elif path.name.endswith('.tar.gz'):\n"
                "    with tarfile.open(path, 'w:gz') as file:\n"
                "        entry = tarfile.TarInfo('pulumi/pulumi')\n"
                "        entry.size = 2\n"
                "        file.addfile(entry, io.BytesIO(b'ok'))\n"
                "else:\n"
                "    path.write_bytes(b'something else')\n"
            ),
        )

    def test_pulumi_in_the_sdks_version(self, commands: Commands, tmp_path: Path) -> None:
        self.download(commands, checksum="")
        path = commands.folder / "path"
        folder = tmp_path / "tools"
        result = script(commands, "install_tools.sh", str(folder), "pulumi", GITHUB_PATH=str(path))
        assert result.returncode == 0, result.stderr
        assert (folder / "pulumi").read_text() == "ok"
        assert path.read_text() == f"{folder}\n"
        pins = (ROOT / "requirements.txt").read_text().splitlines()
        (version,) = (pin.split("==")[1].split()[0] for pin in pins if pin.startswith("pulumi=="))
        archive, checksums = commands.calls("curl")
        assert f"/v{version}/pulumi-v{version}-linux-x64.tar.gz" in archive.line
        assert f"/v{version}/pulumi-{version}-checksums.txt" in checksums.line

    def test_another_archive_is_not_installed(self, commands: Commands, tmp_path: Path) -> None:
        self.download(commands, checksum="0" * 64)
        result = script(commands, "install_tools.sh", str(tmp_path / "tools"), "pulumi")
        assert result.returncode != 0
        assert not (tmp_path / "tools" / "pulumi").exists()

    def test_another_kubelogin_is_not_installed(self, commands: Commands, tmp_path: Path) -> None:
        self.download(commands, checksum="")
        result = script(commands, "install_tools.sh", str(tmp_path / "tools"), "kubelogin")
        assert result.returncode != 0
        assert not list((tmp_path / "tools").iterdir())

    def test_a_tool_that_it_does_not_know(self, commands: Commands, tmp_path: Path) -> None:
        result = script(commands, "install_tools.sh", str(tmp_path / "tools"), "helm")
        assert result.returncode == 2
        assert "use pulumi, kubelogin" in result.stderr
