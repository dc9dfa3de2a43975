import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_bundles import record
from app_processes import Load, Process, Start, free_port, predict

BODY = json.dumps([record()]).encode()


def release_at(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        return predict(connection, BODY)[1]["release"]
    finally:
        connection.close()


def is_listening(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


def pair(start: Start, other_bundle: Path) -> tuple[Process, Process]:
    a, b = start("A"), start("B", other_bundle)
    return a.wait_ready(), b.wait_ready()


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, bundle: Path, other_bundle: Path
) -> Iterator[tuple[Process, Process]]:
    folder = tmp_path_factory.mktemp("both")
    a, b = Process(folder, "A", bundle).start(), Process(folder, "B", other_bundle).start()
    yield a.wait_ready(), b.wait_ready()
    a.kill()
    b.kill()


@pytest.fixture
def rested(both: tuple[Process, Process]) -> tuple[Process, Process]:
    """Two processes that hold no port and no connection, for tests that end neither."""
    for process in both:
        assert process.ask("retire")["ok"]
        process.wait_drained()
    return both


def test_the_port_moves_under_load_without_one_failed_request(
    start: Start, other_bundle: Path
) -> None:
    a, b = pair(start, other_bundle)
    port = free_port()
    assert a.publish(port) == {"ok": True, "public": f"127.0.0.1:{port}"}
    with Load(port, BODY) as load:
        time.sleep(0.3)
        for new, old in [(b, a), (a, b)] * 4 + [(b, a)]:
            assert new.publish(port, old)["ok"]
            assert new.ask("status")["public"] == f"127.0.0.1:{port}"
            assert old.ask("status")["public"] is None
            old.wait_drained()
            answered = load.answers[new.name]
            time.sleep(0.2)
            assert load.answers[new.name] > answered
        assert a.terminate() == 0
        at_the_end = load.answers["A"]
        time.sleep(0.3)
    assert load.failures == []
    assert set(load.answers) == {"A", "B"}
    assert load.answers["A"] == at_the_end
    assert release_at(port) == "B"


def test_the_port_moves_along_a_chain_of_new_processes_under_load(
    start: Start, other_bundle: Path
) -> None:
    """What an upgrade does: a new process for each release, the old one ended when drained."""
    port = free_port()
    old = start("r0").wait_ready()
    assert old.publish(port)["ok"]
    with Load(port, BODY, keep_alive=4, fresh=4) as load:
        for number in range(1, 4):
            new = start(f"r{number}", other_bundle).wait_ready()
            assert new.publish(port, old)["ok"]
            old.wait_drained()
            assert old.terminate() == 0
            old = new
    assert load.failures == []
    assert set(load.answers) == {"r0", "r1", "r2", "r3"}


def test_repeated_commands_change_nothing(start: Start, other_bundle: Path) -> None:
    a, b = pair(start, other_bundle)
    port = free_port()
    published = {"ok": True, "public": f"127.0.0.1:{port}"}
    assert [a.publish(port), a.publish(port), a.publish(port, a)] == [published] * 3
    assert [b.publish(port, a), b.publish(port, a)] == [published] * 2
    assert release_at(port) == "B"
    assert [a.ask("retire"), a.ask("retire")] == [{"ok": True}] * 2
    assert a.terminate() == 0
    assert b.publish(port, a) == published
    assert release_at(port) == "B"


def test_a_repeated_publish_completes_a_handover_that_was_cut_short(
    rested: tuple[Process, Process],
) -> None:
    a, b = rested
    port = free_port()
    a.publish(port)
    a.popen.send_signal(signal.SIGSTOP)
    failed = b.publish(port, a)
    a.popen.send_signal(signal.SIGCONT)
    assert failed["error"] == "handover_failed"
    assert b.ask("status")["public"] is None
    assert release_at(port) == "A"
    assert b.publish(port, a)["ok"]
    assert release_at(port) == "B"
    assert a.ask("status")["draining"] is True


def test_a_taken_port_is_said_to_be_taken(rested: tuple[Process, Process]) -> None:
    a, _ = rested
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        refusal = a.publish(stranger.getsockname()[1])
    assert (refusal["ok"], refusal["error"]) == (False, "address_in_use")
    assert a.ask("status")["public"] is None


def test_a_process_that_was_not_asked_does_not_give_up_its_port(
    rested: tuple[Process, Process],
) -> None:
    a, b = rested
    port = free_port()
    a.publish(port)
    assert b.publish(port)["error"] == "address_in_use"
    assert release_at(port) == "A"
    assert a.ask("status")["draining"] is False


def test_a_dead_predecessor_is_no_obstacle(start: Start, other_bundle: Path) -> None:
    a, b = pair(start, other_bundle)
    port = free_port()
    a.publish(port)
    a.kill()
    assert b.publish(port, a)["ok"]
    assert release_at(port) == "B"


def test_a_changed_port_is_taken_before_the_old_one_is_left(
    rested: tuple[Process, Process],
) -> None:
    a, _ = rested
    old, new = free_port(), free_port()
    a.publish(old)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        assert a.publish(stranger.getsockname()[1])["error"] == "address_in_use"
    assert release_at(old) == "A"
    assert a.publish(new)["public"] == f"127.0.0.1:{new}"
    assert release_at(new) == "A"
    assert not is_listening(old)
    assert a.ask("status")["draining"] is False


def test_release_and_port_change_together(rested: tuple[Process, Process]) -> None:
    a, b = rested
    old, new = free_port(), free_port()
    a.publish(old)
    assert b.publish(new, a)["ok"]
    assert (release_at(old), release_at(new)) == ("A", "B")
    assert a.ask("retire")["ok"]
    assert not is_listening(old)


def test_draining_ends_kept_connections_and_publishing_ends_draining(
    rested: tuple[Process, Process],
) -> None:
    a, _ = rested
    port = free_port()
    a.publish(port)
    kept = a.connect()
    assert predict(kept, BODY)[2].getheader("connection") is None
    assert a.ask("retire") == {"ok": True}
    assert not is_listening(port)
    assert a.ask("status")["draining"] is True
    assert predict(kept, BODY)[2].getheader("connection") == "close"
    a.wait_drained()
    assert a.publish(port)["ok"]
    assert a.ask("status")["draining"] is False
    assert predict(kept, BODY)[2].getheader("connection") is None
    kept.close()


def test_idle_connections_are_gone_after_the_keep_alive_time(
    rested: tuple[Process, Process],
) -> None:
    a, b = rested
    port = free_port()
    a.publish(port)
    idle = a.connect()
    assert predict(idle, BODY)[0] == 200
    assert b.publish(port, a)["ok"]
    assert a.ask("status")["connections"] == 1
    a.wait_drained(seconds=8)
    idle.close()
