"""Measure what the documents speak of: `make up`, previews, batch scoring, the API.

Each figure is printed as median and range over its runs, with the processor count, and beside the
start of a bare interpreter, because absolute times mean little on another machine. The API's own
are ratios to a floor (see tests.bench_api), and are written below .local/bench as well.
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

from contract.release import MANIFEST
from infra.lifecycle import process
from tests.batch.batch_bench import rows_per_second
from tests.batch.batch_runs import train
from tests.bench_api.client import ClientError
from tests.bench_api.measure import ROUNDS, measure
from tests.bench_api.report import table, write
from tests.lifecycle.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
RUNS = 3


def main() -> int:
    """Run the benchmark and print its tables; return the exit code: 1 if the API's are missing."""
    parts = {"lifecycle": lifecycle_rows, "batch": batch_rows, "api": api_rows}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", type=count, help=f"runs of each figure ({RUNS}; the API and its floor: {ROUNDS})"
    )
    parser.add_argument("--only", choices=parts, help="measure this part alone")
    arguments = parser.parse_args()
    chosen: list[str] = [arguments.only] if arguments.only else list(parts)
    say(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    return max(parts[part](arguments.runs) for part in chosen)


def count(text: str) -> int:
    """Read a number of runs."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def lifecycle_rows(runs: int | None) -> int:
    """Print how long `make up`, its outputs, previews and the API's start take."""
    runs = runs or RUNS
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        say(f"{f'{runs} runs each':<40} {'median':>8} {'from':>8} {'to':>8}")
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
    return 0


def batch_rows(runs: int | None) -> int:
    """Print how many rows a second the batch job scores, on local Spark."""
    try:
        figures = sorted(rows_per_second(runs or RUNS))
    except RuntimeError as error:
        say(f"batch scoring: not measured: {error}")
        return 0
    spread = f"{statistics.median(figures):>8.0f} {figures[0]:>8.0f} {figures[-1]:>8.0f}"
    say(f"{'batch scoring, rows a second':<40} {spread}")
    return 0


def api_rows(runs: int | None) -> int:
    """Train a release, print the API's figures beside what they shall reach, and write them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            train(folder, "attrition")
            bundle = next(folder.rglob(MANIFEST)).parent
            results = measure(bundle, folder, runs or ROUNDS, progress=say)
        except subprocess.CalledProcessError as error:
            said: bytes = error.stderr or b""
            say(f"API against its floor: not measured: training failed: {said[-2_000:].decode()}")
            return 1
        except (ClientError, OSError) as error:
            say(f"API against its floor: not measured: {error}")
            return 1
    for line in table(results):
        say(line)
    for path in write(results, ROOT / ".local" / "bench"):
        say(f"written: {path.relative_to(ROOT)}")
    return 0


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
    sys.exit(main())
