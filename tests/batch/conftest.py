"""What the batch tests share: a Java, a real release in a registry, one Spark session."""

# MLflow's and PySpark's own types are partly unknown (3.17.2 and 4.3.0, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    # MLflow warns about its own type hints when it is first imported (3.17.2, 2026-11).
    warnings.simplefilter("ignore")
    importlib.import_module("batch.registry")

from mlflow import MlflowClient
from pyspark.sql import SparkSession
from sqlalchemy.exc import SADeprecationWarning

from batch.__main__ import main
from contract.release import BUNDLE_PATH
from tests.batch.batch_java import NO_JAVA, java_home
from tests.batch.batch_runs import Outcome, spark_environment, train

MODEL = "attrition"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A registry that holds version 1, at the stage staging, and that version's bundle."""

    uri: str
    bundle: Path

    @property
    def arguments(self) -> list[str]:
        return ["--tracking-uri", self.uri, "--model-name", MODEL]


Run = Callable[..., Outcome]
"""A fixture: run the job in this process, with the arguments after the registry's."""


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = java_home(tmp_path_factory.mktemp("java"))
    if home is None:
        pytest.skip(NO_JAVA)
    return home


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("registry")
    uri = train(folder, MODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)
        MlflowClient(uri, uri).set_registered_model_alias(MODEL, "staging", "1")
    (bundle,) = (folder / "artifacts").glob(f"**/{BUNDLE_PATH}")
    return Trained(uri=uri, bundle=bundle)


@pytest.fixture(scope="session")
def session(java: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One local Spark for the small tables; its workers start in a folder without our code."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.delenv("PYTHONPATH", raising=False)
        for name, value in spark_environment(folder, java).items():
            patch.setenv(name, value)
        session = SparkSession.builder.getOrCreate()
    yield session
    # Spark leaves its JVM to the end of this process, which other tests go on using. Any: py4j says
    # nothing of what PySpark adds to its gateway.
    gateway: Any = session.sparkContext._gateway  # pyright: ignore[reportPrivateUsage]
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=30)


@pytest.fixture
def run(trained: Trained, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = main([*trained.arguments, *arguments])
        said = capfd.readouterr()
        return Outcome(code=code, stdout=said.out, stderr=said.err)

    return run
