"""Training as a child process: seen while it runs, bounded, and never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.lifecycle import executor_process
from infra.lifecycle.errors import TrainingError
from infra.lifecycle.executor_process import run_process

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(code: str, *arguments: str, seconds: float = 60) -> None:
    Path("child.py").write_text(code)
    run_process(["child", *arguments], log_file=Path("logs", "run.log"), timeout_seconds=seconds)


def log() -> str:
    return Path("logs", "run.log").read_text()


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has, though nobody has asked for its status yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def test_lines_are_shown_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    run("import sys; print('one'); print('two', file=sys.stderr); print(sys.argv[1])", "three")
    assert log() == "one\ntwo\nthree\n"
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "one",
        "two",
        "three",
    ]


def test_lines_are_there_while_the_child_runs() -> None:
    """The child ends only when it has seen its own line in the log."""
    run(
        "import pathlib, time\n"
        "print('begun')\n"
        "while 'begun' not in pathlib.Path('logs/run.log').read_text(): time.sleep(0.01)\n"
    )
    assert log() == "begun\n"


def test_a_log_is_added_to() -> None:
    run("print(1)")
    run("print(2)")
    assert log() == "1\n2\n"


def test_bytes_that_are_no_text_and_a_last_line_without_end_are_kept() -> None:
    run(r"import sys; sys.stdout.buffer.write(b'caf\xe9\nend')")
    assert log() == "caf\ufffd\nend\n"


def test_more_than_a_pipe_holds_passes_through() -> None:
    run("for _ in range(3000): print('x' * 100)")
    assert log() == ("x" * 100 + "\n") * 3000


def test_a_silent_child_is_said_to_be_still_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(executor_process, "_SILENCE_SECONDS", 0.1)
    run("import time; time.sleep(1); print('done')")
    out = capsys.readouterr().out
    assert "… still running after" in out
    assert out.index("still running") < out.index("done")
    assert log() == "done\n"


def test_a_child_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(TrainingError, match=r"longer than allowed.*`trainingTimeoutMinutes`"):
        run("import os, time; print(os.getpid()); time.sleep(3600)", seconds=2)
    assert gone(int(log()))


def test_a_child_that_never_stops_talking_is_stopped_too() -> None:
    with pytest.raises(TrainingError, match="longer than allowed"):
        run("import time\nwhile True: print('x'); time.sleep(0.001)", seconds=1)


def test_children_of_a_child_that_takes_too_long_do_not_hold_the_run(folder: Path) -> None:
    code = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sh', '-c', 'sleep 3; touch ended']).pid)\n"
        "time.sleep(3600)"
    )
    with pytest.raises(TrainingError, match="longer than allowed"):
        run(code, seconds=1)
    assert not (folder / "ended").exists(), "it came back only after the grandchild had ended"
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(log()), signal.SIGKILL)


def test_a_failing_child_is_quoted_with_its_status() -> None:
    with pytest.raises(TrainingError) as caught:
        run("import sys; [print(f'line {i}') for i in range(30)]; sys.exit(7)")
    message = str(caught.value)
    assert message.startswith("child ended with status 7; nothing was registered.")
    assert "\n  line 18\n" in message
    assert "\n  line 29\n" in message
    assert "line 17" not in message
    assert message.endswith("The whole output: logs/run.log")


def test_a_silent_failure_says_so() -> None:
    with pytest.raises(TrainingError, match="it printed nothing"):
        run("import os; os._exit(1)")


def test_a_child_that_was_killed_is_an_error() -> None:
    with pytest.raises(TrainingError, match="status -9"):
        run("import os; os.kill(os.getpid(), 9)")


def test_a_module_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrainingError, match="No module named missing"):
        run_process(["missing"], log_file=Path("run.log"), timeout_seconds=60)


def test_a_log_on_a_full_disk_ends_the_child(folder: Path) -> None:
    Path("child.py").write_text(
        "import os, time; open('pid', 'w').write(str(os.getpid()))\n"
        "while True: print('x'); time.sleep(0.01)"
    )
    with pytest.raises(OSError, match="No space left"):
        run_process(["child"], log_file=Path("/dev/full"), timeout_seconds=60)
    assert gone(int((folder / "pid").read_text()))


def test_the_child_ends_when_its_parent_is_killed(folder: Path) -> None:
    """By its stdin, which the kernel closes: it is how `--exit-with-stdin` learns of it."""
    Path("child.py").write_text(
        "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()\n"
        "open('ended', 'w').close()"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pathlib import Path; from infra.lifecycle.executor_process import run_process\n"
            "run_process(['child'], log_file=Path('run.log'), timeout_seconds=3600)",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.communicate()
    wait_until_gone(child)
    assert (folder / "ended").exists()


def test_the_child_is_killed_when_the_run_is_interrupted(folder: Path) -> None:
    Path("child.py").write_text("import os, time; print(os.getpid()); time.sleep(3600)")
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pathlib import Path; from infra.lifecycle.executor_process import run_process\n"
            "run_process(['child'], log_file=Path('run.log'), timeout_seconds=3600)",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=60)
    wait_until_gone(child)
