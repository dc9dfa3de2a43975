"""`python -m delivery` on the real engine: events, settings, plans, policies are Pulumi's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.recorder import ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="there is no pulumi command on the PATH"
)

PROGRAM = """
import pulumi
from things import ReleaseGate

config = pulumi.Config("employee-retention")
gate = ReleaseGate("gate", config.get("releaseVersion") or "7")
pulumi.export("reason", config.get("releaseReason") or "")
"""
THINGS = """
from pathlib import Path
from pulumi.dynamic import CheckResult, CreateResult, ReadResult, Resource, ResourceProvider
from pulumi.dynamic import UpdateResult

CLOUD = Path(__file__).with_name("cloud")

class Provider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, olds, news):
        verdicts = [f"cv_roc_auc 0.8650, at least {news['bound']}: holds"]
        return CheckResult({**news, "metrics": {"cv_roc_auc": 0.865}, "verdicts": verdicts}, [])

    def create(self, props):
        if Path(__file__).with_name("broken").exists():
            raise RuntimeError("GateError: the gate does not open")
        CLOUD.write_text(props["label"])
        return CreateResult("gate", {**props, "asked": 0})

    def update(self, id, olds, news):
        return UpdateResult({**news, "asked": 0})

    def read(self, id, props):
        return ReadResult(id, {**props, "label": CLOUD.read_text(), "asked": props["asked"] + 1})

class ReleaseGate(Resource, module="lifecycle", name="ReleaseGate"):
    def __init__(self, name, version):
        asked = {"version": version, "bound": "0.8000", "label": "as made"}
        super().__init__(Provider(), name, asked)
"""


class Project:
    """A project of the same name with one gate in it, and a file backend of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in ("delivery", "policies"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, root / package, ignore=ignored)
        (root / ".venv").symlink_to(ROOT / ".venv")
        (root / "Pulumi.yaml").write_text(
            "name: employee-retention\n"
            "runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
        )
        (root / "__main__.py").write_text(PROGRAM)
        (root / "things.py").write_text(THINGS)
        (root / "state").mkdir()
        self.output, self.report = root / "output", root / "report.md"
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": (root / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "a test's, and of no worth",
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "GITHUB_OUTPUT": str(self.output),
        }
        for stack in ("shared", "staging", "production"):
            self.pulumi("stack", "init", stack, "--no-select")

    def pulumi(self, *arguments: str) -> None:
        """Run Pulumi itself, as a person does."""
        subprocess.run(
            ["pulumi", *arguments],
            cwd=self.root,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def deliver(self, *arguments: str) -> tuple[int, str]:
        """Run it; return its status and its report."""
        self.report.unlink(missing_ok=True)
        self.output.unlink(missing_ok=True)
        result = subprocess.run(
            [".venv/bin/python", "-m", "delivery", *arguments, "--report", str(self.report)],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert self.report.exists(), result.stdout + result.stderr
        return result.returncode, self.report.read_text()

    def said(self) -> str:
        return self.output.read_text().strip().partition("=")[2]

    def state(self) -> dict[str, bytes]:
        files = (self.root / "state").rglob("*")
        return {str(path): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("delivery"))


def test_a_preview_tells_the_release_and_writes_nothing(project: Project) -> None:
    """So that an identity that can read the state, and nothing else, can preview."""
    before = project.state()
    status, told = project.deliver("preview", "staging")
    assert status == 0, told
    assert "**Release 7**" in told
    assert "| cv_roc_auc |\n| --- |\n| 0.8650 |" in told
    assert "- `cv_roc_auc 0.8650, at least 0.8000: holds`" in told
    assert "| create | `gate` | ReleaseGate |" in told
    assert project.state() == before


def test_a_failing_apply_fails_and_says_why(project: Project) -> None:
    (project.root / "broken").touch()
    status, told = project.deliver("apply", "staging")
    (project.root / "broken").unlink()
    assert status == 1
    assert "GateError: the gate does not open" in told


def test_the_plan_that_was_approved_is_applied(project: Project) -> None:
    project.deliver("preview", "staging")
    approved = project.said()
    assert len(approved) == 64
    status, told = project.deliver("apply", "staging", "--approved", approved)
    assert status == 0, told
    assert "staging: applied" in told
    assert "| create | `gate` | ReleaseGate |" in told
    # It has been applied: now there is another plan, which nobody approved.
    status, told = project.deliver("apply", "staging", "--approved", approved)
    assert status == 1
    assert "no longer the plan that was approved" in told


def test_a_release_that_was_chosen_stays_until_another_is(project: Project) -> None:
    chosen = ("--set", "releaseVersion=6", "--set", "releaseReason=too many referrals")
    status, told = project.deliver("apply", "staging", *chosen)
    assert status == 0, told
    assert "**Release 6**" in told
    # By hand, and so by the stack's file, which knows of no choice.
    project.pulumi("refresh", "--yes", "--skip-preview", "--stack", "staging")
    status, told = project.deliver("apply", "staging")
    assert status == 0
    assert "**Release 6**" in told
    assert "Nothing to do" in told
    _, told = project.deliver("apply", "staging", "--set", "releaseVersion=")
    assert "**Release 7**" in told


def test_drift_is_what_was_asked_for_and_the_cloud_has_no_longer(project: Project) -> None:
    """And not what it counts by itself, which is another number whenever it is asked."""
    for stack in ("shared", "production"):
        assert project.deliver("apply", stack)[0] == 0
    status, told = project.deliver("drift")
    assert (status, project.said()) == (0, "clean"), told
    (project.root / "cloud").write_text("as somebody left it")
    status, told = project.deliver("drift")
    assert (status, project.said()) == (0, "drifted")
    assert "| changed | `gate` | ReleaseGate | label |" in told
    status, told = project.deliver("apply", "staging", "--refresh")
    assert status == 0, told
    assert "| changed | `gate` | ReleaseGate | label |" in told


def test_a_broken_policy_stops_it_and_is_told(project: Project) -> None:
    program = project.root / "__main__.py"
    program.write_text(
        PROGRAM + "from pulumi import ComponentResource\n"
        "kind = 'azure-native:containerregistry:Registry'\n"
        "made = ComponentResource(kind, 'images', {'adminUserEnabled': True})\n"
    )
    status, told = project.deliver("preview", "staging")
    program.write_text(PROGRAM)
    assert status == 1
    assert "**Policies**" in told
    assert "- `mandatory: " in told


def test_a_stack_that_is_not_there_is_told(project: Project) -> None:
    (project.root / "state").rename(project.root / "elsewhere")
    status, told = project.deliver("preview", "production")
    (project.root / "elsewhere").rename(project.root / "state")
    assert status == 1
    assert "cannot be read" in told
