"""Entry point: `python -m batch --help`.

Exit codes: 0 done, 1 an error, 2 wrong usage. The last line on stdout is the summary, one JSON
object. An empty argument (`--stage=`) means its default: a job passes every parameter that it has.
"""

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict

from app.log import describe
from batch.errors import BatchError

__all__ = ["main"]

_KEY = "EmployeeNumber"
_STAGE = "production"
_ENVIRONMENT = {
    # Nothing about a run leaves the machine but by the URI that was asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one batch; return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    for name in ("table", "tracking_uri", "model_name"):
        if not getattr(given, name):
            parser.error(f"--{name.replace('_', '-')}: a value is needed")
    if given.stage and given.version:
        parser.error("--stage, --version: give one of them")
    _prepare()
    try:
        summary = _run(given)
    except BatchError as error:
        return _fail(str(error))
    except Exception as error:
        return _fail(_described(error))
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def _run(given: argparse.Namespace) -> dict[str, object]:
    # Imported late: they take seconds, and `--help` and wrong usage need none of them.
    from batch.job import Options, run
    from batch.registry import ModelAddress
    from batch.tables import Place

    table = Place.parse(given.table, "--table")
    options = Options(
        table=table,
        output=Place.parse(given.output or _default_output(given.table), "--output"),
        model=ModelAddress(
            name=given.model_name,
            tracking_uri=given.tracking_uri,
            registry_uri=given.registry_uri or given.tracking_uri,
        ),
        stage=given.stage or _STAGE,
        version=given.version,
        keys=_keys(given.key_column or _KEY),
        mode=given.mode or "overwrite",
        partitions=given.partitions,
    )
    return asdict(run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch", description="Score a whole table with one release, on Spark."
    )
    add = parser.add_argument
    add("--table", required=True, help="CATALOG.SCHEMA.TABLE, or a Parquet path (with a slash)")
    add("--output", default="", help="table or folder for the answers (default: …_predictions)")
    add("--tracking-uri", required=True, metavar="URI", help="MLflow tracking URI")
    add("--registry-uri", default="", metavar="URI", help="default: the tracking URI")
    add("--model-name", required=True, metavar="NAME", help="registered model")
    add("--stage", default="", help=f"alias of the release (default: {_STAGE})")
    add("--version", default="", type=_version, help="version of the release, instead of a stage")
    add("--key-column", default="", metavar="NAMES", help=f"comma-separated (default: {_KEY})")
    add("--mode", default="", choices=("overwrite", "append", ""), help="default: overwrite")
    add(
        "--partitions",
        default=0,
        type=_partitions,
        metavar="N",
        help="spread the rows anew over N tasks (default: as the table's files lie)",
    )
    return parser


def _version(text: str) -> str:
    if not re.fullmatch(r"[0-9]*", text):
        raise argparse.ArgumentTypeError("expected a version's number, such as 7")
    return text


def _partitions(text: str) -> int:
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise argparse.ArgumentTypeError("expected a whole number, such as 64")
    return int(text or 0)


def _keys(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key.strip() for key in text.split(",") if key.strip()))


def _default_output(table: str) -> str:
    return table.rstrip("/").removesuffix(".parquet") + "_predictions"


def _prepare() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # A worker is this interpreter where the platform does not say otherwise.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    warnings.filterwarnings("ignore", module=r"(mlflow|pydantic|sqlalchemy|alembic|pyspark)\b")


def _described(error: Exception) -> str:
    """Say what was raised without its text, which may quote a row, unless Spark read no row yet."""
    from pyspark.errors import AnalysisException, PySparkException

    if isinstance(error, AnalysisException):
        return str(error).partition("\n")[0]
    found = describe(error)
    condition = error.getCondition() if isinstance(error, PySparkException) else None
    return f"{condition or found['error']} at {found['places'][-1]}; see the log of Spark"


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
