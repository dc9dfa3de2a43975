"""Settings of a stack: read from `pulumi.Config` once, checked, frozen.

Defaults and descriptions live in Pulumi.yaml alone, so that there is one schema. What can only be
said here are ranges, and the shape of structured values.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn, TypeVar, cast

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from contract.dataset import shown
from infra.lifecycle.gates import Gate

__all__ = ["LocalSettings", "SettingsError"]

_T = TypeVar("_T")
_BOUNDS = ("at_least", "at_most", "max_drop", "max_rise")


class SettingsError(Exception):
    """A config key is missing, unknown or wrong; the message names it, the file and an example."""


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """Settings of the stack `local`; Pulumi.yaml describes each key."""

    dataset: str
    training_parameters: Mapping[str, Any]
    training_timeout_minutes: int
    retrain: str
    gates: tuple[Gate, ...]
    release_version: str
    api_port: int

    @classmethod
    def load(cls) -> "LocalSettings":
        """Read the selected stack's config.

        Raises:
            SettingsError: a key is unknown or its value is wrong.
        """
        reader = _Reader(pulumi.Config())
        reader.refuse_unknown(cls)
        return cls(
            dataset=reader.source("dataset", example="data/employees.csv"),
            training_parameters=reader.mapping("trainingParameters", example='{"seed": 7}'),
            training_timeout_minutes=reader.integer("trainingTimeoutMinutes", 1, 24 * 60),
            retrain=reader.optional_text("retrain"),
            gates=reader.gates("gates"),
            release_version=reader.version("releaseVersion"),
            api_port=reader.integer("apiPort", 1, 65_535, example=8000),
        )


class _Reader:
    """Reads keys of one namespace; every error names key, file, what was expected, an example."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config

    def refuse_unknown(self, settings: type[Any]) -> None:
        known = {_camel(field.name) for field in fields(settings)}
        for full in {**get_config_env(), **CONFIG.get()}:
            namespace, _, key = full.partition(":")
            if namespace == self._config.name and key not in known:
                raise self._error(key, f"is not a setting; known are {', '.join(sorted(known))}")

    def text(self, key: str, *, example: str) -> str:
        return self.optional_text(key) or self._fail(key, "must not be empty", example)

    def source(self, key: str, *, example: str) -> str:
        value = self.text(key, example=example)
        if shown(value) != value:
            # An input of a resource, so it is kept in the state and shown in previews.
            self._fail(key, "must not carry a password, query or signature", example)
        return value

    def optional_text(self, key: str) -> str:
        return self._config.get(key) or ""

    def version(self, key: str) -> str:
        value = self.optional_text(key)
        if value and not value.isdecimal():
            self._fail(key, "must be a version number of the registered model, or empty", '"3"')
        return value

    def integer(self, key: str, minimum: int, maximum: int, *, example: int | None = None) -> int:
        expected = f"must be a whole number from {minimum} to {maximum}"
        value = self._get(key, self._config.get_int, expected, str(example or minimum))
        if not minimum <= value <= maximum:
            self._fail(key, expected, str(example or minimum))
        return value

    def mapping(self, key: str, *, example: str) -> dict[str, Any]:
        value: Any = self._get(key, self._config.get_object, "must be an object", example)
        if not isinstance(value, dict):
            self._fail(key, "must be an object", example)
        return cast(dict[str, Any], value)

    def gates(self, key: str) -> tuple[Gate, ...]:
        example = "[{metric: cv_roc_auc, at_least: 0.8, max_drop: 0.02}]"
        expected = (
            f"must be a list of objects with `metric` and at least one of {', '.join(_BOUNDS)}"
        )
        entries: Any = self._get(key, self._config.get_object, expected, example)
        if not isinstance(entries, list):
            self._fail(key, expected, example)
        return tuple(
            _gate(entry) or self._fail(key, expected, example) for entry in cast(list[Any], entries)
        )

    def _get(self, key: str, get: Callable[[str], _T | None], expected: str, example: str) -> _T:
        try:
            value = get(key)
        except (pulumi.ConfigTypeError, json.JSONDecodeError):
            value = None
        return self._fail(key, expected, example) if value is None else value

    def _fail(self, key: str, expected: str, example: str) -> NoReturn:
        raise self._error(key, f"{expected}; for example {self._config.name}:{key}: {example}")

    def _error(self, key: str, text: str) -> SettingsError:
        file = f"Pulumi.{pulumi.get_stack()}.yaml"
        return SettingsError(f"config key {self._config.name}:{key} ({file}) {text}")


def _gate(entry: Any) -> Gate | None:
    """Make a gate of its config, or nothing where the config is not one."""
    if not isinstance(entry, dict):
        return None
    bounds = dict(cast(dict[str, Any], entry))
    metric = bounds.pop("metric", None)
    numbers = all(type(v) in (int, float) and math.isfinite(v) for v in bounds.values())
    if not isinstance(metric, str) or not bounds or not numbers or bounds.keys() - set(_BOUNDS):
        return None
    return Gate(metric=metric, **bounds)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
