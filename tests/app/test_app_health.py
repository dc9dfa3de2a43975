"""`python -m app.health`, which the image's health check runs, against real processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from app_bundles import write_bundle
from app_processes import ROOT, Process, Start, free_port

HEALTHY = (0, "")


def health(**variables: str) -> tuple[int, str]:
    """Run the check as a container does; return its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "app.health"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def assert_unhealthy(result: tuple[int, str], *words: str) -> None:
    code, stderr = result
    assert code == 1
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert all(word in stderr for word in words), stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_process_that_is_ready(start: Start, host: str) -> None:
    port = str(free_port())
    start("7", HOST=host, PORT=port).wait_ready()
    assert health(HOST=host, PORT=port) == HEALTHY


def test_a_release_that_answers_wrongly(start: Start, tmp_path: Path) -> None:
    write_bundle(tmp_path / "wrong", wrong=True)
    port = str(free_port())
    process = start("7", tmp_path / "wrong", PORT=port)
    wait_listening(process, int(port))
    assert_unhealthy(health(PORT=port), f"port {port}", "503")


def test_a_process_that_has_ended(start: Start) -> None:
    port = str(free_port())
    process = start("7", PORT=port).wait_ready()
    assert process.terminate() == 0
    assert_unhealthy(health(PORT=port), f"port {port}", "no answer")


def test_one_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert_unhealthy(health(PORT=str(port)), f"port {port}", "no answer")


@pytest.mark.parametrize("port", ["", "0", "65536", "http", "²"])
def test_a_port_nobody_listens_on(port: str) -> None:
    assert_unhealthy(health(PORT=port), "PORT: ")


def wait_listening(process: Process, port: int) -> None:
    """Wait for a process that never gets ready."""
    while True:
        assert process.popen.poll() is None, process.log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
