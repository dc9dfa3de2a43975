"""Real serving processes for tests, the client of their control socket, and load."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEY = "a key that only tests know"
KEY_SHA256 = hashlib.sha256(KEY.encode()).hexdigest()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(bundle: Path, release: str, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "RELEASE_DIR": str(bundle),
        "RELEASE_VERSION": release,
        "API_KEY_SHA256": KEY_SHA256,
        # Tests ask without a pause.
        "RATE_LIMIT_PER_SECOND": "1000000",
        "RATE_LIMIT_BURST": "1000000",
        **changes,
    }


def control(path: Path, **command: Any) -> dict[str, Any]:
    """Send one command over a control socket; the path may be long: it is made relative."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(15)
        connection.connect(os.path.relpath(path))
        connection.sendall(json.dumps(command).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return json.loads(lines.readline())


@dataclass
class Process:
    """A serving process with its control socket in the working directory `folder`."""

    folder: Path
    name: str
    bundle: Path
    changes: dict[str, str] = field(default_factory=dict[str, str])

    def start(self) -> "Process":
        self.log = self.folder / f"{self.name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "app", "--control", f"{self.name}.sock"],
                cwd=self.folder,
                env=environment(self.bundle, self.name, **self.changes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name}.sock"

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return control(self.socket, command=command, **arguments)

    def publish(self, port: int, source: "Process | None" = None) -> dict[str, Any]:
        path = f"{source.name}.sock" if source else None
        return self.ask("publish", host="127.0.0.1", port=port, **{"from": path})

    def wait_ready(self) -> "Process":
        deadline = time.monotonic() + 15
        while True:
            assert self.popen.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                if self.ask("status")["ready"]:
                    return self
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)

    def wait_drained(self, seconds: float = 12) -> None:
        deadline = time.monotonic() + seconds
        while self.ask("status")["connections"]:
            assert time.monotonic() < deadline, "connections left"
            time.sleep(0.02)

    def terminate(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=15)

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(timeout=5)

    def connect(self, timeout: float = 10) -> http.client.HTTPConnection:
        url: str = self.ask("status")["private_url"]
        return http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)


JSON = {"Content-Type": "application/json"}


def predict(
    connection: http.client.HTTPConnection, body: bytes, **headers: str
) -> tuple[int, dict[str, Any], http.client.HTTPResponse]:
    connection.request("POST", "/predict", body, {**JSON, "X-API-Key": KEY, **headers})
    response = connection.getresponse()
    return response.status, json.loads(response.read()), response


Start = Callable[..., Process]
"""A fixture: start a process by name, then bundle and further environment variables."""


class Load:
    """Threads that ask without a pause, each request checked, none ever repeated."""

    def __init__(self, port: int, body: bytes, *, keep_alive: int = 8, fresh: int = 2) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self._port, self._body = port, body
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            *(threading.Thread(target=self._run, args=(True,)) for _ in range(keep_alive)),
            *(threading.Thread(target=self._run, args=(False,)) for _ in range(fresh)),
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def _run(self, keep_alive: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                status, answer, _ = predict(connection, self._body)
                outcome = answer["release"] if status == 200 else f"status {status}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                outcome = repr(error)
                connection.close()
            with self._lock:
                self.answers[outcome] += 1
                self.slowest = max(self.slowest, time.monotonic() - started)
                if outcome.startswith("status") or "(" in outcome:
                    self.failures.append(outcome)
            if not keep_alive:
                connection.close()
        connection.close()
