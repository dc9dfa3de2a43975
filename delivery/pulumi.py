"""The `pulumi` command, run for its events; and the settings that workflows set.

Whoever starts a workflow sets `retrain`, `releaseVersion` or `releaseReason` without a commit. They
hold until a workflow sets others: each run takes them over from the stack's last `up`, which has
them in its history. A key that the stack's file sets is the file's alone. A plain `pulumi up` goes
by the file: what workflows had set is set no longer.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from delivery.events import Run, read

__all__ = ["SETTINGS", "DeliveryError", "Outcome", "run", "settings_file"]

_PROJECT = "employee-retention"
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "shared": ("retrain",),
    "staging": ("releaseVersion", "releaseReason"),
    "production": ("releaseVersion", "releaseReason"),
}
"""Which keys workflows set, by stack."""
_POLICIES = "policies"
_KEPT_LINES = 20
_PAGE = 10
"""Records of a stack's history that are asked for at once."""


class DeliveryError(Exception):
    """The run cannot be made; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended (0: well), and what its events told."""

    status: int
    run: Run


def run(command: str, stack: str, settings: Path, *, options: Sequence[str] = ()) -> Outcome:
    """Run `pulumi preview` or `up` on a stack; print what it prints as it comes.

    A signal to stop is passed on, and the engine's orderly end is waited for: it finishes what it
    has begun, so that the state knows of it.
    """
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.json"
        arguments = ["pulumi", command, "--stack", stack, "--config-file", str(settings)]
        arguments += ["--policy-pack", _POLICIES, "--non-interactive", "--color", "never"]
        arguments += [*options, "--event-log", str(events)]
        # As Pulumi's Automation API does it: the option is there with this variable alone.
        environment = {**os.environ, "PULUMI_DEBUG_COMMANDS": "true"}
        status, last = _printed(arguments, environment)
        told = read(events.read_text(encoding="utf-8").splitlines()) if events.exists() else Run()
    if status and not told.errors:
        told = replace(told, errors=("\n".join(last),))
    return Outcome(status=status, run=told)


@contextlib.contextmanager
def settings_file(root: Path, stack: str, given: Mapping[str, str]) -> Generator[Path]:
    """Write the stack's settings, with what workflows set, into a file outside the project.

    Raises:
        DeliveryError: `given` has a key that no workflow sets or that the stack's file has, or the
            last `up` cannot be looked up.
    """
    file = root / f"Pulumi.{stack}.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    config: dict[str, Any] = content.get("config") or {}
    for key in given:
        if key not in SETTINGS[stack]:
            known = ", ".join(SETTINGS[stack])
            raise DeliveryError(f"{key!r} is not what a workflow sets for {stack}: use {known}")
        if f"{_PROJECT}:{key}" in config:
            raise DeliveryError(f"{file.name} sets {key}: change it there, by a pull request")
    values = {**_carried(stack), **given}
    added = {f"{_PROJECT}:{key}": value for key, value in values.items() if value}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / file.name
        made.write_text(yaml.safe_dump({**content, "config": {**added, **config}}), "utf-8")
        yield made


def _carried(stack: str) -> dict[str, str]:
    """Return what workflows had set at the stack's last `up`."""
    config = _last_config(stack)
    entries = {key: config.get(f"{_PROJECT}:{key}", {}) for key in SETTINGS[stack]}
    values = {key: str(entry.get("value", "")) for key, entry in entries.items()}
    if not values.get("releaseVersion"):
        # It told why the stage was let go; the next move has a reason of its own.
        values.pop("releaseReason", None)
    return {key: value for key, value in values.items() if value}


def _last_config(stack: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the config of the last `up` since the stack was last destroyed, or nothing.

    What else has a record, such as a `pulumi refresh` by hand, ran with the stack's file alone.
    """
    for page in itertools.count(1):
        records = _history(stack, page)
        for record in records:
            if record["kind"] in ("update", "destroy"):
                return (record["kind"] == "update" and record.get("config")) or {}
        if len(records) < _PAGE:
            break
    return {}


def _history(stack: str, page: int) -> list[dict[str, Any]]:
    """Read one page of the stack's records, the newest first."""
    command = ["pulumi", "stack", "history", "--stack", stack, "--json"]
    command += ["--page-size", str(_PAGE), "--page", str(page)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if result.returncode != 0:
        raise DeliveryError(f"the last `up` of {stack} cannot be read: {result.stderr.strip()}")
    return json.loads(result.stdout or "[]")


def _printed(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, Sequence[str]]:
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(  # noqa: S603 - no shell
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:

        def stop(_number: int, _frame: object) -> None:
            process.send_signal(signal.SIGINT)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            last.append(line.rstrip())
            sys.stdout.write(line)
            sys.stdout.flush()
    return process.returncode, last
