"""How the lifecycle reaches a Databricks workspace, and with whose credentials.

Credentials are read when the engine configures a provider, inside the provider's process. They are
in no input, so no state holds them, and the pickled provider has none either.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider

from infra.lifecycle.errors import WorkspaceError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

__all__ = ["CredentialProvider", "Credentials", "client", "environment"]

_AZURE_CLI = "azure-cli"
_TOKEN = "pat"  # noqa: S105 - the SDK's name for "by token", a personal one or one of Entra
_RETRY_SECONDS = 60
"""How long the SDK repeats a request in silence; its own 300 s would look like a hang."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What proves to the workspace who we are; the token never shows in a repr.

    With an empty `token` the Databricks SDK finds its own way: `DATABRICKS_AUTH_TYPE` where it is
    set, else the Azure CLI's log-in for a workspace on Azure.
    """

    token: str = field(repr=False)

    @classmethod
    def read(cls, config: Config) -> "Credentials":
        """Take `DATABRICKS_TOKEN` from the environment, else the secret `databricks:token`."""
        return cls(token=os.environ.get("DATABRICKS_TOKEN") or config.get("databricks:token") or "")


class CredentialProvider(ResourceProvider):
    """Parent of the providers that talk to the workspace or to its registry."""

    serialize_as_secret_always = False
    credentials = Credentials(token="")
    """Set by `configure`; on the class, so that a provider is pickled with none."""

    def configure(self, req: ConfigureRequest) -> None:
        """Read the credentials that this process has."""
        self.credentials = Credentials.read(req.config)


def environment(address: Mapping[str, str], credentials: Credentials) -> dict[str, str]:
    """Name the variables by which MLflow and the SDK find the workspace: none without a host."""
    if not address.get("host"):
        return {}
    variables = {"DATABRICKS_HOST": address["host"]}
    if resource := address.get("azure_resource_id"):
        # With it the SDK sends the headers by which a contributor enters a new workspace as admin.
        variables["DATABRICKS_AZURE_RESOURCE_ID"] = resource
    if credentials.token:
        variables["DATABRICKS_TOKEN"] = credentials.token
    if auth_type := _auth_type(address, credentials):
        variables["DATABRICKS_AUTH_TYPE"] = auth_type
    return variables


def client(address: Mapping[str, str], credentials: Credentials) -> "WorkspaceClient":
    """Open the workspace at `address`.

    Raises:
        WorkspaceError: the address names no host, nobody answers there (its cause is an OSError
            then), or there is no way to log in.
    """
    # It takes a second to import: an `up` that changes nothing asks the workspace nothing.
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config as ClientConfig

    if not address.get("host"):
        raise WorkspaceError(
            "no Databricks workspace is named: the registry's address has no `host`"
        )
    # That a host tells nothing of itself is no reason to warn: it is told what it needs to be.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    try:
        config = ClientConfig(
            host=address["host"],
            azure_workspace_resource_id=address.get("azure_resource_id") or None,
            token=credentials.token or None,
            auth_type=_auth_type(address, credentials) or None,
            retry_timeout_seconds=_RETRY_SECONDS,
        )
        return WorkspaceClient(config=config)
    except ValueError as error:
        if outage := _outage(error):
            raise WorkspaceError(
                f"Databricks workspace {address['host']} does not answer: {outage}"
            ) from outage
        # The SDK masks what is secret in the configuration that its message shows.
        raise WorkspaceError(
            f"Databricks workspace {address['host']}: cannot log in ({error}); run `az login`, or "
            "set DATABRICKS_TOKEN"
        ) from error


def _outage(error: BaseException | None) -> OSError | None:
    """Find the network's error behind one of the SDK's, which makes ValueErrors of all."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error


def _auth_type(address: Mapping[str, str], credentials: Credentials) -> str:
    """Choose one way to log in: the SDK refuses to choose where variables speak of two."""
    if credentials.token:
        return _TOKEN
    fallback = _AZURE_CLI if address.get("azure_resource_id") else ""
    return os.environ.get("DATABRICKS_AUTH_TYPE", "") or fallback
