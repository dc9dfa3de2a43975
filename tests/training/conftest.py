"""What the training tests share: the packaged table, fitted models, and one real training run."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import csv
import importlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

with warnings.catch_warnings():
    # MLflow warns about its own type hints when it is first imported (3.17.2, 2026-11).
    warnings.simplefilter("ignore")
    importlib.import_module("training.pipeline")

from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits
from training_evidence import made_up_evidence

from contract.employee import FIELDS, TARGET, TARGET_VALUES, Integer
from contract.parameters import Parameters
from training import pipeline
from training.classifier.estimator import make_classifier
from training.data.dataset import Dataset, load
from training.evaluation.evidence import Evidence
from training.outliers.detector import OutlierDetector

ROOT = Path(__file__).resolve().parents[2]
NAME = "attrition"
FINGERPRINT = "f0" * 32
CODE_SHA256 = "c0" * 32
LEGAL_RECORDS = 10_000
QUICK = '{"cv_repeats": 2, "replicates": 20}'


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished `python -m training` and where it wrote."""

    database: Path
    stdout: str
    stderr: str

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.database}"


Command = Callable[..., list[str]]


def _command(database: Path, *extra: str) -> list[str]:
    return [
        *("--tracking-uri", f"sqlite:///{database}", "--artifacts", str(database.parent / "art")),
        *("--model-name", NAME, "--fingerprint", FINGERPRINT, "--code-sha256", CODE_SHA256),
        *extra,
    ]


def _python(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "training", *arguments]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """One BLAS thread, as the entry point has: more are slower on matrices of this size."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def command() -> Command:
    """The entry point's arguments for a database, followed by those given."""
    return _command


@pytest.fixture(scope="session")
def python() -> Callable[[Sequence[str]], list[str]]:
    """The command line that runs the entry point with the given arguments."""
    return _python


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load("package")


@pytest.fixture(scope="session")
def classifier(dataset: Dataset) -> Pipeline:
    return make_classifier(Parameters()).fit(dataset.features, dataset.target)


@pytest.fixture(scope="session")
def outliers(dataset: Dataset) -> OutlierDetector:
    return OutlierDetector().fit(dataset.features)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    database = tmp_path_factory.mktemp("trained") / "mlflow.db"
    arguments = _command(database, "--exit-with-stdin", "--parameters", QUICK)
    with subprocess.Popen(
        _python(arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # communicate() would close standard input, which is what ends the process.
        stdout, stderr = process.stdout.read(), process.stderr.read()
        assert process.wait() == 0, stderr
    return Trained(database=database, stdout=stdout, stderr=stderr)


@pytest.fixture
def environment() -> Iterator[None]:
    """Undo what the entry point sets in the environment when it runs in the tests' process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    """Runs in this process, without the seconds of an evaluation and its plots."""

    def evaluate(*_: object, **__: object) -> Evidence:
        return made_up_evidence()

    def write_plots(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(pipeline, "evaluate", evaluate)
    monkeypatch.setattr(pipeline, "write_plots", write_plots)


@pytest.fixture(scope="session")
def table(dataset: Dataset) -> pd.DataFrame:
    """The table as text, as a CSV file has it: 31 columns of str."""
    text = dataset.features.astype("str")
    text.insert(1, TARGET, [TARGET_VALUES[value] for value in dataset.target])
    return text


@pytest.fixture(scope="session")
def to_csv() -> Callable[[pd.DataFrame, str], bytes]:
    def write(frame: pd.DataFrame, delimiter: str = ",") -> bytes:
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
        writer.writerow(frame.columns)
        writer.writerows(frame.to_numpy().tolist())
        return buffer.getvalue().encode()

    return write


@pytest.fixture(scope="session")
def legal_records() -> list[dict[str, int | str]]:
    """10,000 records spread over all that the contract allows, extremes included."""
    random = np.random.default_rng(7)
    columns: dict[str, list[int] | list[str]] = {}
    for field in FIELDS:
        if isinstance(field, Integer):
            drawn = random.integers(field.minimum, field.maximum + 1, size=LEGAL_RECORDS).tolist()
            columns[field.name] = [field.minimum, field.maximum, *drawn[2:]]
        else:
            places = random.integers(len(field.categories), size=LEGAL_RECORDS).tolist()
            columns[field.name] = [field.categories[place] for place in places]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
