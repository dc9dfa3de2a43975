"""Hashes that decide whether something must run again.

The program computes a release's fingerprint before training, so that a preview knows whether
training would run; a training run that nobody planned (a schedule's) computes the same one itself.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "TRAINING_CODE",
    "CodeError",
    "canonical_json",
    "code_sha256",
    "fingerprint",
    "release_fingerprint",
]

TRAINING_CODE = ("contract", "training")
"""The packages whose files decide what a training run makes."""


class CodeError(Exception):
    """A package of the project is not where it should be; the message says which and where."""


def code_sha256(
    packages: Iterable[str], root: Path | None = None, *, patterns: Iterable[str] = ("*.py",)
) -> str:
    """Hash the Python files of `packages` (folders in `root`, or where we are): 64 hex digits.

    `patterns` say which files count, at any depth, where it is not Python alone. Names and contents
    count, dates and byte code do not; line ends count as written.

    Raises:
        CodeError: a package is not there, so that its code could change unseen.
    """
    root = root or Path()
    digest = hashlib.sha256()
    for package in sorted(packages):
        if not (root / package).is_dir():
            raise CodeError(f"there is no folder {package!r} in {root.absolute()} to hash")
        found = {path for pattern in patterns for path in (root / package).rglob(pattern)}
        for path in sorted(path for path in found if path.is_file()):
            name = path.relative_to(root).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint(**parts: Any) -> str:
    """Hash JSON values by name: 64 hex digits, the same for the same values in any order."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def release_fingerprint(
    *, code: str, data: str, parameters: Mapping[str, Any], retrain: str = ""
) -> str:
    """Hash what decides a release: the hashes of code and data, the parameters, and the nonce.

    `parameters` are those that were given; defaults are part of the code.
    """
    return fingerprint(code=code, data=data, parameters=parameters, retrain=retrain)


def canonical_json(value: Any) -> str:
    """Write a JSON value in one way only: keys in order, and whole numbers without a fraction.

    Pulumi's engine knows one kind of number: what a person wrote as 7 arrives as 7.0.
    """
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
        case list() | tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value
