import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from app_bundles import write_bundle
from app_processes import KEY, ROOT, Process, Start, free_port

from app import smoke
from contract.release import verify


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", KEY)


def fail(capsys: pytest.CaptureFixture[str], url: str, bundle: Path, timeout: str = "0.3") -> str:
    arguments = ["--url", url, "--bundle", str(bundle), "--timeout", timeout]
    assert smoke.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_the_right_release_passes(serving: Process, bundle: Path) -> None:
    url = serving.ask("status")["private_url"]
    done = subprocess.run(
        [sys.executable, "-m", "app.smoke", "--url", url + "/", "--bundle", str(bundle)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result.pop("max_difference") < 1e-12
    assert result == {"records": 5, "tolerance": 1e-9, "release": "7"}


def test_what_is_wrong_is_said(
    serving: Process,
    bundle: Path,
    other_bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = serving.ask("status")["private_url"]
    assert "another release" in fail(capsys, url, other_bundle)
    monkeypatch.setattr(
        smoke, "verify", dict.fromkeys((bundle, other_bundle), verify(bundle)).__getitem__
    )
    message = fail(capsys, url, other_bundle)
    assert "record 0: attrition_probability differs by " in message
    assert "tolerance 1e-09" in message
    monkeypatch.setenv("API_KEY", "wrong")
    assert "does not accept API_KEY" in fail(capsys, url, bundle)
    monkeypatch.delenv("API_KEY")
    assert "API_KEY: not set" in fail(capsys, url, bundle)


def test_nobody_there_is_said(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = fail(capsys, f"http://127.0.0.1:{free_port()}", bundle)
    assert "not ready within 0.3 s" in message
    assert "connection refused" in message


def test_a_release_that_is_not_ready_is_said(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "wrong", wrong=True)
    port = free_port()
    start("W", tmp_path / "wrong", PORT=str(port))
    message = fail(capsys, f"http://127.0.0.1:{port}", tmp_path / "wrong", "2")
    assert "not ready within 2 s" in message
    assert "503" in message


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x:y"])
def test_a_wrong_url_is_refused(url: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--url: expected" in fail(capsys, url, bundle)
