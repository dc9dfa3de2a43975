"""Measure what the documents speak of: `make up`, previews, the API's start, batch scoring.

Each figure is printed as median and range over its runs, with the processor count, and beside the
start of a bare interpreter, because absolute times mean little on another machine.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from infra.lifecycle import process
from tests.batch.batch_bench import rows_per_second
from tests.lifecycle.workspace import Workspace


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each figure (3)")
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        say(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {runs} runs each")
        say(f"{'figure':<40} {'median':>8} {'from':>8} {'to':>8}")
        bare = [sys.executable, "-c", "pass"]
        row("bare interpreter", runs, lambda: timed(lambda: subprocess.run(bare, check=True)))
        workspaces = [Workspace(Path(folder, str(number))) for number in range(runs)]
        waiting = iter(workspaces)
        row("first `make up`, after installation", runs, lambda: timed(next(waiting).up))
        *others, workspace = workspaces
        for other in others:
            other.run("down")
        row("second `make up`, nothing changed", runs, lambda: timed(workspace.up))
        row("`make outputs`", runs, lambda: timed(workspace.outputs))
        row("API process, start to ready", runs, lambda: start_of_the_api(workspace))
        workspace.run("down")
        for stack in ("shared", "production"):
            plan = [sys.executable, "-m", "engine", "preview", "--stack", stack]
            preview = partial(subprocess.run, plan, check=True, capture_output=True)
            row(f"`make preview STACK={stack}`", runs, lambda preview=preview: timed(preview))
    batch_rows(runs)


def batch_rows(runs: int) -> None:
    """Print how many rows a second the batch job scores, on local Spark."""
    try:
        figures = sorted(rows_per_second(runs))
    except RuntimeError as error:
        say(f"batch scoring: not measured: {error}")
        return
    spread = f"{statistics.median(figures):>8.0f} {figures[0]:>8.0f} {figures[-1]:>8.0f}"
    say(f"{'batch scoring, rows a second':<40} {spread}")


def start_of_the_api(workspace: Workspace) -> float:
    """Start one more process of the release that serves, until it is ready, in seconds; end it."""
    (serving,) = workspace.api_processes()
    settings = {
        key: value
        for key, value in serving.environ().items()
        if key.startswith(("RELEASE_", "API_KEY_")) or key in ("HOST", "PORT")
    }
    control = process.control_path(".local/run", "bench")
    with contextlib.chdir(workspace.folder):
        seconds = timed(lambda: process.start(control, settings, Path(".local/logs/bench.log")))
        process.stop(".local/run", control)
    return seconds


def timed(work: Callable[[], object]) -> float:
    """Do `work`; return how many seconds it took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def row(name: str, runs: int, sample: Callable[[], float]) -> None:
    """Take samples, in seconds, and print their row."""
    seconds = [sample() for _ in range(runs)]
    median = statistics.median(seconds)
    say(f"{name:<40} {median:>7.2f}s {min(seconds):>7.2f}s {max(seconds):>7.2f}s")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
