"""MLflow's client, opened for a registry's address: patient for seconds, quiet, and logged in.

The import takes seconds: it is made here, when the first question is asked. To open a store that is
a file makes the file: whoever only looks asks first whether it is gone.
"""

import logging
import os
import socket
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.lifecycle.databricks import Credentials, client, environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["is_missing", "open_client", "store_is_gone"]

_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": "60",
}
"""Seconds and tries that MLflow gives a server; its own defaults keep a preview for minutes."""
_REACH_SECONDS = 15.0


def open_client(address: Mapping[str, str], credentials: Credentials) -> "MlflowClient":
    """Open the store at `address`, which is `RegistryAddress` as resources store it.

    Raises:
        ConnectionError: nobody answers at the workspace's host.
        WorkspaceError: there is no way to log in to it.
    """
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.update(environment(address, credentials))
    if host := address.get("host"):
        _reach(host)
        # MLflow does not say why it could not log in; this does.
        client(address, credentials)
    from mlflow import MlflowClient

    # A new store logs every one of its migrations, and a failing one a traceback of what it raises
    # as well. After the import, which sets these levels itself.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    tracking_uri = address["tracking_uri"]
    return MlflowClient(tracking_uri, address.get("registry_uri") or tracking_uri)


def is_missing(error: Exception) -> bool:
    """Whether MLflow says that a model, version or alias is not there: every store in its way."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    missing_alias = error.error_code == "INVALID_PARAMETER_VALUE" and "not found" in str(error)
    return error.error_code in _MISSING or missing_alias


def store_is_gone(address: Mapping[str, Any]) -> bool:
    """Whether the registry is a SQLite file that was deleted, or was never made."""
    uri, prefix = address.get("tracking_uri"), "sqlite:///"
    return isinstance(uri, str) and uri.startswith(prefix) and not Path(uri[len(prefix) :]).exists()


def _reach(host: str) -> None:
    """Fail now where nobody answers: the SDK tries for five minutes, before each of its calls."""
    try:
        # No more than what the SDK asks for itself, by the same proxies.
        address = f"{host}/.well-known/databricks-config"
        urllib.request.urlopen(address, timeout=_REACH_SECONDS).close()  # noqa: S310 - from config
    except OSError as error:
        # An answer of any kind, and a certificate that others may trust, are somebody's.
        reason = getattr(error, "reason", error)
        if isinstance(reason, (ConnectionError, TimeoutError, socket.gaierror)):
            raise ConnectionError(f"nobody answers at {host} ({reason})") from error
