"""The image for real, where a Docker engine is at hand: built, run as nobody, proved, stopped.

IMAGE_TEST_BASE names a base image that the engine has already. Where none can be pulled, one is
made of this machine (image_base.py).
"""

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import image_base
import pytest
from image_engine import (
    BUILD_SECONDS,
    COMMIT,
    CONTEXT,
    Built,
    build,
    docker,
    health,
    inspect,
    started,
)

from infra.api_pods import GRACE_SECONDS
from tests.app.app_bundles import write_bundle
from tests.recorder import ROOT

LIMIT_MB, PACKAGES_LIMIT_MB = 200, 115
_PULL_SECONDS = 120


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Find the base image, or make one of this machine, or say why there is no engine."""
    lines = (ROOT / "app" / "Dockerfile").read_text().splitlines()
    pinned = next(line for line in lines if line.startswith("ARG BASE=")).removeprefix("ARG BASE=")
    wanted = os.environ.get("IMAGE_TEST_BASE") or pinned
    try:
        lacking = why_not(wanted)
    except FileNotFoundError:
        pytest.skip("there is no docker command")
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"no answer within {error.timeout:g} s: {' '.join(error.cmd)}")
    if lacking is None:
        yield wanted
        return
    if not image_base.possible():
        pytest.skip(f"no base image: {lacking}; and this machine is no Debian to make one of")
    made = image_base.make(tmp_path_factory.mktemp("base"))
    yield made
    docker("image", "rm", "--force", made)


def why_not(base: str) -> str | None:
    """Get the base image, and return None; or what the registry says."""
    for command in (("info",), ("buildx", "version")):
        result = docker(*command)
        if result.returncode:
            pytest.skip(f"docker {' '.join(command)}: {result.stderr.strip().splitlines()[-1]}")
    if docker("image", "inspect", base).returncode == 0:
        return None
    pulled = docker("pull", "--quiet", base, timeout=_PULL_SECONDS)
    return pulled.stderr.strip().splitlines()[-1] if pulled.returncode else None


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
    with started(images[0]) as name:
        yield name


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
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == "7"
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert labels["employee-retention.context-sha256"] == CONTEXT
    assert re.fullmatch("[0-9a-f]{64}", labels["employee-retention.release-sha256"])
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "app.health"]


def test_it_is_small(images: tuple[Built, Built]) -> None:
    assert 1e7 < inspect("image", images[0].tag)["Size"] < LIMIT_MB * 1e6
    # And measured from within, as `make bench` measures without an engine.
    script = (
        "import os\n"
        "walk = os.walk('/srv/packages')\n"
        "print(sum(os.path.getsize(f'{at}/{name}') for at, _, names in walk for name in names))"
    )
    result = images[0].run("--rm", "--entrypoint=python", command=("-c", script))
    assert 1e7 < int(result.stdout) < PACKAGES_LIMIT_MB * 1e6


def test_its_health_check_turns_healthy(serving: str) -> None:
    assert health(serving) == "healthy"


def test_its_health_check_sees_a_release_that_answers_wrongly(base: str, tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path / "bundle", wrong=True)
    built, result = build(base, tmp_path / "bundle", sha256)
    assert result.returncode == 0, result.stderr[-3000:]
    with started(built, "--health-interval=1s", "--health-start-period=0s") as name:
        assert health(name) == "unhealthy"
    docker("image", "rm", "--force", built.tag)


def test_there_is_no_other_program_in_it(images: tuple[Built, Built]) -> None:
    """No shell, no package manager, no compiler: nothing that may be run but the interpreter."""
    name = docker("create", images[0].tag).stdout.strip()
    exported = subprocess.run(
        ["docker", "export", name], capture_output=True, check=True, timeout=60
    )
    docker("rm", name)
    with tarfile.open(fileobj=io.BytesIO(exported.stdout)) as archive:
        members = archive.getmembers()
        magic = {
            member.name: file.read(4)
            for member in members
            if member.isfile() and (file := archive.extractfile(member))
        }
    elf = {path for path, start in magic.items() if start == b"\x7fELF"}
    programs = {path for path in elf if ".so" not in Path(path).name}
    assert {Path(path).parent.as_posix() for path in programs} == {"usr/local/bin"}
    assert [re.sub(r"3\.\d+", "3", Path(path).name) for path in programs] == ["python3"]
    names = {Path(member.name).name for member in members if not member.isdir()}
    assert not names & {"sh", "bash", "busybox", "pip", "pip3", "apt", "apt-get", "dpkg"}
    assert not names & {"gcc", "cc", "ld", "as", "make", "ensurepip", "idlelib"}
    # Nothing is run with another user's rights.
    assert not [each.name for each in members if each.isfile() and each.mode & 0o6000]


def test_nothing_but_the_api_is_in_it(images: tuple[Built, Built]) -> None:
    script = (
        "import importlib.util, os\n"
        "print(sorted(os.listdir('/srv')))\n"
        "others = ('mlflow', 'pandas', 'scipy', 'sklearn', 'training', 'infra', 'pip')\n"
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
    # A lock has a pin for each range of Python versions; the image has one Python.
    locked = {name: {f"pkg:pypi/{name}@{v}" for n, v in pins if n == name} for name, _ in pins}
    assert all(len(listed & choices) == 1 for choices in locked.values())
    debian = {each.partition("@")[0].rpartition("/")[2] for each in listed if ":deb/" in each}
    assert debian >= {"libc6", "ca-certificates", "tzdata"}
    assert not debian & {"bash", "apt", "dpkg"}
    assert content["packages"][0]["versionInfo"] == "7"


def test_an_altered_release_makes_no_image(base: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    built, result = build(base, tmp_path / "bundle", "0" * 64)
    assert result.returncode != 0
    assert "altered" in result.stderr
    assert docker("image", "inspect", built.tag).returncode != 0


def test_without_a_token_nothing_is_fetched(base: str) -> None:
    result = docker(
        *("buildx", "build", "--file", "app/Dockerfile", "--target", "release"),
        *("--build-arg", f"BASE={base}", "."),
        timeout=BUILD_SECONDS,
    )
    assert result.returncode != 0
    assert "databricks_token" in result.stderr
