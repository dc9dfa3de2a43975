"""Detached API processes of this machine: start, find, ask, stop.

A process is known by its control socket, `<run folder>/<instance>.sock`, which is also an argument
of its command line. So nothing has to be written down for it to be found again: not by an engine
that was killed right after starting it, and not by a process id that another program may have
inherited.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from infra.lifecycle.errors import ProcessError

__all__ = ["ask", "control_of", "control_path", "instances", "start", "statuses", "stop"]

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_DRAIN_SECONDS = 8.0
"""Longer than the server's keep-alive, after which idle connections are closed anyway."""
_ANSWER_SECONDS = 15.0
_POLL_SECONDS = 0.02
_DEPLOYER_VARIABLES = ("PULUMI_", "ARM_", "AZURE_", "DATABRICKS_", "MLFLOW_")
"""Environment of whoever deploys; credentials among it are none of the API's business."""


def control_path(run_dir: str, instance: str) -> str:
    """Name the control socket, relative to the project: a socket's path may have 107 bytes."""
    return f"{run_dir}/{instance}.sock"


def control_of(props: Mapping[str, Any]) -> str:
    """Name the control socket of the process that a resource's properties speak of."""
    return control_path(props["run_dir"], props["instance"])


def ask(control: str, **command: Any) -> dict[str, Any] | None:
    """Send one command to a process; return its answer, or None where nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(control)
            connection.sendall(json.dumps(command).encode() + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
        except OSError:
            return None
    return json.loads(line) if line else None


def instances(run_dir: str) -> Iterator[tuple[str, psutil.Process]]:
    """Yield (control socket, process) of every API process of this project's run folder."""
    here = str(Path.cwd())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            if "--control" not in arguments:
                continue
            control = arguments[arguments.index("--control") + 1 :][:1]
            if control and str(Path(control[0]).parent) == run_dir and process.cwd() == here:
                yield control[0], process


def statuses(run_dir: str) -> dict[str, dict[str, Any] | None]:
    """Ask every process of the run folder, by control socket; None for one that does not answer."""
    return {control: ask(control, command="status") for control, _ in instances(run_dir)}


def start(control: str, settings: Mapping[str, str], log_file: Path) -> dict[str, Any]:
    """Start `python -m app` detached from this process and wait until it is ready.

    A process that already answers under this control socket is left as it is.

    Raises:
        ProcessError: it ended, or was not ready in time; the message quotes its last lines.
    """
    status = ask(control, command="status")
    if status is not None and status["ready"]:
        return status
    Path(control).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(_DEPLOYER_VARIABLES)
    }
    with log_file.open("ab") as log:
        begin = log.tell()
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module; no shell
            [sys.executable, "-m", "app", "--control", control],
            env={**environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return _wait_until_ready(child, control, log_file, begin)
    except BaseException:
        child.kill()
        child.wait()
        Path(control).unlink(missing_ok=True)
        raise


def _wait_until_ready(
    child: "subprocess.Popen[bytes]", control: str, log_file: Path, begin: int
) -> dict[str, Any]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ProcessError(
                f"the API ended with status {child.returncode} before it was ready:\n"
                f"  {_tail(log_file, begin)}\nIts log: {log_file}"
            )
        status = ask(control, command="status")
        if status is not None:
            # It answers when it has checked its release: one that is not ready then stays so.
            if not status["ready"]:
                raise ProcessError(
                    "the API does not answer its release's reference records as training did:\n"
                    f"  {_tail(log_file, begin)}\nIts log: {log_file}"
                )
            return status
        time.sleep(_POLL_SECONDS)
    raise ProcessError(
        f"the API was not ready after {_START_SECONDS:.0f} s:\n  {_tail(log_file, begin)}\n"
        f"Its log: {log_file}"
    )


def _tail(log_file: Path, begin: int) -> str:
    with log_file.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n  ".join(lines[-6:]) or "(it wrote nothing)"


def stop(run_dir: str, control: str) -> None:
    """Drain the process behind `control`, then end it; nothing happens where there is none.

    Raises:
        ProcessError: it survived even SIGKILL.
    """
    for found, process in list(instances(run_dir)):
        if found == control:
            _drain(control)
            _end(process)
    Path(control).unlink(missing_ok=True)


def _drain(control: str) -> None:
    """Have it refuse new connections and wait for the open ones to end, up to a bound."""
    ask(control, command="retire")
    deadline = time.monotonic() + _DRAIN_SECONDS
    while time.monotonic() < deadline:
        status = ask(control, command="status")
        if status is None or not status["connections"]:
            return
        time.sleep(_POLL_SECONDS)


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired as error:
                raise ProcessError(
                    f"API process {process.pid} did not end; end it by hand and run again"
                ) from error
