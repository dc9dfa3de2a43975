import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from app_bundles import write_bundle
from app_processes import KEY, ROOT, Process, Start, free_port
from app_releases import change

from app import smoke
from contract.release import REFERENCE, verify

Edit = Callable[[Any], Any]
Pretend = Callable[[Edit], str]


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


def test_a_proof_counts_for_nothing(start: Start, bundle: Path) -> None:
    process = start("A").wait_ready()
    assert smoke.main(["--url", process.ask("status")["private_url"], "--bundle", str(bundle)]) == 0
    connection = process.connect()
    connection.request("GET", "/drift", headers={"X-API-Key": KEY})
    assert json.loads(connection.getresponse().read())["records"] == 0
    connection.close()


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


WRONG_PARTS: list[tuple[str, Edit]] = [
    ("interval", lambda answer: answer["interval"].reverse()),
    ("interval", lambda answer: answer["interval"].pop()),
    ("decision", lambda answer: answer.update(decision="refer")),
    ("outlier", lambda answer: answer["outlier"].update(is_outlier=True)),
    ("outlier", lambda answer: answer["outlier"].update(score=4711.0)),
    ("outlier", lambda answer: answer["outlier"]["features"].append("Age")),
    ("outlier", lambda answer: answer["outlier"]["broken_rules"].append("Age")),
    ("reasons", lambda answer: answer["reasons"].reverse()),
    ("reasons", lambda answer: answer["reasons"][1].update(contribution=4711.0)),
    ("advice", lambda answer: answer.update(advice="none")),
]


@pytest.mark.parametrize(("part", "edit"), WRONG_PARTS)
def test_the_part_that_differs_is_named_and_no_value(
    serving: Process,
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    edit: Edit,
) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    change(other, REFERENCE, lambda content: edit(content["records"][2]["answer"]))
    monkeypatch.setattr(smoke, "verify", {other: verify(bundle)}.__getitem__)
    url = serving.ask("status")["private_url"]
    assert fail(capsys, url, other) == f"error: record 2: {part} differs\n"


@pytest.fixture
def pretend(bundle: Path) -> Iterator[Pretend]:
    """Serve the right answers as some edit makes them; return the address."""
    servers: list[HTTPServer] = []
    records = json.loads((bundle / REFERENCE).read_bytes())["records"]
    answers = {json.dumps(each["record"]): each["answer"] for each in records}

    def pretend(edit: Edit) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(200, {"manifest_sha256": verify(bundle)})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["X-API-Key"] is None:
                    self.reply(401, {})
                elif asked == [{}]:
                    self.reply(422, {})
                else:
                    found = [answers[json.dumps(each)] for each in asked]
                    self.reply(200, edit({"release": "7", "predictions": found}))

            def reply(self, status: int, content: Any) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 http.server's name
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield pretend
    for server in servers:
        server.shutdown()
        server.server_close()


def first(**changes: Any) -> Edit:
    def edit(content: Any) -> Any:
        prediction = {**content["predictions"][0], **changes}
        kept = {key: value for key, value in prediction.items() if value is not ...}
        return {**content, "predictions": [kept, *content["predictions"][1:]]}

    return edit


def test_a_server_that_says_more_passes(
    pretend: Pretend, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke.main(["--url", pretend(first(advice="none")), "--bundle", str(bundle)]) == 0
    assert json.loads(capsys.readouterr().out)["max_difference"] == 0


OTHER_FORMS: list[tuple[Edit, str]] = [
    (first(attrition_probability=...), "record 0: the prediction is incomplete"),
    (lambda content: {**content, "predictions": [None]}, "record 0: the prediction is incompl"),
    (lambda content: {**content, "predictions": ["x"]}, "record 0: the prediction is incompl"),
    (lambda content: {**content, "predictions": [[0.5]]}, "record 0: the prediction is incom"),
    (lambda content: {**content, "predictions": []}, "0 predictions for 1 records"),
    (lambda content: {"release": "7"}, "the answer holds no predictions"),
    (lambda content: {**content, "predictions": 7}, "the answer holds no predictions"),
    (lambda content: [content], "the answer holds no predictions"),
    (first(attrition_probability=math.nan), "record 0: attrition_probability differs by inf"),
    (first(attrition_probability=10**400), "record 0: attrition_probability differs by inf"),
    (first(attrition_probability=True), "record 0: attrition_probability differs by inf"),
    (first(attrition_probability="0.5"), "record 0: attrition_probability differs by inf"),
    (first(interval=...), "record 0: interval differs"),
    (first(interval=[math.nan, math.nan]), "record 0: interval differs"),
    (first(outlier=...), "record 0: outlier differs"),
    (first(outlier=None), "record 0: outlier differs"),
    (first(outlier={}), "record 0: outlier differs"),
    (first(decision=...), "record 0: decision differs"),
    (first(decision=None), "record 0: decision differs"),
    (first(reasons=...), "record 0: reasons differs"),
    (first(reasons=[]), "record 0: reasons differs"),
]


@pytest.mark.parametrize(("edit", "said"), OTHER_FORMS)
def test_answers_of_any_other_form_are_said(
    pretend: Pretend, bundle: Path, capsys: pytest.CaptureFixture[str], edit: Edit, said: str
) -> None:
    assert said in fail(capsys, pretend(edit), bundle)


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
