"""Install the packages that the API imports, without what serving never needs; print their size.

    python packages.py REQUIREMENTS [FOLDER]

A build stage runs this, and so does whoever wants the figure of the image without building one:
without FOLDER the packages go into a temporary one.
"""

import compileall
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

__all__ = ["InstallError", "install", "main", "measure", "prune"]

_MEGABYTE = 1_000_000

_FOLDERS = ("tests", ".agents")
_FILES = (
    # For compilers, type checkers and readers.
    *("*.pyi", "*.pxd", "*.pyx", "*.pyx.in", "*.h", "*.c", "*.a", "*.rst", "*.md"),
    # Says what is installed, which is no longer true.
    "RECORD",
)
_PATHS = (
    # Commands for a shell that the image has not.
    "bin",
    # NumPy's build tools and test helpers. `_simd` is imported by its tests alone.
    *("numpy/distutils", "numpy/f2py", "numpy/testing", "numpy/_pyinstaller", "numpy/doc"),
    *("numpy/_core/include", "numpy/_core/lib", "numpy/_core/_simd.*", "numpy/random/lib"),
)


class InstallError(Exception):
    """The packages cannot be installed; the message is pip's."""


def main() -> int:
    """Install and print what takes how much room; return the exit code."""
    requirements = Path(sys.argv[1])
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(sys.argv[2] if len(sys.argv) > 2 else temporary)
            install(requirements, folder)
            sizes = measure(folder)
    except InstallError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for name, size in sizes.most_common():
        sys.stdout.write(f"{size / _MEGABYTE:8.2f} MB  {name}\n")
    sys.stdout.write(f"{sizes.total() / _MEGABYTE:8.2f} MB  together\n")
    return 0


def install(requirements: Path, folder: Path) -> None:
    """Install the locked `requirements` into `folder`, prune them and compile what is left.

    Raises:
        InstallError: pip refuses, such as for a hash that is not the lock's.
    """
    done = subprocess.run(  # noqa: S603 - paths given by who builds
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile"),
            *("--target", str(folder), "--requirement", str(requirements)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallError(f"{requirements}: {done.stderr.strip()}")
    prune(folder)
    # By a rule that does not depend on files' dates.
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=1, invalidation_mode=mode)


def prune(folder: Path) -> None:
    """Remove from the packages in `folder` what serving never needs."""
    for path in list(_superfluous(folder)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def measure(folder: Path) -> Counter[str]:
    """Return the bytes of each top-level folder or file in `folder`, byte code included."""
    sizes: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            sizes[path.relative_to(folder).parts[0]] += path.stat().st_size
    return sizes


def _superfluous(folder: Path) -> Iterator[Path]:
    for pattern in _PATHS:
        yield from folder.glob(pattern)
    for name in (*_FOLDERS, *_FILES):
        for path in folder.rglob(name):
            # The texts of licences stay, whatever they are called.
            if "licenses" not in path.relative_to(folder).parts:
                yield path


if __name__ == "__main__":
    sys.exit(main())
