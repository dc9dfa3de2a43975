"""Pods as processes: the container's own command in the folder that its image stands for."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_up_images import BuiltImage
from cloud_up_provider import NotReadyError

from tests.lifecycle.workspace import free_port

_READY_SECONDS = 60
_JOB_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a container ended: its exit status, what it printed, its termination message."""

    status: int
    output: str
    message: str


@contextlib.contextmanager
def serving_pod(
    image: BuiltImage, container: Mapping[str, Any], environment: Mapping[str, str]
) -> Generator[str]:
    """Run the container; yield its local address once it is ready by its own readiness probe.

    Raises:
        NotReadyError: it ends, or is not ready in time; with what it printed.
    """
    variables = {**image.environment, **environment}
    declared = {port["containerPort"] for port in container.get("ports", [])}
    if variables.get("HOST") not in ("0.0.0.0", "::") or int(variables["PORT"]) not in declared:
        raise NotReadyError(f"listens on {variables.get('HOST')}:{variables.get('PORT')} only")
    port = free_port()
    local = {**variables, "HOST": "127.0.0.1", "PORT": str(port)}
    probe = container["readinessProbe"]["httpGet"]
    process = subprocess.Popen(
        _command(image, container, {}),
        cwd=image.folder,
        env=_environment(image, local),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, f"{url}{probe['path']}")
        yield url
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def run_to_end(
    image: BuiltImage,
    container: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    replaced: Mapping[str, str],
) -> Ended:
    """Run the container to its end, with some texts of its arguments replaced."""
    process = subprocess.run(
        _command(image, container, replaced),
        cwd=image.folder,
        env=_environment(image, {**image.environment, **environment}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_JOB_SECONDS,
        check=False,
    )
    # Without FallbackToLogsOnError, nobody learns what a failed container printed.
    shown = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    message = process.stdout.strip() if shown else ""
    return Ended(status=process.returncode, output=process.stdout, message=message)


@contextlib.contextmanager
def distorting(url: str, by: float) -> Generator[str]:
    """Stand before a pod and add `by` to every probability that it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass(None)

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass(self, body: bytes | None) -> None:
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            request = urllib.request.Request(url + self.path, data=body, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    status, content = response.status, json.load(response)
            except urllib.error.HTTPError as error:
                with error:
                    status, content = error.code, json.load(error)
            for prediction in content.get("predictions", []):
                prediction["attrition_probability"] += by
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _command(
    image: BuiltImage, container: Mapping[str, Any], replaced: Mapping[str, str]
) -> list[str]:
    """Put the command together as a cluster does: its own words, else the image's."""
    if "command" in container:
        words = [*container["command"], *container.get("args", [])]
    else:
        words = [*image.entrypoint, *container.get("args", image.command)]
    for old, new in replaced.items():
        words = [word.replace(old, new) for word in words]
    words = [image.local(word) for word in words]
    assert Path(words[0]).name.startswith("python"), words
    return [sys.executable, *words[1:]]


def _environment(image: BuiltImage, variables: Mapping[str, str]) -> dict[str, str]:
    # Nothing of this process but what Python needs: a pod has its own variables only.
    own = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return own | {key: image.local(value) for key, value in variables.items()}


def _await_ready(process: "subprocess.Popen[str]", probe: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            printed = process.communicate()[0]
            raise NotReadyError(f"CrashLoopBackOff: {printed.strip()}")
        try:
            with urllib.request.urlopen(probe, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise NotReadyError(f"not ready after {_READY_SECONDS} s")
