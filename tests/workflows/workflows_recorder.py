"""Executables that take a cloud command's place: they note each call, and answer by rule."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recorder import ROOT

__all__ = ["Call", "Commands", "events"]

_KEPT = ("AZURE_", "ARM_", "PULUMI_", "GH_TOKEN")
_STAND_IN = """#!{python}
import json, os, sys, time
from pathlib import Path

folder = Path("{folder}")
name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
line = " ".join([name, *arguments])
told = [json.loads(text)["line"] for text in (folder / "calls").read_text().splitlines()]
rules = [json.loads(text) for text in (folder / "rules").read_text().splitlines()]
rule = next(
    (
        rule
        for rule in rules
        if all(part in line for part in rule["parts"])
        and not (rule["once"] and any(all(part in t for part in rule["parts"]) for t in told))
    ),
    {{"stdout": "", "status": 0, "events": None, "seconds": 0, "code": ""}},
)
given = sys.stdin.read() if "--config -" in line or "--input -" in line else ""
files = {{
    argument: Path(path).read_text()
    for argument in arguments
    for path in [argument.rpartition("@")[2]]
    if argument and Path(path).is_file() and Path(path).stat().st_size < 100_000
}}
kept = {{k: v for k, v in os.environ.items() if k.startswith({kept})}}
with (folder / "calls").open("a") as log:
    call = {{"line": line, "arguments": [name, *arguments], "environment": kept}}
    log.write(json.dumps({{**call, "stdin": given, "files": files}}) + "\\n")
if rule["events"] is not None and "--event-log" in arguments:
    path = Path(arguments[arguments.index("--event-log") + 1])
    path.write_text("".join(json.dumps(event) + "\\n" for event in rule["events"]))
exec(rule["code"])
time.sleep(rule["seconds"])
sys.stdout.write(rule["stdout"])
sys.exit(rule["status"])
"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a command: its words, what it read, and the part of its environment that counts.

    `files` holds the text of files that an argument names, as they were then.
    """

    line: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: str
    files: Mapping[str, str]


@dataclass(kw_only=True)
class Commands:
    """Stand-ins for cloud commands in `folder`; what is not told otherwise succeeds in silence."""

    folder: Path
    names: Sequence[str] = ("az", "gh", "pulumi", "docker", "curl", "make", "databricks")
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "calls").touch()
        (self.folder / "rules").touch()
        text = _STAND_IN.format(python=sys.executable, folder=self.folder, kept=_KEPT)
        for name in self.names:
            path = self.folder / "bin" / name
            path.write_text(text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answer(
        self,
        *parts: str,
        stdout: str = "",
        status: int = 0,
        once: bool = False,
        told: Sequence[Mapping[str, Any]] | None = None,
        seconds: float = 0,
        code: str = "",
    ) -> None:
        """Answer calls whose words have all `parts`; the first rule that fits holds.

        `told` are events for `--event-log`; `code` is Python that the stand-in runs.
        """
        rule = {"parts": parts, "stdout": stdout, "status": status, "once": once}
        rule |= {"events": told, "seconds": seconds, "code": code}
        with (self.folder / "rules").open("a") as file:
            file.write(json.dumps(rule) + "\n")

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with the stand-ins first on the PATH, outside of any workflow."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.full_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def full_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return a plain environment: the PATH with the stand-ins, and what is given."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        plain = {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", "TMPDIR": self._own()}
        return {**plain, **self.environment, **environment}

    def calls(self, *parts: str) -> list[Call]:
        """List the calls whose words have all `parts`, in order."""
        told = (self.folder / "calls").read_text().splitlines()
        calls = [Call(**json.loads(line)) for line in told]
        return [call for call in calls if all(part in call.line for part in parts)]

    def left_behind(self) -> list[str]:
        """List what the scripts left in the folder for temporary files."""
        return [path.name for path in Path(self._own()).iterdir()]

    def _own(self) -> str:
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return str(folder)


def events(
    *changes: tuple[str, str, str],
    version: str = "7",
    error: str = "",
    policy: str = "",
    moved: bool = False,
) -> list[dict[str, Any]]:
    """Tell a run as the engine does: `changes` are operation, kind and name."""

    def metadata(operation: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
        urn = f"urn:pulumi:staging::employee-retention::{kind}::{name}"
        return {"op": operation, "urn": urn, "type": kind, "detailedDiff": None, **more}

    inputs = {
        "version": version,
        "image": f"contoso.azurecr.io/attrition-api@sha256:{'a' * 64}",
        "metrics": {"cv_roc_auc": 0.8650, "held_out_roc_auc": 0.8427},
        "verdicts": ["cv_roc_auc 0.8650, at least 0.8000: holds"],
    }
    gate = "pulumi-python:dynamic/lifecycle:ReleaseGate"
    told: list[dict[str, Any]] = [
        {"resourcePreEvent": {"metadata": metadata(operation, kind, name)}}
        for operation, kind, name in changes
    ]
    if version:
        state = {"inputs": inputs, "outputs": {}}
        told.append({"resourcePreEvent": {"metadata": metadata("same", gate, "gate", new=state)}})
    if moved:
        kind, asked = "azure-native:containerregistry:Registry", {"tags": "a", "sku": "b"}
        old, new = ({"inputs": asked, "outputs": {**asked, "tags": tags}} for tags in ("a", "x"))
        found = metadata("refresh", kind, "images", old=old, new=new)
        told.append({"resOutputsEvent": {"metadata": found}})
    if policy:
        told.append({"policyEvent": {"message": policy, "enforcementLevel": "mandatory"}})
    if error:
        told.append({"diagnosticEvent": {"severity": "error", "message": error}})
    return [{"sequence": number, **event} for number, event in enumerate(told)]
