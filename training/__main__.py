"""Entry point: `python -m training --help`.

Exit codes: 0 trained (or already registered), 1 an error, 2 wrong usage, 70 the parent is gone.
"""

import argparse
import contextlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Sequence

from contract.dataset import PACKAGED, DatasetError
from training.parameters import ParametersError, parse_parameters

__all__ = ["main"]

EXIT_PARENT_GONE = 70
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
    try:
        parameters = parse_parameters(given.parameters)
    except ParametersError as error:
        return _fail(error)
    # Imported late: the thread above must stand before seconds of imports, and `--help` needs none.
    from training import pipeline
    from training.tracking import TrackingError

    options = pipeline.Options(
        tracking_uri=given.tracking_uri,
        artifacts=given.artifacts,
        model_name=given.model_name,
        fingerprint=given.fingerprint,
        code_sha256=given.code_sha256,
        data=given.data,
        data_sha256=given.data_sha256,
        parameters=parameters,
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
        prog="python -m training", description="Train, evaluate and register one release."
    )
    add = parser.add_argument
    add("--tracking-uri", required=True, metavar="URI", help="MLflow tracking and registry URI")
    add("--artifacts", metavar="DIR", help="folder or URI of a new experiment's artifacts")
    add("--model-name", required=True, type=_name, metavar="NAME", help="model and experiment")
    add("--fingerprint", required=True, type=_hex, metavar="HEX", help="the release's identity")
    add("--code-sha256", required=True, type=_hex, metavar="HEX", help="hash of the training code")
    add("--data", default=PACKAGED, metavar="SOURCE", help="CSV path or URL (default: %(default)s)")
    add("--data-sha256", type=_hex, metavar="HEX", help="hash that the source's bytes must have")
    add("--parameters", default="{}", metavar="JSON", help="object of training parameters")
    add(
        "--exit-with-stdin",
        action="store_true",
        help=f"end at once, with exit code {EXIT_PARENT_GONE}, when standard input ends",
    )
    return parser


def _name(text: str) -> str:
    # Quotes would end the name inside MLflow's search filters; it forbids / and : itself.
    if not re.fullmatch(r"[A-Za-z0-9_. -]+", text):
        raise argparse.ArgumentTypeError("expected letters, digits, spaces and _ . - only")
    return text


def _hex(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{1,64}", text):
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
    sys.exit(main())
