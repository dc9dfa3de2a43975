"""The page at `/` for people: static files, read once, under a policy that lets nothing else in.

The page asks `/predict` like any other client. It holds the key and the records in its memory
alone; the policy below leaves it no other host to speak to, whatever finds its way into it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.page_fields import describe_record

__all__ = ["CONTENT_SECURITY_POLICY", "FOLDER", "routes"]

FOLDER = Path(__file__).with_name("page")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_INDEX = "index.html"
_CONTRACT = "contract.js"
"""Not a file: what the contract says of a record, written at start-up."""

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    # Asked anew each time, answered with 304: a new release must never meet an old page.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, kw_only=True)
class _File:
    content: bytes
    headers: Mapping[str, str]

    def answer(self, request: Request) -> Response:
        """Send the file, or 304 to who has it already."""
        known = request.headers.get("If-None-Match", "").replace("W/", "").split(",")
        if self.headers["ETag"] in (each.strip() for each in known):
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def routes(max_records: int) -> Sequence[Route]:
    """Read the page and return the routes that serve it; `max_records` is a request's limit.

    Raises:
        OSError: a file of the page cannot be read.
    """
    files = {
        path.name: _file(path.name, path.read_bytes())
        for path in FOLDER.iterdir()
        if path.suffix in _CONTENT_TYPES
    }
    index = files.pop(_INDEX)
    files[_CONTRACT] = _file(_CONTRACT, _contract(max_records))

    async def page(request: Request) -> Response:
        return index.answer(request)

    async def part(request: Request) -> Response:
        file = files.get(request.path_params["file"])
        if not file:
            raise HTTPException(404, "the page has no such file")
        return file.answer(request)

    return (
        Route("/", page, include_in_schema=False),
        Route("/page/{file}", part, include_in_schema=False),
    )


def _file(name: str, content: bytes) -> _File:
    tag = hashlib.sha256(content).hexdigest()[:32]
    content_type = _CONTENT_TYPES[Path(name).suffix]
    return _File(
        content=content,
        headers={**_HEADERS, "Content-Type": content_type, "ETag": f'"{tag}"'},
    )


def _contract(max_records: int) -> bytes:
    return f"export default {json.dumps(describe_record(max_records), indent=1)};\n".encode()
