"""Bad input to training, through the entry point: one line says where, and nothing is registered.

And sources that never end: a table is waited for, and kept in memory, up to a bound.
"""

# MLflow is typed in part (2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import hashlib
import http.server
import io
import os
import socket
import subprocess
import threading
import urllib.response
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from contract import dataset as source
from contract.dataset import DatasetError, read_source
from training import tracking
from training.__main__ import main

pytestmark = [
    # MLflow's table classes use what SQLAlchemy 2.1 deprecates (MLflow 3.17.2, 2026-11).
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
NAME = "attrition"
SECRET = "7654321"
"""Stands in every bad cell: what a message must not show."""

Command = Callable[..., list[str]]
ToCsv = Callable[..., bytes]
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an experiment and nothing in it."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    tracking.open_store(f"sqlite:///{database}", experiment=NAME, artifacts=None)
    return database


@pytest.fixture
def untouched(store: Path) -> Iterator[Path]:
    """The store; it must have no run, no model, and its very bytes after the test."""
    before = hashlib.sha256(store.read_bytes()).hexdigest()
    yield store
    assert hashlib.sha256(store.read_bytes()).hexdigest() == before
    assert list(store.parent.iterdir()) == [store], "no artifacts"
    client = MlflowClient(f"sqlite:///{store}", f"sqlite:///{store}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert len(experiments) == 2, "MLflow's own and ours"
    assert list(client.search_runs(experiments)) == []
    assert list(client.search_registered_models()) == []


def with_cell(column: str, cell: str) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[[6, 11], column] = cell
        return table

    return change


def without(column: str) -> Change:
    return lambda table: table.drop(columns=column)


def twenty_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.head(20)


def one_outcome(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Attrition="No")


def twice_the_same_row(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table.iloc[[6]]])


def twice_the_same_number(table: pd.DataFrame) -> pd.DataFrame:
    numbers = [SECRET if row in {6, 11} else str(row) for row in range(len(table))]
    return table.assign(EmployeeNumber=numbers)


def with_index(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename_axis("Unnamed: 0").reset_index().astype("str")


BAD_TABLES: dict[str, tuple[Change, str]] = {
    "missing column": (without("OverTime"), "column 'OverTime' is missing"),
    "missing target": (without("Attrition"), "column 'Attrition' is missing"),
    "unknown column": (with_index, "column 'Unnamed: 0' is unknown"),
    "unknown category": (
        with_cell("JobRole", SECRET),
        "column 'JobRole', row 7 (line 8): expected",
    ),
    "unknown outcome": (
        with_cell("Attrition", SECRET),
        "column 'Attrition', row 7 (line 8): expec",
    ),
    "number out of range": (with_cell("MonthlyIncome", SECRET), "'MonthlyIncome', row 7 (line 8)"),
    "whole float": (with_cell("Age", f"{SECRET}.0"), "column 'Age', row 7 (line 8): has a decimal"),
    "no cell": (with_cell("Age", ""), "column 'Age', row 7 (line 8): is empty; expected"),
    "NaN": (with_cell("Age", "NaN"), "column 'Age', row 7 (line 8): holds a mark for a missing"),
    "constant target": (one_outcome, "column 'Attrition' holds 'Yes' in 0 rows; expected at least"),
    "20 rows": (twenty_rows, "20 rows; expected at least 200"),
    "same row": (twice_the_same_row, "row 301 (line 302): has the same 30 fields"),
    "same number": (
        twice_the_same_number,
        "column 'EmployeeNumber', row 12 (line 13): holds the s",
    ),
    "huge cell": (with_cell("Gender", SECRET * 20_000), "row 7 (line 8): field larger than field"),
}


@pytest.mark.parametrize(("change", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
@pytest.mark.usefixtures("environment")
def test_a_bad_table_is_one_line_and_registers_nothing(
    change: Change,
    message: str,
    untouched: Path,
    tmp_path: Path,
    command: Command,
    table: pd.DataFrame,
    to_csv: ToCsv,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "hr.csv"
    file.write_bytes(to_csv(change(table.head(300).copy())))
    assert main(command(untouched, "--data", str(file))) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: dataset '{file}': ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert SECRET not in said.err


def as_utf_16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


def cut_in_a_quote(content: bytes) -> bytes:
    return content + b'"' + SECRET.encode()


def with_a_longer_row(content: bytes) -> bytes:
    return content + content.splitlines()[-1] + b"," + SECRET.encode()


def without_header(content: bytes) -> bytes:
    return SECRET.encode() + content.partition(b"\n")[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (as_utf_16, "line 1 is not UTF-8"),
        (cut_in_a_quote, "row 301 (line 302): unexpected end of data"),
        (with_a_longer_row, "row 301 (line 302): 32 cells; expected 31"),
        (without_header, "line 1 names none of the columns"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_a_file_that_is_no_table_is_one_line_and_registers_nothing(
    change: Callable[[bytes], bytes],
    message: str,
    untouched: Path,
    tmp_path: Path,
    command: Command,
    table: pd.DataFrame,
    to_csv: ToCsv,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "hr.csv"
    file.write_bytes(change(to_csv(table.head(300))))
    assert main(command(untouched, "--data", str(file))) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: dataset '{file}': {message}")
    assert said.err.count("\n") == 1
    assert SECRET not in said.err


def test_the_process_says_no_more_than_that_line(
    untouched: Path,
    tmp_path: Path,
    command: Command,
    python: Callable[[Sequence[str]], list[str]],
    table: pd.DataFrame,
    to_csv: ToCsv,
) -> None:
    file = tmp_path / "hr.csv"
    file.write_bytes(to_csv(with_cell("Gender", SECRET)(table.copy())))
    done = subprocess.run(
        python(command(untouched, "--data", str(file))),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: dataset '{file}': column 'Gender', row 7 (line 8): expected one of 'Female', "
        "'Male'; 2 rows are affected\n"
    )


class _Sources(http.server.BaseHTTPRequestHandler):
    """A server of what should not be waited for; each path has an end, or a failing test had none.

    It stops when the client is gone, or when the test is over.
    """

    over: threading.Event

    def do_GET(self) -> None:
        length = {"/drip": 50, "/short": 1_000, "/declared": 1_001, "/table": 1_000}
        if self.path == "/slow-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self._drip()
            self.wfile.write(b"\r\n\r\n")
            return
        self.send_response(200)
        if self.path in length:
            self.send_header("Content-Length", str(length[self.path]))
        self.end_headers()
        if self.path == "/drip":
            self._drip()
        else:
            sizes = {"/undeclared": 1_001, "/short": 500}
            self.wfile.write(b"x" * sizes.get(self.path, 1_000))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base's name
        """Say nothing."""

    def _drip(self) -> None:
        # A byte every fifth of a second, for ten seconds: never silent for the half of one.
        for _ in range(50):
            if self.over.wait(0.2):
                return
            self.wfile.write(b"x")
            self.wfile.flush()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of `_Sources`; bounds are a second and 1,000 bytes."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(source, "_URL_SILENCE_SECONDS", 5)
    monkeypatch.setattr(source, "_URL_SECONDS", 1)
    monkeypatch.setattr(source, "_MAXIMUM_BYTES", 1_000)
    over = threading.Event()
    handler = type("Handler", (_Sources,), {"over": over})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        over.set()
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/drip", "it took longer than 1 s"),
        ("/slow-headers", "it took longer than 1 s"),
        ("/declared", "it has more than 1,000 bytes"),
        ("/undeclared", "it has more than 1,000 bytes"),
        ("/short", "IncompleteRead"),
    ],
)
def test_an_address_is_read_up_to_a_bound(path: str, reason: str, server: str) -> None:
    with pytest.raises(DatasetError) as refusal:
        read_source(server + path)
    assert f"dataset '{server}{path}' cannot be read: {reason}; set the config key" in str(
        refusal.value
    )


def test_a_download_that_was_given_up_does_not_keep_the_process(server: str) -> None:
    before = set(threading.enumerate())
    with pytest.raises(DatasetError, match="it took longer than 1 s"):
        read_source(f"{server}/drip")
    left = set(threading.enumerate()) - before
    assert left
    assert all(thread.daemon for thread in left)


@pytest.mark.parametrize("path", ["/table", "/unframed"])
def test_an_address_within_the_bounds_is_read_whole(path: str, server: str) -> None:
    assert read_source(server + path) == b"x" * 1_000


def test_an_address_that_leads_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib follows a redirection to ftp:, whose answer is of another class."""

    def answer(url: str, timeout: float) -> urllib.response.addinfourl:
        return urllib.response.addinfourl(io.BytesIO(b"x"), Message(), "ftp://host/hr.csv")

    monkeypatch.setattr("urllib.request.urlopen", answer)
    with pytest.raises(DatasetError, match=r"leads to an address that is not http\(s\); set"):
        read_source("http://host/hr.csv")


def test_an_address_that_nobody_answers_is_named_with_the_reason_and_nothing_secret() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(DatasetError) as refusal:
            read_source(f"http://127.0.0.1:{port}/hr.csv?sig=secret")
    assert f"'http://127.0.0.1:{port}/hr.csv' cannot be read: Connection refused; set" in str(
        refusal.value
    )
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("address", ["ftp://me:secret@host/hr.csv", "s3://bucket/hr.csv"])
def test_an_address_of_another_kind_is_no_file(address: str) -> None:
    with pytest.raises(
        DatasetError, match=r"cannot be read: its address is not http\(s\); set"
    ) as e:
        read_source(address)
    assert "secret" not in str(e.value)


def test_a_file_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MAXIMUM_BYTES", 1_000)
    file = tmp_path / "hr.csv"
    file.write_bytes(b"x" * 1_000)
    assert len(read_source(str(file))) == 1_000
    file.write_bytes(b"x" * 1_001)
    with pytest.raises(DatasetError, match="cannot be read: it has more than 1,000 bytes; set the"):
        read_source(str(file))


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    """A pipe would be waited for, and `/dev/zero` has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(DatasetError, match="cannot be read: it is not a regular file; set the"):
            read_source(str(path))
