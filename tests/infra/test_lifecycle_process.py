"""Detached API processes and the public address: real processes, real sockets."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lifecycle_store import Store, address
from pulumi.output import Unknown

from contract import release
from infra.lifecycle import process
from infra.lifecycle.api_process import ApiProcessProvider
from infra.lifecycle.errors import AddressError, ProcessError, RegistryError, SmokeTestError
from infra.lifecycle.smoke_test import SmokeTestProvider
from infra.lifecycle.traffic_switch import TrafficSwitchProvider

# An API process outlives whoever starts it, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

RUN = "run"
PORT_KEY = "employee-retention:apiPort in Pulumi.local.yaml"
Start = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for package in ("app", "contract"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    source = Path(__file__).with_name("lifecycle_stand_in.py")
    shutil.copy(source, tmp_path / "app" / "__main__.py")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for _, running in list(process.instances(RUN)):
        running.kill()
        running.wait()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(instance: str, mode: str = "") -> dict[str, Any]:
        return process.start(control(instance), {"MODE": mode}, tmp_path / "api.log")

    return start


def control(instance: str) -> str:
    return process.control_path(RUN, instance)


def running() -> dict[str, int]:
    return {Path(control).stem: found.pid for control, found in process.instances(RUN)}


# Starting


def test_a_process_is_started_and_found_again(start: Start) -> None:
    status = start("a")
    assert status["ready"]
    assert running() == {"a": status["pid"]}
    assert process.ask(control("a"), command="status") == status


def test_a_process_that_answers_already_is_taken_as_it_is(start: Start) -> None:
    assert start("a")["pid"] == start("a")["pid"]
    assert len(running()) == 1


def test_processes_stand_beside_each_other(start: Start) -> None:
    pids = {name: start(name)["pid"] for name in ("a", "b")}
    assert running() == pids


def test_a_process_is_detached_from_who_starts_it(start: Start) -> None:
    pid: int = start("a")["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_a_process_gets_its_settings_and_none_of_the_deployers(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("PULUMI_X", "ARM_X", "AZURE_X", "DATABRICKS_X", "MLFLOW_X")
    for name in (*names, "OTHER_X"):
        monkeypatch.setenv(name, "a secret of the deployer")
    start("a")
    environment = json.loads(Path(RUN, "a.env").read_text())
    assert environment["MODE"] == ""
    assert environment["OTHER_X"]
    assert not environment.keys() & set(names)


def test_the_folder_of_control_sockets_is_private(start: Start) -> None:
    start("a")
    assert Path(RUN).stat().st_mode & 0o077 == 0


def test_a_process_that_ends_at_once_is_quoted(start: Start) -> None:
    with pytest.raises(ProcessError) as caught:
        start("a", "dies")
    assert "the API ended with status 3 before it was ready:\n  started as dies" in str(
        caught.value
    )
    assert "api.log" in str(caught.value)
    assert running() == {}


def test_only_its_own_lines_are_quoted(start: Start, tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text("of another process\n")
    with pytest.raises(ProcessError) as caught:
        start("a", "dies")
    assert "of another process" not in str(caught.value)


def test_a_process_that_never_answers_is_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_START_SECONDS", 1.0)
    with pytest.raises(ProcessError, match=r"not ready after 1 s:\n  started as mute"):
        start("a", "mute")
    assert running() == {}


def test_a_process_that_answers_but_is_not_ready_is_ended_at_once(start: Start) -> None:
    with pytest.raises(ProcessError, match=r"reference records .*:\n  started as never"):
        start("a", "never")
    assert running() == {}
    assert not Path(control("a")).exists()


# Finding


def test_foreign_processes_are_not_ours(project: Path, start: Start) -> None:
    """Neither another project's, nor another folder's, nor one that only looks like it."""
    own: int = start("a")["pid"]
    other = project / "other"
    shutil.copytree(project / "app", other / "app")
    (other / RUN).mkdir()
    (project / "run2").mkdir()
    sleep = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    foreign = [
        ([*sleep, "--control", "run/x.sock"], other),
        ([*sleep, "--control", "run2/x.sock"], project),
        ([*sleep, "--control", str(project / RUN / "x.sock")], project),
        ([*sleep, "--control"], project),
        ([*sleep, "run/x.sock"], project),
        ([*sleep, "--control=run/x.sock"], project),
    ]
    started = [
        subprocess.Popen(
            arguments, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for arguments, folder in foreign
    ]
    try:
        for child in started:
            assert child.stdout is not None
            assert child.stdout.readline() == "1\n"
        assert running() == {"a": own}
        process.stop(RUN, control("x"))
        assert all(child.poll() is None for child in started)
    finally:
        for child in started:
            child.communicate()


def test_a_dead_process_is_not_found(start: Start) -> None:
    found = psutil.Process(start("a")["pid"])
    found.kill()
    found.wait()
    assert running() == {}


def test_nobody_answers_where_nobody_is(start: Start, project: Path) -> None:
    assert process.ask(control("a"), command="status") is None
    (project / "file.sock").write_text("")
    assert process.ask("file.sock", command="status") is None
    pid: int = start("a")["pid"]
    psutil.Process(pid).kill()
    psutil.Process(pid).wait()
    assert Path(control("a")).exists()
    assert process.ask(control("a"), command="status") is None


# Stopping


def test_a_process_is_drained_and_ended(start: Start) -> None:
    pid: int = start("a")["pid"]
    other: int = start("b")["pid"]
    process.stop(RUN, control("a"))
    assert not psutil.pid_exists(pid)
    assert running() == {"b": other}
    commands = [json.loads(line)["command"] for line in Path(RUN, "a.log").read_text().splitlines()]
    assert commands[-2:] == ["retire", "status"]
    assert not Path(control("a")).exists()


def test_stopping_again_or_nobody_does_nothing(start: Start) -> None:
    start("a")
    for _ in range(2):
        process.stop(RUN, control("a"))
    process.stop(RUN, control("never"))
    process.stop("no folder", "no folder/x.sock")


def test_a_process_that_ignores_sigterm_is_killed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.5)
    pid: int = start("a", "stubborn")["pid"]
    process.stop(RUN, control("a"))
    assert not psutil.pid_exists(pid)


def test_a_stale_socket_is_removed(start: Start) -> None:
    running = psutil.Process(start("a")["pid"])
    running.kill()
    running.wait()
    assert Path(control("a")).exists()
    process.stop(RUN, control("a"))
    assert not Path(control("a")).exists()


# The public address


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def traffic(port: int, instance: object = "a", pid: object = 1) -> dict[str, Any]:
    # Numbers arrive as floats from either engine.
    return {
        "host": "127.0.0.1",
        "port": float(port),
        "port_key": PORT_KEY,
        "run_dir": RUN,
        "instance": instance,
        "pid": pid,
    }


TRAFFIC = TrafficSwitchProvider()


def test_a_free_port_passes_the_check(port: int) -> None:
    assert TRAFFIC.check({}, traffic(port)).failures == []
    assert TRAFFIC.check({}, traffic(port, Unknown(), Unknown())).failures == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_fails_the_check_and_names_the_config_key(host: str) -> None:
    with socket.create_server((host, 0)) as taken:
        port: int = taken.getsockname()[1]
        (failure,) = TRAFFIC.check({}, traffic(port)).failures
    assert failure.property == "port"
    assert failure.reason == (
        f"127.0.0.1:{port} is taken by another program; set {PORT_KEY} to a free port, or end "
        "that program"
    )


def test_a_port_that_our_own_process_holds_passes_the_check(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port: int = ours.getsockname()[1]
        start("a")
        TRAFFIC.create(traffic(port))
        assert TRAFFIC.check({}, traffic(port, "b")).failures == []


def test_the_address_goes_to_the_process_and_back(start: Start, port: int) -> None:
    pid: int = start("a")["pid"]
    outs = TRAFFIC.create(traffic(port, pid=pid)).outs
    assert outs is not None
    assert outs == {**traffic(port, pid=pid), "url": f"http://127.0.0.1:{port}"}
    assert TRAFFIC.diff("id", outs, traffic(port, pid=pid)).changes is False
    TRAFFIC.delete("id", outs)
    status = process.ask(control("a"), command="status")
    assert status is not None
    assert status["public"] is None
    assert TRAFFIC.diff("id", outs, traffic(port, pid=pid)).changes is True
    TRAFFIC.delete("id", outs)


def test_the_next_process_is_told_who_holds_the_address(start: Start, port: int) -> None:
    for name in ("a", "b"):
        start(name)
        TRAFFIC.create(traffic(port, name))
    published = [
        json.loads(line)
        for line in Path(RUN, "b.log").read_text().splitlines()
        if "publish" in line
    ]
    assert published == [
        {"command": "publish", "host": "127.0.0.1", "port": port, "from": control("a")}
    ]


@pytest.mark.parametrize(
    "change", [{"host": "::1"}, {"port": 1.0}, {"instance": "b"}, {"pid": 2}], ids=str
)
def test_another_address_or_process_is_a_switch(port: int, change: dict[str, Any]) -> None:
    olds = {**traffic(port), "url": ""}
    assert TRAFFIC.diff("id", olds, {**traffic(port), **change}).changes is True


def test_a_process_that_has_gone_cannot_have_the_address(port: int) -> None:
    with pytest.raises(AddressError, match="API process a does not answer"):
        TRAFFIC.create(traffic(port))


@pytest.mark.parametrize(
    ("mode", "message"),
    [("taken", "is taken by another program; set employee-ret.*apiPort"), ("confused", "no such")],
)
def test_a_handover_that_fails_says_why(start: Start, port: int, mode: str, message: str) -> None:
    start("a", mode)
    with pytest.raises(AddressError, match=message):
        TRAFFIC.create(traffic(port))


# The resource of a process


API = ApiProcessProvider()


@pytest.fixture
def released(store: Store, tmp_path: Path) -> dict[str, Any]:
    """Register a release with a sealed bundle; return the inputs of a process that serves it."""
    bundle = tmp_path / "model" / release.BUNDLE_PATH
    bundle.mkdir(parents=True)
    (bundle / "content.json").write_text("{}")
    sha256 = release.seal(bundle)
    version = store.add(source=tmp_path / "model")
    return api(registry=store.address, version=version, bundle_sha256=sha256)


def api(**changes: Any) -> dict[str, Any]:
    return {
        "registry": address("sqlite:///x.db"),
        "version": "1",
        "bundle_sha256": "b" * 64,
        "api_key_sha256": "c" * 64,
        "environment": {"MAX_IN_FLIGHT": "7", "HOST": "never"},
        "run_dir": RUN,
        "releases_dir": "releases",
        "log_file": "api.log",
        **changes,
    }


def checked(news: dict[str, Any]) -> dict[str, Any]:
    result = API.check({}, news)
    assert result.failures == []
    return result.inputs


def served(news: dict[str, Any]) -> dict[str, Any]:
    outs = API.create(checked(news)).outs
    assert outs is not None
    return outs


def test_a_generation_is_decided_by_release_key_log_and_code(project: Path) -> None:
    first = checked(api())["generation"]
    assert checked(api(run_dir="other", releases_dir="other"))["generation"] == first
    decides = (
        *("registry", "version", "bundle_sha256", "api_key_sha256", "environment", "log_file"),
    )
    others = {checked(api(**{key: "x"}))["generation"] for key in decides}
    for package in ("app", "contract"):
        (project / package / "new.py").write_text("")
        others.add(checked(api())["generation"])
    (project / "app" / "page").mkdir(exist_ok=True)
    (project / "app" / "page" / "new.css").write_text("")
    others.add(checked(api())["generation"])
    assert len(others - {first}) == len(decides) + 3


@pytest.mark.parametrize(
    "change",
    [
        {"version": Unknown()},
        {"bundle_sha256": Unknown()},
        {"api_key_sha256": Unknown()},
        {"registry": {**address("x"), "host": Unknown()}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_generation_is_not_known_before_what_decides_it(change: dict[str, Any]) -> None:
    news = api(**change)
    assert checked(news) == news
    olds = {**checked(api()), "instance": "i", "pid": 1}
    assert API.diff("id", olds, news).replaces == ["generation"]


def test_a_release_is_fetched_and_served_with_its_settings(released: dict[str, Any]) -> None:
    outs = served(released)
    assert running() == {outs["instance"]: outs["pid"]}
    assert Path(outs["release_dir"], "content.json").exists()
    environment = json.loads(Path(RUN, f"{outs['instance']}.env").read_text())
    wanted = {
        "RELEASE_DIR": outs["release_dir"],
        "RELEASE_VERSION": released["version"],
        "RELEASE_SHA256": released["bundle_sha256"],
        "API_KEY_SHA256": released["api_key_sha256"],
        "HOST": "127.0.0.1",
        "MAX_IN_FLIGHT": "7",
    }
    assert wanted.items() <= environment.items()
    assert API.diff("id", outs, checked(released)).changes is False


def test_a_control_socket_fits_into_a_sockets_path(released: dict[str, Any]) -> None:
    """Relative, as the composition gives it: `.local/run/<instance>.sock`."""
    assert len(f".local/run/{served(released)['instance']}.sock") < 108


def test_a_new_generation_stands_beside_the_one_that_answers(
    released: dict[str, Any], port: int
) -> None:
    first = served(released)
    TRAFFIC.create(traffic(port, first["instance"], first["pid"]))
    news = {**released, "api_key_sha256": "d" * 64}
    assert API.diff("id", first, checked(news)).replaces == ["generation"]
    second = served(news)
    assert running().keys() == {first["instance"], second["instance"]}
    API.delete("id", first)
    assert running() == {second["instance"]: second["pid"]}


def test_a_generation_that_ran_before_gets_a_process_of_its_own(
    released: dict[str, Any], port: int
) -> None:
    first = served(released)
    TRAFFIC.create(traffic(port, first["instance"]))
    assert served(released)["pid"] != first["pid"]
    assert len(running()) == 2


def test_a_stray_of_an_interrupted_run_is_ended(released: dict[str, Any], start: Start) -> None:
    outs = served(released)
    start("stray")
    assert API.diff("id", outs, checked(released)).changes is True
    again = API.update("id", outs, checked(released)).outs
    assert again == outs
    assert running() == {outs["instance"]: outs["pid"]}


def test_a_process_that_died_is_started_again_in_place(released: dict[str, Any]) -> None:
    outs = served(released)
    found = psutil.Process(outs["pid"])
    found.kill()
    found.wait()
    result = API.diff("id", outs, checked(released))
    assert result.changes
    assert not result.replaces
    again = API.update("id", outs, checked(released)).outs
    assert again is not None
    assert again["instance"] == outs["instance"]
    assert again["pid"] != outs["pid"]
    # Another process under the same control socket than the one that is recorded.
    assert API.diff("id", outs, checked(released)).changes is True


def test_an_altered_release_in_the_registry_is_not_served(
    released: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "model" / release.BUNDLE_PATH / "content.json").write_text("[]")
    with pytest.raises(RegistryError, match=r"release 1 in the registry: .*content\.json.*altered"):
        served(released)
    assert running() == {}
    assert list(Path("releases").iterdir()) == []


def test_an_altered_copy_is_fetched_again(released: dict[str, Any]) -> None:
    outs = served(released)
    copy = Path(outs["release_dir"], "content.json")
    copy.write_text("[]")
    API.update("id", outs, checked(released))
    assert copy.read_text() == "{}"


def test_delete_ends_the_process_and_removes_its_copy_of_the_release(
    released: dict[str, Any],
) -> None:
    outs = served(released)
    Path("releases", "other").mkdir()
    for _ in range(2):
        API.delete("id", outs)
        assert running() == {}
        assert [path.name for path in Path("releases").iterdir()] == ["other"]


# The smoke test


def smoke(**changes: Any) -> dict[str, Any]:
    return {
        "url": "http://127.0.0.1:9",
        "release_dir": "releases/x",
        "version": "3",
        "instance": "a",
        "pid": 1.0,
        "api_key": "the-key-itself",
        **changes,
    }


def test_a_release_whose_api_does_not_answer_fails_its_smoke_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(SmokeTestError) as caught:
        SmokeTestProvider().create(smoke())
    message = str(caught.value)
    assert message.startswith("release 3 fails its smoke test, and what served before serves on:")
    assert "the-key-itself" not in message
    assert "Traceback" not in message


def test_the_key_is_not_among_the_arguments(project: Path) -> None:
    """Everybody on the machine may read a process's arguments."""
    (project / "app" / "smoke.py").write_text(
        "import json, os, sys\n"
        "print(json.dumps({'argv': sys.argv[1:], 'key': os.environ['API_KEY']}))\n"
    )
    outs = SmokeTestProvider().create(smoke()).outs
    assert outs is not None
    assert outs["evidence"] == {
        "argv": ["--url=http://127.0.0.1:9", "--bundle=releases/x"],
        "key": "the-key-itself",
    }


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, False),
        ({"url": "http://127.0.0.1:10"}, True),
        ({"version": "4"}, True),
        ({"instance": "b"}, True),
        ({"pid": 2.0}, True),
        ({"release_dir": "elsewhere"}, False),
        ({"api_key": "another"}, False),
    ],
    ids=str,
)
def test_what_was_not_tested_yet_is_tested(change: dict[str, Any], again: bool) -> None:
    assert SmokeTestProvider().diff("id", smoke(), smoke(**change)).changes is again
