from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_recorder import Recorder

from tests.app.app_bundles import write_bundle
from tests.app.app_issuer import AUDIENCE, TENANT, Issuer
from tests.app.app_processes import Process


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture(scope="session")
def serving(
    tmp_path_factory: pytest.TempPathFactory, bundle: Path, issuer: Issuer
) -> Iterator[Process]:
    """A process that takes keys and tokens, and writes a window each second."""
    changes = {
        "ENTRA_TENANT_ID": TENANT,
        "ENTRA_AUDIENCE": AUDIENCE,
        "ENTRA_ISSUER": issuer.url,
        "ENTRA_LOOPBACK_HTTP": "true",
        "WINDOW_SECONDS": "1",
    }
    process = Process(tmp_path_factory.mktemp("serving"), "7", bundle, changes).start()
    yield process.wait_ready()
    process.kill()


@pytest.fixture
def recorder(serving: Process) -> Iterator[Recorder]:
    made = Recorder(target(serving))
    yield made
    made.close()


def target(process: Process) -> str:
    return process.ask("status")["private_url"].removeprefix("http://")
