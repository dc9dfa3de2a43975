"""A project of one tiny program in a temporary folder, and the embedded engine over it."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_world import World

from engine import embedded
from engine.embedded import Step
from engine.project import Project
from engine.state import Record, State

PASSPHRASE = "only tests know it"

_PREAMBLE = """\
import functools
import pulumi
from pulumi import Output, ResourceOptions
from engine_world import Box, Thing, ThingProvider, UndecidedProvider
Thing = functools.partial(Thing, world={world!r})
"""

Operation = Callable[[Project, State, embedded.Report], list[Step]]


@dataclass
class House:
    """Each operation reads the state anew from its file, as another process would."""

    root: Path
    config: dict[str, str] = field(default_factory=dict[str, str])
    reported: list[Step] = field(default_factory=list[Step])

    @property
    def world(self) -> World:
        return World(self.root / "world.jsonl")

    @property
    def state_file(self) -> Path:
        return self.root / "state" / "test.json"

    @property
    def project(self) -> Project:
        return Project(name="proj", stack="test", root=self.root, config=self.config)

    def program(self, text: str) -> "House":
        preamble = _PREAMBLE.format(world=str(self.world.path))
        (self.root / "__main__.py").write_text(preamble + textwrap.dedent(text))
        return self

    def state(self) -> State:
        return State(self.state_file, PASSPHRASE)

    def records(self) -> list[Record]:
        """Return what the state file holds, secrets still sealed."""
        return [Record(**entry) for entry in self.stored()["resources"]]

    def record(self, name: str) -> Record:
        found = [r for r in self.records() if r.name == name and not r.pending_delete]
        assert len(found) == 1, f"{len(found)} records of {name}"
        return found[0]

    def names(self) -> list[str]:
        return [record.name for record in self.records()]

    def outputs(self) -> dict[str, Any]:
        return self.stored()["outputs"]

    def stored(self) -> dict[str, Any]:
        return json.loads(self.state_file.read_text())

    def apply(self, text: str | None = None) -> list[str]:
        return self._run(embedded.apply, text)

    def preview(self, text: str | None = None) -> list[str]:
        return self._run(embedded.preview, text)

    def destroy(self) -> list[str]:
        return self._run(embedded.destroy, None)

    def planned(self, text: str | None = None) -> dict[str, Step]:
        """Preview; return the steps by resource name."""
        if text is not None:
            self.program(text)
        steps = embedded.preview(self.project, self.state(), self.reported.append)
        return {step.record.name: step for step in steps}

    def _run(self, operation: Operation, text: str | None) -> list[str]:
        """Return the steps taken: 'create a', 'same b'."""
        if text is not None:
            self.program(text)
        self.reported.clear()
        steps = operation(self.project, self.state(), self.reported.append)
        return [f"{step.operation} {step.record.name}" for step in steps]
