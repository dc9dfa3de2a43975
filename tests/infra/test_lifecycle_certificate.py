"""The self-signed certificate, as OpenSSL and a real TLS handshake see it."""

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.lifecycle import certificate as module
from infra.lifecycle.certificate import (
    SelfSignedCertificate,
    SelfSignedCertificateArgs,
    SelfSignedCertificateProvider,
)
from tests.recorder import Recorder, record

HOST = "attrition.hr.internal"
PROVIDER = SelfSignedCertificateProvider()


def inputs(hostname: str = HOST, valid_days: float = 365.0) -> dict[str, Any]:
    # Numbers arrive as floats from either engine.
    return {"hostname": hostname, "valid_days": valid_days}


def made(props: dict[str, Any] | None = None) -> dict[str, Any]:
    outs = PROVIDER.create(props or inputs()).outs
    assert outs is not None
    return outs


def parsed(outs: dict[str, Any]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(outs["certificate_pem"].encode())


def days_later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=days)

    monkeypatch.setattr(module, "datetime", Later)


def test_key_and_certificate_belong_together() -> None:
    outs = made()
    assert outs.items() >= inputs().items()
    key = load_pem_private_key(outs["private_key_pem"].encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert parsed(outs).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        (HOST, x509.DNSName(HOST)),
        ("Attrition.HR.internal", x509.DNSName(HOST)),
        ("*.hr.internal", x509.DNSName("*.hr.internal")),
        ("10.1.2.3", x509.IPAddress(ipaddress.ip_address("10.1.2.3"))),
    ],
    ids=["name", "capitals", "wildcard", "address"],
)
def test_the_host_is_the_only_alternative_name(hostname: str, expected: x509.GeneralName) -> None:
    names = parsed(made(inputs(hostname))).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert list(names.value) == [expected]


@pytest.mark.parametrize("days", [31.0, 365.0, 825.0])
def test_it_is_valid_from_now_for_as_long_as_asked(days: float) -> None:
    found = parsed(made(inputs(valid_days=days)))
    now = datetime.now(UTC)
    assert now - timedelta(hours=2) < found.not_valid_before_utc < now
    assert abs(found.not_valid_after_utc - now - timedelta(days=days)) < timedelta(minutes=1)


def handshake(outs: dict[str, Any], trusted: dict[str, Any], host: str, folder: Path) -> str:
    """Connect to a server that has `outs`, trusting `trusted`; return the TLS version."""
    (folder / "server.pem").write_text(outs["private_key_pem"] + outs["certificate_pem"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    client = ssl.create_default_context(cadata=trusted["certificate_pem"])
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=host) as connection:
            return connection.version() or ""
    finally:
        thread.join()


def test_a_client_that_was_given_it_trusts_it_for_its_host(tmp_path: Path) -> None:
    outs = made()
    assert handshake(outs, outs, HOST, tmp_path) == "TLSv1.3"


def test_a_client_trusts_it_for_no_other_host(tmp_path: Path) -> None:
    outs = made()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(outs, outs, "other.hr.internal", tmp_path)


def test_a_client_that_was_given_another_does_not_trust_it(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made(), made(), HOST, tmp_path)


@pytest.mark.parametrize(
    ("days", "renewed"), [(0.0, False), (334.9, False), (335.1, True), (400.0, True)]
)
def test_it_is_renewed_when_fewer_than_thirty_days_are_left(
    monkeypatch: pytest.MonkeyPatch, days: float, renewed: bool
) -> None:
    outs = made()
    days_later(monkeypatch, days)
    assert PROVIDER.diff("certificate", outs, inputs()).changes is renewed


@pytest.mark.parametrize("news", [inputs("other.internal"), inputs(valid_days=90.0)], ids=str)
def test_another_host_or_time_is_another_certificate(news: dict[str, Any]) -> None:
    outs = made()
    result = PROVIDER.diff("certificate", outs, news)
    assert (result.changes, result.replaces) == (True, None)
    renewed = PROVIDER.update("certificate", outs, news).outs
    assert renewed is not None
    assert renewed.keys() == outs.keys()
    assert renewed.items() >= news.items()
    assert renewed["private_key_pem"] != outs["private_key_pem"]
    assert PROVIDER.diff("certificate", renewed, news).changes is False


@pytest.mark.parametrize(
    "hostname",
    ["", "a b", "https://a.b", "a..b", "-a.b", "a_b", "a.b/", "*", "a.*.b", "x" * 64, "a." * 127],
)
def test_what_is_no_host_fails_the_check(hostname: str) -> None:
    (failure,) = PROVIDER.check({}, inputs(hostname)).failures
    assert failure.property == "hostname"
    assert "is neither a DNS name nor an IP address; for example" in failure.reason


@pytest.mark.parametrize("days", [0.0, 30.0, 826.0])
def test_a_time_that_every_up_would_renew_or_clients_refuse_fails_the_check(days: float) -> None:
    (failure,) = PROVIDER.check({}, inputs(valid_days=days)).failures
    assert (failure.property, failure.reason) == (
        "valid_days",
        f"{days:.0f} is not from 31 to 825 days",
    )


@pytest.mark.parametrize("hostname", [HOST, "a", "*.b", "10.0.0.4", "fd00::1", "x" * 63 + ".b"])
@pytest.mark.parametrize("days", [31.0, 825.0])
def test_what_is_a_host_passes_the_check(hostname: str, days: float) -> None:
    assert PROVIDER.check({}, inputs(hostname, days)).failures == []


def test_the_private_key_is_a_secret_and_the_certificate_is_not() -> None:
    def program() -> None:
        tls = SelfSignedCertificate("tls", SelfSignedCertificateArgs(hostname=HOST))
        pulumi.export("certificate", tls.certificate_pem)
        pulumi.export("key", tls.private_key_pem)

    answers = {"certificate_pem": "c", "private_key_pem": "k"}
    recorded = record(program, Recorder(made={"tls": answers}))
    assert recorded["tls"].inputs == inputs()
    assert recorded.outputs == {"certificate": "c", "key": "k"}
    assert recorded.secret_outputs == {"key"}
