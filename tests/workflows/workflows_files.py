"""The workflows as data, and one job's commands run for real with its expressions filled in."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from workflows_recorder import Commands

from tests.recorder import ROOT

__all__ = ["FILES", "JobRun", "expression", "jobs", "run_job", "steps", "workflow"]

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


def workflow(name: str) -> dict[str, Any]:
    """Read a workflow; its triggers are under "on", which YAML 1.1 takes for a truth value."""
    read: dict[Any, Any] = yaml.safe_load(
        (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    )
    read["on"] = read.pop(True)
    return read


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every job: workflow, name, content."""
    for path in FILES:
        for name, job in workflow(path.stem)["jobs"].items():
            yield path.stem, name, job


def steps(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List a job's steps; a called workflow has none."""
    return job.get("steps", [])


def expression(text: str, context: Mapping[str, str]) -> str:
    """Fill in the expressions of a value; one that the context does not have is an error."""
    return _EXPRESSION.sub(lambda found: context[found[1]], text)


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """How a job ended, what it said, and what it left for the job after it and for people."""

    status: int
    output: str
    summary: str
    outputs: dict[str, str]


def run_job(
    commands: Commands, name: str, job: str, context: Mapping[str, str], **environment: str
) -> JobRun:
    """Run a job's own commands as GitHub's runner does; actions (`uses`) are left out.

    After a failed step only those run that ask for it by `!cancelled()`.
    """
    content = workflow(name)["jobs"][job]
    runner = commands.folder / f"runner-{name}-{job}"
    runner.mkdir(parents=True, exist_ok=True)
    files = {key: runner / key for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    status, printed = 0, ""
    for step in steps(content):
        if "run" not in step:
            continue
        known = {**context, **_outputs(files["GITHUB_OUTPUT"], f"steps.{step.get('id', '')}")}
        for earlier in steps(content):
            if "id" in earlier:
                known |= _outputs(files["GITHUB_OUTPUT"], f"steps.{earlier['id']}.outputs")
        if not _wanted(str(step.get("if", "")), known, failed=bool(status)):
            continue
        own = {**content.get("env", {}), **step.get("env", {})}
        result = _run(
            commands,
            step["run"],
            {
                **{key: expression(str(value), known) for key, value in own.items()},
                **{key: str(file) for key, file in files.items()},
                "RUNNER_TEMP": str(runner),
                "GITHUB_REPOSITORY": "contoso/retention",
                "GITHUB_RUN_ID": "42",
                **environment,
            },
        )
        printed += result.stdout + result.stderr
        status = status or result.returncode
    return JobRun(
        status=status,
        output=printed,
        summary=files["GITHUB_STEP_SUMMARY"].read_text(),
        outputs={
            key.rpartition(".")[2]: value
            for key, value in _outputs(files["GITHUB_OUTPUT"], "").items()
        },
    )


def _wanted(condition: str, context: Mapping[str, str], *, failed: bool) -> bool:
    """Judge a step's condition: comparisons with a text, joined by &&, and `!cancelled()`."""
    parts = [part.strip() for part in _EXPRESSION.sub(r"\1", condition).split("&&") if part.strip()]
    if "!cancelled()" in parts:
        parts.remove("!cancelled()")
    elif failed:
        return False
    for part in parts:
        name, operator, text = part.split(" ", 2)
        if (context.get(name, "") == text.strip("'")) != (operator == "=="):
            return False
    return True


def _run(
    commands: Commands, script: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    # What an expression would be put into: no script of ours has one, they read variables.
    assert not _EXPRESSION.search(script), script
    return commands.run("bash", "-e", "-c", script, environment=environment)


def _outputs(file: Path, prefix: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in file.read_text().splitlines())
    return {f"{prefix}.{key}": value for key, _, value in pairs}
