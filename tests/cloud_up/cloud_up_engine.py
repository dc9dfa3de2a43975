"""The `pulumi` command at work on one project folder, with a backend and a home of its own."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command printed, and its exit status."""

    status: int
    output: str


class Engine:
    """Runs the real engine on the stacks of one project.

    `attached` are the ports of stand-in providers by name; `environment` is added to the
    command's, and so to the program's and to the dynamic providers'.
    """

    def __init__(
        self, project: Path, *, attached: Mapping[str, int], environment: Mapping[str, str]
    ) -> None:
        self.project = project
        self._own = project.parent / "engine"
        (self._own / "state").mkdir(parents=True)
        self._environment = {
            **os.environ,
            **environment,
            "PULUMI_BACKEND_URL": (self._own / "state").as_uri(),
            "PULUMI_HOME": str(self._own / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "a test's, and of no worth",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # An attached provider needs no plugin: a download would be a defect.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{n}:{p}" for n, p in attached.items()),
        }

    def configure(self, stack: str, **settings: Any) -> None:
        """Set keys of the project's namespace on top of what was set; None takes one away."""
        file = self.project / f"Pulumi.{stack}.yaml"
        content: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
        config: dict[str, Any] = content.get("config") or {}
        for key, value in settings.items():
            config[f"{self._namespace}:{key}"] = value
        kept = {key: value for key, value in config.items() if value is not None}
        file.write_text(yaml.safe_dump({**content, "config": kept}))

    def init(self, stack: str) -> None:
        self._checked("stack", "init", stack)

    def preview(self, stack: str, *options: str) -> str:
        return self._checked("preview", "--stack", stack, "--diff", *options)

    def up(self, stack: str, *options: str) -> str:
        return self._checked("up", "--stack", stack, "--yes", "--skip-preview", *options)

    def changes_nothing(self, stack: str) -> str:
        """Run an `up` that fails if anything is to be done; return what it printed."""
        return self.up(stack, "--expect-no-changes", "--diff")

    def refused(self, stack: str, command: str = "up", *options: str) -> str:
        """Run a command that must fail; return what it printed."""
        preview = ("--skip-preview",) if command == "up" else ()
        result = self.run(command, "--stack", stack, "--yes", *preview, *options)
        assert result.status != 0, result.output
        return result.output

    def destroy(self, stack: str) -> str:
        # With its preview: the one that stops before anything of a protected stack is deleted.
        return self._checked("destroy", "--stack", stack, "--yes")

    def outputs(self, stack: str) -> dict[str, Any]:
        """Return the stack's outputs, secrets in clear."""
        return json.loads(
            self._checked("stack", "output", "--stack", stack, "-j", "--show-secrets")
        )

    def state(self, stack: str) -> list[dict[str, Any]]:
        """Return the stack's resources as the engine recorded them."""
        exported = json.loads(self._checked("stack", "export", "--stack", stack))
        return exported["deployment"].get("resources", [])

    def run(self, *arguments: str) -> Result:
        process = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.project,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Result(status=process.returncode, output=process.stdout)

    def _checked(self, *arguments: str) -> str:
        result = self.run(*arguments)
        if result.status != 0:
            raise AssertionError(f"pulumi {' '.join(arguments)}:\n{result.output}")
        return result.output

    @property
    def _namespace(self) -> str:
        return yaml.safe_load((self.project / "Pulumi.yaml").read_text())["name"]
