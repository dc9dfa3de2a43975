"""A copy of the project in a folder of its own, driven as a person drives it."""

import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
_NOT_COPIED = ("[.]*", "__pycache__", "docs", "tests")
_UP_SECONDS = 300
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command printed, and its exit status."""

    status: int
    stdout: str
    stderr: str


class Workspace:
    """A checkout with its own `.local`, and a port that was free when it was made."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.folder = folder
        self.first_up: Result | None = None
        self.port = free_port()
        self.config: dict[str, Any] = {}
        self.configure()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.folder}/.local/mlflow/mlflow.db"

    def configure(self, **settings: Any) -> None:
        """Set config keys (None takes one away) on top of what was set before."""
        # One caller asks without a pause.
        limits = {"rateLimitPerSecond": 1_000_000, "rateLimitBurst": 1_000_000}
        self.config = {"apiPort": self.port} | limits | self.config | settings
        config = {
            f"employee-retention:{key}": value
            for key, value in self.config.items()
            if value is not None
        }
        (self.folder / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))

    def run(self, command: str, *, engine: str = "embedded", check: bool = True) -> Result:
        """Run one command of the engine's command line to its end."""
        process = subprocess.run(
            [sys.executable, "-m", "engine", command, "--engine", engine],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_UP_SECONDS,
            check=False,
        )
        if check and process.returncode != 0:
            raise AssertionError(f"{command}: {process.stdout}\n{process.stderr}")
        return Result(status=process.returncode, stdout=process.stdout, stderr=process.stderr)

    def up(self, *, engine: str = "embedded") -> Result:
        return self.run("up", engine=engine)

    def changes_nothing(self) -> bool:
        """Whether one more `up` finds everything as it should be."""
        return re.search(r"^\d same$", self.up().stdout, re.MULTILINE) is not None

    def refused(self, command: str = "up", *, engine: str = "embedded") -> str:
        """Run a command that must fail; return what it wrote to stderr."""
        result = self.run(command, engine=engine, check=False)
        assert result.status == 1, result.stdout + result.stderr
        assert "Traceback" not in result.stderr, result.stderr
        return result.stderr

    def up_killed_at(self, marker: str, *, engine: str = "embedded") -> bool:
        """Begin an `up` and SIGKILL it when it prints `marker`; whether it came that far."""
        with subprocess.Popen(
            [sys.executable, "-m", "engine", "up", "--engine", engine],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if marker in line:
                    for child in psutil.Process(process.pid).children():
                        # The Pulumi engine; the embedded one has but training, which must notice.
                        if child.name() == "pulumi":
                            child.kill()
                            psutil.wait_procs([child], timeout=10)
                    process.kill()
                    return True
        return False

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.run("outputs", engine="auto").stdout)

    def monitor(self) -> str:
        """Make the report of the log as `make monitor` does; return the page."""
        subprocess.run([sys.executable, "-m", "monitoring"], cwd=self.folder, check=True)
        return (self.folder / ".local/monitor.html").read_text()

    def release(self) -> str:
        """Ask the API which release it serves; that much it tells anybody."""
        with urllib.request.urlopen(f"{self.url}/health/ready", timeout=10) as response:
            return json.load(response)["release"]

    def answers(self) -> bool:
        try:
            self.release()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def api_processes(self) -> list[psutil.Process]:
        return [p for p in self.processes() if "--control" in p.cmdline()]

    def processes(self) -> list[psutil.Process]:
        """Find every process that works in this folder."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                working = process.status() != psutil.STATUS_ZOMBIE
                if working and Path(process.cwd()) == self.folder:
                    found.append(process)
        return found


@dataclass
class Load:
    """What the callers saw: the number of answers by release, and every failure."""

    answers: dict[str, int] = field(default_factory=dict[str, int])
    failures: list[str] = field(default_factory=list[str])


@contextlib.contextmanager
def load(workspace: Workspace, callers: int = 4) -> Generator[Load]:
    """Call the API from keep-alive and from one-request connections while the block runs."""
    seen, stop, lock = Load(), threading.Event(), threading.Lock()
    outputs = workspace.outputs()
    body = Path(outputs["exampleRequest"]).read_bytes()
    headers = {"Content-Type": "application/json", "X-API-Key": outputs["apiKey"]}

    def call(keep_alive: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not stop.is_set():
            connection = connection or http.client.HTTPConnection("127.0.0.1", workspace.port, 30)
            try:
                connection.request("POST", "/predict", body, headers)
                response = connection.getresponse()
                answer = response.read()
                with lock:
                    if response.status == 200:
                        release = json.loads(answer)["release"]
                        seen.answers[release] = seen.answers.get(release, 0) + 1
                    else:
                        seen.failures.append(f"status {response.status}")
                closing = response.will_close
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    seen.failures.append(repr(error))
                closing = True
            if closing or not keep_alive:
                connection.close()
                connection = None
            # Enough to be in flight at any moment, without taking the cores from what is tested.
            stop.wait(_PAUSE_SECONDS)
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=call, args=(i % 2 == 0,)) for i in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
