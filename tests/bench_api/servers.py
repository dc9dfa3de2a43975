"""The processes that are measured: the API as users start it, and the floor, on one core."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.app.app_processes import Process, environment, free_port
from tests.bench_api.client import Address, ClientError, Connection, get

__all__ = ["Cores", "Server", "bare_python", "choose_cores", "on_core", "serve_api", "serve_floor"]

_HOST = "127.0.0.1"
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.002
_LOG_CHARACTERS = 1_000

# Byte code is kept between starts, as it is in the image and where users start the API.
_SETTINGS = {
    "HOST": _HOST,
    "PYTHONDONTWRITEBYTECODE": "",
    "RATE_LIMIT_PER_SECOND": "1000000",
    "RATE_LIMIT_BURST": "1000000",
}
"""What the measured process is told beyond its release and its key's hash; a limit that a client
without pauses would run into is to be raised here."""


@dataclass(frozen=True)
class Cores:
    """The core of the servers and the core of the client; None: wherever the system likes."""

    server: int | None
    client: int | None


def choose_cores() -> Cores:
    """Take the first and the last core that this process may use, if there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1]) if len(allowed) > 1 else Cores(None, None)


@contextlib.contextmanager
def on_core(core: int | None) -> Generator[None]:
    """Run the block, and for their whole life the processes it starts, on one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Server:
    """A process that answers on `address`; `seconds` passed from its start until it was ready."""

    address: Address
    seconds: float
    pid: int

    def megabytes(self) -> float:
        """Return the memory that is resident now, in MB of 10^6 bytes."""
        return psutil.Process(self.pid).memory_info().rss / 1e6


@contextlib.contextmanager
def serve_api(bundle: Path, folder: Path, core: int | None) -> Generator[Server]:
    """Serve the release in `bundle` with `python -m app` during the block; the log is in `folder`.

    Raises:
        ClientError: it ended, or was not ready in time; the message quotes its last lines.
    """
    port = free_port()
    process = Process(folder, f"bench-{port}", bundle, {**_SETTINGS, "PORT": str(port)})
    with on_core(core):
        begun = time.perf_counter()
        process.start()
    try:
        _wait_until_ready(process.popen, (_HOST, port), process.log)
        yield Server((_HOST, port), time.perf_counter() - begun, process.popen.pid)
    finally:
        process.kill()
        process.socket.unlink(missing_ok=True)


@contextlib.contextmanager
def serve_floor(answer: bytes, folder: Path, core: int | None) -> Generator[Server]:
    """Serve the floor, whose constant is made of `answer`, during the block.

    Raises:
        ClientError: it ended, or was not ready in time; the message quotes its last lines.
    """
    port = free_port()
    constant, log = folder / f"answer-{port}.json", folder / f"floor-{port}.log"
    constant.write_bytes(answer)
    command = [sys.executable, "-m", "tests.bench_api.floor", "--port", str(port)]
    with on_core(core), log.open("ab") as lines:
        begun = time.perf_counter()
        popen = subprocess.Popen(
            [*command, "--answer", str(constant)],
            cwd=folder,
            env=environment(folder, "floor", **_SETTINGS),
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
        )
    try:
        _wait_until_ready(popen, (_HOST, port), log)
        yield Server((_HOST, port), time.perf_counter() - begun, popen.pid)
    finally:
        popen.kill()
        popen.wait()


def bare_python(core: int | None) -> float:
    """Start an interpreter that does nothing; return how many seconds it took."""
    with on_core(core):
        begun = time.perf_counter()
        popen = subprocess.Popen([sys.executable, "-c", "pass"])
    popen.wait()
    return time.perf_counter() - begun


def _wait_until_ready(popen: "subprocess.Popen[bytes]", address: Address, log: Path) -> None:
    # A connection is taken as soon as the socket listens and answered as soon as the process can:
    # the time found is not rounded up to the next poll.
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if popen.poll() is not None:
            raise ClientError(f"the process ended with status {popen.returncode}: {_tail(log)}")
        with contextlib.suppress(OSError, ClientError), Connection(address) as connection:
            if connection.ask(get("/health/ready")).status == 200:
                return
        time.sleep(_POLL_SECONDS)
    raise ClientError(f"not ready after {_READY_SECONDS:.0f} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_CHARACTERS:]
