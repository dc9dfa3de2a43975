"""What the image installs and lays out, without an engine: small, and still the whole API."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from image.packages import InstallError, install, measure, prune
from image.root import lay, linked
from tests.app.app_bundles import write_bundle
from tests.app.app_processes import KEY, KEY_SHA256, free_port
from tests.recorder import ROOT

REQUIREMENTS = ROOT / "image" / "requirements.txt"
LIMIT_MB = 115


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what the image installs, as its build stage does."""
    folder = tmp_path_factory.mktemp("installed") / "packages"
    try:
        install(REQUIREMENTS, folder)
    except InstallError as error:
        index = [sys.executable, "-m", "pip", "index", "versions", "pip"]
        if subprocess.run(index, capture_output=True, check=False).returncode:
            pytest.skip(f"no packages can be fetched here: {error}")
        raise
    return folder


@pytest.fixture(scope="module")
def root(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out the image's file system from this machine's interpreter, and the API in it."""
    if sys.platform != "linux" or os.geteuid() or not Path("/var/lib/dpkg").exists():
        pytest.skip("needs Debian and the right to change the root folder")
    target = tmp_path_factory.mktemp("root")
    # Everybody may look into it: the API runs as another user.
    target.chmod(0o755)
    lay(packages, target)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("app", "contract"):
        shutil.copytree(ROOT / name, target / "srv" / name, ignore=ignore)
    shutil.copytree(packages, target / "srv" / "packages")
    write_bundle(target / "srv" / "release")
    return target


def within(root: Path, *command: str) -> list[str]:
    return ["chroot", "--userspec=65532:65532", str(root), "/usr/local/bin/python", *command]


def run(command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_answers(python: Sequence[str], path: str, release: str) -> None:
    """Serve `release` by this interpreter and replay its reference records."""
    port = str(free_port())
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "RELEASE_DIR": release,
        "RELEASE_VERSION": "7",
        "API_KEY_SHA256": KEY_SHA256,
        "PORT": port,
        # Nobody listens there: it is enough that what sends can be imported.
        "OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    serving = subprocess.Popen([*python, "-m", "app"], env=variables, stderr=subprocess.PIPE)
    try:
        smoke = ("-m", "app.smoke", "--url", f"http://127.0.0.1:{port}", "--timeout", "20")
        result = run([*python, *smoke, "--bundle", release], PYTHONPATH=path, API_KEY=KEY)
        assert result.returncode == 0, result.stderr
        assert run([*python, "-m", "app.health"], PYTHONPATH=path, PORT=port).returncode == 0
    finally:
        serving.terminate()
        _, stderr = serving.communicate(timeout=15)
    assert (serving.returncode, stderr) == (0, b"")


class TestPackages:
    """`image/packages.py`."""

    def test_they_are_small(self, packages: Path) -> None:
        sizes = measure(packages)
        assert sizes["fastapi"] > 1e5
        assert sizes.total() < LIMIT_MB * 1e6
        assert sizes.total() == sum(
            path.stat().st_size for path in packages.rglob("*") if path.is_file()
        )

    def test_they_answer_the_reference_records(self, packages: Path, tmp_path: Path) -> None:
        write_bundle(tmp_path / "release")
        # Without the packages of the interpreter that runs the tests.
        python = (sys.executable, "-s", "-S")
        assert_answers(python, f"{packages}{os.pathsep}{ROOT}", str(tmp_path / "release"))

    def test_they_hold_nothing_for_compilers_and_testers(self, packages: Path) -> None:
        # Licences are kept in folders named like those of the sources.
        names = {p.name for p in packages.rglob("*") if "licenses" not in p.parts}
        assert not {"tests", "f2py", "include", "bin", "RECORD"} & names
        suffixes = {Path(name).suffix for name in names}
        assert not {".pyi", ".h", ".c", ".a", ".pyx"} & suffixes

    def test_they_are_compiled_for_a_disk_that_cannot_be_written(self, packages: Path) -> None:
        sources = set(packages.rglob("*.py"))
        compiled = {
            path.parent.parent / f"{path.name.partition('.')[0]}.py"
            for path in packages.rglob(f"*.{sys.implementation.cache_tag}.pyc")
        }
        assert sources == compiled

    def test_licences_stay(self, packages: Path) -> None:
        assert list(packages.glob("numpy-*.dist-info/licenses/*"))

    def test_another_hash_than_the_locks_is_refused(self, packages: Path, tmp_path: Path) -> None:
        lock = tmp_path / "requirements.txt"
        lock.write_text(f"idna==3.10 --hash=sha256:{'0' * 64}\n")
        with pytest.raises(InstallError, match="idna"):
            install(lock, tmp_path / "packages")

    def test_a_package_without_a_hash_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "requirements.txt").write_text("idna==3.10\n")
        with pytest.raises(InstallError, match="hash"):
            install(tmp_path / "requirements.txt", tmp_path / "packages")

    def test_what_is_pruned_and_what_not(self, tmp_path: Path) -> None:
        kept = {"one/__init__.py", "one/latest.py", "one/a.so", "one/py.typed", "one/page.html"}
        kept |= {"one-1.dist-info/METADATA", "one-1.dist-info/licenses/tests/LICENSE.md"}
        kept |= {"numpy/_core/_multiarray_umath.so", "numpy/testing.py", "one/bin/of_values.py"}
        gone = {"one/tests/test_one.py", "one/a.pyi", "one/a.h", "one/README.md", "bin/uvicorn"}
        gone |= {"one-1.dist-info/RECORD", "numpy/f2py/a.py", "numpy/_core/_simd.abc.so"}
        for name in kept | gone:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
        prune(tmp_path)
        left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
        assert left == kept


class TestRoot:
    """`image/root.py`."""

    def test_the_api_answers_in_it(self, root: Path) -> None:
        assert_answers(within(root), "/srv/packages:/srv", "/srv/release")

    def test_it_has_nothing_to_run_but_python(self, root: Path) -> None:
        programs = {path.name for path in root.glob("**/*bin/*")}
        assert programs == {"python", "python3", f"python3.{sys.version_info.minor}"}
        modules = ("pip", "ensurepip", "idlelib", "test", "tkinter", "venv", "sqlite3")
        found = run(
            within(root, "-c", f"from importlib.util import find_spec as f; "
            f"print([name for name in {modules} if f(name)])")
        )  # fmt: skip
        assert found.stdout == "[]\n", found.stderr

    def test_it_knows_certificates_time_zones_and_its_user(self, root: Path) -> None:
        script = (
            "import pwd, ssl, zoneinfo\n"
            "print(len(ssl.create_default_context().get_ca_certs()))\n"
            "print(zoneinfo.ZoneInfo('Europe/Berlin'), pwd.getpwuid(65532).pw_name)"
        )
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        ours = len(ssl.create_default_context(cafile=bundle).get_ca_certs())
        found = run(within(root, "-c", script))
        assert found.stdout.split() == [str(ours), "Europe/Berlin", "nonroot"], found.stderr
        assert ours > 50

    def test_its_library_is_compiled(self, root: Path) -> None:
        library = root / f"usr/local/lib/python3.{sys.version_info.minor}"
        assert (library / f"json/__pycache__/decoder.{sys.implementation.cache_tag}.pyc").exists()

    def test_scanners_find_whose_files_they_are(self, root: Path) -> None:
        status = root / "var/lib/dpkg/status.d"
        listed = {path.name for path in status.iterdir()}
        assert listed >= {"libc6", "libgcc-s1", "libstdc++6", "tzdata", "ca-certificates"}
        assert not listed & {"bash", "dpkg", "apt", "perl-base"}
        assert "\nVersion: " in (status / "libc6").read_text()

    def test_a_library_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("there is no gcc to link such a program")
        (tmp_path / "gone.c").write_text("int gone(void) { return 0; }\n")
        (tmp_path / "user.c").write_text("int gone(void); int user(void) { return gone(); }\n")
        build = (compiler, "-shared", "-fPIC", "-o")
        subprocess.run([*build, "libgone.so", "gone.c"], cwd=tmp_path, check=True)
        subprocess.run([*build, "user.so", "user.c", "-L.", "-lgone"], cwd=tmp_path, check=True)
        (tmp_path / "libgone.so").unlink()
        with pytest.raises(FileNotFoundError, match=r"libgone\.so"):
            linked([tmp_path / "user.so"], tmp_path / "packages")
