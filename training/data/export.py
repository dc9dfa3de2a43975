"""The employee table as one CSV file under the IBM names: `python -m training.data.export --help`.

Whatever form the configured table has, what is uploaded is this file. It is read, checked and
spelt by the loader that training uses, and the same table gives the same bytes on every machine.

Exit codes: 0 written, 1 an error, 2 wrong usage.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from contract.dataset import PACKAGED, DatasetError
from contract.employee import FIELD_NAMES, TARGET, TARGET_VALUES

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one file; return the exit code."""
    given = _parser().parse_args(arguments)
    # Imported late: `--help` and wrong usage need no pandas.
    from training.data.dataset import load

    try:
        dataset = load(given.data, given.data_sha256)
    except DatasetError as error:
        return _fail(str(error))
    target = [TARGET_VALUES[value] for value in dataset.target]
    columns = [*(dataset.features[name].tolist() for name in FIELD_NAMES), target]
    try:
        _write(given.output, list(zip(*columns, strict=True)))
    except OSError as error:
        return _fail(f"{given.output} cannot be written: {error.strerror}; choose another --output")
    return 0


def _write(output: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write the header and rows: whole or not at all, and readable by its owner alone."""
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        file = Path(scratch, output.name)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow((*FIELD_NAMES, TARGET))
            writer.writerows(rows)
        file.replace(output)


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.export",
        description="Write the employee table as one CSV file.",
    )
    add = parser.add_argument
    add("--data", default=PACKAGED, metavar="SOURCE", help="CSV path or URL (default: %(default)s)")
    add("--data-sha256", metavar="HEX", help="hash that the source's bytes must have")
    add("--output", required=True, type=Path, metavar="FILE", help="the file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
