"""The project's files as an engine reads them: Pulumi.yaml, and one Pulumi.<stack>.yaml a stack."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.errors import EngineError

__all__ = ["Project", "load"]

_FOLDER = ".local"


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
        EngineError: a file is missing or unreadable, or holds a secret that only Pulumi decrypts.
    """
    project = _read(root / "Pulumi.yaml")
    name: str = project["name"]
    stack_file = root / f"Pulumi.{stack}.yaml"
    if not stack_file.exists():
        known = sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))
        raise EngineError(f"there is no stack {stack!r} ({stack_file.name}); known: {known}")
    schema: dict[str, Any] = project.get("config") or {}
    config = {f"{name}:{key}": _text(entry["default"]) for key, entry in schema.items()}
    settings: dict[str, Any] = _read(stack_file).get("config") or {}
    for key, value in settings.items():
        if isinstance(value, dict) and "secure" in value:
            raise EngineError(
                f"{stack_file.name}: {key} is encrypted; only the Pulumi CLI can read it "
                "(ENGINE=pulumi)"
            )
        config[key if ":" in key else f"{name}:{key}"] = _text(value)
    return Project(name=name, stack=stack, root=root, config=config)


def _read(path: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
