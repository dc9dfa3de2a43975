"""The image's tests' Docker engine: build a release's image, run it as restricted as a pod."""

import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.api_pods import RELEASE_DIR
from tests.recorder import ROOT

KEY = "the-key"
COMMIT, CONTEXT = "c" * 40, "d" * 64
BUILD_SECONDS = 600
_HEALTHY_SECONDS = 30


def docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def inspect(kind: str, name: str) -> dict[str, Any]:
    return json.loads(docker(kind, "inspect", name).stdout)[0]


@dataclass(frozen=True)
class Built:
    """An image of a release, and the containers that a test starts of it."""

    tag: str

    def run(self, *options: str, command: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a container as restricted as a pod is."""
        restricted = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
        return docker("run", *restricted, "--memory=128m", *options, self.tag, *command, timeout=90)

    def smoke(self, container: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
        """Replay this image's reference records against the API in `container`."""
        return self.run(
            "--rm",
            f"--network=container:{container}",
            f"--env=API_KEY={key}",
            "--entrypoint=python",
            command=(
                *("-m", "app.smoke", "--url", "http://127.0.0.1:8080"),
                *("--bundle", RELEASE_DIR, "--timeout", "20"),
            ),
        )


def build(base: str, folder: Path, sha256: str, *, version: str = "7") -> tuple[Built, Any]:
    tag = f"attrition-api-test:{uuid.uuid4().hex[:12]}"
    result = docker(
        *("buildx", "build", "--file", "app/Dockerfile", "--load", "--tag", tag),
        *("--build-arg", f"BASE={base}", "--build-context", f"release={folder}"),
        *("--build-arg", f"RELEASE_VERSION={version}", "--build-arg", f"RELEASE_SHA256={sha256}"),
        *("--build-arg", f"GIT_COMMIT={COMMIT}", "--build-arg", f"CONTEXT_SHA256={CONTEXT}"),
        ".",
        timeout=BUILD_SECONDS,
    )
    return Built(tag), result


@contextmanager
def started(image: Built, *options: str) -> Generator[str]:
    """Serve in a container; give its name."""
    name = f"attrition-api-test-{uuid.uuid4().hex[:12]}"
    sha256 = hashlib.sha256(KEY.encode()).hexdigest()
    result = image.run("--detach", "--name", name, f"--env=API_KEY_SHA256={sha256}", *options)
    assert result.returncode == 0, result.stderr
    try:
        yield name
    finally:
        docker("rm", "--force", name)


def health(container: str) -> str:
    """Wait for the first verdict of the image's health check."""
    deadline = time.monotonic() + _HEALTHY_SECONDS
    while (status := inspect("container", container)["State"]["Health"]["Status"]) == "starting":
        assert time.monotonic() < deadline, "no verdict"
        time.sleep(0.2)
    return status
