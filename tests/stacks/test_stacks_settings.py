"""Settings: one schema in Pulumi.yaml, and errors that say what to write instead."""

import json
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from engine.project import load
from infra.lifecycle.gates import Gate
from stacks.reader import SettingsError
from stacks.settings import EnvironmentSettings, LocalSettings, SharedSettings
from tests.recorder import PROJECT, ROOT, Recorder, select

SCHEMA: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]


KINDS = {"local": LocalSettings, "shared": SharedSettings, "staging": EnvironmentSettings}
CONFIG = {name: load(ROOT, name).config for name in KINDS}
"""The config of each stack as it is committed, defaults included."""


def read(stack: str, config: dict[str, str], **changes: str | None) -> Any:
    changed = {**config, **{f"{PROJECT}:{key}": value for key, value in changes.items()}}
    select(
        Recorder(),
        {key: value for key, value in changed.items() if value is not None},
        stack_name=stack,
        preview=False,
    )
    return KINDS[stack].load()


def settings(config: dict[str, str], **changes: str | None) -> LocalSettings:
    return read("local", config, **changes)


def owner(key: str) -> str:
    """Name a stack that has the key."""
    return next(stack for stack, kind in KINDS.items() if snake(key) in names(kind))


def snake(key: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


def names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


# One schema


def test_the_defaults_are_valid_settings(config: dict[str, str]) -> None:
    assert settings(config) == LocalSettings(
        dataset="package",
        training_parameters={},
        training_timeout_minutes=30,
        retrain="",
        gates=(
            Gate(metric="cv_roc_auc", at_least=0.80, max_drop=0.02),
            Gate(metric="cv_brier", at_most=0.11, max_rise=0.01),
            Gate(metric="fairness_four_fifths", at_least=0.80),
            Gate(metric="fairness_calibration_gap", at_most=0.08),
        ),
        release_version="",
        release_reason="",
        api_port=8000,
        api_runtime="process",
        entra_tenant_id="",
        entra_audience="",
        rate_limit_per_second=100,
        rate_limit_burst=200,
        max_in_flight=64,
        window_records=20,
        window_seconds=60,
        api_docs=True,
        otlp_endpoint="",
    )


def test_every_setting_has_a_key_and_every_key_a_setting() -> None:
    assert {snake(key) for key in SCHEMA} == set[str]().union(*map(names, KINDS.values()))


@pytest.mark.parametrize("key", SCHEMA)
def test_every_key_says_which_stacks_have_it(key: str) -> None:
    having = {stack for stack, kind in KINDS.items() if snake(key) in names(kind)}
    having |= {"production"} if "staging" in having else set()
    found = re.search(r"\(([a-z, ]+)\)\.?$", SCHEMA[key]["description"])
    assert having == set(found[1].split(", ") if found else ())


@pytest.mark.parametrize("stack", ["shared", "staging", "production"])
def test_the_committed_config_is_valid(stack: str) -> None:
    kind = "staging" if stack == "production" else stack
    assert read(kind, load(ROOT, stack).config)


@pytest.mark.parametrize("key", SCHEMA)
def test_every_key_has_type_default_and_description(key: str) -> None:
    entry = SCHEMA[key]
    types: dict[str, Any] = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "object": dict,
        "array": list,
    }
    assert type(entry["default"]) is types[entry["type"]]
    assert len(entry["description"]) > 20
    assert re.search(r"\.( \([a-z, ]+\)\.?)?$|\([a-z, ]+\)\.$", entry["description"])


def test_settings_are_frozen(config: dict[str, str]) -> None:
    with pytest.raises(FrozenInstanceError):
        settings(config).api_port = 1  # pyright: ignore[reportAttributeAccessIssue] - what is tested


# Good values


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("dataset", "data/my file.csv", "data/my file.csv"),
        ("dataset", "https://example.com/x.csv", "https://example.com/x.csv"),
        ("trainingParameters", '{"seed": 7, "cv_folds": 3}', {"seed": 7, "cv_folds": 3}),
        ("trainingTimeoutMinutes", "1", 1),
        ("trainingTimeoutMinutes", "1440", 1440),
        ("retrain", "2026-11", "2026-11"),
        ("gates", "[]", ()),
        ("gates", '[{"metric": "m", "max_rise": 0}]', (Gate(metric="m", max_rise=0),)),
        ("releaseVersion", "12", "12"),
        ("apiPort", "1", 1),
        ("apiPort", "65535", 65535),
    ],
)
def test_a_good_value_is_read(
    config: dict[str, str], key: str, value: str, expected: object
) -> None:
    read = settings(config, **{key: value})
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in key)
    assert getattr(read, name) == expected


@pytest.mark.parametrize("key", ["retrain", "releaseVersion"])
def test_an_optional_key_may_be_missing(config: dict[str, str], key: str) -> None:
    assert settings(config, **{key: None}) == settings(config)


def test_keys_of_other_namespaces_are_not_ours(config: dict[str, str]) -> None:
    config["azure-native:location"] = "westeurope"
    assert settings(config)


# What the API is told


def test_the_api_accepts_keys_alone_unless_told_otherwise(config: dict[str, str]) -> None:
    assert settings(config).api_environment == {
        "RATE_LIMIT_PER_SECOND": "100",
        "RATE_LIMIT_BURST": "200",
        "MAX_IN_FLIGHT": "64",
        "WINDOW_RECORDS": "20",
        "WINDOW_SECONDS": "60",
        "DOCS_ENABLED": "true",
    }


def test_the_process_takes_what_every_stack_tells_it(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "entraTenantId": GUID,
        "entraAudience": f"api://hr, {GUID}",
        "rateLimitPerSecond": "7",
        "rateLimitBurst": "8",
        "maxInFlight": "9",
        "windowRecords": "50",
        "windowSeconds": "10",
        "apiDocs": "false",
        "otlpEndpoint": "http://collector.monitoring.svc:4318",
    }
    for stack in ("local", "staging"):
        told = read(stack, CONFIG[stack], **changes).api_environment
        release = {"RELEASE_DIR": str(tmp_path), "RELEASE_VERSION": "7"}
        found = Settings.from_environment({**release, **told})
        assert found.entra is not None
        assert (found.entra.tenant_id, found.entra.audiences) == (GUID, {"api://hr", GUID})
        assert (found.rate_limit_per_second, found.rate_limit_burst) == (7, 8)
        assert (found.max_in_flight, found.docs_enabled) == (9, False)
        assert (found.window_records, found.window_seconds) == (50, 10)
        assert found.otlp_endpoint == "http://collector.monitoring.svc:4318"


def test_the_process_has_the_same_defaults(config: dict[str, str], tmp_path: Path) -> None:
    required = {
        "RELEASE_DIR": str(tmp_path),
        "RELEASE_VERSION": "7",
        "API_KEY_SHA256": "ab" * 32,
    }
    told = settings(config).api_environment
    assert Settings.from_environment({**required, **told}) == Settings.from_environment(required)


def test_a_process_of_this_machine_alone_may_have_its_collector_beside_it(
    config: dict[str, str],
) -> None:
    """In a container 127.0.0.1 is the container, on a laptop as in a cluster."""
    address = "http://127.0.0.1:4318"
    assert settings(config, otlpEndpoint=address).otlp_endpoint == address
    for stack, changes in (("local", {"apiRuntime": "container"}), ("staging", {})):
        with pytest.raises(SettingsError, match=r"otlpEndpoint \(.*\) must not be 127\.0\.0\.1"):
            read(stack, CONFIG[stack], otlpEndpoint=address, **changes)


# Wrong values


OBJECT = "must be an object"
PORT = "must be a whole number from 1 to 65535"
MINUTES = "must be a whole number from 1 to 1440"
VERSION = "must be a version number of the registered model, or empty"
GATES = "must be a list of objects with `metric` and at least one of at_least, at_most, max_drop"

GUID = "11111111-2222-3333-4444-55555555aaaa"
WHOLE = "must be a whole number from "
CLOUD_WRONG: list[tuple[str, str | None, str]] = [
    ("location", "West Europe", "must be an Azure region"),
    ("location", "", "is not set; it must be an Azure region"),
    *(("namePrefix", value, "must be 3 to 12 lower-case") for value in ("ab", "Contoso", "a-b-c")),
    ("namePrefix", None, "is not set; it must be 3 to 12 lower-case"),
    *(("tags", value, OBJECT) for value in ("[]", '"x"', '{"a": 1}')),
    *(("protect", value, "must be true or false") for value in ("yes please", "", None)),
    ("trackingUri", "https://me:secret@host", "must not carry a password"),
    ("registryUri", "", "is not set"),
    ("catalog", "my-catalog", "must be letters, digits and underscores, or empty"),
    ("schema", "my.schema", "must be letters, digits and underscores"),
    ("trainingCompute", "gpu", "must be one of serverless, job-cluster"),
    ("trainingSchedule", "0 5 * * *", "must be a quartz cron expression"),
    *(("failureEmails", v, "must be a list of e-mail addresses") for v in ('["x"]', "[1]", "x")),
    ("jobRunAs", "me", "must be a service principal's application id, or empty"),
    ("logRetentionDays", "29", WHOLE + "30 to 730"),
    ("logDailyQuotaGb", "0", WHOLE + "1 to 1000"),
    *(("readers", value, "must be a list of Databricks groups") for value in ('[""]', "{}", None)),
    ("budgetAmount", "0", WHOLE),
    ("registryStage", "", "is not set; it must be 2 to 31 lower-case"),
    ("registryStage", "Prod!", "must be 2 to 31 lower-case"),
    ("promoteFrom", "Staging", "must be 2 to 31 lower-case"),
    ("kubernetesVersion", "latest", "must be a version such as 1.36"),
    ("clusterTier", "Gold", "must be one of Free, Standard, Premium"),
    ("nodesMin", "0", WHOLE),
    ("zones", '["4"]', "must be a list of zones"),
    ("adminGroupIds", '["admins"]', "must be a list of object ids"),
    *(
        ("authorizedIpRanges", f'["{value}"]', "must be a list of IPv4 ranges")
        for value in ("everywhere", "1.2.3.4/33", "1.2.3.256")
    ),
    ("maintenanceDay", "Caturday", "must be one of Monday"),
    ("maintenanceStart", "25:00", "must be a time of day"),
    ("maintenanceHours", "3", WHOLE + "4 to 24"),
    ("maintenanceUtcOffset", "CET", "must be an offset"),
    ("replicasMax", "none", WHOLE),
    ("hostname", "", "is not set; it must be a DNS name"),
    ("hostname", "https://attrition.example", "must be a DNS name"),
    ("public", "maybe", "must be true or false"),
    ("alertEmails", '["on-call"]', "must be a list of e-mail addresses"),
    ("alertLatencyMs", "0", WHOLE + "1 to 60000"),
    ("alertErrorPercent", "0", WHOLE + "1 to 100"),
    ("tlsKeyVaultCertificate", "attrition", "must be the identifier of a Key Vault certificate"),
    ("tlsKeyVaultId", "contoso", "must be the resource id of a Key Vault"),
    ("apiRuntime", "vm", "must be one of process, container"),
    *(("entraTenantId", v, "must be the tenant's id, a GUID") for v in ("contoso.com", "common")),
    *(("entraAudience", v, "must be the API's application id") for v in ("a b", "a,", "a,,b", ",")),
    *((f"rateLimit{end}", v, WHOLE) for end in ("PerSecond", "Burst") for v in ("0", "1e3", None)),
    ("maxInFlight", "10001", WHOLE + "1 to 10000"),
    ("windowRecords", "19", WHOLE + "20 to 1000000"),
    ("windowSeconds", "0", WHOLE + "1 to 86400"),
    *(
        ("otlpEndpoint", value, "must be http://SERVICE.NAMESPACE.svc:PORT in the cluster")
        for value in (
            *("collector:4318", "https://me:secret@collector.example", "https://Collector.example"),
            *("https://collector.example/?key=1", "ftp://collector.example", "https://"),
        )
    ),
    ("otlpEndpoint", "http://127.0.0.1", "must be http://127.0.0.1:PORT on this machine"),
    ("otlpEndpoint", "http://127.0.0.1:99999", "must have a port from 1 to 65535"),
    *(("apiDocs", value, "must be true or false") for value in ("on", "", None)),
    ("releaseReason", "two\nlines", "must be at most 300 characters on one line"),
]
WRONG: list[tuple[str, str | None, str]] = [
    *CLOUD_WRONG,
    ("dataset", "", "is not set"),
    ("dataset", None, "is not set"),
    *(("trainingParameters", value, OBJECT) for value in ("[]", "7", '"x"', "x", "", "null", None)),
    *(
        ("trainingParameters", value, f"is refused: parameter {said}")
        for value, said in (
            ('{"depth": 3}', "'depth' is unknown; known: cv_folds, "),
            ('{"seed": "7"}', "'seed': expected a whole number"),
            ('{"cv_folds": 11}', "'cv_folds': expected a value from 2 to 10"),
        )
    ),
    *(
        ("trainingTimeoutMinutes", value, MINUTES)
        for value in ("0", "-1", "1441", "1.5", "x", "", "true", None)
    ),
    *(("releaseVersion", value, VERSION) for value in ("three", "-1", "1.0", "v3", " 3")),
    *(("apiPort", value, PORT) for value in ("0", "65536", "http", "80.5", "", None)),
    *(
        ("gates", value, GATES)
        for value in (
            "",
            "x",
            "{}",
            "7",
            "null",
            "[7]",
            "[[]]",
            "[{}]",
            '[{"metric": "m"}]',
            '[{"at_least": 0.8}]',
            '[{"metric": 7, "at_least": 0.8}]',
            '[{"metric": "m", "at_least": "0.8"}]',
            '[{"metric": "m", "at_least": true}]',
            '[{"metric": "m", "at_least": null}]',
            '[{"metric": "m", "at_leest": 0.8}]',
            '[{"metric": "m", "at_least": 0.8, "more": 1}]',
            '[{"metric": "m", "at_least": 0.8}, {}]',
            None,
        )
    ),
]


@pytest.mark.parametrize(("key", "value", "expected"), WRONG)
def test_a_wrong_value_names_key_file_and_what_is_expected(
    key: str, value: str | None, expected: str
) -> None:
    stack = owner(key)
    with pytest.raises(SettingsError) as caught:
        read(stack, CONFIG[stack], **{key: value})
    message = str(caught.value)
    assert message.startswith(f"config key {PROJECT}:{key} (Pulumi.{stack}.yaml) {expected}")
    assert f"; for example {PROJECT}:{key}: " in message


@pytest.mark.parametrize("key", sorted({key for key, _, _ in WRONG}))
def test_the_example_in_an_error_can_be_pasted(key: str) -> None:
    stack = owner(key)
    value = next(value for wrong, value, _ in WRONG if wrong == key and value is not None)
    with pytest.raises(SettingsError) as caught:
        read(stack, CONFIG[stack], **{key: value})
    pasted = yaml.safe_load(str(caught.value).partition("; for example ")[2])
    (example,) = pasted.values()
    text = example if isinstance(example, str) else json.dumps(example)
    partner = {
        "tlsKeyVaultId": {"tlsKeyVaultCertificate": "https://v.example/certificates/c"},
        "tlsKeyVaultCertificate": {"tlsKeyVaultId": "/subscriptions/s/vaults/v"},
        "promoteFrom": {"registryStage": "production"},
        "entraTenantId": {"entraAudience": "api://attrition"},
        "entraAudience": {"entraTenantId": "00000000-0000-0000-0000-000000000000"},
    }.get(key, {})
    assert read(stack, CONFIG[stack], **{**partner, key: text})


@pytest.mark.parametrize("key", ["apiport", "api_port", "port", ""])
def test_an_unknown_key_is_refused_with_those_that_are_known(
    config: dict[str, str], key: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(config, **{key: "8001"})
    assert f"config key {PROJECT}:{key} (Pulumi.local.yaml) is not a setting" in str(caught.value)
    assert "known are apiDocs, apiPort, apiRuntime, dataset, entraAudience, " in str(caught.value)


@pytest.mark.parametrize("bound", ["NaN", "Infinity"])
def test_a_bound_is_a_finite_number(config: dict[str, str], bound: str) -> None:
    with pytest.raises(SettingsError, match="gates"):
        settings(config, gates=f'[{{"metric": "m", "at_least": {bound}}}]')


# Keys of another kind of stack


@pytest.mark.parametrize(
    ("stack", "key", "value"),
    [("local", "hostname", "a.example"), ("shared", "apiPort", "81"), ("staging", "retrain", "x")],
)
def test_a_key_of_another_stack_is_refused(stack: str, key: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(stack, CONFIG[stack], **{key: value})
    message = str(caught.value)
    assert message.startswith(f"config key {PROJECT}:{key} (Pulumi.{stack}.yaml) is a setting of")
    assert "known here are" in message


# Keys that contradict each other


@pytest.mark.parametrize(
    ("key", "changes", "expected"),
    [
        ("promoteFrom", {"promoteFrom": "staging"}, "must be another stage than registryStage"),
        ("nodesMax", {"nodesMin": "5"}, "must not be less than nodesMin, which is 5"),
        ("replicasMax", {"replicasMin": "9"}, "must not be less than replicasMin, which is 9"),
        (
            "tlsKeyVaultId",
            {"tlsKeyVaultCertificate": "https://v.example/certificates/c"},
            "must be set together with tlsKeyVaultCertificate",
        ),
        ("entraAudience", {"entraAudience": "api://hr"}, "must be set together with entraTenantId"),
        ("entraAudience", {"entraTenantId": GUID}, "must be set together with entraTenantId"),
    ],
)
def test_keys_that_contradict_are_refused(key: str, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read("staging", CONFIG["staging"], **changes)
    message = str(caught.value)
    assert message.startswith(f"config key {PROJECT}:{key} (Pulumi.staging.yaml) {expected}")
