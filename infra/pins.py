"""The lock file's versions for code that runs elsewhere, so that it runs what a laptop runs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from infra.lifecycle.errors import LifecycleError

__all__ = ["COMPUTE_PYTHON", "pinned"]

COMPUTE_PYTHON = "3.12.3"
"""Python of Databricks' serverless environments 3 and later, and of its runtimes from 16 on."""

_LOCK = Path(__file__).parents[1] / "requirements.txt"
_COMPUTE = {
    "implementation_name": "cpython",
    "implementation_version": COMPUTE_PYTHON,
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": COMPUTE_PYTHON,
    "python_version": COMPUTE_PYTHON.rpartition(".")[0],
    "sys_platform": "linux",
}


def pinned(packages: Sequence[str], lock: Path = _LOCK) -> list[str]:
    """Return `name==version` of each package: what the lock file has for Databricks' Python.

    Raises:
        LifecycleError: the lock file has no version of a package.
    """
    versions = _versions(lock)
    for package in packages:
        if package not in versions:
            raise LifecycleError(
                f"{lock.name} pins no {package!r} for Python {COMPUTE_PYTHON}; add it to the .in "
                "file and run `make lock`"
            )
    return [f"{package}{versions[package]}" for package in sorted(packages)]


@cache
def _versions(lock: Path) -> dict[str, str]:
    """Read name and `==version` of every pin that applies to the compute."""
    versions: dict[str, str] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        pin = _requirement(line.rstrip(" \\"))
        if pin is not None and (pin.marker is None or pin.marker.evaluate(dict(_COMPUTE))):
            versions[pin.name] = str(pin.specifier)
    return versions


def _requirement(line: str) -> Requirement | None:
    """Parse a line that starts a pin; hashes, comments and blanks are none."""
    if not line or line.startswith((" ", "#")):
        return None
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None
