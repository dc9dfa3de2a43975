"""The lines `request`: late by a moment, in order, and none lost when the process is stopped."""

import asyncio
import json
import os

import pytest
from app_processes import JSON, KEY, Start

from app.journal import Journal


def numbers(capfd: pytest.CaptureFixture[str]) -> list[int]:
    return [json.loads(line)["number"] for line in capfd.readouterr().out.splitlines()]


def test_lines_are_written_soon_and_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        journal = Journal()
        for number in range(3):
            journal.add({"number": number})
        assert numbers(capfd) == []
        await asyncio.sleep(0.2)
        assert numbers(capfd) == [0, 1, 2]
        journal.add({"number": 3})
        await asyncio.sleep(0.2)
        assert numbers(capfd) == [3]
        journal.write()
        assert numbers(capfd) == []

    asyncio.run(run())


def test_another_event_loop_writes_what_the_last_one_left(
    capfd: pytest.CaptureFixture[str],
) -> None:
    journal = Journal()

    async def add(number: int, seconds: float) -> None:
        journal.add({"number": number})
        await asyncio.sleep(seconds)

    asyncio.run(add(0, 0))
    assert numbers(capfd) == []
    asyncio.run(add(1, 0.2))
    assert numbers(capfd) == [0, 1]


def test_lines_are_written_whole_where_the_system_takes_a_part(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a signal comes while a pipe is full."""
    write = os.write

    def write_a_part(descriptor: int, text: memoryview) -> int:
        return write(descriptor, text[:5])

    monkeypatch.setattr(os, "write", write_a_part)
    journal = Journal()

    async def run() -> None:
        for number in range(3):
            journal.add({"number": number})
        journal.write()

    asyncio.run(run())
    assert numbers(capfd) == [0, 1, 2]


def test_a_process_that_is_stopped_writes_all_of_its_lines(start: Start) -> None:
    process = start("A").wait_ready()
    connection = process.connect()
    asked = len([line for line in process.log.read_text().splitlines() if '"request"' in line])
    for _ in range(50):
        connection.request("GET", "/health/live")
        assert connection.getresponse().read() == b'{"status":"live"}'
    assert process.terminate() == 0
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert len([line for line in lines if line["event"] == "request"]) >= asked + 50
    connection.close()


def test_a_request_that_the_stop_cuts_short_has_its_line(start: Start) -> None:
    process = start("A").wait_ready()
    connection = process.connect()
    connection.putrequest("POST", "/predict")
    for name, value in {**JSON, "X-API-Key": KEY, "Content-Length": "1000"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert process.ask("status")["ready"]
    assert process.terminate() == 0
    response = connection.getresponse()
    assert (response.status, response.getheader("Connection")) == (503, "close")
    assert json.loads(response.read())["detail"] == "the process is stopping"
    connection.close()
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    assert [line for line in lines if line["event"] == "error"] == []
    (cut,) = [line for line in lines if line.get("route") == "/predict"]
    assert cut["status"] == 503
