import contextlib
import http.client
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from app_bundles import record, write_bundle
from app_processes import JSON, KEY, Process, Start, environment, free_port, predict

from contract.release import CLASSIFIER, EXAMPLE_REQUEST

BODY = json.dumps([record()]).encode()


def run(folder: Path, variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run a process that should end by itself; return its exit code and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.returncode, done.stderr


def assert_refused(result: tuple[int, str], *words: str) -> None:
    code, stderr = result
    assert code == 2, stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    for word in words:
        assert word in stderr


def test_a_missing_key_is_refused(tmp_path: Path, bundle: Path) -> None:
    variables = environment(bundle, "7")
    del variables["API_KEY_SHA256"]
    assert_refused(run(tmp_path, variables), "API_KEY_SHA256: not set")


@pytest.mark.parametrize("name", [CLASSIFIER, EXAMPLE_REQUEST])
def test_an_altered_release_is_refused(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / "altered")
    with (tmp_path / "altered" / name).open("a") as file:
        file.write("\n")
    assert_refused(run(tmp_path, environment(tmp_path / "altered", "7")), name, "altered")


def test_another_release_than_the_registry_says_is_refused(tmp_path: Path, bundle: Path) -> None:
    variables = environment(bundle, "7", RELEASE_SHA256="ab" * 32)
    assert_refused(run(tmp_path, variables), "manifest.json", "abababababab")


def test_a_taken_private_port_is_refused(tmp_path: Path, bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(tmp_path, environment(bundle, "7", PORT=port))
    assert_refused(result, f"PORT: 127.0.0.1:{port}")


def test_a_control_path_that_cannot_be_bound_is_refused(tmp_path: Path, bundle: Path) -> None:
    variables = environment(bundle, "7")
    assert_refused(run(tmp_path, variables, "--control", "x" * 108), "--control", "108 bytes")
    assert_refused(run(tmp_path, variables, "--control", "no/such.sock"), "--control: no/such.sock")


def test_help_names_every_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": environment(tmp_path, "7")["PYTHONPATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("RELEASE_DIR", "RELEASE_VERSION", "RELEASE_SHA256", "API_KEY_SHA256", "HOST"):
        assert name in done.stdout


def test_the_control_socket_is_private_and_tells_the_state(serving: Process) -> None:
    serving.wait_drained()
    assert stat.S_IMODE(serving.socket.stat().st_mode) == 0o600
    status = serving.ask("status")
    assert status.pop("private_url").startswith("http://127.0.0.1:")
    assert status == {
        "ok": True,
        "instance": "7",
        "pid": serving.popen.pid,
        "release": "7",
        "ready": True,
        "public": None,
        "draining": False,
        "connections": 0,
    }


def test_a_second_process_does_not_take_a_live_control_socket(
    serving: Process, bundle: Path
) -> None:
    result = run(serving.folder, environment(bundle, "8"), "--control", "7.sock")
    assert_refused(result, "--control: 7.sock: another process answers there")
    assert serving.ask("status")["ok"]


def test_a_dead_control_socket_is_replaced(start: Start) -> None:
    dead = start("A").wait_ready()
    dead.kill()
    assert dead.socket.exists()
    process = start("A").wait_ready()
    assert process.ask("status")["pid"] == process.popen.pid


def test_what_is_no_command_is_refused(serving: Process) -> None:
    process = serving
    assert process.ask("dance")["error"] == "bad_request"
    assert process.ask("publish")["error"] == "bad_request"
    assert process.ask("publish", host="127.0.0.1", port=0)["error"] == "bad_request"
    assert process.ask("publish", host="127.0.0.1", port=True)["error"] == "bad_request"
    assert process.ask("publish", host="no.such.host.invalid", port=1)["error"] == "cannot_listen"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.path.relpath(process.socket))
        connection.sendall(b'nonsense\n{"command": "status"}\n')
        with connection.makefile("rb") as lines:
            assert json.loads(lines.readline())["error"] == "bad_request"
            assert json.loads(lines.readline())["ok"] is True


def test_a_wrong_release_is_not_published(tmp_path: Path, start: Start) -> None:
    from app_bundles import write_bundle

    write_bundle(tmp_path / "wrong", wrong=True)
    process = start("W", tmp_path / "wrong")
    deadline = time.monotonic() + 10
    while not process.socket.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.ask("status")["ready"] is False
    assert process.publish(free_port())["error"] == "not_ready"


def test_a_request_in_flight_outlives_sigterm(start: Start) -> None:
    process = start("A").wait_ready()
    connection = begin_slowly(process)
    process.popen.terminate()
    time.sleep(0.5)
    assert process.popen.poll() is None
    connection.send(BODY[10:])
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("connection") == "close"
    assert json.loads(response.read())["release"] == "A"
    assert process.popen.wait(timeout=5) == 0
    assert not process.socket.exists()
    connection.close()


def test_a_stuck_request_holds_its_process_for_a_while_and_nothing_holds_another(
    start: Start,
) -> None:
    stuck, idle = start("A").wait_ready(), start("B").wait_ready()
    connection = begin_slowly(stuck)
    stuck.popen.terminate()
    assert idle.terminate() == 0
    assert stuck.popen.poll() is None
    assert stuck.popen.wait(timeout=30) == 0
    connection.close()
    assert not stuck.socket.exists()
    assert not idle.socket.exists()


def test_a_connection_without_a_whole_request_is_closed(serving: Process) -> None:
    url = serving.ask("status")["private_url"].removeprefix("http://").split(":")
    address, sent = (url[0], int(url[1])), (b"", b"GET / HT", b"GET / HTTP/1.1\r\nA: b")
    with contextlib.ExitStack() as opened:
        waiting: list[socket.socket] = []
        for part in sent:
            waiting.append(opened.enter_context(socket.create_connection(address, timeout=60)))
            waiting[-1].sendall(part)
        assert [connection.recv(1) for connection in waiting] == [b""] * len(sent)


def test_bytes_that_come_now_and_then_keep_no_connection(serving: Process) -> None:
    connection = serving.connect()
    connection.request("GET", "/health/live")
    connection.getresponse().read()
    connection.sock.settimeout(1)
    ended = False
    for byte in b"GET /health/live":
        with contextlib.suppress(TimeoutError):
            ended = connection.sock.recv(1) == b""
        if ended:
            break
        connection.sock.sendall(bytes([byte]))
    assert ended
    connection.close()


def test_more_connections_than_descriptors_are_waited_out(start: Start) -> None:
    process = start("A").wait_ready()
    opened = psutil.Process(process.popen.pid).num_fds()
    resource.prlimit(process.popen.pid, resource.RLIMIT_NOFILE, (opened + 20, opened + 20))
    url = process.ask("status")["private_url"].removeprefix("http://").split(":")
    with contextlib.ExitStack() as strangers:
        for _ in range(60):
            strangers.enter_context(socket.create_connection((url[0], int(url[1]))))
        asking = http.client.HTTPConnection(url[0], int(url[1]), timeout=60)
        asking.request("GET", "/health/live")
        assert asking.getresponse().status == 200
        asking.close()
    assert process.terminate() == 0
    events = Counter(json.loads(line)["event"] for line in process.log.read_text().splitlines())
    assert events["accept_failed"] > 0
    assert sum(events.values()) < 100


def test_who_leaves_before_the_answer_is_told_apart(start: Start) -> None:
    process = start("A").wait_ready()
    begin_slowly(process).close()
    deadline = time.monotonic() + 5
    while '"route":"/predict"' not in process.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert [line["status"] for line in lines if line.get("route") == "/predict"] == [499]


def test_an_answer_on_a_kept_connection_does_not_wait_for_an_acknowledgement(
    serving: Process,
) -> None:
    connection = serving.connect()
    times: list[float] = []
    for _ in range(10):
        started = time.monotonic()
        assert predict(connection, BODY)[0] == 200
        times.append(time.monotonic() - started)
    connection.close()
    # Linux acknowledges after 40 ms at the earliest when both sides wait for each other.
    assert min(times) < 0.03


@pytest.mark.parametrize(("key", "size", "status"), [("wrong", 1.5, 401), (KEY, 3, 413)])
def test_a_refusal_reaches_a_client_that_is_still_sending(
    serving: Process, key: str, size: float, status: int
) -> None:
    connection = serving.connect()
    body = b" " * int(size * 1024 * 1024)
    headers = {**JSON, "X-API-Key": key, "Connection": "close"}
    connection.request("POST", "/predict", body, headers)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["status"]) == (status, status)
    connection.close()


def test_a_broken_request_leaves_no_trace_of_its_text(start: Start) -> None:
    process = start("A").wait_ready()
    canary = b"Canary-Ada-Lovelace"
    url = process.ask("status")["private_url"].removeprefix("http://").split(":")
    for request in (
        canary + b"\r\n\r\n",
        b"GET /" + canary + b"?q=" + canary + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 99999\r\nX-API-Key: " + canary + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: " + canary + b"\r\nConnection: upgrade\r\nHost: x\r\n\r\n",
    ):
        with socket.create_connection((url[0], int(url[1]))) as connection:
            connection.sendall(request + canary)
            connection.settimeout(0.3)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while connection.recv(4096):
                    pass
    assert process.terminate() == 0
    assert canary.decode() not in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def begin_slowly(process: Process) -> http.client.HTTPConnection:
    """Send a request up to the tenth byte of its body, and wait until it is being served."""
    connection = process.connect()
    connection.putrequest("POST", "/predict")
    connection.putheader("X-API-Key", KEY)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders(BODY[:10])
    deadline = time.monotonic() + 5
    while process.ask("status")["connections"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)
    return connection
