"""`bootstrap/bootstrap.sh` on an Azure that remembers: what it makes, twice is once, dry runs."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import workflows_azure
from workflows_files import jobs
from workflows_recorder import Commands

from tests.recorder import ROOT

SCRIPT = ROOT / "bootstrap" / "bootstrap.sh"
WHOLE = "/subscriptions/sub"
STATE = f"{WHOLE}/resourceGroups/rg-contoso-state/providers"
STORAGE = f"{STATE}/Microsoft.Storage/storageAccounts/contosostate"
VAULT = f"{STATE}/Microsoft.KeyVault/vaults/contoso-state"
CHANGING = re.compile(
    r"^(az .*\b(create|update|register)\b|az rest --method put|pulumi stack init)"
)
DEPLOY, PREVIEW = "contoso-retention-deploy", "contoso-retention-preview"


class Azure:
    """The remembered world, and the command that works on it."""

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.file = commands.folder / "azure.json"
        empty: dict[str, list[str]] = {
            name: [] for name in ("providers", "resources", "roles", "keys", "replicated")
        }
        self.file.write_text(json.dumps({**empty, "apps": {}, "file": str(self.file)}))
        run = (
            f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import workflows_azure\n"
            f"sys.stdout.write(workflows_azure.carry_out(Path({str(self.file)!r}), arguments))\n"
            "sys.exit(0)"
        )
        commands.answer("az ", code=run)
        commands.answer("gh api users/LOGIN", stdout="99\n")
        commands.answer("gh api", stdout="repo:contoso@12/retention@34\n")
        self.stacks = commands.folder / "stacks"
        self.stacks.write_text("[]")
        initialise = (
            f"stacks = Path({str(self.stacks)!r})\n"
            "known = json.loads(stacks.read_text())\n"
            "if 'init' in arguments:\n"
            "    known.append({'name': arguments[2]})\n"
            "    stacks.write_text(json.dumps(known, indent=2))\n"
            "else:\n"
            "    sys.stdout.write(json.dumps(known, indent=2))\n"
        )
        commands.answer("pulumi stack", code=initialise)

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = ("--repository", "contoso/retention", "--name", "contoso", *options)
        patience = {"BOOTSTRAP_SECONDS": "0", "BOOTSTRAP_TRIES": "3"}
        return self.commands.run(str(SCRIPT), *given, environment={**patience, **environment})

    @property
    def world(self) -> dict[str, Any]:
        return json.loads(self.file.read_text())

    def changes(self) -> list[str]:
        return [call.line for call in self.commands.calls() if CHANGING.search(call.line)]


@pytest.fixture
def azure(commands: Commands) -> Azure:
    return Azure(commands)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Azure, str]:
    """An Azure on which the script has run once, and what it printed: to look at."""
    made = Azure(Commands(folder=tmp_path_factory.mktemp("bootstrap") / "commands"))
    result = made.run()
    assert result.returncode == 0, result.stderr
    return made, result.stdout


def test_it_makes_the_state_with_its_key(done: tuple[Azure, str]) -> None:
    azure, _ = done
    assert azure.world["resources"] == [
        "group rg-contoso-state",
        "storage account contosostate",
        "storage container-rm pulumi",
        "keyvault contoso-state",
    ]
    ((url, body),) = azure.world["keys"]
    assert url.startswith(f"https://management.azure.com{VAULT}/keys/pulumi?")
    assert body == {"properties": {"kty": "RSA", "keySize": 3072}}
    (storage,) = azure.commands.calls("az storage account create")
    for option in (
        "--allow-blob-public-access false",
        "--allow-shared-key-access false",
        "--min-tls-version TLS1_2",
    ):
        assert option in storage.line
    (vault,) = azure.commands.calls("az keyvault create")
    assert "--enable-rbac-authorization true --enable-purge-protection true" in vault.line
    assert azure.world["versioning"]


def test_both_identities_are_trusted_in_their_environments_alone(done: tuple[Azure, str]) -> None:
    azure, _ = done
    apps = azure.world["apps"]
    prefix = "repo:contoso@12/retention@34:environment:"
    assert apps.keys() == {DEPLOY, PREVIEW}
    assert apps[DEPLOY]["credentials"] == {
        f"github-{name}": prefix + name for name in ("shared", "staging", "production", "plan")
    }
    assert apps[PREVIEW]["credentials"] == {"github-preview": f"{prefix}preview"}
    (one, *_) = azure.commands.calls("federated-credential create")
    parameters = json.loads(one.arguments[-1])
    assert parameters["issuer"] == "https://token.actions.githubusercontent.com"
    assert parameters["audiences"] == ["api://AzureADTokenExchange"]


def test_the_workflows_environments_are_the_trusted_ones(done: tuple[Azure, str]) -> None:
    azure, _ = done
    trusted = {
        subject.rpartition(":")[2]
        for app in azure.world["apps"].values()
        for subject in app["credentials"].values()
    }
    named = {job["environment"] for _, _, job in jobs() if "environment" in job}
    assert named - {"${{ inputs.stage }}"} == trusted


def test_each_gets_its_roles_where_they_are_needed_and_no_other(done: tuple[Azure, str]) -> None:
    """Ids from Microsoft's list of built-in roles."""
    azure, _ = done
    deployer, reader = f"principal-{DEPLOY}", f"principal-{PREVIEW}"
    expected = {
        (deployer, "b24988ac-6180-42a0-ab88-20f7382dd24c", WHOLE),  # Contributor
        (deployer, "f58310d9-a9f6-439a-9e8d-f62e7b41a168", WHOLE),  # RBAC Administrator
        (deployer, "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b", WHOLE),  # AKS RBAC Cluster Admin
        (deployer, "4abbcc35-e782-43d8-92c5-2d3f1bd2253f", WHOLE),  # AKS Cluster User
        (deployer, "8311e382-0749-4cb8-b61a-304f252e45ec", WHOLE),  # AcrPush
        (deployer, "ba92f5b4-2d11-453d-a403-e96b0029c9fe", STORAGE),  # Blob Data Contributor
        (deployer, "12338af0-0e69-4776-bea7-57ae8d297424", VAULT),  # Key Vault Crypto User
        (reader, "acdd72a7-3385-48ef-bd42-f606fba81ae7", WHOLE),  # Reader
        (reader, "7f6c6a51-bcf8-42ba-9220-52d62157d7db", WHOLE),  # AKS RBAC Reader
        (reader, "4abbcc35-e782-43d8-92c5-2d3f1bd2253f", WHOLE),
        (reader, "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", STORAGE),  # Blob Data Reader
        (reader, "12338af0-0e69-4776-bea7-57ae8d297424", VAULT),
        ("me", "ba92f5b4-2d11-453d-a403-e96b0029c9fe", STORAGE),
        ("me", "12338af0-0e69-4776-bea7-57ae8d297424", VAULT),
    }
    assert {tuple(role) for role in azure.world["roles"]} == expected


def test_the_stacks_are_made_with_the_key(done: tuple[Azure, str]) -> None:
    azure, _ = done
    inits = azure.commands.calls("pulumi stack init")
    assert [call.arguments[3] for call in inits] == ["shared", "staging", "production"]
    key = "azurekeyvault://contoso-state.vault.azure.net/keys/pulumi"
    for call in inits:
        assert call.arguments[-2:] == ["--secrets-provider", key]
        backend = "azblob://pulumi?storage_account=contosostate"
        assert call.environment["PULUMI_BACKEND_URL"] == backend


def test_a_second_run_changes_nothing(azure: Azure) -> None:
    first = azure.run()
    before, changes = azure.world, len(azure.changes())
    second = azure.run()
    assert second.returncode == 0, second.stderr
    assert azure.world == before
    assert len(azure.changes()) == changes > 20
    assert second.stdout == first.stdout


def test_what_an_interrupted_run_left_out_is_made_by_the_next(azure: Azure) -> None:
    azure.run()
    world = azure.world
    world["roles"].pop(2)
    world["apps"][PREVIEW]["credentials"].clear()
    azure.file.write_text(json.dumps(world))
    before = len(azure.changes())
    assert azure.run().returncode == 0
    made = azure.changes()[before:]
    assert [re.search(r"role assignment|federated-credential", line)[0] for line in made] == [  # pyright: ignore[reportOptionalSubscript]
        *("role assignment", "federated-credential"),
    ]


def test_a_renamed_repository_is_trusted_under_its_new_name(azure: Azure) -> None:
    azure.run()
    azure.run("--subject-prefix", "repo:contoso/other")
    subjects = azure.world["apps"][DEPLOY]["credentials"].values()
    assert all(subject.startswith("repo:contoso/other:environment:") for subject in subjects)


def test_a_dry_run_looks_and_changes_nothing(azure: Azure) -> None:
    before = azure.world
    result = azure.run("--dry-run")
    assert result.returncode == 0, result.stderr
    assert azure.world == before
    assert azure.changes() == []
    shown = [line for line in result.stderr.splitlines() if "would run:" in line]
    words = [shlex.split(line.partition(":")[2]) for line in shown]
    assert words[0][:3] == ["az", "provider", "register"]
    assert any(line[:3] == ["az", "keyvault", "create"] for line in words)
    assert sum(line[:3] == ["pulumi", "stack", "init"] for line in words) == 3


def test_a_dry_run_after_it_all_shows_nothing_to_do(done: tuple[Azure, str]) -> None:
    azure, _ = done
    assert "would run:" not in azure.run("--dry-run").stderr


def test_a_dry_run_shows_what_the_run_then_does(azure: Azure) -> None:
    shown = azure.run("--dry-run").stderr.count("would run:")
    azure.run()
    tries = 3  # Each new principal's first role assignment is refused once: see workflows_azure.
    # A dry run does not list the stacks by a changing command; the run asks whether it may.
    asked = 1
    assert shown - asked <= len(azure.changes()) - tries <= shown


def test_it_prints_every_variable_that_the_workflows_read(done: tuple[Azure, str]) -> None:
    _, printed = done
    read = {
        name
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for name in re.findall(r"\bvars\.([A-Z_]+)", path.read_text())
    }
    printed_names = set(re.findall(r"gh variable set (\w+)", printed))
    assert printed_names == read - {"RETRAIN_SCHEDULE"}
    assert f"AZURE_CLIENT_ID --repo contoso/retention --body app-{DEPLOY}" in printed
    assert f"AZURE_PREVIEW_CLIENT_ID --repo contoso/retention --body app-{PREVIEW}" in printed


def test_what_it_prints_can_be_run(done: tuple[Azure, str], tmp_path: Path) -> None:
    """The block is a shell script; the one word to fill in is LOGIN."""
    azure, printed = done
    block = tmp_path / "settings.sh"
    block.write_text("set -eu\n" + printed)
    result = azure.commands.run("bash", str(block))
    assert result.returncode == 0, result.stderr
    production = azure.commands.calls(
        "--method PUT repos/contoso/retention/environments/production"
    )
    rules = json.loads(production[-1].stdin)
    assert rules["reviewers"][0]["type"] == "User"
    assert rules["deployment_branch_policy"]["custom_branch_policies"] is True
    branches = azure.commands.calls("deployment-branch-policies")
    assert len(branches) == 4
    assert all("name=main" in call.line for call in branches)
    assert not [call for call in branches if "/preview/" in call.line]


def test_without_pulumi_the_stacks_are_left_out(azure: Azure) -> None:
    (azure.commands.folder / "bin" / "pulumi").unlink()
    result = azure.run(PATH=f"{azure.commands.folder / 'bin'}:/usr/bin:/bin")
    assert result.returncode == 0, result.stderr
    assert "there is no pulumi here" in result.stderr


def test_two_registrations_of_one_name_are_for_a_person_to_sort_out(commands: Commands) -> None:
    commands.answer("az ad app list", stdout="one\ntwo\n")
    commands.answer("az account show", stdout="sub\nten\nuser\n")
    commands.answer("az provider show", stdout="Registered\n")
    result = commands.run(
        *(str(SCRIPT), "--repository", "a/b", "--name", "contoso", "--subject-prefix", "repo:a/b"),
        environment={"BOOTSTRAP_SECONDS": "0"},
    )
    assert result.returncode == 1
    assert "there are several app registrations" in result.stderr


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--name", "contoso"), "--repository: write OWNER/NAME"),
        (("--repository", "a/b", "--name", "Contoso"), "--name: 3 to 12"),
        (("--repository", "a/b", "--name", "contoso", "--key-vault", "a_b"), "--key-vault:"),
        (("--repository", "a/b", "--name", "contoso", "--storage-account", "A"), "--storage"),
        (("--repository",), "--repository: a value is missing"),
        (("--nmae", "contoso"), "there is no option --nmae"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_asked(
    commands: Commands, options: tuple[str, ...], wrong: str
) -> None:
    result = commands.run(str(SCRIPT), *options)
    assert result.returncode == 1
    assert wrong in result.stderr
    assert commands.calls() == []


def test_without_a_log_in_it_says_so(commands: Commands) -> None:
    commands.answer("az account show", status=1)
    result = commands.run(str(SCRIPT), "--repository", "a/b", "--name", "contoso")
    assert result.returncode == 1
    assert "az login" in result.stderr
    assert len(commands.calls()) == 1


def test_help_names_every_option(commands: Commands) -> None:
    result = commands.run(str(SCRIPT), "--help")
    assert result.returncode == 0
    options = set(re.findall(r"^ +(--[a-z-]+)\)", SCRIPT.read_text(), re.M))
    assert options >= {"--dry-run", "--repository"}
    assert {option for option in options if option not in result.stdout} == set()
    assert commands.calls() == []


def test_the_stand_in_refuses_what_is_there_already() -> None:
    with pytest.raises(SystemExit):
        workflows_azure.answer(
            ["group", "create", "--name", "a"], {"resources": ["group a"], "apps": {}}
        )
