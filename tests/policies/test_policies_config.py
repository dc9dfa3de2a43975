"""The config as its files say it, and what looks like a secret."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from policies_programs import SECRET

from policies.credentials import looks_like_a_credential, names_a_secret, secret_leaves
from policies.rules import violations
from policies.stack_config import StackConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: house\n"
        "config:\n"
        "  protect: {type: boolean, default: true}\n"
        "  registryStage: {type: string, default: ''}\n"
        "  apiKey: {type: string, default: ''}\n"
        "  azure-native:location: {value: westeurope}\n"
    )
    return tmp_path


def write(project: Path, stack: str, text: str) -> StackConfig:
    (project / f"Pulumi.{stack}.yaml").write_text(text)
    return StackConfig.read(project, stack)


def problems(config: StackConfig) -> list[str]:
    return [violation.text for violation in violations([], config)]


def test_the_stacks_file_holds_over_the_defaults(project: Path) -> None:
    config = write(project, "dev", "config:\n  house:protect: false\n  registryStage: dev\n")
    assert config.project == "house"
    assert config.setting("protect") == "false"
    assert config.setting("registryStage") == "dev"
    assert config.setting("nothing") == ""
    assert not config.protect
    assert not config.production


def test_what_an_engine_runs_by_holds_over_the_files(project: Path) -> None:
    write(project, "dev", "config:\n  house:protect: false\n")
    effective = {"house:protect": "true", "house:registryStage": "production"}
    config = StackConfig.read(project, "dev", effective=effective)
    assert config.protect
    assert config.production


@pytest.mark.parametrize(
    ("stack", "text", "production"),
    [
        ("production", "", True),
        ("eu", "config: {house:registryStage: production}", True),
        ("eu", "config: {house:registryStage: staging}", False),
        ("eu", "config: {other:registryStage: production}", False),
        ("staging", "", False),
    ],
)
def test_production_is_known_by_the_stacks_name_or_its_stage(
    project: Path, stack: str, text: str, production: bool
) -> None:
    assert write(project, stack, text).production == production


@pytest.mark.parametrize("text", ["", "config: {}\n", "config:\n", "encryptionsalt: v1:abc\n"])
def test_a_file_may_say_nothing(project: Path, text: str) -> None:
    config = write(project, "dev", text)
    assert config.protect
    assert problems(config) == []


def test_a_stack_needs_no_file(project: Path) -> None:
    assert problems(StackConfig.read(project, "dev")) == []


def test_a_secret_is_found_in_either_file_and_named_with_it(project: Path) -> None:
    text = (project / "Pulumi.yaml").read_text()
    (project / "Pulumi.yaml").write_text(
        text.replace("apiKey: {type: string, default: ''}", f"apiKey: {SECRET}")
    )
    found = problems(write(project, "dev", f"config:\n  databricks:token: {SECRET}\n"))
    assert [text.partition(". ")[0] for text in found] == [
        "config-without-secrets: Pulumi.yaml: house:apiKey looks like a secret, and is in clear",
        "config-without-secrets: Pulumi.dev.yaml: databricks:token looks like a secret, and is in "
        "clear",
    ]
    assert SECRET not in "".join(found)


@pytest.mark.parametrize("entry", ["{type: string, default: %s}", "{value: %s}", "%s"])
def test_a_secret_is_found_however_the_project_sets_it(project: Path, entry: str) -> None:
    (project / "Pulumi.yaml").write_text(
        f"name: house\nconfig:\n  house:apiKey: {entry % SECRET}\n"
    )
    (found,) = problems(StackConfig.read(project, "dev"))
    assert "Pulumi.yaml: house:apiKey looks like a secret" in found


def test_a_description_is_no_value(project: Path) -> None:
    (project / "Pulumi.yaml").write_text(
        "name: house\nconfig:\n  apiKey: {type: string, description: the key of the API}\n"
    )
    assert problems(StackConfig.read(project, "dev")) == []


def test_a_config_does_not_print_its_values(project: Path) -> None:
    config = StackConfig.read(project, "dev", effective={"house:token": SECRET})
    assert SECRET not in repr(config)


STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


@pytest.mark.parametrize("stack", STACKS)
def test_this_projects_own_config_holds_no_secret(stack: str) -> None:
    config = StackConfig.read(ROOT, stack)
    assert config.files["Pulumi.yaml"]
    assert problems(config) == []


def test_no_setting_of_this_project_would_be_taken_for_a_secret() -> None:
    keys: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert [key for key in keys if names_a_secret(key)] == []


@pytest.mark.parametrize(
    "name",
    [
        *("token", "databricks:token", "DATABRICKS_TOKEN", "accessToken", "access-token", "tokens"),
        *("password", "adminPassword", "DB_PASSWORD", "passwd", "pwd", "passphrase", "passwordOld"),
        *("secret", "clientSecret", "secrets", "MY_SECRET_VALUE", "credentials", "authtoken"),
        *("key", "apiKey", "API_KEY", "apikey", "accountKey", "AZURE_STORAGE_KEY", "privateKey"),
        *("keys", "key1", "apiKeyValue", "connectionString", "SAS", "TLSKey", "storageAccountKey2"),
    ],
)
def test_the_name_of_a_secret(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("apiKeyRotation", "tlsKeyVaultCertificate", "tlsKeyVaultId", "keyVault", "KEY_VAULT_URI"),
        *("API_KEY_SHA256", "apiKeySha256", "passwordFile", "TOKEN_FILE", "secretName", "tokenUrl"),
        *("publicKey", "ssh-public-key", "monkey", "keyboard", "tokenizer", "turkey", "sasquatch"),
        *("", "seed", "kubernetes", "RELEASE_SHA256", "API_KEY_HEADER", "secretRef", "keyVaultSku"),
        *("key-vault-tenant", "keyAlgorithm", "tokenCertificate", "secretsDir", "tokenEnabled"),
        *("secretExpiry", "keyFingerprint", "secretsFolder", "tokenHash", "credentialsPath"),
        *("keyId", "keyIds", "tokenKind", "passwordLength", "secretNames", "tokenProvider"),
        *("passwordRequired", "tokenScope", "secretStore", "credentialType", "secretUri"),
        *("keyVersion", "tokenDays", "tokenHours", "tokenMinutes", "tokenSeconds"),
    ],
)
def test_a_name_that_is_none_of_a_secret(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\nabc",
        "-----BEGIN RSA PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def",
        "dapi" + "0a1b" * 8,
        "dapi" + "0a1b" * 8 + "-2",
        "abc8Q~" + "x" * 34,
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "Ab+/" * 21 + "A==",
        "Endpoint=sb://a/;SharedAccessKey=" + "Ab+/" * 10,
        "https://a.blob.core.windows.net/c?sv=2024-11-04&sig=" + "a%2B" * 10,
        "ghp_" + "a" * 36,
        "github_pat_" + "a" * 22,
        "pul-" + "0a" * 20,
        "AKIA" + "A" * 16,
        "postgresql://mlflow:hunter2@db/mlflow",
        "https://:hunter2@db/mlflow",
        "Server=db;User=a;Password=hunter2;",
    ],
)
def test_the_looks_of_a_credential(text: str) -> None:
    assert looks_like_a_credential(text)
    assert looks_like_a_credential(f"some text, then {text}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "package",
        "sqlite:////srv/mlflow/mlflow.db",
        "https://contoso.example:8443/a?version=3#@b",
        "https://person@contoso.example/a",
        "contoso.azurecr.io/employee-retention@sha256:" + "ab" * 32,
        "ab" * 32,
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg",
        "hr@contoso.example",
        "0 0 5 1 * ?",
        "Standard_D4ds_v5",
        "17.3.x-scala2.13",
        "-----BEGIN CERTIFICATE-----",
        "password=${PASSWORD}",
        "a design=modern one",
    ],
)
def test_the_looks_of_an_ordinary_value(text: str) -> None:
    assert not looks_like_a_credential(text)


@pytest.mark.parametrize("value", ["", " ", "true", "False", True, None, {"secure": "v1:abc"}])
def test_what_is_no_secret_under_a_secrets_name(value: object) -> None:
    assert list(secret_leaves("apiKey", value)) == []


@pytest.mark.parametrize("value", ["{{secrets/hr/token}}", "${TOKEN}", "$(TOKEN)"])
def test_a_reference_to_a_secret_is_none(value: str) -> None:
    assert list(secret_leaves("token", value)) == []
    assert list(secret_leaves("token", f"{value}x")) == ["token"]


def test_leaves_are_named_by_their_path() -> None:
    value = {"tokens": {"url": "https://a", "hr": ["x", {"secure": "v1:abc"}]}, "seed": 7, "pwd": 8}
    assert list(secret_leaves("a", value)) == ["a.tokens.hr[0]", "a.pwd"]
