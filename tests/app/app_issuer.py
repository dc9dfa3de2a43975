"""A local OpenID issuer: a real HTTP server, real RSA keys, tokens as Entra ID gives them."""

import base64
import functools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from app.settings import EntraSettings

TENANT = "11111111-2222-3333-4444-555555555555"
APPLICATION = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
AUDIENCE = "99999999-8888-7777-6666-555555555555"
AUDIENCE_URI = f"api://{AUDIENCE}"
CANARY = "canary.of.a.person@contoso.example"
"""In every token; nothing may ever repeat it."""

DISCOVERY = f"/{TENANT}/v2.0/.well-known/openid-configuration"
KEYS = f"/{TENANT}/discovery/v2.0/keys"

Answer = Callable[[BaseHTTPRequestHandler], None]


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """Make the key of that name, once: it takes a tenth of a second."""
    return rsa.generate_private_key(65537, 1024 if name == "weak" else 2048)


def encoded(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(name: str, **changes: Any) -> dict[str, Any]:
    numbers = private_key(name).public_key().public_numbers()
    entry = {
        "kty": "RSA",
        "use": "sig",
        "kid": name,
        "x5t": name,
        "n": encoded(numbers.n),
        "e": encoded(numbers.e),
        "x5c": ["not looked at"],
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


class Issuer:
    """Serves discovery and keys until closed; `answers` replaces what a path answers."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.keys: list[Any] = [jwk("one"), jwk("two")]
        self.answers: dict[str, Answer] = {}
        self.released = threading.Event()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                issuer.answers.get(self.path, issuer.answer)(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # The scheme that the documents say; a test with TLS changes it.
        self.scheme = "http"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def server(self) -> ThreadingHTTPServer:
        return self._server

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.base}/{TENANT}/v2.0"

    @property
    def settings(self) -> EntraSettings:
        return EntraSettings(
            tenant_id=TENANT,
            audiences=frozenset({AUDIENCE, AUDIENCE_URI}),
            issuer=self.url,
            loopback_http=self.scheme == "http",
        )

    @property
    def fetches(self) -> int:
        return self.asked[KEYS]

    def documents(self) -> dict[str, Any]:
        return {
            DISCOVERY: {"issuer": self.url, "jwks_uri": f"{self.base}{KEYS}"},
            KEYS: {"keys": self.keys},
        }

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        document = self.documents().get(handler.path)
        send(handler, 404 if document is None else 200, json.dumps(document).encode())

    def close(self) -> None:
        """Stop answering: connections are refused from now on."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # Tokens

    def v2(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a v2 token; a change to None leaves the claim out."""
        now = int(time.time())
        claims = {
            "aud": AUDIENCE,
            "iss": self.url,
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + 3600,
            "azp": APPLICATION,
            "oid": CANARY,
            "roles": ["Attrition.Predict"],
            "sub": CANARY,
            "tid": TENANT,
            "ver": "2.0",
        }
        return {key: value for key, value in {**claims, **changes}.items() if value is not None}

    def v1(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a v1 token."""
        issuer = f"https://sts.windows.net/{TENANT}/"
        v1 = {"aud": AUDIENCE_URI, "iss": issuer, "azp": None, "appid": APPLICATION, "ver": "1.0"}
        return self.v2(**{**v1, **changes})


def sign(
    claims: dict[str, Any], name: str = "one", *, header: dict[str, Any] | None = None
) -> bytes:
    """Sign with RS256 and the key of that name; `header` changes what the token says of itself."""
    fields = {"typ": "JWT", "alg": "RS256", "kid": name, **(header or {})}
    fields = {key: value for key, value in fields.items() if value is not None}
    signed = b".".join(part(json.dumps(each).encode()) for each in (fields, claims))
    signature = jwt.get_algorithm_by_name("RS256").sign(signed, private_key(name))
    return signed + b"." + part(signature)


def part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


# What an issuer may answer instead


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def fixed(status: int, body: bytes = b"", **headers: str) -> Answer:
    return lambda handler: send(handler, status, body, **headers)


def after(seconds: float, answer: Answer) -> Answer:
    def late(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answer(handler)

    return late


def until(issuer: Issuer) -> Answer:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        issuer.released.wait(5)
        handler.close_connection = True

    return silent


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65_536)
    except OSError:
        handler.close_connection = True


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.02)
    except OSError:
        handler.close_connection = True


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"hello\r\n\r\n")
