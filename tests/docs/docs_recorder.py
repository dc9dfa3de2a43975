"""A recorder between the examples and the API, and what a PowerShell example would send."""

import http.client
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HEADERS = ("authorization", "content-type", "x-api-key", "x-hypothetical")
"""Those that an example chooses; the others are its tool's."""

_PARAMETERS = {
    *("Uri", "Method", "Headers", "ContentType", "InFile", "Body", "SkipHttpErrorCheck"),
}


@dataclass(frozen=True)
class Sent:
    """A request as an example sent it; `status` is the answer's, and counts for nothing."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int = field(default=0, compare=False)


class Recorder:
    """Passes requests on to `target` (host:port), answers back, and keeps what was sent."""

    def __init__(self, target: str) -> None:
        self.sent: list[Sent] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.pass_on(self, target)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def pass_on(self, handler: BaseHTTPRequestHandler, target: str) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(target, timeout=10)
        connection.request(handler.command, handler.path, body or None, dict(handler.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name: handler.headers[name] for name in HEADERS if name in handler.headers}
        self.sent.append(Sent(handler.command, handler.path, headers, body, answer.status))
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def powershell_request(
    code: str, variables: Mapping[str, str], files: Mapping[str, bytes], url: str
) -> Sent:
    """Read the hash table that `Invoke-RestMethod` is given; an unknown parameter fails."""
    assert "Invoke-RestMethod @request" in code
    found = re.match(r"\$request = @\{\n(.*?)^\}\n", code, re.MULTILINE | re.DOTALL)
    assert found, "an example begins with $request = @{"
    pairs = [re.fullmatch(r"    (\w+) += (.+)", line) for line in found[1].splitlines()]
    given = {pair[1]: pair[2] for pair in pairs if pair}
    assert len(given) == len(pairs)
    assert given.keys() <= _PARAMETERS
    headers = {
        name.lower(): _text(value, variables)
        for name, value in re.findall(r'"([\w-]+)" = ("[^"]*"|\$env:\w+)', given["Headers"])
    }
    assert len(headers) == given["Headers"].count("=")
    if "ContentType" in given:
        headers["content-type"] = _text(given["ContentType"], variables)
    body = b""
    if "InFile" in given:
        body = files[_text(given["InFile"], variables)]
    elif "Body" in given:
        body = _text(given["Body"], variables).encode()
    uri = _text(given["Uri"], variables)
    assert uri.startswith(url)
    method = _text(given["Method"], variables).upper()
    return Sent(method, uri.removeprefix(url), headers, body)


def _text(value: str, variables: Mapping[str, str]) -> str:
    """Evaluate a string of PowerShell: single quotes say what they say."""
    if value.startswith("'"):
        return value.strip("'")
    return re.sub(r"\$env:(\w+)", lambda found: variables[found[1]], value.strip('"'))
