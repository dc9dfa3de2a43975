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

_MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "same": "=", "foreign": "+"}
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
_HEADLINES = ("cv_roc_auc", "cv_average_precision", "cv_brier", "cv_ece")


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
        kind = step.record.type.rpartition(":")[2]
        line = f" {_MARKS[step.operation]} {step.record.name:<10} {kind:<14}"
        if self._planned:
            note = "  (needs the Pulumi CLI)" if step.operation == "foreign" else ""
            say(f"{line} {'create' if note else step.operation}{note}")
            for key, value in sorted(step.changed.items()):
                say(f"       {key}: {_short(value)}")
        elif not step.done:
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
Logs       tail -f '{outputs["logFile"]}'
Outputs    make outputs
Stop       make down"""


def _curl(outputs: dict[str, Any]) -> str:
    """Make the line that asks the API; the key stays in its file, off the screen and its log."""
    return (
        f"curl -sS {outputs['apiUrl']}/predict -H 'Content-Type: application/json' "
        f"-H \"X-API-Key: $(cat '{outputs['apiKeyFile']}')\" -d '@{outputs['exampleRequest']}'"
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
