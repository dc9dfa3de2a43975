"""Pulumi as the engine: the Automation API over a file backend below `.local`.

The stack's workspace is a folder of its own: Pulumi writes the salt of the passphrase into the
stack's config file, and a file under version control is not the place for it.
"""

import contextlib
import json
import re
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml
from pulumi import automation

from engine.errors import EngineError
from engine.project import Project
from engine.state import passphrase_file
from engine.terminal import say

__all__ = ["PulumiRunner"]

_T = TypeVar("_T")


class PulumiRunner:
    """The Pulumi engine; what it prints is passed on line by line."""

    def __init__(self, project: Project, command: Path) -> None:
        self._project = project
        self._command = command
        self._backend = self._folder(project)

    @classmethod
    def state_file(cls, project: Project) -> Path:
        """Name the file in which the backend keeps the stack."""
        return cls._folder(project) / ".pulumi" / "stacks" / project.name / f"{project.stack}.json"

    def up(self) -> dict[str, Any]:
        """Apply the program; return the stack's outputs."""
        stack = self._stack()
        result = self._run(lambda: stack.up(on_output=_Display(), suppress_outputs=True, **_QUIET))
        return _values(result.outputs)

    def preview(self) -> None:
        """Print Pulumi's own preview."""
        stack = self._stack()
        self._run(lambda: stack.preview(on_output=_Display(), diff=True, **_QUIET))

    def down(self) -> None:
        """Destroy the stack's resources."""
        stack = self._stack()
        self._run(lambda: stack.destroy(on_output=_Display(), **_QUIET))

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs; empty before the first `up`."""
        if not self.state_file(self._project).exists():
            return {}
        return _values(self._stack().outputs())

    @staticmethod
    def _folder(project: Project) -> Path:
        return project.local / "pulumi"

    def _stack(self) -> automation.Stack:
        workspace = self._workspace()
        environment = {
            "PULUMI_BACKEND_URL": self._backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase_file(self._project.local)),
            # Its own home as well: nothing of the stack is written outside the project.
            "PULUMI_HOME": str(self._backend / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        exports = "".join(f"export {key}='{value}'\n" for key, value in environment.items())
        (self._backend / "env").write_text(exports, encoding="utf-8")
        try:
            stack = automation.create_or_select_stack(
                self._project.stack,
                work_dir=str(workspace),
                opts=automation.LocalWorkspaceOptions(
                    env_vars=environment,
                    pulumi_command=self._pulumi(),
                ),
            )
        except (automation.errors.CommandError, RuntimeError) as error:
            raise EngineError(f"{self._command}: {error}") from error
        self._release_dead_lock(stack)
        return stack

    def _pulumi(self) -> automation.PulumiCommand:
        """Give the SDK what it takes: the command on the PATH, or a folder with `bin/pulumi`."""
        if shutil.which("pulumi") == str(self._command):
            # Wherever that is: Pulumi's archive, unpacked, has no `bin`.
            return automation.PulumiCommand()
        return automation.PulumiCommand(str(self._command.parents[1]))

    def _workspace(self) -> Path:
        """Make the workspace: the project's own files, pointing back at its program."""
        root, folder = self._project.root, self._backend / "workspace"
        folder.mkdir(parents=True, exist_ok=True)
        project = _yaml(root / "Pulumi.yaml")
        project["main"] = str(Path("..", "..", ".."))
        project["runtime"]["options"]["virtualenv"] = str(root / ".venv")
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        name = f"Pulumi.{self._project.stack}.yaml"
        settings = _yaml(root / name)
        if salt := _yaml(folder / name).get("encryptionsalt"):
            settings["encryptionsalt"] = salt
        (folder / name).write_text(yaml.safe_dump(settings), encoding="utf-8")
        return folder

    def _release_dead_lock(self, stack: automation.Stack) -> None:
        """Release the backend's lock if its process is dead; say whose it is if not."""
        locks = self._backend / ".pulumi" / "locks"
        for file in locks.rglob(f"{self._project.stack}/*.json"):
            lock = json.loads(file.read_text(encoding="utf-8"))
            if _lives(lock["pid"]):
                raise EngineError(
                    f"another run is at work: process {lock['pid']} on {lock['hostname']} since "
                    f"{lock['timestamp']} (pulumi); wait for it, or end it and run again"
                )
            say(f"the last run was cut short: process {lock['pid']} (pulumi); going on from there")
            self._end_orphans()
            stack.cancel()

    def _end_orphans(self) -> None:
        """End the plugins of an engine that was killed: they, and their work, outlive it."""
        for process in list(psutil.process_iter()):
            with contextlib.suppress(psutil.Error):
                if _is_orphan(process) and Path(process.cwd()) == self._project.root:
                    for each in (*process.children(recursive=True), process):
                        each.kill()

    def _run(self, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except automation.errors.CommandError as error:
            raise EngineError(_diagnostics(str(error))) from None


def _lives(pid: int) -> bool:
    """Whether a process is there, and not merely waiting for its parent to take note of its end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_orphan(process: psutil.Process) -> bool:
    """Whether it is a Pulumi plugin that no Pulumi engine is the parent of."""
    names = [Path(argument).name for argument in process.cmdline()[:2]]
    plugin = any(name.startswith(("pulumi-language-", "pulumi-resource-")) for name in names)
    parent = process.parent() if plugin else None
    return plugin and (parent is None or not parent.name().startswith("pulumi"))


def _yaml(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


_QUIET: dict[str, Any] = {"color": "never", "suppress_progress": True}


def _values(outputs: automation.OutputMap) -> dict[str, Any]:
    return {key: output.value for key, output in outputs.items()}


class _Display:
    """Prints what Pulumi prints, less its diagnostics: they repeat what was seen, or are raised."""

    def __init__(self) -> None:
        self._silent = False

    def __call__(self, line: str) -> None:
        self._silent = line.startswith("Diagnostics:") or (
            self._silent and not line.startswith("Resources:")
        )
        if not self._silent:
            say(line)


_OURS = re.compile(
    r"^ +(?:contract|infra|stacks)(?:\.\w+)*\.\w+Error: (?P<text>.+?)(?=\n\s*\n|\Z)", re.M | re.S
)
"""An error of ours, at the end of the traceback of a provider's process or of the program's."""
_RESOURCE = re.compile(r"^ +\S+:(?P<kind>\w+) \((?P<name>[^)]+)\):$", re.M)


def _diagnostics(output: str) -> str:
    """Cut a failed command's output down to what a person can act on."""
    diagnostics = output.partition("Diagnostics:")[2].partition("\nResources:")[0]
    ours = _OURS.search(diagnostics)
    if ours is None:
        return f"pulumi failed:\n{diagnostics.strip() or output.strip()}"
    label = list(_RESOURCE.finditer(diagnostics, 0, ours.start()))[-1]
    first, _, rest = ours["text"].partition("\n")
    return "\n".join([f"{label['name']} ({label['kind']}): {first}", textwrap.dedent(rest)]).strip()
