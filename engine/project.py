"""The project's files as an engine reads them: Pulumi.yaml, and one Pulumi.<stack>.yaml a stack."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from engine.errors import EngineError

__all__ = ["Project", "load"]

_FOLDER = ".local"
_STACK_KEYS = ("config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment")
"""What Pulumi reads of a stack's file; it passes over anything else without a word."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """One stack of the project: its name, its folder and its merged config.

    `config` maps `namespace:key` to text, objects as JSON, which is what the SDK expects.
    """

    name: str
    stack: str
    root: Path
    config: dict[str, str]

    @property
    def local(self) -> Path:
        """The folder below which everything is written."""
        return self.root / _FOLDER


def load(root: Path, stack: str) -> Project:
    """Read the project in `root` and the config of `stack`, defaults of Pulumi.yaml included.

    Raises:
        EngineError: a file is missing or unreadable, sets something outside `config`, or holds a
            secret that only Pulumi decrypts.
    """
    project = _read(root / "Pulumi.yaml")
    name = project.get("name")
    if not isinstance(name, str):
        raise EngineError(f"{root / 'Pulumi.yaml'} has no `name`")
    stack_file = root / f"Pulumi.{stack}.yaml"
    if not stack_file.exists():
        known = sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))
        raise EngineError(f"there is no stack {stack!r} ({stack_file.name}); known: {known}")
    config = {
        f"{name}:{key}": _text(entry["default"])
        for key, entry in _section(project, root / "Pulumi.yaml").items()
        if isinstance(entry, dict) and "default" in entry
    }
    settings = _read(stack_file)
    if strays := [key for key in settings if key not in _STACK_KEYS]:
        raise EngineError(
            f"{stack_file}: {strays[0]} is at the left edge, where nothing reads it; indent it "
            "by two spaces, below `config:`"
        )
    for key, value in _section(settings, stack_file).items():
        if isinstance(value, dict) and "secure" in value:
            raise EngineError(
                f"{stack_file.name}: {key} is encrypted; only the Pulumi CLI can read it "
                "(ENGINE=pulumi)"
            )
        config[key if ":" in key else f"{name}:{key}"] = _text(value)
    return Project(name=name, stack=stack, root=root, config=config)


def _read(path: Path) -> dict[str, Any]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise EngineError(
            f"{path} is no YAML; settings go below a bare `config:`, each on a line of its own, "
            f"indented by two spaces. What the parser says: {error}"
        ) from error
    return _mapping(content, f"{path}: expected keys and values")


def _section(content: dict[str, Any], path: Path) -> dict[str, Any]:
    return _mapping(content.get("config") or {}, f"{path}: expected keys and values in `config`")


def _mapping(value: Any, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EngineError(expected)
    return cast(dict[str, Any], value)


def _text(value: Any) -> str:
    # A key without a value is an empty text to Pulumi.
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
