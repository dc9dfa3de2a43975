"""The dataset loader: every spelling of the table it reads, and everything it refuses.

A refusal names column and row and never shows what stood there: the cell may be somebody's salary.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from contract.dataset import PACKAGED, DatasetError, source_sha256
from contract.employee import CATEGORIES, FIELD_NAMES, IGNORED, INTEGERS, TARGET
from training.dataset import MINIMUM_ROWS, Dataset, load
from training.records import check_records

IBM_FILE = Path(__file__).resolve().parents[3] / "shared/data/WA_Fn-UseC_-HR-Employee-Attrition.csv"
ToCsv = Callable[..., bytes]


@pytest.fixture
def load_bytes(tmp_path: Path) -> Callable[[bytes], Dataset]:
    def load_content(content: bytes) -> Dataset:
        path = tmp_path / "hr.csv"
        path.write_bytes(content)
        return load(str(path))

    return load_content


LoadBytes = Callable[[bytes], Dataset]


def same(left: Dataset, right: Dataset) -> None:
    pd.testing.assert_frame_equal(left.features, right.features)
    pd.testing.assert_series_equal(left.target, right.target)


def test_the_packaged_table_has_canonical_columns_and_types(dataset: Dataset) -> None:
    assert tuple(dataset.features.columns) == FIELD_NAMES
    assert dataset.features.shape == (1_470, 30)
    assert dataset.target.sum() == 237
    assert {dataset.features[field.name].dtype.name for field in INTEGERS} == {"int64"}
    assert {dataset.features[field.name].dtype.name for field in CATEGORIES} == {"str"}
    assert dataset.sha256 == source_sha256(PACKAGED)


@pytest.mark.skipif(not IBM_FILE.exists(), reason=f"{IBM_FILE} is not on this machine")
def test_the_packaged_table_equals_the_ibm_file(dataset: Dataset) -> None:
    same(load(str(IBM_FILE)), dataset)


def test_the_hash_is_that_of_the_bytes_read(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    content = to_csv(table)
    assert load_bytes(content).sha256 == hashlib.sha256(content).hexdigest()


def test_accepts_the_expected_hash_in_either_case() -> None:
    assert load(PACKAGED, source_sha256(PACKAGED).upper()).sha256 == source_sha256(PACKAGED)


def test_refuses_other_bytes_than_planned() -> None:
    with pytest.raises(DatasetError, match="the dataset changed between planning and training"):
        load(PACKAGED, "0" * 64)


def with_bom(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content


def with_windows_line_ends(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def without_last_line_end(content: bytes) -> bytes:
    return content.removesuffix(b"\n")


def with_blank_lines(content: bytes) -> bytes:
    return content.replace(b"\n", b"\n\n")


@pytest.mark.parametrize(
    "change", [with_bom, with_windows_line_ends, without_last_line_end, with_blank_lines]
)
def test_reads_what_editors_make_of_a_csv_file(
    change: Callable[[bytes], bytes],
    load_bytes: LoadBytes,
    table: pd.DataFrame,
    to_csv: ToCsv,
    dataset: Dataset,
) -> None:
    same(load_bytes(change(to_csv(table))), dataset)


def test_reads_semicolons_any_column_order_and_ignored_columns(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv, dataset: Dataset
) -> None:
    shuffled = table[list(reversed(table.columns))].assign(**dict.fromkeys(IGNORED, "1"))
    same(load_bytes(with_bom(to_csv(shuffled, ";"))), dataset)


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("Age", "17", "a whole number from 18 to 80"),
        ("Age", "81", "a whole number from 18 to 80"),
        ("Age", "41.5", "a whole number"),
        ("Age", "41.0", "a whole number"),
        ("Age", "4_1", "a whole number"),
        ("Age", " 41", "a whole number"),
        ("Age", "٤١", "a whole number"),
        ("Age", "nan", "a whole number"),
        ("Age", "1e1", "a whole number"),
        ("MonthlyIncome", "99999999999999999999", "a whole number"),
        ("MonthlyIncome", "5,993", "a whole number"),
        ("Age", "", "is empty; expected a whole number"),
        ("Department", "", "is empty; expected one of 'Human Resources'"),
        ("Department", "sales", "one of 'Human Resources', 'Research & Development', 'Sales'"),
        ("Department", "Research_Development", "one of 'Human Resources'"),
        ("Attrition", "yes", "expected 'No' or 'Yes'"),
        ("Attrition", "", "is empty; expected 'No' or 'Yes'"),
    ],
)
def test_refuses_a_cell_by_column_row_and_line_without_showing_it(
    column: str, cell: str, expected: str, load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = table.copy()
    broken.loc[[2, 9], column] = cell
    with pytest.raises(DatasetError, match=expected) as refusal:
        load_bytes(to_csv(broken))
    message = str(refusal.value)
    assert f"column '{column}', row 3 (line 4)" in message
    assert "2 rows are affected" in message
    if cell not in {"", "17", "81", "sales"}:
        assert cell.strip() not in message


def test_an_unknown_category_is_not_shown(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = table.copy()
    broken.loc[4, "JobRole"] = "Chief Whistleblower"
    with pytest.raises(DatasetError, match="1 row is affected") as refusal:
        load_bytes(to_csv(broken))
    assert "Whistleblower" not in str(refusal.value)
    assert "Whistleblower" not in str(refusal.value.__cause__ or "")


def test_lines_are_the_files_own_after_blank_lines(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = table.copy()
    broken.loc[2, "Age"] = "old"
    with pytest.raises(DatasetError, match=r"row 3 \(line 7\)"):
        load_bytes(with_blank_lines(to_csv(broken)))


def test_refuses_missing_unknown_and_duplicate_columns(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match="column 'OverTime' is missing"):
        load_bytes(to_csv(table.drop(columns="OverTime")))
    with pytest.raises(DatasetError, match="column 'Attrition' is missing"):
        load_bytes(to_csv(table.drop(columns=TARGET)))
    with pytest.raises(DatasetError, match="column 'Salary' is unknown"):
        load_bytes(to_csv(table.assign(Salary="1")))
    doubled = to_csv(table.assign(Twice=table["Age"])).replace(b"Twice", b"Age", 1)
    with pytest.raises(DatasetError, match="column 'Age' occurs more than once"):
        load_bytes(doubled)


def test_a_file_without_header_does_not_show_its_first_employee(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    headless = to_csv(table).partition(b"\n")[2]
    with pytest.raises(DatasetError, match="line 1 names none of the columns") as refusal:
        load_bytes(headless)
    assert "5993" not in str(refusal.value)


def test_refuses_rows_of_another_length(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    lines = to_csv(table).split(b"\n")
    lines[3] += b",1"
    with pytest.raises(DatasetError, match=r"row 3 \(line 4\): 32 cells; expected 31"):
        load_bytes(b"\n".join(lines))


def test_refuses_a_quote_that_never_ends(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match=r"line 1472: unexpected end of data"):
        load_bytes(to_csv(table) + b'"41')


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_refuses_an_empty_file(content: bytes, load_bytes: LoadBytes) -> None:
    with pytest.raises(DatasetError, match="the file is empty"):
        load_bytes(content)


def test_refuses_another_encoding(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    content = to_csv(table)
    with pytest.raises(DatasetError, match="line 1 is not UTF-8"):
        load_bytes(content.decode().encode("utf-16"))
    with pytest.raises(DatasetError, match="line 3 is not UTF-8"):
        load_bytes(content.replace(b"Male", "Mâle".encode("latin-1"), 1))


def test_refuses_too_few_rows_and_too_few_of_an_outcome(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match=f"199 rows; expected at least {MINIMUM_ROWS}"):
        load_bytes(to_csv(table.head(199)))
    with pytest.raises(DatasetError, match="0 rows; expected at least"):
        load_bytes(to_csv(table.head(0)))
    with pytest.raises(DatasetError, match="holds 'Yes' in 0 rows; expected at least 20"):
        load_bytes(to_csv(table.assign(Attrition="No")))
    with pytest.raises(DatasetError, match="holds 'No' in 0 rows; expected at least 20"):
        load_bytes(to_csv(table.assign(Attrition="Yes")))


def test_refuses_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv.*cannot be read"):
        load(str(tmp_path / "absent.csv"))


def test_refuses_a_packaged_table_that_does_not_unpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: str) -> bytes:
        return b"no pickle"

    monkeypatch.setattr("training.dataset.read_source", read)
    with pytest.raises(DatasetError, match="the packaged table cannot be read"):
        load(PACKAGED)


def test_a_check_of_records_names_column_and_row_and_no_value(dataset: Dataset) -> None:
    records = dataset.features.head(5)
    pd.testing.assert_frame_equal(check_records(records.assign(Extra=1)), records)
    with pytest.raises(DatasetError, match="records: there is none"):
        check_records(records.head(0))
    with pytest.raises(DatasetError, match="column 'Age' is missing"):
        check_records(records.drop(columns="Age"))
    with pytest.raises(DatasetError, match=r"'Age', row 1: expected a whole number.*5 rows"):
        check_records(records.assign(Age=41.0))
    with pytest.raises(DatasetError, match="'Gender', row 1: expected one of") as refusal:
        check_records(records.assign(Gender="secret"))
    assert "secret" not in str(refusal.value)
