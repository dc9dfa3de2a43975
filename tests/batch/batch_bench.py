"""Measure the batch job for `make bench`: rows a second on this machine, JVM and all."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.batch.batch_java import NO_JAVA, java_home
from tests.batch.batch_rows import write_rows
from tests.batch.batch_runs import run_job, train

__all__ = ["rows_per_second"]

_MODEL = "attrition"


def rows_per_second(runs: int = 3, rows: int = 1_000_000) -> list[float]:
    """Score `rows` generated rows `runs` times with a real release, on local Spark of two cores.

    Each figure is the rows over the seconds of reading, scoring and writing, without the start of
    Spark. Raises RuntimeError where there is no Java, or a run fails.
    """
    figures: list[float] = []
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        java = java_home(folder / "java")
        if java is None:
            raise RuntimeError(NO_JAVA)
        uri = train(folder, _MODEL)
        table = write_rows(folder / "rows.parquet", rows, files=8)
        for _ in range(runs):
            outcome = run_job(
                folder,
                java,
                *("--table", str(table), "--output", str(folder / "answers")),
                *("--tracking-uri", uri, "--model-name", _MODEL, "--version", "1"),
            )
            if outcome.code or outcome.summary["scored"] != rows:
                raise RuntimeError(f"the batch job failed: {outcome.stderr[-2_000:]}")
            figures.append(float(outcome.summary["rows_per_second"]))
    return figures
