"""Reads config keys one by one; every error names key, file, what was expected and an example.

Defaults and descriptions live in Pulumi.yaml alone, so that there is one schema. Pulumi gives every
stack all of its keys: one that belongs to another kind of stack must keep its default.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import pulumi
import yaml
from pulumi.runtime.config import CONFIG, get_config_env

from contract.dataset import shown
from contract.parameters import ParametersError, parse_parameters
from infra.lifecycle.gates import Gate

__all__ = ["Reader", "SettingsError"]

_T = TypeVar("_T")
_BOUNDS = ("at_least", "at_most", "max_drop", "max_rise")
_SCHEMA = Path(__file__).parents[1] / "Pulumi.yaml"


class SettingsError(Exception):
    """A config key is missing, unknown or wrong; the message names it, the file and an example."""


class Reader:
    """Reads the keys of the project's own namespace.

    Every method raises SettingsError when the key's value is not what the method is for.
    """

    def __init__(self) -> None:
        self._config = pulumi.Config()

    def refuse_unknown(self, names: Sequence[str]) -> None:
        """Refuse keys that are no settings of this stack; `names` are their Python names."""
        known = {_camel(name) for name in names}
        schema: dict[str, Any] = yaml.safe_load(_SCHEMA.read_text(encoding="utf-8"))["config"]
        for full, value in {**get_config_env(), **CONFIG.get()}.items():
            namespace, _, key = full.partition(":")
            if namespace != self._config.name or key in known:
                continue
            if key not in schema:
                raise self._error(key, f"is not a setting; known are {', '.join(sorted(known))}")
            if not _same(value, schema[key]["default"]):
                raise self._error(
                    key,
                    f"is a setting of another stack; take it out (known here are "
                    f"{', '.join(sorted(known))})",
                )

    def optional_text(self, key: str) -> str:
        """Read any text; empty where it is not set."""
        return self._config.get(key) or ""

    def text(self, key: str, *, example: str, pattern: str = ".+", expected: str = "") -> str:
        """Read a text that matches `pattern` in whole; `expected` says the pattern in words."""
        value = self.optional_text(key)
        if not value:
            self.fail(key, f"is not set; it {expected}" if expected else "is not set", example)
        return self._matching(key, value, pattern, expected, example)

    def text_or_empty(self, key: str, *, example: str, pattern: str, expected: str) -> str:
        """Read a text that is empty or matches `pattern` in whole."""
        value = self.optional_text(key)
        return self._matching(key, value, pattern, expected, example) if value else ""

    def choice(self, key: str, *choices: str) -> str:
        """Read one of the given words."""
        value = self.optional_text(key)
        if value not in choices:
            self.fail(key, f"must be one of {', '.join(choices)}", choices[0])
        return value

    def source(self, key: str, *, example: str) -> str:
        """Read a path or URL that carries no secret: it is kept in the state, and shown."""
        value = self.text(key, example=example)
        if shown(value) != value:
            self.fail(key, "must not carry a password, query or signature", example)
        return value

    def version(self, key: str) -> str:
        """Read a version of the registered model; empty where none is pinned."""
        return self.text_or_empty(
            key,
            example='"3"',
            pattern=r"[0-9]+",
            expected="must be a version number of the registered model, or empty",
        )

    def boolean(self, key: str) -> bool:
        """Read true or false."""
        return self._get(key, self._config.get_bool, "must be true or false", "true")

    def integer(self, key: str, minimum: int, maximum: int, *, example: int | None = None) -> int:
        """Read a whole number from `minimum` to `maximum`."""
        expected = f"must be a whole number from {minimum} to {maximum}"
        value = self._get(key, self._config.get_int, expected, str(example or minimum))
        if not minimum <= value <= maximum:
            self.fail(key, expected, str(example or minimum))
        return value

    def mapping(self, key: str, *, example: str) -> dict[str, Any]:
        """Read an object."""
        value: Any = self._get(key, self._config.get_object, "must be an object", example)
        if not isinstance(value, dict):
            self.fail(key, "must be an object", example)
        return cast(dict[str, Any], value)

    def training_parameters(self, key: str) -> dict[str, Any]:
        """Read what training is told; it refuses the same, but only once an `up` is under way."""
        example = '{"seed": 7}'
        value = self.mapping(key, example=example)
        try:
            parse_parameters(json.dumps(value))
        except ParametersError as error:
            self.fail(key, f"is refused: {error}", example)
        return value

    def tags(self, key: str) -> dict[str, str]:
        """Read an object of texts."""
        value = self.mapping(key, example="{cost-centre: hr}")
        if not all(isinstance(item, str) for item in value.values()):
            self.fail(key, "must be an object of texts", "{cost-centre: hr}")
        return value

    def texts(
        self, key: str, *, example: str, pattern: str = ".+", expected: str
    ) -> tuple[str, ...]:
        """Read a list of texts, each of which matches `pattern` in whole."""
        found: Any = self._get(key, self._config.get_object, expected, example)
        if not isinstance(found, list):
            self.fail(key, expected, example)
        for item in (items := cast(list[Any], found)):
            if not isinstance(item, str) or not re.fullmatch(pattern, item):
                self.fail(key, expected, example)
        return tuple(items)

    def gates(self, key: str) -> tuple[Gate, ...]:
        """Read the gates of a stage."""
        example = "[{metric: cv_roc_auc, at_least: 0.8, max_drop: 0.02}]"
        expected = (
            f"must be a list of objects with `metric` and at least one of {', '.join(_BOUNDS)}"
        )
        entries: Any = self._get(key, self._config.get_object, expected, example)
        if not isinstance(entries, list):
            self.fail(key, expected, example)
        return tuple(
            _gate(entry) or self.fail(key, expected, example) for entry in cast(list[Any], entries)
        )

    def fail(self, key: str, expected: str, example: str) -> NoReturn:
        """Raise the error that says what the key must be, with an example."""
        raise self._error(key, f"{expected}; for example {self._config.name}:{key}: {example}")

    def _matching(self, key: str, value: str, pattern: str, expected: str, example: str) -> str:
        if not re.fullmatch(pattern, value):
            self.fail(key, expected or "must be set", example)
        return value

    def _get(self, key: str, get: Callable[[str], _T | None], expected: str, example: str) -> _T:
        try:
            value = get(key)
        except (pulumi.ConfigTypeError, json.JSONDecodeError):
            value = None
        return self.fail(key, expected, example) if value is None else value

    def _error(self, key: str, text: str) -> SettingsError:
        file = f"Pulumi.{pulumi.get_stack()}.yaml"
        return SettingsError(f"config key {self._config.name}:{key} ({file}) {text}")


def _gate(entry: Any) -> Gate | None:
    """Make a gate of its config, or nothing where the config is not one."""
    if not isinstance(entry, Mapping):
        return None
    bounds = dict(cast(Mapping[str, Any], entry))
    metric = bounds.pop("metric", None)
    numbers = all(type(v) in (int, float) and math.isfinite(v) for v in bounds.values())
    if not isinstance(metric, str) or not bounds or not numbers or bounds.keys() - set(_BOUNDS):
        return None
    return Gate(metric=metric, **bounds)


def _same(text: str, default: Any) -> bool:
    """Whether a config value, which is text or JSON, is the schema's default."""
    if isinstance(default, str):
        return text == default
    try:
        return json.loads(text) == default
    except ValueError:
        return False


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
