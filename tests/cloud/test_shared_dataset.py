"""The employee table as the cloud gets it: checked, canonical, and named by its content."""

import csv
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.dataset import PACKAGED, DatasetError, source_sha256
from contract.employee import FIELD_NAMES, TARGET
from infra import dataset
from infra.dataset import canonical_csv
from tests.recorder import ROOT
from training.data import export
from training.data.dataset import load

CONTENT_SHA256 = "b0ab8f08ff1c0bdf73d35c8e2a6f3f551d082869e72a3ac7b0e01947bbc9008a"
"""Of the packaged table's canonical file: the same on every machine."""


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run in the project's folder."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; each one really is."""
    commands: list[list[str]] = []
    real = subprocess.run

    def watched(command: list[str], **options: object) -> object:
        commands.append(command)
        return real(command, **options)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType] - passed on

    monkeypatch.setattr("infra.dataset.subprocess.run", watched)
    return commands


@pytest.fixture(scope="module")
def canonical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged table's file."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return canonical_csv(PACKAGED, tmp_path_factory.mktemp("made") / "datasets")
    finally:
        os.chdir(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(path: Path, table: list[list[str]], delimiter: str = ",", end: str = "\n") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(table)
    return path


def test_training_on_the_file_is_training_on_the_package(canonical: Path) -> None:
    packaged, exported = load(PACKAGED), load(str(canonical))
    assert exported.features.equals(packaged.features)
    assert list(exported.features.dtypes) == list(packaged.features.dtypes)
    assert exported.target.equals(packaged.target)


def test_the_file_has_the_ibm_columns_and_no_others(canonical: Path) -> None:
    table = rows(canonical)
    assert table[0] == [*FIELD_NAMES, TARGET]
    assert len(table) == 1 + 1470
    assert "Research & Development" in {row[3] for row in table}


def test_the_same_table_gives_the_same_bytes_everywhere(canonical: Path) -> None:
    assert hashlib.sha256(canonical.read_bytes()).hexdigest() == CONTENT_SHA256


def test_the_file_is_named_by_its_content_and_is_the_owner_s_alone(canonical: Path) -> None:
    assert canonical.name == f"employees-{CONTENT_SHA256[:12]}.csv"
    assert mode(canonical) == 0o600
    assert mode(canonical.parent) == 0o700


def test_the_folder_says_which_source_it_was(canonical: Path) -> None:
    sources = [path for path in canonical.parent.iterdir() if path != canonical]
    assert len(sources) == 1
    assert sources[0].name.startswith(f"source-{source_sha256(PACKAGED)[:12]}-")
    assert sources[0].resolve() == canonical.resolve()


def test_a_table_of_another_form_is_the_same_file(canonical: Path, tmp_path: Path) -> None:
    """Another delimiter, other line ends, other column order, and the columns that nobody uses."""
    table = [["EmployeeNumber", *rows(canonical)[0][::-1]]]
    table += [[str(i), *row[::-1]] for i, row in enumerate(rows(canonical)[1:])]
    other = write(tmp_path / "other.csv", table, delimiter=";", end="\r\n")
    made = canonical_csv(str(other), tmp_path / "datasets")
    assert made.name == canonical.name
    assert made.read_bytes() == canonical.read_bytes()


def test_a_source_that_is_known_is_not_read_again(tmp_path: Path, runs: list[list[str]]) -> None:
    first = canonical_csv(PACKAGED, tmp_path)
    assert len(runs) == 1
    assert canonical_csv(PACKAGED, tmp_path) == first
    assert len(runs) == 1


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("spoil", [Path.unlink, cut, emptied])
def test_a_file_that_is_not_whole_is_made_again(
    spoil: Callable[[Path], None], canonical: Path, tmp_path: Path, runs: list[list[str]]
) -> None:
    file = canonical_csv(PACKAGED, tmp_path)
    spoil(file)
    assert canonical_csv(PACKAGED, tmp_path).read_bytes() == canonical.read_bytes()
    assert len(runs) == 2


def test_other_code_reads_the_table_again(
    tmp_path: Path, runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = canonical_csv(PACKAGED, tmp_path)

    def of_other_code(_: object) -> str:
        return "c0de" * 16

    monkeypatch.setattr(dataset, "code_sha256", of_other_code)
    assert canonical_csv(PACKAGED, tmp_path) == first
    assert len(runs) == 2


def test_the_answer_is_as_relative_as_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("contract", "training"):
        (tmp_path / package).symlink_to(ROOT / package)
    monkeypatch.chdir(tmp_path)
    made = canonical_csv(PACKAGED, Path(".local/datasets"))
    assert made == Path(".local/datasets", f"employees-{CONTENT_SHA256[:12]}.csv")
    assert made.is_file()


def test_a_table_that_cannot_be_trained_on_says_where_and_not_what(
    canonical: Path, tmp_path: Path
) -> None:
    table = rows(canonical)
    table[7][0] = "four score"
    wrong = write(tmp_path / "wrong.csv", table)
    with pytest.raises(DatasetError) as caught:
        canonical_csv(str(wrong), tmp_path / "datasets")
    message = str(caught.value)
    assert "column 'Age', row 7 (line 8): expected a whole number from 18 to 80" in message
    assert "four" not in message
    assert "\n" not in message
    assert not list((tmp_path / "datasets").iterdir()), "nothing half-made may stay"


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.csv' cannot be read.*config key `dataset`"):
        canonical_csv("nowhere.csv", tmp_path)


def test_an_end_that_nobody_wrote_a_message_for_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback may hold a row of the table."""
    failing = tmp_path / "failing.py"
    failing.write_text("raise ValueError('Jane Doe, 41')\n")
    monkeypatch.setattr(dataset, "_MODULE", "failing")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DatasetError, match="failing ended with status 1; run `python -m") as caught:
        canonical_csv(PACKAGED, tmp_path / "datasets")
    assert "Jane" not in str(caught.value)


def test_a_table_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waiting.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(dataset, "_MODULE", "waiting")
    monkeypatch.setattr(dataset, "_SECONDS", 0.5)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DatasetError, match=r"took longer than 0\.5 s"):
        canonical_csv(PACKAGED, tmp_path / "datasets")


def exported(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "training.data.export", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_the_file_and_nothing_beside_it(canonical: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "table.csv"
    output.parent.mkdir()
    done = exported("--output", str(output))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_bytes() == canonical.read_bytes()
    assert mode(output) == 0o600
    assert list(output.parent.iterdir()) == [output]


def test_bytes_that_changed_since_they_were_hashed_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    done = exported("--output", str(output), "--data-sha256", "0" * 64)
    assert done.returncode == 1
    assert done.stderr.startswith("error: dataset 'package': the dataset changed")
    assert len(done.stderr.splitlines()) == 1
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "nowhere" / "table.csv"
    assert export.main(["--output", str(output)]) == 1
    assert str(output) in capsys.readouterr().err


def test_a_failed_export_leaves_the_older_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "table.csv"
    output.write_text("older")
    assert export.main(["--data", str(tmp_path / "none.csv"), "--output", str(output)]) == 1
    assert output.read_text() == "older"
    assert "none.csv" in capsys.readouterr().err
