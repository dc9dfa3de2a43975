"""Hashes that decide whether something must run again."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.lifecycle.errors import LifecycleError

__all__ = ["code_sha256", "fingerprint"]


def code_sha256(packages: Iterable[str]) -> str:
    """Hash the Python files of `packages` (folders under the project's): 64 hex digits.

    Names and contents count, dates and byte code do not; line ends count as written.

    Raises:
        LifecycleError: a package is not there, so that its code could change unseen.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        if not Path(package).is_dir():
            raise LifecycleError(f"there is no folder {package!r} in {Path.cwd()} to hash")
        for path in sorted(Path(package).rglob("*.py")):
            digest.update(f"{path.as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint(**parts: Any) -> str:
    """Hash JSON values by name: 64 hex digits, the same for the same values in any order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
