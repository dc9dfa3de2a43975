"""What a stack's config files say in clear: the part of the config that a policy can trust.

An engine hands a policy every config value decrypted, and does not say which ones were secret. Only
the files tell: an encrypted value is written there as `{secure: …}`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from policies.declared import entries, is_mapping

__all__ = ["PRODUCTION", "StackConfig"]

PRODUCTION = "production"
"""The stack, and the registry stage, for which more is asked."""

_PROJECT_FILE = "Pulumi.yaml"


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The config of one stack, file by file: `namespace:key` to the value as the file has it.

    Of two files that have a key, the later one holds. `effective` are the values by which an engine
    really runs, as text; what it lacks is looked up in the files.
    """

    project: str
    stack: str
    files: Mapping[str, Mapping[str, Any]] = field(repr=False)
    effective: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def read(
        cls, root: Path, stack: str, *, effective: Mapping[str, str] | None = None
    ) -> "StackConfig":
        """Read the defaults in Pulumi.yaml and the stack's own file, which may be missing.

        Raises:
            OSError: Pulumi.yaml cannot be read.
            yaml.YAMLError: a file is no YAML.
        """
        project = entries(yaml.safe_load((root / _PROJECT_FILE).read_text(encoding="utf-8")))
        name = str(project.get("name", ""))
        files = {
            _PROJECT_FILE: {
                key: _default(value) for key, value in _named(project.get("config"), name).items()
            }
        }
        stack_file = root / f"Pulumi.{stack}.yaml"
        if stack_file.exists():
            content = entries(yaml.safe_load(stack_file.read_text(encoding="utf-8")))
            files[stack_file.name] = _named(content.get("config"), name)
        return cls(project=name, stack=stack, files=files, effective=effective or {})

    def setting(self, key: str) -> str:
        """Look up one of the project's own settings, as text; empty where it is nowhere set."""
        full = f"{self.project}:{key}"
        if full in self.effective:
            return self.effective[full]
        found: Any = ""
        for values in self.files.values():
            found = values.get(full, found)
        return found if isinstance(found, str) else json.dumps(found, default=str)

    @property
    def protect(self) -> bool:
        """Whether what holds data has to be protected: so unless the setting says otherwise."""
        return self.setting("protect").lower() != "false"

    @property
    def production(self) -> bool:
        """Whether this stack is what production runs on, by its name or by its registry stage."""
        return PRODUCTION in (self.stack, self.setting("registryStage"))


def _named(section: object, project: str) -> dict[str, Any]:
    """Give every key its namespace, which a file may leave out for the project's own."""
    return {
        key if ":" in key else f"{project}:{key}": value for key, value in entries(section).items()
    }


def _default(entry: object) -> object:
    """The value that an entry of Pulumi.yaml gives to every stack, if it does."""
    if not is_mapping(entry):
        return entry
    declared = entries(entry)
    return declared.get("value", declared.get("default"))
