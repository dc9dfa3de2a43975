"""Training as a child process of this machine, its progress visible line by line."""

import collections
import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from infra.lifecycle.errors import TrainingError
from infra.lifecycle.executor import TrainingRequest
from infra.lifecycle.progress import say

__all__ = ["TrainingProcess", "run_process"]

_SILENCE_SECONDS = 15
"""After so long without a line, say that the work goes on."""
_KEPT_LINES = 12
"""How many of the last lines an error quotes."""


@dataclass(frozen=True, kw_only=True)
class TrainingProcess:
    """The `Executor` of a laptop: `artifacts` is the folder for the registry's files."""

    artifacts: str
    log_file: str

    def run(self, request: TrainingRequest, *, timeout_seconds: float) -> str:
        """Run `python -m training` to its end; it has no page.

        Raises:
            TrainingError: it failed, or took longer than `timeout_seconds` and was stopped.
        """
        options = {**request.options(), "artifacts": self.artifacts}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        run_process(
            ["training", *arguments, "--exit-with-stdin"],
            log_file=Path(self.log_file),
            timeout_seconds=timeout_seconds,
        )
        return ""

    def page(self, request: TrainingRequest) -> str:  # noqa: ARG002 - the interface's
        """Return "": what the process said is in the log file."""
        return ""


def run_process(arguments: Sequence[str], *, log_file: Path, timeout_seconds: float) -> None:
    """Run `python -m <arguments>` in the project's folder until it ends.

    Every line goes to stdout and to `log_file`. The child's stdin is a pipe that closes when this
    process dies, by which the child knows to end too (`--exit-with-stdin`).

    Raises:
        TrainingError: it could not start, ended with another status than 0, or took longer than
            `timeout_seconds`; the message quotes its last lines and names the log.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    last = collections.deque[str](maxlen=_KEPT_LINES)
    with (
        log_file.open("a", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - our own interpreter and module; no shell
            [sys.executable, "-u", "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        try:
            for line in _lines(child, deadline=started + timeout_seconds):
                if line is None:
                    say(f"… still running after {time.monotonic() - started:.0f} s")
                    continue
                last.append(line)
                log.write(line + "\n")
                log.flush()
                say(line)
            status = child.wait()
        except BaseException:
            _kill_all(child.pid)
            raise
    if status != 0:
        quoted = "\n  ".join(last) or "(it printed nothing)"
        raise TrainingError(
            f"{arguments[0]} ended with status {status}; nothing was registered. Its last lines:\n"
            f"  {quoted}\nThe whole output: {log_file}"
        )


def _lines(child: "subprocess.Popen[str]", deadline: float) -> Iterator[str | None]:
    """Yield the child's lines, and None for every silent stretch; enforce the deadline."""
    lines = queue.SimpleQueue[str | None]()
    assert child.stdout is not None  # noqa: S101 - stdout is a pipe above
    threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
    while True:
        wait = min(_SILENCE_SECONDS, deadline - time.monotonic())
        if wait <= 0:
            raise TrainingError(
                "training took longer than allowed and was stopped; raise "
                "`trainingTimeoutMinutes` or look for what it waits for"
            )
        try:
            line = lines.get(timeout=wait)
        except queue.Empty:
            if time.monotonic() < deadline:
                yield None
            continue
        if line is None:
            return
        yield line


def _kill_all(pid: int) -> None:
    """End a process and its descendants: one that lives on would hold the output open."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def _pump(stream: TextIO, lines: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip("\n"))
    lines.put(None)
