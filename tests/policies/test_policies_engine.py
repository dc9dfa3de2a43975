"""The pack under Pulumi's own engine, where a `pulumi` command is found.

The resources are components with the types of cloud resources: the engine judges those alike, and
needs no plugin for them.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from policies_programs import PROJECT, SECRET

ROOT = Path(__file__).parents[2]
PROGRAM = """
import pulumi
from things import Thing, declare

declare(
    "azure-native:containerregistry/v20230101preview:Registry", "registry",
    adminUserEnabled=ADMIN, resourceGroupName=Thing("group").made,
    tags={"project": "p", "stack": "s", "managed-by": Thing("manager").made},
)
declare(
    "kubernetes:core/v1:Pod", "pod",
    spec={
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": name, "image": image, "env": [{"name": "API_KEY", "value": VALUE}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
            for name, image in [("api", Thing("image", MADE).made), ("log", IMAGE)]
        ],
    },
)
declare(
    "pulumi-python:dynamic/lifecycle:ReleaseGate", "gate",
    stage="production", promote_from="staging", image=PROVEN,
)
"""
THINGS = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    serialize_as_secret_always = False
    def create(self, props):
        return CreateResult("thing", {"made": props["of"]})

class Thing(Resource):
    made: pulumi.Output[str]
    def __init__(self, name, of="made"):
        super().__init__(Provider(), name, {"of": of, "made": None})

def declare(type_, name, **properties):
    opts = pulumi.ResourceOptions(protect=True)
    pulumi.ComponentResource(type_, name, properties, opts).register_outputs(properties)
"""
DIGEST = "'contoso/log@sha256:" + "ab" * 32 + "'"
GOOD = {"MADE": DIGEST, "ADMIN": "False", "VALUE": "''", "IMAGE": DIGEST, "PROVEN": DIGEST}
BAD = {
    "MADE": "'contoso/api:1'",
    "ADMIN": "True",
    "VALUE": f"pulumi.Output.secret('{SECRET}')",
    "IMAGE": "'contoso/log:1'",
    "PROVEN": DIGEST,
}

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="there is no pulumi command on the PATH"
)


class Project:
    """A project with the pack in it, and a file backend of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(
            ROOT / "policies", root / "policies", ignore=shutil.ignore_patterns("__pycache__")
        )
        (root / ".venv").symlink_to(ROOT / ".venv")
        (root / "Pulumi.yaml").write_text(
            f"name: {PROJECT}\n"
            "runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
        )
        (root / "things.py").write_text(THINGS)
        (root / "state").mkdir()
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": (root / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.run("stack", "init", "test")

    def program(self, values: dict[str, str]) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in values.items())
        (self.root / "__main__.py").write_text(f"import pulumi\n{lines}{PROGRAM}")

    def run(self, *arguments: str) -> tuple[int, str]:
        result = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    def judged(self, command: str) -> tuple[int, str]:
        # Without the preview that comes first: what a preview missed has to be caught as well.
        yes = () if command == "preview" else ("--yes", "--skip-preview")
        return self.run(command, "--stack=test", "--policy-pack=policies", *yes)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("real"))


def test_what_keeps_the_rules_previews(project: Project) -> None:
    project.program(GOOD)
    project.run("config", "set", "clientSecret", SECRET, "--secret", "--stack=test")
    status, printed = project.judged("preview")
    assert status == 0, printed
    assert "✅ employee-retention@" in printed
    assert "[mandatory]" not in printed


def test_what_breaks_rules_does_not_and_each_is_told(project: Project) -> None:
    project.program(BAD)
    project.run("config", "set", "apiToken", SECRET, "--plaintext", "--stack=test")
    status, printed = project.judged("preview")
    project.run("config", "rm", "apiToken", "--stack=test")
    assert status != 0
    assert printed.count("[mandatory]") == 6, printed
    for expected in (
        f"config-without-secrets: Pulumi.test.yaml: {PROJECT}:apiToken looks like a secret, and",
        "registry-admin-off: registry (Registry): adminUserEnabled is not false. Set",
        "inputs-without-secrets: pod (Pod): container api: env.API_KEY looks like a secret",
        "inputs-without-secrets: pod (Pod): container log: env.API_KEY looks like a secret",
        "image-by-digest: pod (Pod): container log: its image is not named by digest. Name",
        "production-proven: pod (Pod): container log: its image is not the proven contoso/log@",
    ):
        assert expected in printed
    assert SECRET not in printed
    # A rule that met an unknown property and gave up would say so.
    assert "can't run policy" not in printed


def test_nothing_is_created_that_breaks_a_rule(project: Project) -> None:
    """What the preview could not know, the image that will be made, is judged when it is known."""
    project.program({**GOOD, "MADE": "'contoso/api:1'"})
    assert project.judged("preview")[0] == 0
    status, printed = project.judged("up")
    assert status != 0
    assert "image-by-digest: pod (Pod): container api: its image is not named by" in printed
    status, exported = project.run("stack", "export", "--stack=test")
    assert status == 0
    assert "dynamic:Resource::image" in exported
    assert "core/v1:Pod" not in exported
