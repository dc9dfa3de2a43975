"""The catalog that a new Databricks workspace comes with: its name is known only afterwards.

Unity Catalog gives every workspace a catalog of its own, named after it but not spelt like it, and
that some minutes after the workspace is there.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource
from pulumi.output import Unknown

from infra.lifecycle.databricks import CredentialProvider, Credentials, client
from infra.lifecycle.errors import WorkspaceError
from infra.lifecycle.progress import say

__all__ = ["WorkspaceCatalog", "WorkspaceCatalogArgs", "WorkspaceCatalogProvider"]

_WAIT_SECONDS = 900.0
"""How long a new workspace may take to be assigned to its metastore."""
_POLL_SECONDS = 15.0
_LEGACY = "hive_metastore"
"""The catalog of a workspace without Unity Catalog, or of one that never chose another."""


@dataclass(frozen=True, kw_only=True)
class WorkspaceCatalogArgs:
    """The workspace: `host` is `https://…`, `azure_resource_id` its id in Azure."""

    host: pulumi.Input[str]
    azure_resource_id: pulumi.Input[str]


class WorkspaceCatalogProvider(CredentialProvider):
    """Asks a workspace for its default catalog, for as long as it has none."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Ask again when it is another workspace."""
        replaces = [
            key
            for key in ("host", "azure_resource_id")
            if not isinstance(news[key], Unknown) and olds.get(key) != news[key]
        ]
        return DiffResult(changes=bool(replaces), replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait for the workspace to have a catalog, and read its name.

        Raises:
            WorkspaceError: it has none after 15 minutes, or it refuses to tell.
        """
        catalog = _wait_for_catalog(props, self.credentials)
        return CreateResult(id_=catalog, outs={**props, "catalog": catalog})


def _wait_for_catalog(address: Mapping[str, str], credentials: Credentials) -> str:
    host = address["host"]
    began = time.monotonic()
    while True:
        catalog, reason = _ask(address, credentials)
        if catalog == _LEGACY:
            raise WorkspaceError(
                f"Databricks workspace {host}: its default catalog is {_LEGACY}, which holds no "
                "models; set the config key `catalog` to a catalog of Unity Catalog"
            )
        if catalog:
            return catalog
        waited = time.monotonic() - began
        if waited >= _WAIT_SECONDS:
            raise WorkspaceError(
                f"Databricks workspace {host} has no catalog after {waited:.0f} s ({reason}); see "
                "that Unity Catalog is on for it, or set the config key `catalog`"
            )
        say(f"the workspace has no catalog yet ({reason}): {waited:.0f} s")
        time.sleep(_POLL_SECONDS)


def _ask(address: Mapping[str, str], credentials: Credentials) -> tuple[str, str]:
    """Return the default catalog's name, or why there is none yet.

    Raises:
        WorkspaceError: there will be none, however long one waits.
    """
    from databricks.sdk.errors.platform import BadRequest, PermissionDenied, Unauthenticated

    try:
        assignment = client(address, credentials).metastores.current()
    except WorkspaceError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        return "", str(error)
    except (PermissionDenied, Unauthenticated) as error:
        raise WorkspaceError(f"Databricks workspace {address['host']}: {error}") from error
    except BadRequest as error:
        if "metastore" not in str(error).lower():
            raise WorkspaceError(f"Databricks workspace {address['host']}: {error}") from error
        return "", str(error)
    except OSError as error:
        # The network's, or the SDK's: "no metastore assigned" is a 404, and a workspace that is
        # being made ready answers with others too.
        return "", str(error)
    return assignment.default_catalog_name or "", "it is assigned to no catalog"


class WorkspaceCatalog(Resource, module="lifecycle", name="WorkspaceCatalog"):
    """A workspace's own catalog; `catalog` is its name."""

    catalog: pulumi.Output[str]

    def __init__(
        self, name: str, args: WorkspaceCatalogArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "host": args.host,
            "azure_resource_id": args.azure_resource_id,
            "catalog": None,
        }
        super().__init__(WorkspaceCatalogProvider(), name, props, opts)
