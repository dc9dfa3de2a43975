"""What the Makefile itself refuses."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, its virtual environment and a registry."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    registry = tmp_path / ".local" / "mlflow" / "mlflow.db"
    registry.parent.mkdir(parents=True)
    registry.touch()
    return tmp_path


def test_mlflow_on_a_port_that_is_taken_is_refused_with_how_to_choose_another(
    folder: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # The environment is there: nothing is to be installed.
        command = ["make", "--old-file=.venv/local.stamp", "mlflow", f"MLFLOW_PORT={port}"]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    wanted = f"error: port {port} is taken; choose another: make mlflow MLFLOW_PORT="
    assert found.stderr.startswith(wanted)
