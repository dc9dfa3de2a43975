"""The hosts that the program calls itself, behind a proxy: what is not stood in for is refused.

Clients find it by HTTPS_PROXY and trust its certificate by the bundle they are given, so the real
clients speak real TLS to the names of the real hosts. Everything asked for is written down.
"""

import datetime
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lifecycle.workspace import free_port

Answer = tuple[int, Any]
"""A status and JSON content."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: `path` without its query; `body` is JSON, a form's text, or None."""

    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    body: str


@dataclass(kw_only=True)
class Internet:
    """A proxy on this machine; `hosts` answer by name."""

    folder: Path
    hosts: dict[str, Callable[[Asked], Answer]]
    asked: list[Asked] = field(default_factory=list[Asked])
    refused: list[str] = field(default_factory=list[str])
    """Hosts that somebody asked for and that nothing stands in for."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.certificate = self.folder / "internet.crt"
        self._key = self.folder / "internet.key"
        self._port = free_port()
        _write_certificate(self.certificate, self._key, list(self.hosts))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients come here, in both of the spellings in use."""
        proxy, direct = f"http://127.0.0.1:{self._port}", "127.0.0.1,localhost"
        names = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": direct}
        return names | {name.lower(): value for name, value in names.items()}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        internet = self
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, self._key)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            host = ""

            def do_CONNECT(self) -> None:
                host = self.path.rpartition(":")[0]
                if host not in internet.hosts:
                    internet.refused.append(host)
                    self.send_error(502)
                    return
                self.send_response(200)
                self.end_headers()
                self.host = host
                self.rfile.close()
                # It takes the connection over, so that nobody else closes this one.
                self.connection = tls.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb", self.rbufsize)
                self.wfile = self.connection.makefile("wb", 0)  # pyright: ignore[reportAttributeAccessIssue] - a writer of another class
                self.close_connection = False

            def finish(self) -> None:
                super().finish()
                self.connection.close()

            def _answer(self) -> None:
                if not self.host:
                    internet.refused.append(urlsplit(self.path).hostname or self.path)
                    self.send_error(502)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(
                    method=self.command,
                    host=self.host,
                    path=urlsplit(self.path).path,
                    headers={key.lower(): value for key, value in self.headers.items()},
                    body=body.decode(),
                )
                internet.asked.append(asked)
                status, content = internet.hosts[self.host](asked)
                answer = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
                pass

        return Handler


def _write_certificate(certificate: Path, key_file: Path, hosts: list[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
