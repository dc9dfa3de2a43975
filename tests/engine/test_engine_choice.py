"""Which engine runs a stack, and what happens where Pulumi cannot be had."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest
from engine_children import ROOT

from engine import install
from engine.choice import choose
from engine.errors import EngineError
from engine.project import Project
from engine.pulumi_cli import PulumiRunner
from engine.runner import EmbeddedRunner
from engine.state import Record, State, passphrase_file

STATES: dict[str, tuple[str, Any]] = {
    "embedded": ("embedded/test.json", {"version": 1, "resources": [{}]}),
    "pulumi": (
        "pulumi/.pulumi/stacks/proj/test.json",
        {"version": 3, "checkpoint": {"latest": {"resources": [{}]}}},
    ),
}
EMPTY: dict[str, Any] = {
    "embedded": {"version": 1, "salt": "AAAA", "resources": []},
    "pulumi": {"version": 3, "checkpoint": {"latest": {}}},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project on a machine without Pulumi and without a network."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv(f"{scheme}_proxy".upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    return Project(name="proj", stack="test", root=tmp_path, config={})


def hold(project: Project, engine: str, content: object | None = None) -> Path:
    name, resources = STATES[engine]
    file = project.local / name
    file.parent.mkdir(parents=True)
    text = content if isinstance(content, str) else json.dumps(content or resources)
    file.write_text(text)
    return file


def fake_pulumi(folder: Path) -> None:
    """Put a command on the PATH: it is only to be found, never run."""
    folder.mkdir(parents=True)
    (folder / "pulumi").write_text("#!/bin/sh\nexit 77\n")
    (folder / "pulumi").chmod(0o755)


def reason(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# Who holds the stack goes on


def test_the_embedded_engine_goes_on_with_its_stack_though_pulumi_is_there(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_pulumi(project.root / "bin")
    passphrase = passphrase_file(project.local).read_text()
    state = State(EmbeddedRunner.state_file(project), passphrase)
    state.records.append(Record(urn="u", type="t:m:T", name="n", custom=True))
    state.save()
    assert isinstance(choose(project, "auto"), EmbeddedRunner)
    assert reason(capsys) == "engine: embedded (it holds the stack)\n"


def test_pulumi_goes_on_with_its_stack(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_pulumi(project.root / "bin")
    hold(project, "pulumi")
    assert isinstance(choose(project, "auto"), PulumiRunner)
    assert reason(capsys) == "engine: pulumi (it holds the stack)\n"


def test_where_pulumi_holds_the_stack_and_cannot_be_had_nobody_else_goes_on(
    project: Project,
) -> None:
    hold(project, "pulumi")
    with pytest.raises(
        EngineError, match=r"no pulumi command on the PATH.*Pulumi holds this stack"
    ):
        choose(project, "auto")


@pytest.mark.parametrize(("holder", "wanted"), [("embedded", "pulumi"), ("pulumi", "embedded")])
def test_the_other_engine_is_refused_with_the_way_out(
    project: Project, holder: str, wanted: str
) -> None:
    fake_pulumi(project.root / "bin")
    hold(project, holder)
    with pytest.raises(
        EngineError, match=rf"'test' is held by the {holder} engine.*`make down ENGINE={holder}`"
    ):
        choose(project, wanted)


@pytest.mark.parametrize(("former", "wanted"), [("embedded", "pulumi"), ("pulumi", "embedded")])
def test_a_stack_that_was_taken_down_is_held_by_nobody(
    project: Project, former: str, wanted: str
) -> None:
    fake_pulumi(project.root / "bin")
    hold(project, former, EMPTY[former])
    runner = choose(project, wanted)
    assert isinstance(runner, PulumiRunner if wanted == "pulumi" else EmbeddedRunner)


@pytest.mark.parametrize("engine", ["embedded", "pulumi"])
@pytest.mark.parametrize("content", ["", "{", "text"])
def test_an_unreadable_state_is_not_taken_for_an_empty_one(
    project: Project, engine: str, content: str
) -> None:
    other = "pulumi" if engine == "embedded" else "embedded"
    hold(project, engine, content or "\n")
    with pytest.raises(EngineError, match=f"held by the {engine} engine"):
        choose(project, other)


# Nobody holds it


def test_pulumi_on_the_path_is_preferred(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_pulumi(project.root / "bin")
    assert isinstance(choose(project, "auto"), PulumiRunner)
    assert reason(capsys) == "engine: pulumi (the pulumi command is on the PATH)\n"


def test_an_earlier_installation_is_found(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_pulumi(project.local / "pulumi-cli" / "bin")
    assert isinstance(choose(project, "auto"), PulumiRunner)
    assert reason(capsys) == f"engine: pulumi (installed in {project.local / 'pulumi-cli'})\n"


def test_pulumi_is_run_wherever_on_the_path_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its archive, unpacked, has no folder `bin`, in which the SDK would look for it."""
    fake_pulumi(project.root / "unpacked")
    answers = '#!/bin/sh\nif [ "$1" = version ]; then echo v3.272.0; else exit 77; fi\n'
    (project.root / "unpacked" / "pulumi").write_text(answers)
    (project.root / "Pulumi.yaml").write_text("{name: proj, runtime: {name: python, options: {}}}")
    monkeypatch.setenv("PATH", str(project.root / "unpacked"))
    with pytest.raises(EngineError, match="code: 77"):
        choose(project, "pulumi").preview()


def test_where_pulumi_cannot_be_had_the_embedded_engine_runs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(choose(project, "auto"), EmbeddedRunner)
    out = reason(capsys)
    assert out.startswith("engine: embedded (no pulumi command on the PATH, and installing it")
    assert "cannot be reached" in out


def test_a_choice_by_hand_is_kept(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    fake_pulumi(project.root / "bin")
    assert isinstance(choose(project, "embedded"), EmbeddedRunner)
    assert isinstance(choose(project, "pulumi"), PulumiRunner)
    assert reason(capsys) == "engine: embedded (by hand)\nengine: pulumi (by hand)\n"


def test_pulumi_by_hand_that_cannot_be_had_is_an_error_with_the_way_out(project: Project) -> None:
    with pytest.raises(EngineError, match=r"cannot be reached.*nstall it .*or use ENGINE=embedded"):
        choose(project, "pulumi")


def test_reading_outputs_installs_nothing_and_says_nothing(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> NoReturn:
        pytest.fail("installs")

    monkeypatch.setattr("engine.choice.install", refused)
    runner = choose(project, "auto", may_install=False, quiet=True)
    assert isinstance(runner, EmbeddedRunner)
    assert runner.outputs() == {}
    assert reason(capsys) == ""


# The installation


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Serve an address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_probe_that_is_never_answered_ends(
    tmp_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, silent_server)
    assert install.install(tmp_path / "cli") == "its download cannot be reached"
    assert not (tmp_path / "cli").exists()


def test_a_download_that_hangs_ends(
    tmp_path: Path,
    silent_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(install, "_PROBE", "")
    monkeypatch.setattr(install, "_INSTALL_SECONDS", 1)
    monkeypatch.setattr(
        install, "_INSTALL", f"import urllib.request as r; r.urlopen('{silent_server}')"
    )
    assert install.install(tmp_path / "cli") == "no answer within 1 s"
    assert "installing the Pulumi CLI into" in capsys.readouterr().out


def test_a_failed_installation_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_PROBE", "")
    monkeypatch.setattr(install, "_INSTALL", "raise RuntimeError('the disk is full')")
    assert install.install(tmp_path / "cli") == "RuntimeError: the disk is full"


def test_a_good_installation_has_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_PROBE", "")
    monkeypatch.setattr(
        install, "_INSTALL", "import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir()"
    )
    assert install.install(tmp_path / "cli") is None
    assert (tmp_path / "cli").is_dir()


def test_the_official_installer_is_the_one_that_is_called() -> None:
    """The code is text for a child process: that it names what exists is only seen here."""
    from pulumi.automation import PulumiCommand

    assert "pulumi.automation import PulumiCommand" in install._INSTALL  # pyright: ignore[reportPrivateUsage] - see above
    assert callable(PulumiCommand.install)


def test_nothing_of_a_download_that_hangs_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "pid"
    monkeypatch.setattr(install, "_PROBE", "")
    monkeypatch.setattr(install, "_INSTALL_SECONDS", 2)
    monkeypatch.setattr(
        install,
        "_INSTALL",
        "import subprocess as s, pathlib, time; c = s.Popen(['/bin/sleep', '30']); "
        f"pathlib.Path({str(note)!r}).write_text(str(c.pid)); time.sleep(30)",
    )
    assert install.install(tmp_path / "cli") == "no answer within 2 s"
    pid = int(note.read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        for _ in range(500):
            # Killed; but it ends when the kernel comes to it, and somebody has to take note.
            if psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                break
            time.sleep(0.02)
        else:
            pytest.fail("what the installer started goes on")
