"""Which engine runs a stack: whoever holds it already, else Pulumi, else the embedded engine."""

import json
import shutil
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.install import install
from engine.project import Project
from engine.pulumi_cli import PulumiRunner
from engine.runner import EmbeddedRunner, Runner
from engine.terminal import say

__all__ = ["choose"]


def choose(
    project: Project, wanted: str, *, may_install: bool = True, quiet: bool = False
) -> Runner:
    """Choose the engine, and say in one line which and why unless `quiet`.

    `wanted` is `auto`, `embedded` or `pulumi`. Installing happens below the project's `.local`; it
    is not worth it where there is nothing yet to be read or removed.

    Raises:
        EngineError: the other engine holds the stack, or Pulumi is wanted and cannot be had.
    """
    holder = _holder(project)
    if wanted != "auto" and holder not in (None, wanted):
        raise EngineError(
            f"stack {project.stack!r} is held by the {holder} engine; take it down with "
            f"`make down ENGINE={holder}` before {wanted} takes over"
        )
    name, command, why = _pick(project, wanted, holder, may_install=may_install)
    if not quiet:
        say(f"engine: {name} ({why})")
    return EmbeddedRunner(project) if command is None else PulumiRunner(project, command)


def _pick(
    project: Project, wanted: str, holder: str | None, *, may_install: bool
) -> tuple[str, Path | None, str]:
    """Return the engine's name, the pulumi command if it is that one, and the reason."""
    asked = wanted if wanted != "auto" else holder
    why = "by hand" if wanted != "auto" else "it holds the stack"
    if asked == "embedded":
        return "embedded", None, why
    installed = project.local / "pulumi-cli" / "bin" / "pulumi"
    on_path = shutil.which("pulumi")
    if on_path:
        return "pulumi", Path(on_path), why if asked else "the pulumi command is on the PATH"
    if installed.exists():
        return "pulumi", installed, why if asked else f"installed in {installed.parents[1]}"
    if not may_install and asked is None:
        return "embedded", None, "nobody holds the stack"
    failure = install(installed.parents[1])
    if failure is None:
        return "pulumi", installed, f"installed in {installed.parents[1]}"
    if asked == "pulumi":
        or_else = ", or use ENGINE=embedded"
        else_do = "; Pulumi holds this stack, so only it can go on" if holder else or_else
        raise EngineError(
            f"there is no pulumi command on the PATH, and installing it failed: {failure}. Install "
            f"it (https://www.pulumi.com/docs/install/){else_do}"
        )
    return "embedded", None, f"no pulumi command on the PATH, and installing it failed: {failure}"


def _holder(project: Project) -> str | None:
    """Find the engine whose state has resources of this stack."""
    if _has_resources(EmbeddedRunner.state_file(project), ("resources",)):
        return "embedded"
    if _has_resources(PulumiRunner.state_file(project), ("checkpoint", "latest", "resources")):
        return "pulumi"
    return None


def _has_resources(state_file: Path, keys: tuple[str, ...]) -> bool:
    try:
        content: Any = json.loads(state_file.read_text(encoding="utf-8"))
        found: Any = content[keys[0]]
        for key in keys[1:]:
            found = found.get(key) if found else None
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Unreadable, so not known to be empty: its engine says what is wrong with it.
        return True
    return bool(found)
