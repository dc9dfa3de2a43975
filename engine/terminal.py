"""What a person sees: steps while they happen, and at the end how to go on."""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO

from engine.embedded import Step

__all__ = ["StepPrinter", "counts", "say", "summary"]

_MARKS = {
    "create": "+",
    "update": "~",
    "replace": "±",
    "delete": "-",
    "same": "=",
    "foreign": "+",
    "read": "?",
}
_DOING = {
    "create": "creating …",
    "update": "updating …",
    "replace": "replacing …",
    "delete": "deleting …",
}
_DONE = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "same": "same",
}
_SHOWN_CHARACTERS = 100
_HEADLINES = ("cv_roc_auc", "cv_average_precision", "cv_brier", "cv_ece", "fairness_four_fifths")


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print a line at once; a reader that has left (`| head`) does not stop the work."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=to or sys.stdout, flush=True)


class StepPrinter:
    """Prints each step; `planned` steps with the inputs that differ."""

    def __init__(self, *, planned: bool) -> None:
        self._planned = planned
        self._begun = time.monotonic()

    def __call__(self, step: Step) -> None:
        """Print the beginning or the end of one step."""
        name, kind = step.record.name, step.record.type.rpartition(":")[2]
        if self._planned:
            line = f" {_MARKS[step.operation]} {name:<26} {kind:<28}"
            # What other providers have made already is in a state that is not ours to read.
            package = f"by {step.record.type.partition(':')[0]}"
            say(f"{line} {package if step.operation == 'foreign' else step.operation}")
            for key, value in sorted(step.changed.items()):
                say(f"       {key}: {_short(value)}")
            return
        line = f" {_MARKS[step.operation]} {name:<10} {kind:<14}"
        if not step.done:
            self._begun = time.monotonic()
            say(f"{line} {_DOING[step.operation]}")
        elif step.operation == "same":
            say(f"{line} same")
        else:
            seconds = time.monotonic() - self._begun
            say(f"{line} {_DONE[step.operation]} in {seconds:.1f} s")


def counts(steps: Sequence[Step]) -> str:
    """Count steps by operation, in one line."""
    found = Counter(step.operation for step in steps)
    counted = ", ".join(f"{number} {operation}" for operation, number in found.items())
    return counted or "nothing to do"


def summary(outputs: dict[str, Any]) -> str:
    """Say where everything is after an `up` of the local stack."""
    metrics: dict[str, float] = outputs["metrics"]
    figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in _HEADLINES if name in metrics)
    smoke = outputs["smokeTest"]
    difference = f"largest difference {smoke['max_difference']:.1e}"
    return f"""
The API    {outputs["apiUrl"]}  (documentation: {outputs["docsUrl"]})
Release    {outputs["modelName"]} version {outputs["modelVersion"]}, stage {outputs["stage"]}
           {figures}
Proven     {smoke["records"]:.0f} reference records, {difference}
Try it     {_curl(outputs)}
MLflow     make mlflow   ({outputs["mlflowTrackingUri"]})
Logs       {_logs(outputs)}
Outputs    make outputs
Stop       make down"""


def _curl(outputs: dict[str, Any]) -> str:
    """Make the line that asks the API; the key stays in its file, off the screen and its log."""
    return (
        f"curl -sS {outputs['apiUrl']}/predict -H 'Content-Type: application/json' "
        f"-H \"X-API-Key: $(cat '{outputs['apiKeyFile']}')\" -d '@{outputs['exampleRequest']}'"
    )


def _logs(outputs: dict[str, Any]) -> str:
    container = outputs.get("container")
    return f"docker logs -f {container[:12]}" if container else f"tail -f '{outputs['logFile']}'"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
