"""Entry point: `python -m training --help`.

Exit codes: 0 trained (or already registered), 1 an error, 2 wrong usage, 70 the parent is gone.
"""

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from contract.dataset import PACKAGED, DatasetError
from contract.fingerprint import TRAINING_CODE, code_sha256
from contract.parameters import Parameters, ParametersError, parse_parameters

__all__ = ["main"]

EXIT_PARENT_GONE = 70
_ROOT = Path(__file__).parents[1]
"""The project's folder, or that of the uploaded code on Databricks."""
_STDIN = 0
_READ_BYTES = 4096

_ENVIRONMENT = {
    # Nothing about a run leaves the machine but by the URI that was asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    # The matrices are small: more threads cost more than they bring.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; return the exit code."""
    given = _parser().parse_args(arguments)
    if given.exit_with_stdin:
        threading.Thread(target=_exit_with_stdin, daemon=True).start()
    _quieten()
    text = given.parameters or "{}"
    try:
        parameters = parse_parameters(text)
    except ParametersError as error:
        return _fail(error)
    # Imported late: the thread above must stand before seconds of imports, and `--help` needs none.
    from training import pipeline
    from training.tracking import TrackingError

    options = pipeline.Options(
        tracking_uri=given.tracking_uri,
        registry_uri=given.registry_uri or given.tracking_uri,
        experiment=given.experiment or given.model_name,
        artifacts=given.artifacts or None,
        model_name=given.model_name,
        fingerprint=given.fingerprint,
        code_sha256=given.code_sha256 or code_sha256(TRAINING_CODE, _ROOT),
        data=given.data or PACKAGED,
        data_sha256=given.data_sha256 or None,
        parameters=parameters,
        given_parameters=json.loads(text),
    )
    try:
        pipeline.train(options)
    except (DatasetError, TrackingError) as error:
        return _fail(error)
    return 0


def _fail(error: Exception) -> int:
    sys.stderr.write(f"error: {error}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train, evaluate and register one release.",
        epilog="An option given as an empty text has its default: a Databricks job leaves none out",
    )
    add = parser.add_argument
    add("--tracking-uri", required=True, type=_given, metavar="URI", help="MLflow's tracking URI")
    add("--registry-uri", default="", metavar="URI", help="default: the tracking URI")
    add("--experiment", default="", metavar="NAME", help="default: the model's name")
    add("--artifacts", default="", metavar="DIR", help="folder or URI of a new experiment's files")
    add("--model-name", required=True, type=_name, metavar="NAME", help="name in the registry")
    add("--fingerprint", default="", type=_hex, metavar="HEX", help="default: computed")
    add("--code-sha256", default="", type=_hex, metavar="HEX", help="default: computed")
    add("--data", default=PACKAGED, metavar="SOURCE", help="CSV path or URL (default: %(default)s)")
    add("--data-sha256", default="", type=_hex, metavar="HEX", help="hash that the data must have")
    known = ", ".join(f"{name} ({value})" for name, value in asdict(Parameters()).items())
    add("--parameters", default="{}", metavar="JSON", help=f"object of {known}")
    add(
        "--exit-with-stdin",
        action="store_true",
        help=f"end at once, with exit code {EXIT_PARENT_GONE}, when standard input ends",
    )
    return parser


def _given(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("expected a text that is not empty")
    return text


def _name(text: str) -> str:
    # Quotes would end the name inside MLflow's search filters; it forbids / and : itself.
    if not re.fullmatch(r"[A-Za-z0-9_. -]+", text):
        raise argparse.ArgumentTypeError("expected letters, digits, spaces and _ . - only")
    return text


def _hex(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{0,64}", text):
        raise argparse.ArgumentTypeError("expected 1 to 64 hexadecimal digits")
    return text.lower()


def _exit_with_stdin() -> None:
    # A standard input that was never open has ended.
    with contextlib.suppress(OSError):
        # os.read, not sys.stdin: a thread waiting in sys.stdin holds its lock at interpreter exit.
        while os.read(_STDIN, _READ_BYTES):
            pass
    os._exit(EXIT_PARENT_GONE)


def _quieten() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # MLflow logs a store's failure with its traceback and raises it too: it is reported once, here.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(mlflow|pydantic|sqlalchemy|alembic|skops)\b")


if __name__ == "__main__":
    # Ctrl-C reaches whoever started this as well, who says so in a line: no traceback beside it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
