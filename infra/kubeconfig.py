"""A kubeconfig that logs in without a person: pure functions on what AKS returns.

AKS hands out a kubeconfig whose login asks for a code in a browser, whatever was asked for
(Azure/AKS issue 4990). Nobody can type one into a pipeline, and an engine shows no prompt; so the
login is replaced by one that `kubelogin` does with a login that is there already.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import yaml

from infra.lifecycle.errors import LifecycleError

__all__ = [
    "KUBELOGIN_MODES",
    "SERVER_ID",
    "KubeconfigError",
    "exec_login",
    "with_login",
]

KUBELOGIN_MODES = ("azurecli", "workloadidentity")
"""How `kubelogin` logs in: by `az login` on a laptop; by a fresh identity token in GitHub Actions.

The second takes AZURE_CLIENT_ID and AZURE_TENANT_ID from the environment. It is not a matter of
taste: what `az login` keeps in a pipeline is an assertion of some minutes, too short for a first
`up` (error AADSTS700024).
"""

SERVER_ID = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""The application "Azure Kubernetes Service AAD Server": every cluster's tokens are for it."""


class KubeconfigError(LifecycleError):
    """The kubeconfig is not one, or the way to log in is not known."""


def exec_login(mode: str) -> dict[str, Any]:
    """Write the `exec` section by which kubectl and the provider get a token from `kubelogin`.

    Nothing else is passed on: the client id that AKS names is its own, for a person at a browser,
    and would win over the pipeline's.

    Raises:
        KubeconfigError: `mode` is none of KUBELOGIN_MODES.
    """
    if mode not in KUBELOGIN_MODES:
        raise KubeconfigError(
            f"the config key `kubeloginMode` is {mode!r}; use one of {', '.join(KUBELOGIN_MODES)}"
        )
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", mode, "--server-id", SERVER_ID],
        "installHint": "kubelogin is not on the PATH: `az aks install-cli` installs it.",
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }


def with_login(encoded: str, mode: str) -> str:
    """Replace every user's login in a kubeconfig by `exec_login`.

    `encoded` is what listClusterUserCredential returns: YAML in base64. The answer is JSON, which
    is YAML too. Whatever a user had, a token or a client key included, is gone.

    Raises:
        KubeconfigError: `encoded` is no kubeconfig (its content is not shown), or as `exec_login`.
    """
    login = exec_login(mode)
    try:
        kubeconfig: Any = yaml.safe_load(base64.b64decode(encoded, validate=True))
    except (ValueError, yaml.YAMLError):
        kubeconfig = None
    match kubeconfig:
        case {"kind": "Config", "clusters": [_, *_], "users": [_, *_] as users}:
            named: Sequence[Any] = users
        case _:
            raise KubeconfigError(
                "what AKS returned as the cluster's kubeconfig names no cluster or no user; look "
                "at the cluster with `az aks show`"
            )
    return json.dumps(
        {**kubeconfig, "users": [{"name": user["name"], "user": {"exec": login}} for user in named]}
    )
