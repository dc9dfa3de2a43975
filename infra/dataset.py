"""The employee table as the cloud gets it: one checked CSV file, whatever the configured source is.

The table is checked here, before anything is made in the cloud. The reader is `training`'s own,
which takes pandas: it runs in a process of its own, and only for a table or code that is new.

Files are named by their content. So the address that Pulumi records is the same on every machine,
and never the old address with new bytes behind it.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from contract.dataset import DatasetError, shown, source_sha256
from contract.fingerprint import TRAINING_CODE, code_sha256

__all__ = ["canonical_csv"]

_MODULE = "training.data.export"
_DIGITS = 12
_SECONDS = 300
_FAILED = "error: "


def canonical_csv(source: str, folder: Path) -> Path:
    """Return the CSV file, below `folder`, of the table at `source` (see `contract.dataset`).

    Raises:
        DatasetError: the table cannot be read, or is not the employee table.
    """
    sha256 = source_sha256(source)
    # The code's hash too: it decides which tables are good, and how they are written.
    link = folder / f"source-{sha256[:_DIGITS]}-{code_sha256(TRAINING_CODE)[:_DIGITS]}.csv"
    found = _behind(link)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        exported = Path(scratch, "exported.csv")
        _export(source, sha256, exported)
        file = folder / _name(exported)
        exported.replace(file)
        pointer = Path(scratch, "pointer")
        pointer.symlink_to(file.name)
        pointer.replace(link)
    return file


def _behind(link: Path) -> Path | None:
    """Find the file that an earlier run made of the same source, if it is there and whole."""
    if not link.is_file():
        return None
    file = link.parent / link.readlink()
    return file if file.name == _name(file) else None


def _name(file: Path) -> str:
    return f"employees-{hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]}.csv"


def _export(source: str, sha256: str, output: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module; no shell
            [
                *(sys.executable, "-m", _MODULE),
                *(f"--data={source}", f"--data-sha256={sha256}", f"--output={output}"),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DatasetError(
            f"dataset {shown(source)!r}: reading it took longer than {_SECONDS} s; set the config "
            "key `dataset` to a table that is nearer, or smaller"
        ) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if not last.startswith(_FAILED):
            # Not what it says: a traceback may quote the table.
            last = (
                f"{_FAILED}dataset {shown(source)!r}: {_MODULE} ended with status "
                f"{done.returncode}; run `python -m {_MODULE} --data SOURCE --output FILE` to see "
                "why"
            )
        raise DatasetError(last.removeprefix(_FAILED))
