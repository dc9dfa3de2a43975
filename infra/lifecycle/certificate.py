"""A TLS certificate that signs itself, for an address inside a network without an authority.

Callers must be given the certificate to trust it. A host that the world reaches takes one of a real
authority instead.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["SelfSignedCertificate", "SelfSignedCertificateArgs", "SelfSignedCertificateProvider"]

_RENEWED_DAYS = 30
"""A certificate with fewer days left is made anew by the next `up`."""
_LONGEST_DAYS = 825
"""Apple's systems refuse a longer one (support.apple.com/103769)."""
_CLOCK_SKEW = timedelta(hours=1)
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_HOSTNAME_LENGTH = 253


@dataclass(frozen=True, kw_only=True)
class SelfSignedCertificateArgs:
    """For which DNS name (`*.` in front is allowed) or IP address, and for how many days."""

    hostname: str
    valid_days: int = 365


class SelfSignedCertificateProvider(ResourceProvider):
    """Makes an ECDSA key on P-256 and a certificate for one host."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse what could not be a host, and a time that would be renewed by every `up`."""
        failures: list[CheckFailure] = []
        hostname, days = str(news["hostname"]), int(news["valid_days"])
        named = len(hostname) <= _HOSTNAME_LENGTH and _HOSTNAME.fullmatch(hostname)
        if not named and _address(hostname) is None:
            reason = f"{hostname!r} is neither a DNS name nor an IP address"
            failures.append(CheckFailure("hostname", f"{reason}; for example attrition.internal"))
        if not _RENEWED_DAYS < days <= _LONGEST_DAYS:
            bounds = f"from {_RENEWED_DAYS + 1} to {_LONGEST_DAYS}"
            failures.append(CheckFailure("valid_days", f"{days} is not {bounds} days"))
        return CheckResult(news, failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Make a new one for another host or time, and when fewer than 30 days are left."""
        changed = any(olds[key] != news[key] for key in ("hostname", "valid_days"))
        return DiffResult(changes=changed or _days_left(olds) < _RENEWED_DAYS)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the key and the certificate."""
        return CreateResult(id_="certificate", outs=_made(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Make another, with a key of its own."""
        return UpdateResult(outs=_made(news))


def _days_left(props: dict[str, Any]) -> float:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(props["certificate_pem"].encode())
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)


def _made(props: dict[str, Any]) -> dict[str, Any]:
    # Imported here: no other stack than those in the cloud makes one.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    # The host is an alternative name: clients look at no other, and this one has room for 64.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "employee-retention API")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=int(props["valid_days"])))
        .add_extension(x509.SubjectAlternativeName([_alternative(props["hostname"])]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        **props,
        "certificate_pem": certificate.public_bytes(pem).decode(),
        "private_key_pem": private.decode(),
    }


def _alternative(hostname: str) -> "x509.GeneralName":
    from cryptography import x509

    address = _address(hostname)
    return x509.DNSName(hostname.lower()) if address is None else x509.IPAddress(address)


def _address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(hostname)
    except ValueError:
        return None


class SelfSignedCertificate(Resource, module="lifecycle", name="SelfSignedCertificate"):
    """A certificate and its private key, both PEM; the key is a secret."""

    certificate_pem: pulumi.Output[str]
    private_key_pem: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: SelfSignedCertificateArgs,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["private_key_pem"])
        props = {**vars(args), "certificate_pem": None, "private_key_pem": None}
        super().__init__(
            SelfSignedCertificateProvider(),
            name,
            props,
            pulumi.ResourceOptions.merge(opts, secret),
        )
