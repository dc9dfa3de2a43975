"""One workspace for the tests of the lifecycle: training once is enough for most of them."""

import contextlib
from collections.abc import Generator

import psutil
import pytest

from tests.lifecycle.workspace import Workspace


@pytest.fixture(scope="module", autouse=True)
def default_config(workspace: Workspace) -> None:
    """Begin every module with the default settings, whatever the last one left."""
    workspace.config = {}
    workspace.configure()


@pytest.fixture(scope="session")
def two_releases(workspace: Workspace) -> Workspace:
    """The stack, serving release 1, with release 2 beside it in the registry."""
    workspace.configure(retrain="the second release")
    workspace.up()
    workspace.configure(retrain=None)
    workspace.up()
    assert workspace.release() == "1"
    return workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Generator[Workspace]:
    """A stack that is up; tests put back what they change. Nothing may be left of it."""
    made = Workspace(tmp_path_factory.mktemp("lifecycle") / "project")
    try:
        made.first_up = made.up()
        yield made
        made.run("down", engine="auto")
        assert made.processes() == []
    finally:
        for process in made.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
