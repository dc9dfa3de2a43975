"""A base image made of this machine, for where the pinned one cannot be pulled.

It has what the build stages run, in the places of the official Python image: the interpreter with
pip below /usr/local, a shell, ldd, ldconfig, and the records of which package a file is of.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pip

from image.root import lay, linked

_NAME = "attrition-api-test-base:this-machine"
_PROGRAMS = ("bash", "ldd", "ldconfig")
_LIBRARIES = ("libdl.so.2", "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1")
"""What wheels may expect of every Linux, beside what Python itself is linked with."""

_FILES = ("var/lib/dpkg/status", "var/lib/dpkg/info", "etc/pip.conf")


def possible() -> bool:
    """Say whether this machine is a Debian with all that the base image needs."""
    return Path("/var/lib/dpkg/status").exists() and all(map(shutil.which, _PROGRAMS))


def make(folder: Path) -> str:
    """Lay out the base image in `folder`, and give it to the engine; return its name."""
    target = folder / "root"
    lay(folder / "no-packages", target)
    programs = target / "usr/bin"
    programs.mkdir()
    found = [Path(shutil.which(name) or "") for name in _PROGRAMS]
    for program in found:
        shutil.copy(program, programs)
    programs.joinpath("sh").symlink_to("bash")
    for name in ("bin", "sbin"):
        (target / name).symlink_to("usr/bin")
    libraries = linked(found[:1], folder / "no-packages")
    standard = next(path.parent for path in libraries if path.name.startswith("libc.so"))
    for library in (*libraries, *(standard / name for name in _LIBRARIES)):
        place = library.parent.resolve() / library.name
        shutil.copy(place, target / place.relative_to("/"))
    for name in _FILES:
        _copy(Path("/", name), target / name)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    installer = Path(pip.__file__).parent
    shutil.copytree(installer, target / "usr/local/lib" / version / "site-packages/pip")
    return _import(target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy(source, target)


def _import(target: Path) -> str:
    environment = "ENV PATH=/usr/local/bin:/usr/bin"
    with subprocess.Popen(["tar", "-C", str(target), "-c", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(
            ["docker", "import", "--change", environment, "-", _NAME],
            stdin=archive.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )
    return _NAME
