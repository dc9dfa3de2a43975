"""Settings: one schema in Pulumi.yaml, and errors that say what to write instead."""

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import yaml
from stacks_recorder import PROJECT, ROOT, Recorder, select

from infra.lifecycle.gates import Gate
from stacks.settings import LocalSettings, SettingsError

SCHEMA: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]


def settings(config: dict[str, str], **changes: str | None) -> LocalSettings:
    changed = {**config, **{f"{PROJECT}:{key}": value for key, value in changes.items()}}
    select(
        Recorder(),
        {key: value for key, value in changed.items() if value is not None},
        stack_name="local",
        preview=False,
    )
    return LocalSettings.load()


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
        ),
        release_version="",
        api_port=8000,
    )


def test_every_setting_has_a_key_and_every_key_a_setting() -> None:
    names = {field.name for field in fields(LocalSettings)}
    assert {"".join(f"_{c.lower()}" if c.isupper() else c for c in key) for key in SCHEMA} == names


@pytest.mark.parametrize("key", SCHEMA)
def test_every_key_has_type_default_and_description(key: str) -> None:
    entry = SCHEMA[key]
    types: dict[str, Any] = {"string": str, "integer": int, "object": dict, "array": list}
    assert isinstance(entry["default"], types[entry["type"]])
    assert len(entry["description"]) > 20
    assert entry["description"].endswith(".")


def test_settings_are_frozen(config: dict[str, str]) -> None:
    with pytest.raises(FrozenInstanceError):
        settings(config).api_port = 1  # pyright: ignore[reportAttributeAccessIssue] - what is tested


# Good values


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("dataset", "data/my file.csv", "data/my file.csv"),
        ("dataset", "https://example.com/x.csv", "https://example.com/x.csv"),
        ("trainingParameters", '{"seed": 7, "a": {"b": [1]}}', {"seed": 7, "a": {"b": [1]}}),
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


# Wrong values


OBJECT = "must be an object"
PORT = "must be a whole number from 1 to 65535"
MINUTES = "must be a whole number from 1 to 1440"
VERSION = "must be a version number of the registered model, or empty"
GATES = "must be a list of objects with `metric` and at least one of at_least, at_most, max_drop"

WRONG: list[tuple[str, str | None, str]] = [
    ("dataset", "", "must not be empty"),
    ("dataset", None, "must not be empty"),
    *(("trainingParameters", value, OBJECT) for value in ("[]", "7", '"x"', "x", "", "null", None)),
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
    config: dict[str, str], key: str, value: str | None, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(config, **{key: value})
    message = str(caught.value)
    assert message.startswith(f"config key {PROJECT}:{key} (Pulumi.local.yaml) {expected}")
    assert f"; for example {PROJECT}:{key}: " in message


@pytest.mark.parametrize("key", sorted({key for key, _, _ in WRONG}))
def test_the_example_in_an_error_can_be_pasted(config: dict[str, str], key: str) -> None:
    value = next(value for wrong, value, _ in WRONG if wrong == key and value is not None)
    with pytest.raises(SettingsError) as caught:
        settings(config, **{key: value})
    pasted = yaml.safe_load(str(caught.value).partition("; for example ")[2])
    (example,) = pasted.values()
    assert settings(config, **{key: example if isinstance(example, str) else json.dumps(example)})


@pytest.mark.parametrize("key", ["apiport", "api_port", "port", ""])
def test_an_unknown_key_is_refused_with_those_that_are_known(
    config: dict[str, str], key: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(config, **{key: "8001"})
    assert f"config key {PROJECT}:{key} (Pulumi.local.yaml) is not a setting" in str(caught.value)
    assert "known are apiPort, dataset, gates, releaseVersion, retrain" in str(caught.value)


@pytest.mark.parametrize("bound", ["NaN", "Infinity"])
def test_a_bound_is_a_finite_number(config: dict[str, str], bound: str) -> None:
    with pytest.raises(SettingsError, match="gates"):
        settings(config, gates=f'[{{"metric": "m", "at_least": {bound}}}]')
