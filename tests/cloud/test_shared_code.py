"""Uploaded code, and the file that runs a module of it."""

import base64
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_databricks as dbx
import pytest

from contract.fingerprint import CodeError, code_sha256
from infra.workspace_code import RUNNER, WorkspaceCode, WorkspaceCodeArgs
from tests.recorder import ROOT, Recorder, record

RUN_MODULE = ROOT / "infra" / "run_module.py"
FOLDER = "/Shared/one"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two packages, and the current folder."""
    for name, text in {
        "one/__init__.py": '"""One."""\n',
        "one/__main__.py": "import two.part\nprint('one runs', two.part.NUMBER)\n",
        "one/notes.txt": "not code\n",
        "two/__init__.py": "",
        "two/part.py": "NUMBER = 2\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def upload(
    packages: Sequence[str] = ("one", "two"), *, unknown: bool = False
) -> tuple[Recorder, dict[str, object]]:
    told: dict[str, object] = {}

    def program() -> None:
        provider = dbx.Provider("inside", dbx.ProviderArgs(host="https://one.net"))
        code = WorkspaceCode(
            "code",
            WorkspaceCodeArgs(packages=packages, root=FOLDER),
            opts=pulumi.ResourceOptions(providers=[provider]),
        )
        code.root.apply(lambda root: told.update(root=root))
        told["sha256"] = code.sha256

    return record(program, Recorder(unknown=unknown)), told


def contents(recorder: Recorder) -> dict[str, bytes]:
    files = recorder.of_type("WorkspaceFile")
    return {
        file.inputs["path"]: base64.b64decode(file.inputs["contentBase64"], validate=True)
        for file in files
    }


@pytest.mark.usefixtures("project")
def test_every_python_file_arrives_under_its_own_path_and_nothing_else() -> None:
    recorder, told = upload()
    root = str(told["root"]).removeprefix("/Workspace")
    assert contents(recorder) == {
        f"{root}/one/__init__.py": b'"""One."""\n',
        f"{root}/one/__main__.py": Path("one/__main__.py").read_bytes(),
        # Empty content is none to the provider.
        f"{root}/two/__init__.py": b"\n",
        f"{root}/two/part.py": b"NUMBER = 2\n",
        f"{root}/{RUNNER}": RUN_MODULE.read_bytes(),
    }


@pytest.mark.usefixtures("project")
def test_the_folder_goes_with_all_that_runs_left_in_it() -> None:
    recorder, told = upload()
    assert recorder["code-folder"].inputs["deleteRecursive"] is True
    assert f"/Workspace{recorder['code-folder'].inputs['path']}" == told["root"]
    assert str(told["root"]).startswith(f"/Workspace{FOLDER}/")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("unknown", [False, True])
def test_files_are_made_in_the_workspace_after_their_folder(unknown: bool) -> None:
    recorder, _ = upload(unknown=unknown)
    files = recorder.of_type("WorkspaceFile")
    assert len(files) == 5
    for file in files:
        assert file.parent == "code"
        assert "code-folder" in file.dependencies
        assert "::inside::" in file.request.provider


@pytest.mark.usefixtures("project")
def test_what_uses_the_root_waits_for_every_file() -> None:
    def program() -> None:
        code = WorkspaceCode("code", WorkspaceCodeArgs(packages=("one",), root=FOLDER))
        dbx.Directory("user", dbx.DirectoryArgs(path=code.root))

    recorder = record(program)
    files = {file.name for file in recorder.of_type("WorkspaceFile")}
    assert files | {"code-folder"} <= recorder["user"].dependencies


def test_a_change_moves_the_files_and_keeps_their_names(project: Path) -> None:
    """So that Pulumi makes the new files first and removes the old ones last."""
    before, told = upload()
    (project / "two" / "part.py").write_text("NUMBER = 3\n")
    after, told_after = upload()
    assert told["root"] != told_after["root"]
    assert told["sha256"] != told_after["sha256"] == code_sha256(("one", "two"))
    assert {r.name for r in before.resources} == {r.name for r in after.resources}
    digests = [str(told["root"])[-12:], str(told_after["root"])[-12:]]
    assert not [r.name for r in after.resources if any(digest in r.name for digest in digests)]


def test_a_file_that_is_no_code_moves_nothing(project: Path) -> None:
    _, before = upload()
    (project / "one" / "notes.txt").write_text("other notes\n")
    (project / "one" / "__pycache__").mkdir()
    (project / "one" / "__pycache__" / "x.pyc").write_bytes(b"\0")
    assert upload()[1] == before


@pytest.mark.usefixtures("project")
def test_another_runner_moves_the_code_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = upload()
    other = tmp_path / RUNNER
    other.write_text("# another\n")
    monkeypatch.setattr("infra.workspace_code._RUNNER_SOURCE", other)
    _, after = upload()
    assert before["root"] != after["root"]
    assert before["sha256"] == after["sha256"]


@pytest.mark.usefixtures("project")
def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(CodeError, match="'three'"):
        upload(("one", "three"))


def run(
    arguments: Sequence[str], folder: Path, *, python: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *python, str(folder / RUNNER), *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def uploaded(project: Path) -> Path:
    """A folder as the workspace has it: the files as they were registered, and no others."""
    recorder, told = upload()
    root = str(told["root"]).removeprefix("/Workspace")
    folder = project / "elsewhere"
    for path, content in contents(recorder).items():
        file = folder / path.removeprefix(f"{root}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def test_the_uploaded_code_runs_from_its_folder_alone(uploaded: Path) -> None:
    done = run([str(uploaded), "one"], uploaded)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one runs 2\n", "")
    assert not list(uploaded.rglob("__pycache__")), "it may leave nothing in the workspace"


def test_a_module_gets_its_arguments(uploaded: Path) -> None:
    (uploaded / "two" / "show.py").write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    done = run([str(uploaded), "two.show", "--a=b c", ""], uploaded)
    assert done.stdout == "__main__ ['--a=b c', '']\n"


@pytest.mark.parametrize(
    "code", ["sys.exit(0)", "sys.exit()", "sys.exit(None)", "raise SystemExit"]
)
def test_an_exit_that_is_well_is_no_failure(uploaded: Path, code: str) -> None:
    """Databricks takes each SystemExit for a failure: none may come through."""
    (uploaded / "ends.py").write_text(f"import sys\n{code}\n")
    program = f"import run_module; run_module.main([{str(uploaded)!r}, 'ends']); print('returned')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=uploaded,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("returned\n", "")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("sys.exit(3)", "3", ""),
        ("sys.exit('no data')", "1", "no data\n"),
        ("sys.exit(-1)", "-1", ""),
    ],
)
def test_another_exit_fails_the_task(uploaded: Path, code: str, status: str, said: str) -> None:
    (uploaded / "ends.py").write_text(f"import sys\n{code}\n")
    done = run([str(uploaded), "ends"], uploaded)
    assert done.returncode == 1
    assert f"RuntimeError: ends ended with status {status}; see its output" in done.stderr
    assert said in done.stderr


def test_an_exception_comes_through_as_it_is(uploaded: Path) -> None:
    (uploaded / "fails.py").write_text("raise KeyError('which')\n")
    done = run([str(uploaded), "fails"], uploaded)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "KeyError: 'which'"


def test_the_runner_needs_nothing_but_the_standard_library(uploaded: Path) -> None:
    (uploaded / "two" / "show.py").write_text("print('bare')\n")
    done = run([str(uploaded), "two.show"], uploaded, python=["-I", "-S"])
    assert done.stdout == "bare\n"
