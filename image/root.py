"""Lay out the file system of the image's last stage: Python and its libraries, no other program.

    python root.py PACKAGES TARGET

The base image brings a shell, package managers and their data. What the API needs of it is the
interpreter, its standard library, the shared libraries that these and PACKAGES are linked with,
certificates, time zones and the names of two users.
"""

import compileall
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

__all__ = ["lay", "linked", "main"]

_PREFIX = Path("usr/local")
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"

_NOT_SERVED = (
    # Installers, tests, editors, screens.
    *("site-packages", "ensurepip", "venv", "test", "tests", "idlelib", "tkinter", "turtle.py"),
    *("turtledemo", "lib2to3", "distutils", "pydoc_data", "config-*", "__pycache__", "*.a"),
    *("_tkinter.*", "_curses*", "curses", "readline.*", "_test*", "_ctypes_test*", "_xx*", "xx*"),
    # Databases and directories, each with a library of its own.
    *("sqlite3", "_sqlite3.*", "_dbm.*", "_gdbm.*", "nis.*"),
)
_DATA = ("etc/os-release", "etc/ld.so.conf", "etc/ld.so.conf.d", "usr/share/zoneinfo")
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
_DATA_PACKAGES = ("base-files", "ca-certificates", "tzdata")
"""Whose files are copied although no library is linked with them."""

_USERS = "root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/:/nologin\n"
_GROUPS = "root:x:0:\nnonroot:x:65532:\n"
_DPKG = Path("/var/lib/dpkg")
_LOADED_BY_NAME = ("libgcc_s.so.1",)
"""What the C library opens by itself when a thread ends."""


def main() -> int:
    """Lay out the file system that the arguments name; return the exit code."""
    packages, target = map(Path, sys.argv[1:])
    lay(packages, target)
    return 0


def lay(packages: Path, target: Path) -> None:
    """Write into `target` all that Python and the packages in `packages` need of this machine."""
    _links(target)
    _python(target)
    binaries = [Path(sys.executable).resolve(), *target.rglob("*.so"), *packages.rglob("*.so*")]
    libraries = sorted(linked(binaries, packages))
    for path in libraries:
        # By the name that it is asked for, in the folder that this name's folder really is.
        place = path.parent.resolve() / path.name
        _copy(place, target / place.relative_to("/"))
    _data(target)
    _users(target)
    subprocess.run(["ldconfig", "-r", str(target)], check=True)  # noqa: S603, S607 - a build stage
    _packages(target, libraries)


def linked(binaries: Iterable[Path], packages: Path) -> set[Path]:
    """Return the shared libraries outside `packages` that `binaries` are linked with, loader too.

    Raises:
        FileNotFoundError: one of them is not on this machine.
    """
    done = subprocess.run(  # noqa: S603 - files found here
        ["ldd", *map(str, binaries)],  # noqa: S607 - a build stage
        capture_output=True,
        text=True,
        check=False,
    )
    if missing := re.findall(r"(\S+) => not found", done.stdout):
        raise FileNotFoundError(f"not on this machine: {', '.join(sorted(set(missing)))}")
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x[0-9a-f]+\)", done.stdout)}
    beside = {path.parent for path in found if path.name.startswith("libc.so")}
    found |= {folder / name for folder in beside for name in _LOADED_BY_NAME}
    return {path for path in found if not path.is_relative_to(packages)}


def _links(target: Path) -> None:
    """Make the links of the root, such as /lib64 to usr/lib64: binaries name their loader so."""
    for path in Path("/").glob("lib*"):
        if path.is_symlink():
            (target / path.readlink()).mkdir(parents=True, exist_ok=True)
            (target / path.name).symlink_to(path.readlink())


def _python(target: Path) -> None:
    programs = target / _PREFIX / "bin"
    programs.mkdir(parents=True)
    _copy(Path(sys.executable).resolve(), programs / _VERSION)
    for name in ("python", "python3"):
        (programs / name).symlink_to(_VERSION)
    library = target / _PREFIX / "lib" / _VERSION
    ignore = shutil.ignore_patterns(*_NOT_SERVED)
    shutil.copytree(Path(sys.base_prefix, "lib", _VERSION), library, ignore=ignore)
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(library, quiet=1, stripdir=str(target), invalidation_mode=mode)


def _data(target: Path) -> None:
    for name in _DATA:
        source = Path("/", name)
        if source.is_dir():
            shutil.copytree(source, target / name, symlinks=True)
        elif source.exists():
            _copy(source, target / name)
    _copy(Path("/", _CERTIFICATES), target / _CERTIFICATES)
    # Where this build of OpenSSL looks for them.
    import ssl

    link = target / Path(ssl.get_default_verify_paths().openssl_cafile).relative_to("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(Path("/", _CERTIFICATES))
    temporary = target / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)


def _users(target: Path) -> None:
    (target / "etc/passwd").write_text(_USERS)
    (target / "etc/group").write_text(_GROUPS)


def _packages(target: Path, libraries: Iterable[Path]) -> None:
    """Say which Debian packages the files are of, where scanners look in an image without dpkg."""
    folder = target / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    wanted = {_beneath_usr(str(path)) for path in libraries}
    wanted |= {_beneath_usr(str(path.resolve())) for path in libraries}
    names = {*_DATA_PACKAGES, *_owners(wanted)}
    status = _DPKG / "status"
    for block in status.read_text().split("\n\n") if status.exists() else ():
        name = re.search(r"^Package: (\S+)$", block, re.MULTILINE)
        if name and name[1] in names:
            (folder / name[1]).write_text(block + "\n\n")


def _owners(wanted: set[str]) -> Iterator[str]:
    for path in (_DPKG / "info").glob("*.list"):
        if not wanted.isdisjoint(map(_beneath_usr, path.read_text().splitlines())):
            yield path.stem.partition(":")[0]


def _beneath_usr(path: str) -> str:
    """Name a file as if /lib were not a link to /usr/lib: Debian's lists have both."""
    return path.removeprefix("/usr")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main())
