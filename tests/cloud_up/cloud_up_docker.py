"""A stand-in for docker-build: what the Dockerfile's last stages would make, as a folder.

The release is fetched by the very program that the build stage runs, with the build arguments that
the stage declares. Packages are those of this interpreter.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from cloud_up_images import BuiltImage, Images
from cloud_up_ledger import Ledger, Thing
from cloud_up_provider import RefusedError, StandIn

_IGNORED = shutil.ignore_patterns("__pycache__")
_FETCH, _SERVE = "fetch", "serve"


@dataclass(kw_only=True)
class _Stage:
    """A stage's instructions, in their order: keyword and the rest."""

    instructions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def of(self, keyword: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == keyword]

    def variables(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """Resolve the stage's ARG and ENV lines; ARG counts where it is declared, as in Docker."""
        declared: dict[str, str] = {}
        environment: dict[str, str] = {}
        for keyword, rest in self.instructions:
            if keyword == "ARG":
                name, _, default = rest.partition("=")
                declared[name] = arguments.get(name, default)
            elif keyword == "ENV":
                for pair in shlex.split(rest):
                    name, _, value = pair.partition("=")
                    environment[name] = Template(value).safe_substitute(declared | environment)
        return declared | environment

    def environment(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """Return what the container's environment has: ENV lines, not ARG lines."""
        names = {pair.partition("=")[0] for rest in self.of("ENV") for pair in shlex.split(rest)}
        return {k: v for k, v in self.variables(arguments).items() if k in names}


class DockerBuild(StandIn):
    """Answers for docker-build; `passwords of the registry begin with `password`."""

    package = "pulumi_docker_build"

    def __init__(self, ledger: Ledger, images: Images, *, project: Path, password: str) -> None:
        super().__init__(ledger)
        self._images = images
        self._project = project
        self._password = password
        self.builds = 0

    def checked(self, thing: Thing, old: dict[str, Any], seed: bytes) -> dict[str, Any]:
        """Hash what the build would copy, so that a changed file is a change."""
        return {**thing.inputs, "contextHash": self._context_hash(thing)}

    def replacing(self, thing: Thing, old: Thing, changed: Sequence[str]) -> list[str]:
        return []

    def ignoring(self, thing: Thing, path: str) -> bool:
        ignored = [f"secrets.{n}" for n in thing.inputs.get("ignoreSecretsInDiffCalculation", [])]
        return path in ignored or re.fullmatch(r"registries\[\d+\]\.password", path) is not None

    def preview(self, thing: Thing) -> None:
        if thing.inputs.get("buildOnPreview") is not False:
            self.make(thing)

    def identify(self, thing: Thing) -> str:
        return hashlib.sha256(repr(sorted(thing.inputs.get("tags", []))).encode()).hexdigest()

    def make(self, thing: Thing) -> dict[str, Any]:
        self.builds += 1
        stages = _stages(self._dockerfile(thing).read_text())
        arguments: dict[str, str] = thing.inputs.get("buildArgs", {})
        scratch = self._images.root / f"building-{self.builds}"
        scratch.mkdir(parents=True)
        for source in ("app", "contract"):
            shutil.copytree(self._context(thing) / source, scratch / source, ignore=_IGNORED)
        self._fetch(thing, stages[_FETCH], scratch / "release")
        digest = f"sha256:{_tree_hash(scratch, *sorted(arguments.items()))}"
        if (folder := self._images.folder(digest)).exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
        image = _describe(stages[_SERVE], arguments, folder)
        _run_checks(stages[_SERVE], image)
        if thing.inputs.get("push"):
            self._check_sign_in(thing)
            self._images.add(digest, image)
        (tag, *_) = thing.inputs["tags"]
        return {"digest": digest, "ref": f"{tag}@{digest}"}

    def unmake(self, thing: Thing) -> None:
        # As the provider does: from the registry too, whoever else runs it.
        shutil.rmtree(self._images.folder(thing.outputs["digest"]))

    def _check_sign_in(self, thing: Thing) -> None:
        for tag in thing.inputs["tags"]:
            server = tag.partition("/")[0]
            signed_in = any(
                each["address"] == server and each["password"].startswith(self._password)
                for each in thing.inputs["registries"]
            )
            if not signed_in:
                raise RefusedError(f"failed to push {tag}: unauthorized")

    def _fetch(self, thing: Thing, stage: _Stage, target: Path) -> None:
        """Run the fetching program of the stage as its RUN line does."""
        secrets: dict[str, str] = thing.inputs.get("secrets", {})
        run = next(rest for rest in stage.of("RUN") if "fetch_release.py" in rest)
        for name in re.findall(r"type=secret,id=(\w+),required=true", run):
            if not secrets.get(name):
                raise RefusedError(f"secret {name}: not found")
        build = target.parent / "build"
        build.mkdir()
        shutil.copytree(self._context(thing) / "contract", build / "contract", ignore=_IGNORED)
        shutil.copy(self._context(thing) / "image" / "fetch_release.py", build)
        variables = stage.variables(thing.inputs.get("buildArgs", {}))
        done = subprocess.run(
            [sys.executable, str(build / "fetch_release.py"), str(target)],
            cwd=build,
            env={
                "PATH": os.environ["PATH"],
                **variables,
                "PYTHONPATH": str(build),
                # BuildKit mounts a file; without one the program takes this.
                "DATABRICKS_TOKEN": secrets.get("databricks_token", ""),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        shutil.rmtree(build)
        if done.returncode != 0:
            raise RefusedError(f"failed to solve: fetch_release.py: {done.stdout}")

    def _context_hash(self, thing: Thing) -> str:
        dockerfile = self._dockerfile(thing)
        copied = {
            source
            for stage in _stages(dockerfile.read_text()).values()
            for rest in stage.of("COPY")
            if "--from=" not in rest
            for source in [word for word in rest.split() if not word.startswith("--")][:-1]
        }
        parts = [self._context(thing) / source for source in sorted(copied)]
        digest = hashlib.sha256(dockerfile.read_bytes())
        for part in parts:
            if not part.exists():
                raise RefusedError(f"the build context has no {part}")
            digest.update((_tree_hash(part) if part.is_dir() else _file_hash(part)).encode())
        return digest.hexdigest()

    def _context(self, thing: Thing) -> Path:
        return self._project / thing.inputs["context"]["location"]

    def _dockerfile(self, thing: Thing) -> Path:
        return self._project / thing.inputs["dockerfile"]["location"]


def _describe(stage: _Stage, arguments: Mapping[str, str], folder: Path) -> BuiltImage:
    (place,) = stage.of("WORKDIR")
    (entrypoint,) = stage.of("ENTRYPOINT")
    commands = stage.of("CMD")
    return BuiltImage(
        folder=str(folder),
        environment=stage.environment(arguments),
        entrypoint=json.loads(entrypoint),
        command=json.loads(commands[-1]) if commands else [],
        paths={place: str(folder)},
    )


def _run_checks(stage: _Stage, image: BuiltImage) -> None:
    """Run what the stage runs on the finished image."""
    variables = {key: image.local(value) for key, value in image.environment.items()}
    for rest in stage.of("RUN"):
        words = json.loads(rest)
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=image.folder,
            env={"PATH": os.environ["PATH"], **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise RefusedError(f"failed to solve: {done.stdout}")


def _stages(text: str) -> dict[str, _Stage]:
    stages: dict[str, _Stage] = {}
    stage = _Stage()
    for keyword, rest in _instructions(text):
        if keyword == "FROM":
            stage = stages.setdefault(rest.rpartition(" ")[2], _Stage())
        else:
            stage.instructions.append((keyword, rest))
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        keyword, _, rest = line.partition(" ")
        yield keyword, rest.strip()


def _tree_hash(folder: Path, *more: object) -> str:
    digest = hashlib.sha256(repr(more).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)} {_file_hash(path)}\n".encode())
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
