"""A client that costs little: raw sockets, ready-made requests, answers told apart by length.

The client shares the machine with what it measures. It therefore reads no more of an answer than
its status and where it ends; that answers are right is looked at outside of what is timed.
"""

import contextlib
import gc
import re
import selectors
import socket
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

__all__ = [
    "Address",
    "ClientError",
    "Connection",
    "Reader",
    "Response",
    "answered",
    "get",
    "latencies",
    "post",
    "throughput",
    "undisturbed",
]

Address = tuple[str, int]

_RECEIVE_BYTES = 256 * 1024
_HEAD_BYTES = 64 * 1024
_SHOWN_BYTES = 300
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"http/1\.1 ([2-5][0-9]{2}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)(?:\r|$)")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked(?:\r|$)")
_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?")


class ClientError(Exception):
    """An answer that is none, or not the one to be measured; the message says which."""


@dataclass(frozen=True)
class Response:
    """Status and body of one answer."""

    status: int
    body: bytes


class Reader:
    """Puts one answer together from the bytes that a socket gives."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._status = 0
        self._body = 0
        self._end: int | None = None

    def feed(self, data: bytes) -> Response | None:
        """Take more bytes; return the answer once it is whole.

        Raises:
            ClientError: this is not HTTP/1.1, or more came than was asked for.
        """
        self._received += data
        if not self._body and not self._read_head():
            return None
        if self._end is None:
            body, end = _unchunked(self._received, self._body)
        elif len(self._received) >= self._end:
            body, end = bytes(self._received[self._body : self._end]), self._end
        else:
            return None
        if not end:
            return None
        if len(self._received) > end:
            raise ClientError(f"{len(self._received) - end} bytes came after the answer's end")
        return Response(self._status, body)

    def _read_head(self) -> bool:
        end = self._received.find(_END, 0, _HEAD_BYTES)
        if end < 0:
            if len(self._received) >= _HEAD_BYTES:
                raise ClientError(f"no end of the headers within {_HEAD_BYTES} bytes")
            return False
        head = bytes(self._received[:end]).lower()
        status = _STATUS.match(head)
        if not status:
            raise ClientError("the answer does not begin with a status line of HTTP/1.1")
        self._status, self._body = int(status[1]), end + len(_END)
        length = _LENGTH.search(head)
        if length:
            self._end = self._body + int(length[1])
        elif not _CHUNKED.search(head):
            raise ClientError("the answer has neither Content-Length nor chunks")
        return True


def _unchunked(received: bytearray, start: int) -> tuple[bytes, int]:
    """Return the chunks' content and where the answer ends; (b"", 0) while some is missing."""
    parts: list[bytes] = []
    while (line := received.find(b"\r\n", start)) >= 0:
        found = _SIZE.fullmatch(received, start, line)
        if not found:
            raise ClientError("a chunk does not begin with its size")
        size = int(found[1], 16)
        if size == 0:
            # The blank line follows at once, or after trailers.
            end = received.find(_END, line)
            return (b"".join(parts), end + len(_END)) if end >= 0 else (b"", 0)
        first = line + 2
        parts.append(bytes(received[first : first + size]))
        start = first + size + 2
    return b"", 0


class Connection:
    """One kept-alive connection to a server of this machine; close it, or use it in a `with`."""

    def __init__(self, address: Address, timeout: float = 30.0) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = Reader()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def receive(self) -> Response | None:
        """Read what has come, waiting if nothing has; return the answer once it is whole."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ClientError("the server closed the connection before the answer was whole")
        response = self._reader.feed(data)
        if response is not None:
            self._reader = Reader()
        return response

    def ask(self, request: bytes) -> Response:
        """Send one request and wait for its answer."""
        self.send(request)
        while (response := self.receive()) is None:
            pass
        return response


def get(path: str) -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes, key: str) -> bytes:
    """Return the bytes of a POST request with an API key, as a careful client sends it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def answered(response: Response) -> Response:
    """Return the response if its status is 200.

    Raises:
        ClientError: another status; the message quotes the answer, which holds no employee's value.
    """
    if response.status != 200:
        shown = response.body[:_SHOWN_BYTES].decode("utf-8", "replace")
        raise ClientError(f"status {response.status} instead of 200: {shown}")
    return response


def latencies(connection: Connection, requests: Sequence[bytes]) -> list[float]:
    """Send one request after the other; return how many seconds each took."""
    seconds: list[float] = []
    for request in requests:
        begun = time.perf_counter()
        response = connection.ask(request)
        seconds.append(time.perf_counter() - begun)
        answered(response)
    return seconds


def throughput(connections: Sequence[Connection], requests: Sequence[bytes]) -> float:
    """Keep every connection busy until all requests are answered; return requests a second."""
    waiting = iter(requests)
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        begun = time.perf_counter()
        for connection, request in zip(connections, waiting, strict=False):
            connection.send(request)
        left = len(requests)
        while left:
            left -= sum(_go_on(key.data, waiting) for key in _readable(selector))
        return len(requests) / (time.perf_counter() - begun)


def _readable(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    ready = selector.select(timeout=30)
    if not ready:
        raise ClientError("no answer within 30 s")
    return [key for key, _ in ready]


def _go_on(connection: Connection, waiting: Iterator[bytes]) -> bool:
    """Read from a connection; whether its answer is whole, and the next request sent."""
    response = connection.receive()
    if response is None:
        return False
    answered(response)
    request = next(waiting, None)
    if request is not None:
        connection.send(request)
    return True


@contextlib.contextmanager
def undisturbed() -> Generator[None]:
    """Keep the collector of this process out of what is timed in the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
