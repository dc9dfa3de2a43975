"""A request's body: read in bounds of bytes and time, unpacked, and of a kind that can be read."""

import zlib
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.deadline import Deadline
from app.problems import ProblemError

__all__ = ["BODY_SECONDS", "MAX_BODY_BYTES", "read_body"]

MAX_BODY_BYTES = 2 * 1024 * 1024
"""A batch of 1,000 full records is about 0.8 MiB."""

BODY_SECONDS = 10.0
"""How long a body may take to arrive."""

_TOO_LONG = f"a body may hold {MAX_BODY_BYTES} bytes, after unpacking too"
_KINDS = (b"application/json", b"application/json;charset=utf-8")
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(scope: Scope, receive: Receive, deadline: Deadline) -> bytes:
    """Return the whole body, unpacked; `deadline` is its time to arrive.

    Raises:
        ProblemError: of status 408 (too slow), 413 (too long), 415 (no JSON, or packed in a way
            that is not known) or 400 (packed wrongly, or of two lengths).
        ClientDisconnect: the client went away.
    """
    headers: Mapping[bytes, bytes] = scope["state"]["exchange"].headers
    kind, length = headers.get(b"content-type", b""), headers.get(b"content-length", b"")
    if kind != b"application/json" and _plain(kind) not in _KINDS:
        raise ProblemError(415, "the body must be application/json in UTF-8")
    encoding = _plain(headers.get(b"content-encoding", b""))
    if encoding not in (b"", b"identity", b"gzip"):
        raise ProblemError(415, "a body may be packed with gzip, or not at all")
    if length and b"transfer-encoding" in headers:
        # RFC 9112, 6.3: whoever stands in between may see another end of the request.
        detail = "give Content-Length or Transfer-Encoding, not both"
        raise ProblemError(400, detail, headers={"Connection": "close"})
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise ProblemError(413, _TOO_LONG)
    try:
        body = await deadline.run(_received(receive))
    except TimeoutError:
        raise ProblemError(408, f"the body took longer than {BODY_SECONDS:g} seconds") from None
    return _unpacked(body) if encoding == b"gzip" else body


async def _received(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ProblemError(413, _TOO_LONG)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpacked(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacking.decompress(body, MAX_BODY_BYTES)
    except zlib.error:
        raise ProblemError(400, "the body is not what gzip makes") from None
    if unpacking.unconsumed_tail:
        raise ProblemError(413, _TOO_LONG)
    if not unpacking.eof or unpacking.unused_data:
        raise ProblemError(400, "the body is not the whole of what gzip makes, or more than it")
    return unpacked


def _plain(value: bytes) -> bytes:
    return value.replace(b" ", b"").lower()
