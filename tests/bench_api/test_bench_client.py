"""The client that measures: whole answers, however they come, and no other taken for one."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.bench_api.client import (
    Address,
    ClientError,
    Connection,
    Reader,
    Response,
    answered,
    get,
    latencies,
    post,
    throughput,
)

FIXED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
EMPTY = b"HTTP/1.1 422 Unprocessable\r\ncontent-length:0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class _Handler(BaseHTTPRequestHandler):
    """Answers a POST with its own body, by length or in chunks, and refuses every other path."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    callers: set[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(body)
        self.callers.add(self.client_address[1])
        if self.path == "/chunked":
            content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            framing = b"Transfer-Encoding: chunked"
        else:
            content, framing = body, b"Content-Length: %d" % len(body)
        status = b"200 OK" if self.path in ("/chunked", "/fixed") else b"429 Too Many Requests"
        self.wfile.write(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n\r\n" + content)

    def do_GET(self) -> None:
        """Promise more than is sent."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    # With the base class's 5, the eighth connection at once waits a second to be heard.
    request_queue_size = 16


@pytest.fixture
def bodies() -> list[bytes]:
    """What the server was sent, in the order of arrival."""
    return []


@pytest.fixture
def callers() -> set[int]:
    """The ports that it was sent from, one for each connection."""
    return set()


@pytest.fixture
def address(bodies: list[bytes], callers: set[int]) -> Iterator[Address]:
    handler = type("Handler", (_Handler,), {"bodies": bodies, "callers": callers})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (FIXED, Response(200, b"hello")),
        (EMPTY, Response(422, b"")),
        (CHUNKED + b"5\r\nhello\r\n3;x=y\r\n, y\r\n0\r\n\r\n", Response(200, b"hello, y")),
        # A chunk may hold what would end the answer elsewhere, and trailers may follow the last.
        (CHUNKED + b"7\r\n0\r\n\r\n..\r\n0\r\nX: y\r\n\r\n", Response(200, b"0\r\n\r\n..")),
        (CHUNKED + b"0\r\n\r\n", Response(200, b"")),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_an_answer_is_read_whole_in_any_pieces(
    received: bytes, expected: Response, step: int
) -> None:
    reader = Reader()
    pieces = [received[start : start + step] for start in range(0, len(received), step)]

    *early, last = [reader.feed(piece) for piece in pieces]

    assert early == [None] * (len(pieces) - 1)
    assert last == expected


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "status line"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\nhello", "neither Content-Length"),
        (FIXED + b"more", "4 bytes came after"),
        (CHUNKED + b"five\r\nhello\r\n0\r\n\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000, "no end of the headers"),
    ],
)
def test_what_is_no_answer_is_refused(received: bytes, message: str) -> None:
    with pytest.raises(ClientError, match=message):
        Reader().feed(received)


@pytest.mark.parametrize("path", ["/fixed", "/chunked"])
def test_a_connection_is_kept_for_many_requests(
    address: Address, callers: set[int], path: str
) -> None:
    large = b"large" * 200_000
    with Connection(address) as connection:
        for body in (b"one", large, b"three"):
            assert connection.ask(post(path, body, "key")) == Response(200, body)
    assert len(callers) == 1


def test_a_refusal_is_no_measurement(address: Address) -> None:
    refused = post("/refused", b'{"title": "too many"}', "key")
    with Connection(address) as connection:
        assert connection.ask(refused).status == 429
        with pytest.raises(ClientError, match=r"status 429 instead of 200: .*too many"):
            answered(connection.ask(refused))
        with pytest.raises(ClientError, match="status 429"):
            latencies(connection, [refused])
        with pytest.raises(ClientError, match="status 429"):
            throughput([connection], [refused])


def test_an_answer_that_breaks_off_is_no_measurement(address: Address) -> None:
    with (
        Connection(address) as connection,
        pytest.raises(ClientError, match="closed the connection"),
    ):
        connection.ask(get("/"))


def test_every_request_is_sent_once_and_timed(address: Address, bodies: list[bytes]) -> None:
    requests = [post("/fixed", b"%d" % number, "key") for number in range(50)]
    expected = [b"%d" % number for number in range(50)]
    with Connection(address) as connection:
        seconds = latencies(connection, requests)
    assert len(seconds) == 50
    assert min(seconds) > 0
    assert bodies == expected


@pytest.mark.parametrize("count", [3, 8, 50])
def test_many_connections_share_the_requests(
    address: Address, bodies: list[bytes], callers: set[int], count: int
) -> None:
    requests = [post("/fixed", b"%d" % number, "key") for number in range(count)]
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(address)) for _ in range(8)]
        assert throughput(connections, requests) > 0
    assert len(callers) == min(count, 8)
    assert sorted(bodies, key=int) == [b"%d" % number for number in range(count)]
