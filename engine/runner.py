"""What an engine does for the command line, and the embedded engine's way of doing it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from engine import embedded
from engine.errors import EngineError, as_engine_error
from engine.project import Project
from engine.state import State, passphrase_file
from engine.terminal import StepPrinter, counts, say

__all__ = ["EmbeddedRunner", "Runner"]


class Runner(Protocol):
    """An engine at work on one stack. Every method raises EngineError when it fails."""

    def up(self) -> dict[str, Any]:
        """Bring the stack in line with the program; return its outputs."""
        ...

    def preview(self) -> None:
        """Say what `up` would do."""
        ...

    def down(self) -> None:
        """Delete everything that the stack holds."""
        ...

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets in clear; empty before the first `up`."""
        ...


class EmbeddedRunner:
    """The embedded engine, its steps printed as they happen."""

    def __init__(self, project: Project) -> None:
        self._project = project
        passphrase = passphrase_file(project.local).read_text(encoding="utf-8").strip()
        self._state = State(self.state_file(project), passphrase)

    @staticmethod
    def state_file(project: Project) -> Path:
        """Name the file that holds the stack's state."""
        return project.local / "embedded" / f"{project.stack}.json"

    def up(self) -> dict[str, Any]:
        """Apply the program; return the stack's outputs."""
        self._run(embedded.apply)
        return self.outputs()

    def preview(self) -> None:
        """Print the steps that `up` would take, with the inputs that differ."""
        steps = self._run(embedded.preview, planned=True)
        if any(step.operation == "foreign" for step in steps):
            # Imported here: a laptop's stack has nothing to judge, and not the packages for it.
            from engine.policy import judge

            say(judge(self._project, steps))

    def down(self) -> None:
        """Delete everything, dependents first."""
        self._run(embedded.destroy)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last `up`."""
        return self._state.outputs

    def _run(
        self,
        operation: Callable[[Project, State, embedded.Report], list[embedded.Step]],
        *,
        planned: bool = False,
    ) -> list[embedded.Step]:
        try:
            steps = operation(self._project, self._state, StepPrinter(planned=planned))
        except EngineError:
            raise
        except Exception as error:
            raise as_engine_error(error) from error
        say(counts(steps))
        return steps
