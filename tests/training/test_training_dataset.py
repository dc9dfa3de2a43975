"""The dataset loader: every spelling of the table it reads, and everything it refuses.

A refusal names column and row and never shows what stood there: the cell may be somebody's salary.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from contract.dataset import PACKAGED, DatasetError, source_sha256
from contract.employee import CATEGORIES, FIELD_NAMES, IGNORED, INTEGERS, TARGET
from training.data.dataset import MINIMUM_ROWS, Dataset, load
from training.data.records import check_records

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


@pytest.fixture(scope="module")
def small(table: pd.DataFrame) -> pd.DataFrame:
    """Enough of the table to be read, for files that are refused."""
    return table.head(300)


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


def with_old_mac_line_ends(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r")


def with_tabs(content: bytes) -> bytes:
    return content.replace(b",", b"\t")


def with_every_cell_quoted(content: bytes) -> bytes:
    buffer = io.StringIO()
    rows = csv.reader(io.StringIO(content.decode()))
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    return buffer.getvalue().encode()


def with_blank_lines_around(content: bytes) -> bytes:
    return b"\n\r\n" + content + b"\r\n\n\n"


def without_last_line_end(content: bytes) -> bytes:
    return content.removesuffix(b"\n")


def with_blank_lines(content: bytes) -> bytes:
    return content.replace(b"\n", b"\n\n")


@pytest.mark.parametrize(
    "change",
    [
        with_bom,
        with_windows_line_ends,
        with_old_mac_line_ends,
        with_tabs,
        with_every_cell_quoted,
        without_last_line_end,
        with_blank_lines,
        with_blank_lines_around,
    ],
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
    reordered = table[list(reversed(table.columns))].assign(**dict.fromkeys(IGNORED, "1"))
    reordered["EmployeeNumber"] = [str(number) for number in range(len(table))]
    content = with_blank_lines_around(with_windows_line_ends(to_csv(reordered, ";")))
    same(load_bytes(with_bom(content)), dataset)


def test_a_shuffled_file_is_the_same_table(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv, dataset: Dataset
) -> None:
    shuffled = load_bytes(to_csv(table.sample(frac=1, random_state=1)))
    same(shuffled, dataset)
    sorted_by_outcome = load_bytes(to_csv(table.sort_values([TARGET, "Age"])))
    same(sorted_by_outcome, dataset)
    assert list(dataset.features.index) == list(range(len(table)))
    assert len({shuffled.sha256, sorted_by_outcome.sha256, dataset.sha256}) == 3


def test_the_order_puts_no_kind_of_employee_first(dataset: Dataset) -> None:
    first, last = dataset.features.head(735), dataset.features.tail(735)
    # Five standard errors of the halves' difference: sd 9.1 years, and 37 % of 1,470 outcomes.
    assert abs(first["Age"].mean() - last["Age"].mean()) < 5 * 9.1 * (2 / 735) ** 0.5
    assert abs(dataset.target.head(735).mean() - dataset.target.tail(735).mean()) < 0.096


def test_a_refusal_names_the_row_of_the_file_and_not_of_the_order(
    load_bytes: LoadBytes, table: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = table.sample(frac=1, random_state=1).reset_index(drop=True)
    broken.loc[41, "Age"] = "old"
    with pytest.raises(DatasetError, match=r"column 'Age', row 42 \(line 43\)"):
        load_bytes(to_csv(broken))


def test_a_column_may_hold_one_value(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    constant = small.assign(Department="Sales", TrainingTimesLastYear="3")
    assert set(load_bytes(to_csv(constant)).features["Department"]) == {"Sales"}


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("Age", "17", "a whole number from 18 to 80"),
        ("Age", "81", "a whole number from 18 to 80"),
        ("Age", "41.5", "a whole number"),
        ("Age", "41.0", "has a decimal point or a separator; expected a whole number"),
        ("Age", "4_1", "a whole number from 18 to 80 \\(years\\), in digits alone"),
        ("Age", " 41", "has spaces around it; expected a whole number"),
        ("Age", "41\r\n", "has spaces around it; expected a whole number"),
        ("Age", "\r\n", "is empty; expected a whole number"),
        ("Age", "٤١", "a whole number"),
        ("Age", "nan", "holds a mark for a missing value; expected a whole number"),
        ("Age", " NaN ", "holds a mark for a missing value; expected a whole number"),
        ("Age", "#N/A", "holds a mark for a missing value; expected a whole number"),
        ("Age", "null", "holds a mark for a missing value; expected a whole number"),
        ("Gender", "NA", "holds a mark for a missing value; expected one of 'Female', 'Male'"),
        ("Gender", "None", "holds a mark for a missing value; expected one of"),
        ("Gender", "Male ", "has spaces around it; expected one of"),
        ("Attrition", "NaN", "holds a mark for a missing value; expected 'No' or 'Yes'"),
        ("Age", "1e1", "a whole number"),
        ("MonthlyIncome", "99999999999999999999", "a whole number"),
        ("MonthlyIncome", "5,993", "has a decimal point or a separator; expected"),
        ("MonthlyIncome", "5.993", "has a decimal point or a separator; expected"),
        ("MonthlyIncome", "5 993", "has a decimal point or a separator; expected"),
        ("Age", "", "is empty; expected a whole number"),
        ("Department", "", "is empty; expected one of 'Human Resources'"),
        ("Department", "sales", "one of 'Human Resources', 'Research & Development', 'Sales'"),
        ("Department", "Research_Development", "one of 'Human Resources'"),
        ("Attrition", "yes", "expected 'No' or 'Yes'"),
        ("Attrition", "", "is empty; expected 'No' or 'Yes'"),
    ],
)
def test_refuses_a_cell_by_column_row_and_line_without_showing_it(
    column: str, cell: str, expected: str, load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = small.copy()
    broken.loc[[2, 9], column] = cell
    with pytest.raises(DatasetError, match=expected) as refusal:
        load_bytes(to_csv(broken))
    message = str(refusal.value)
    assert f"column '{column}', row 3 (line 4)" in message
    assert "2 rows are affected" in message
    if cell.strip() not in {"", "17", "81", "sales", "NA", "Male"}:
        # Before that is the file's path, in which pytest counts its runs.
        assert cell.strip() not in message.partition(": column")[2]


def test_an_unknown_category_is_not_shown(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = small.copy()
    broken.loc[4, "JobRole"] = "Chief Whistleblower"
    with pytest.raises(DatasetError, match="1 row is affected") as refusal:
        load_bytes(to_csv(broken))
    assert "Whistleblower" not in str(refusal.value)
    assert "Whistleblower" not in str(refusal.value.__cause__ or "")


def test_lines_are_the_files_own_after_blank_lines(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = small.copy()
    broken.loc[2, "Age"] = "old"
    with pytest.raises(DatasetError, match=r"row 3 \(line 7\)"):
        load_bytes(with_blank_lines(to_csv(broken)))


def test_refuses_missing_unknown_and_duplicate_columns(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match="column 'OverTime' is missing"):
        load_bytes(to_csv(small.drop(columns="OverTime")))
    with pytest.raises(DatasetError, match="column 'Attrition' is missing"):
        load_bytes(to_csv(small.drop(columns=TARGET)))
    with pytest.raises(DatasetError, match="column 'Salary' is unknown"):
        load_bytes(to_csv(small.assign(Salary="1")))
    doubled = to_csv(small.assign(Twice=small["Age"])).replace(b"Twice", b"Age", 1)
    with pytest.raises(DatasetError, match="column 'Age' occurs more than once"):
        load_bytes(doubled)


def test_a_file_without_header_does_not_show_its_first_employee(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    headless = to_csv(small).partition(b"\n")[2]
    with pytest.raises(DatasetError, match="line 1 names none of the columns") as refusal:
        load_bytes(headless)
    assert small["MonthlyIncome"].iloc[0] not in str(refusal.value)


def test_refuses_rows_of_another_length(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    lines = to_csv(small).split(b"\n")
    lines[3] += b",1"
    with pytest.raises(DatasetError, match=r"row 3 \(line 4\): 32 cells; expected 31"):
        load_bytes(b"\n".join(lines))


def test_refuses_a_quote_that_never_ends_where_it_begins(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    lines = to_csv(small).split(b"\n")
    lines[7] = b'"' + lines[7]
    with pytest.raises(DatasetError, match=r"row 7 \(line 8\): unexpected end of data; expected"):
        load_bytes(b"\n".join(lines))
    lines[0] = b'"' + lines[0].replace(b'"', b"")
    with pytest.raises(DatasetError, match=r": line 1: "):
        load_bytes(b"\n".join(lines))


def test_refuses_a_huge_cell(load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv) -> None:
    broken = small.copy()
    broken.loc[4, "JobRole"] = "Manager" * 20_000
    with pytest.raises(DatasetError, match=r"row 5 \(line 6\): field larger than field limit"):
        load_bytes(to_csv(broken))


def test_lines_are_the_files_own_after_a_cell_of_two_lines(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    broken = small.assign(Over18="Y\r\n")
    broken.loc[2, "Age"] = "old"
    with pytest.raises(DatasetError, match=r"row 3 \(line 6\)"):
        load_bytes(to_csv(broken))


def test_refuses_a_column_without_a_name_by_its_number(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    """As pandas writes its index, and as a delimiter at the end of every line makes one."""
    indexed = small.rename_axis("").reset_index().astype("str")
    with pytest.raises(DatasetError, match="column 1 has no name; leave it out"):
        load_bytes(to_csv(indexed))
    with pytest.raises(DatasetError, match="column 'Unnamed: 0' is unknown"):
        load_bytes(to_csv(indexed.rename(columns={"": "Unnamed: 0"})))
    with pytest.raises(DatasetError, match=r"column 32 has no name; .*the delimiter at the end"):
        load_bytes(to_csv(small).replace(b"\n", b",\n"))


def test_refuses_names_in_other_letters(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    for name in ("AGE", " Age"):
        with pytest.raises(DatasetError, match="column 'Age' is missing; one has its name in othe"):
            load_bytes(to_csv(small.rename(columns={"Age": name})))


def test_shows_little_of_a_long_name(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match="column 'xxx") as refusal:
        load_bytes(to_csv(small.assign(**{"x" * 100_000: "1"})))
    assert "x" * 61 not in str(refusal.value)


def test_refuses_another_delimiter(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match=r"line 1 names none.*by commas, semicolons or tabs"):
        load_bytes(to_csv(small, "|"))


def test_refuses_the_same_row_twice(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    doubled = pd.concat([small, small.iloc[[9, 4, 9]]])
    places = r"row 301 \(line 302\): has the same 30 fields and 'Attrition' as row 10 \(line 11\)"
    with pytest.raises(DatasetError, match=f"{places}; 5 rows are affected; keep one row for"):
        load_bytes(to_csv(doubled))
    doubled["EmployeeNumber"] = [str(number) for number in range(len(doubled))]
    with pytest.raises(DatasetError, match=places):
        load_bytes(to_csv(doubled))


def test_colleagues_who_differ_in_the_outcome_alone_are_two(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    twin = small.iloc[[0]].replace({TARGET: {"No": "Yes", "Yes": "No"}})
    assert len(load_bytes(to_csv(pd.concat([small, twin]))).target) == 301


def test_refuses_the_same_employee_number_twice_without_showing_it(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    numbered = small.assign(EmployeeNumber=[f"7000{number}" for number in range(len(small))])
    numbered.loc[[3, 8], "EmployeeNumber"] = ["700042", " 700042"]
    with pytest.raises(DatasetError, match="3 rows are affected; keep one row for") as refusal:
        load_bytes(to_csv(numbered))
    message = str(refusal.value)
    assert "column 'EmployeeNumber', row 9 (line 10): holds the same number as row 4 (line 5)" in (
        message
    )
    assert "700042" not in message


@pytest.mark.parametrize("blank", ["", " ", "NaN"])
def test_a_blank_employee_number_is_nobodys(
    blank: str, load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    assert len(load_bytes(to_csv(small.assign(EmployeeNumber=blank))).target) == len(small)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_refuses_an_empty_file(content: bytes, load_bytes: LoadBytes) -> None:
    with pytest.raises(DatasetError, match="the file is empty"):
        load_bytes(content)


def test_refuses_another_encoding(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    content = to_csv(small)
    with pytest.raises(DatasetError, match="line 1 is not UTF-8"):
        load_bytes(content.decode().encode("utf-16"))
    with pytest.raises(DatasetError, match="line 1 holds a NUL byte; save the table as CSV in UTF"):
        load_bytes(content.decode().encode("utf-16-le"))
    lines = content.split(b"\n")
    lines[4] = "é".encode("latin-1") + lines[4]
    with pytest.raises(DatasetError, match="line 5 is not UTF-8"):
        load_bytes(b"\n".join(lines))
    # The first byte of a line, behind a byte order mark and old line ends: none moves the line.
    with pytest.raises(DatasetError, match="line 5 is not UTF-8"):
        load_bytes(with_bom(b"\r".join(lines)))
    lines[4] = b"\0" + lines[4][1:]
    with pytest.raises(DatasetError, match="line 5 holds a NUL byte"):
        load_bytes(b"\r\n".join(lines))


def test_refuses_too_few_rows_and_too_few_of_an_outcome(
    load_bytes: LoadBytes, small: pd.DataFrame, to_csv: ToCsv
) -> None:
    with pytest.raises(DatasetError, match=f"199 rows; expected at least {MINIMUM_ROWS}"):
        load_bytes(to_csv(small.head(199)))
    with pytest.raises(DatasetError, match="0 rows; expected at least"):
        load_bytes(to_csv(small.head(0)))
    with pytest.raises(DatasetError, match="holds 'Yes' in 0 rows; expected at least 20"):
        load_bytes(to_csv(small.assign(Attrition="No")))
    with pytest.raises(DatasetError, match="holds 'No' in 0 rows; expected at least 20"):
        load_bytes(to_csv(small.assign(Attrition="Yes")))


def test_refuses_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"absent\.csv.*cannot be read"):
        load(str(tmp_path / "absent.csv"))


def test_refuses_a_packaged_table_that_does_not_unpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: str) -> bytes:
        return b"no pickle"

    monkeypatch.setattr("training.data.dataset.read_source", read)
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
