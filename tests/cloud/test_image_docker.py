"""The image for real, where a Docker engine is at hand: built, run as nobody, proved, stopped.

IMAGE_TEST_BASE names a base image that the engine has already, where none can be pulled.
"""

import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.api_pods import GRACE_SECONDS, RELEASE_DIR
from tests.app.app_bundles import write_bundle
from tests.recorder import ROOT

KEY = "the-key"
_PULL_SECONDS = 120
_BUILD_SECONDS = 600


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


@pytest.fixture(scope="module")
def base() -> str:
    """Find a base image, or say why there is none."""
    lines = (ROOT / "image" / "Dockerfile").read_text().splitlines()
    pinned = next(line for line in lines if line.startswith("ARG BASE=")).removeprefix("ARG BASE=")
    wanted = os.environ.get("IMAGE_TEST_BASE") or pinned
    try:
        for command in (("info",), ("buildx", "version")):
            result = docker(*command)
            if result.returncode:
                pytest.skip(f"docker {' '.join(command)}: {result.stderr.strip().splitlines()[-1]}")
        if docker("image", "inspect", wanted).returncode:
            pulled = docker("pull", "--quiet", wanted, timeout=_PULL_SECONDS)
            if pulled.returncode:
                pytest.skip(f"no base image: {pulled.stderr.strip().splitlines()[-1]}")
    except FileNotFoundError:
        pytest.skip("there is no docker command")
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"no answer within {error.timeout:g} s: {' '.join(error.cmd)}")
    return wanted


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
        *("buildx", "build", "--file", "image/Dockerfile", "--load", "--tag", tag),
        *("--build-arg", f"BASE={base}", "--build-context", f"release={folder}"),
        *("--build-arg", f"RELEASE_VERSION={version}", "--build-arg", f"RELEASE_SHA256={sha256}"),
        ".",
        timeout=_BUILD_SECONDS,
    )
    return Built(tag), result


@pytest.fixture(scope="module")
def images(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Built, Built]]:
    """Build two releases; the second answers otherwise."""
    made: list[Built] = []
    for version, shift in (("7", 0.0), ("8", 0.5)):
        folder = tmp_path_factory.mktemp("release") / "bundle"
        sha256 = write_bundle(folder, shift=shift)
        # As a careful person's umask leaves it: the image's user is another one.
        folder.chmod(0o700)
        built, result = build(base, folder, sha256, version=version)
        assert result.returncode == 0, result.stderr[-3000:]
        made.append(built)
    yield made[0], made[1]
    for built in made:
        docker("image", "rm", "--force", built.tag)


@pytest.fixture
def serving(images: tuple[Built, Built]) -> Iterator[str]:
    """Serve the first release in a container; return its name."""
    name = f"attrition-api-test-{uuid.uuid4().hex[:12]}"
    sha256 = hashlib.sha256(KEY.encode()).hexdigest()
    started = images[0].run("--detach", "--name", name, f"--env=API_KEY_SHA256={sha256}")
    assert started.returncode == 0, started.stderr
    yield name
    docker("rm", "--force", name)


def test_the_release_answers_as_trained(images: tuple[Built, Built], serving: str) -> None:
    result = images[0].smoke(serving)
    assert result.returncode == 0, result.stderr
    evidence = json.loads(result.stdout)
    assert evidence["release"] == "7"
    assert evidence["records"] == 5


def test_another_release_is_not_taken_for_it(images: tuple[Built, Built], serving: str) -> None:
    result = images[1].smoke(serving)
    assert result.returncode == 1
    # The last line is what Kubernetes keeps of a pod that failed.
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "serves another release" in result.stderr


def test_a_wrong_key_is_not_let_in(images: tuple[Built, Built], serving: str) -> None:
    result = images[0].smoke(serving, key="another")
    assert result.returncode == 1
    assert "401" in result.stderr


def test_it_runs_as_nobody_and_can_write_nowhere(images: tuple[Built, Built]) -> None:
    script = (
        "import os\n"
        "print(os.getuid(), os.getgid())\n"
        "for path in ('/srv/x', '/srv/app/x', '/srv/release/x', '/tmp/x'):\n"
        "    try:\n"
        "        open(path, 'w')\n"
        "    except OSError:\n"
        "        continue\n"
        "    print('writable:', path)\n"
    )
    result = images[0].run("--rm", "--entrypoint=python", command=("-c", script))
    assert result.stdout == "65532 65532\n"
    # Nor where the root file system is not read-only.
    loose = docker("run", "--rm", "--entrypoint=python", images[0].tag, "-c", script)
    assert loose.stdout == "65532 65532\nwritable: /tmp/x\n"


def test_it_ends_when_told_to(serving: str, images: tuple[Built, Built]) -> None:
    assert images[0].smoke(serving).returncode == 0
    docker("stop", f"--time={GRACE_SECONDS}", serving, timeout=GRACE_SECONDS + 30)
    state = inspect("container", serving)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def test_what_the_image_says_of_itself(images: tuple[Built, Built]) -> None:
    config = inspect("image", images[0].tag)["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python", "-m", "app"]
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["Labels"]["org.opencontainers.image.version"] == "7"


def test_nothing_but_the_api_is_in_it(images: tuple[Built, Built]) -> None:
    script = (
        "import importlib.util, os\n"
        "print(sorted(os.listdir('/srv')))\n"
        "others = ('mlflow', 'numpy', 'training', 'infra')\n"
        "print([name for name in others if importlib.util.find_spec(name)])"
    )
    result = images[0].run("--rm", "--entrypoint=python", command=("-c", script))
    assert result.stdout == ("['app', 'contract', 'packages', 'release', 'sbom.spdx.json']\n[]\n")


def test_it_carries_a_list_of_its_contents(images: tuple[Built, Built]) -> None:
    script = "print(open('/srv/sbom.spdx.json').read())"
    content = json.loads(
        images[0].run("--rm", "--entrypoint=python", command=("-c", script)).stdout
    )
    listed = {
        reference["referenceLocator"]
        for package in content["packages"]
        for reference in package.get("externalRefs", [])
    }
    lock = (ROOT / "image" / "requirements.txt").read_text()
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE)
    assert len(pins) > 5
    assert {f"pkg:pypi/{name}@{version}" for name, version in pins} <= listed
    assert any(each.startswith("pkg:deb/debian/libc6@") for each in listed)
    assert content["packages"][0]["versionInfo"] == "7"


def test_an_altered_release_makes_no_image(base: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    built, result = build(base, tmp_path / "bundle", "0" * 64)
    assert result.returncode != 0
    assert "altered" in result.stderr
    assert docker("image", "inspect", built.tag).returncode != 0


def test_without_a_token_nothing_is_fetched(base: str) -> None:
    result = docker(
        *("buildx", "build", "--file", "image/Dockerfile", "--target", "release"),
        *("--build-arg", f"BASE={base}", "."),
        timeout=_BUILD_SECONDS,
    )
    assert result.returncode != 0
    assert "databricks_token" in result.stderr
