"""Child processes of tests that import the project and these helpers."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(code: str, *arguments: object, cwd: Path = ROOT) -> "subprocess.Popen[str]":
    """Start Python code in another process, its output readable line by line."""
    paths = [str(ROOT), str(Path(__file__).parent)]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line that a child prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    """Kill a child, as SIGKILL does, and close its pipes."""
    process.kill()
    process.communicate()
