"""Everything that the three cloud stacks need, on this machine: clouds, workspace, registry."""

import contextlib
import json
import os
import shutil
import sqlite3
import time
import urllib.parse
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from cloud_up_azure import AZURE_TOKEN, SUBSCRIPTION, TENANT, Azure
from cloud_up_databricks import Databricks, Minilake
from cloud_up_docker import DockerBuild
from cloud_up_engine import Engine
from cloud_up_images import Images
from cloud_up_internet import Answer, Asked, Internet
from cloud_up_kubernetes import Kubernetes
from cloud_up_ledger import Ledger
from cloud_up_provider import serve

from tests.lifecycle.workspace import ROOT

STACKS = ("shared", "staging", "production")
TOKEN = "a-databricks-token-of-no-worth"
"""Throw-away, and looked for in every state."""
REGISTRY_SERVER = "contoso.azurecr.example"

_REGISTRY_TOKEN = "a-registry-token-of-no-worth"
_NOT_COPIED = (
    ".git",
    ".venv",
    ".local",
    ".*_cache",
    "tests",
    "docs",
    "__pycache__",
    "node_modules",
)


@dataclass(kw_only=True)
class World:
    """The stand-ins and the engine that works on them; `folder` holds all of it."""

    folder: Path
    ledger: Ledger
    images: Images
    minilake: Minilake
    clusters: Kubernetes
    builder: DockerBuild
    engine: Engine
    azure: Azure
    internet: Internet

    @property
    def store(self) -> str:
        """The MLflow store: tracking server and registry."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def stage(self, stage: str) -> str:
        """Return the version that the registry's stage points at, or "" for none."""
        found = self._ask("select version from registered_model_aliases where alias = ?", stage)
        return str(found[0][0]) if found else ""

    def tags(self, version: str) -> dict[str, str]:
        """Return what the registry says of a version."""
        return dict(
            self._ask("select key, value from model_version_tags where version = ?", version)
        )

    def versions(self) -> list[str]:
        """List the releases in the registry."""
        found = self._ask("select version from model_versions order by version")
        return [str(version) for (version,) in found]

    def _ask(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Ask the store itself, past every client."""
        path = self.folder / "mlflow.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path)) as store:
            return store.execute(query, values).fetchall()

    def processes(self) -> list[psutil.Process]:
        """Find every process that works below this world's folder."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                working = process.status() != psutil.STATUS_ZOMBIE
                if working and Path(process.cwd()).is_relative_to(self.folder):
                    found.append(process)
        return found


@contextlib.contextmanager
def world(folder: Path) -> Generator[World]:
    """Start everything and copy the project; end everything with the block."""
    project = folder / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    (project / ".venv").symlink_to(ROOT / ".venv")
    ledger, images = Ledger(), Images(folder / "images")
    minilake = Minilake(folder / "minilake")
    with contextlib.ExitStack() as running:
        running.callback(minilake.stop)
        minilake.start()
        azure = Azure(ledger, workspace=minilake.address, registry=REGISTRY_SERVER)
        clusters = Kubernetes(ledger, images, azure.has_gateway)
        builder = DockerBuild(ledger, images, project=project, password=_REGISTRY_TOKEN)
        internet = Internet(
            folder=folder / "internet",
            hosts={"management.azure.com": azure.management, REGISTRY_SERVER: _exchange},
        )
        running.callback(internet.stop)
        internet.start()
        stand_ins = {
            "azure-native": azure,
            "databricks": Databricks(ledger, minilake, project=project, volumes=folder / "volumes"),
            "kubernetes": clusters,
            "docker-build": builder,
        }
        ports: dict[str, int] = {}
        for name, stand_in in stand_ins.items():
            server, ports[name] = serve(stand_in)
            running.callback(server.stop, None)
        trusted = folder / "trusted.crt"
        certificates = (minilake.certificate, internet.certificate)
        trusted.write_text("".join(file.read_text() for file in certificates))
        engine = Engine(
            project,
            attached=ports,
            environment={
                **internet.environment,
                "PATH": f"{_azure_cli(folder)}:{os.environ['PATH']}",
                "DATABRICKS_TOKEN": TOKEN,
                "REQUESTS_CA_BUNDLE": str(trusted),
                "SSL_CERT_FILE": str(trusted),
            },
        )
        made = World(
            folder=folder,
            ledger=ledger,
            images=images,
            minilake=minilake,
            clusters=clusters,
            builder=builder,
            engine=engine,
            azure=azure,
            internet=internet,
        )
        yield made
    left = made.processes()
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert left == [], left


def _exchange(asked: Asked) -> Answer:
    """Answer for the container registry: an Entra token for one of its own."""
    form = urllib.parse.parse_qs(asked.body)
    (token,) = form["access_token"]
    known = token.startswith(f"{AZURE_TOKEN}-management")
    if asked.path != "/oauth2/exchange" or form["service"] != [REGISTRY_SERVER] or not known:
        return 401, {"errors": [{"code": "UNAUTHORIZED"}]}
    return 200, {"refresh_token": f"{_REGISTRY_TOKEN}-{token}"}


def _azure_cli(folder: Path) -> Path:
    """Make an `az` that is logged in: it gives out one token, and does nothing else."""
    bin_ = folder / "bin"
    bin_.mkdir()
    answer = {
        "accessToken": AZURE_TOKEN,
        "expires_on": int(time.time()) + 3600,
        "tokenType": "Bearer",
        "tenant": TENANT,
        "subscription": SUBSCRIPTION,
    }
    script = bin_ / "az"
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f"  *get-access-token*) echo '{json.dumps(answer)}' ;;\n"
        '  *) echo "az $*: not stood in for" >&2; exit 1 ;;\nesac\n'
    )
    script.chmod(0o755)
    return bin_
