"""Azure Resource Manager with one AKS cluster in it, for Microsoft's own client.

It stands behind a proxy: the client asks for management.azure.com as ever, its TLS ends here, and
its token comes from an `az` on the PATH. So nothing of the client, of the way it logs in, or of our
code is replaced. What it knows of AKS: a version for every state (`If-Match`), a change that takes
a while, and what a PUT may not say.
"""

import copy
import datetime
import json
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["CLUSTER_ID", "HOST", "TOKEN", "Arm", "Asked", "running"]

HOST = "management.azure.com"
TOKEN = "a-token-of-the-azure-cli"
CLUSTER_ID = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-contoso"
    "/providers/Microsoft.ContainerService/managedClusters/aks-contoso"
)

_PATIENCE = 20
"""PUTs that are answered: code that asks for ever fails its test, and does not hang."""


def fresh_cluster() -> dict[str, Any]:
    """Return what a GET of a new cluster answers, with what only Azure may say in it."""
    return {
        "id": CLUSTER_ID,
        "name": "aks-contoso",
        "type": "Microsoft.ContainerService/ManagedClusters",
        "location": "westeurope",
        "tags": {"project": "employee-retention"},
        "eTag": "version-1",
        "sku": {"name": "Base", "tier": "Standard"},
        "identity": {
            "type": "SystemAssigned",
            "principalId": "22222222-2222-2222-2222-222222222222",
            "tenantId": "33333333-3333-3333-3333-333333333333",
        },
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "kubernetesVersion": "1.36",
            "currentKubernetesVersion": "1.36.2",
            "dnsPrefix": "contoso",
            "fqdn": "contoso-abc.hcp.westeurope.azmk8s.io",
            "azurePortalFQDN": "contoso-abc.portal.hcp.westeurope.azmk8s.io",
            "resourceUID": "655a8cf1b2c3d40001aa0001",
            "maxAgentPools": 100,
            "enableRBAC": True,
            "disableLocalAccounts": True,
            "nodeResourceGroup": "MC_rg-contoso_aks-contoso_westeurope",
            "servicePrincipalProfile": {"clientId": "msi"},
            "aadProfile": {
                "managed": True,
                "enableAzureRBAC": True,
                "tenantID": "33333333-3333-3333-3333-333333333333",
            },
            "identityProfile": {
                "kubeletidentity": {
                    "resourceId": "/subscriptions/1/x",
                    "clientId": "44444444-4444-4444-4444-444444444444",
                    "objectId": "55555555-5555-5555-5555-555555555555",
                }
            },
            "agentPoolProfiles": [
                {
                    "name": "system",
                    "count": 3,
                    "vmSize": "Standard_D2ads_v5",
                    "osSKU": "AzureLinux",
                    "enableAutoScaling": True,
                    "minCount": 2,
                    "maxCount": 4,
                    "mode": "System",
                    "orchestratorVersion": "1.36",
                    "currentOrchestratorVersion": "1.36.2",
                    "nodeImageVersion": "AKSAzureLinux-V3gen2-202611.01.0",
                    "provisioningState": "Succeeded",
                    "powerState": {"code": "Running"},
                    "eTag": "pool-version-1",
                    "upgradeSettings": {"maxSurge": "33%"},
                }
            ],
            "addonProfiles": {
                "omsagent": {
                    "enabled": True,
                    "config": {"useAADAuth": "true"},
                    "identity": {"clientId": "66666666-6666-6666-6666-666666666666"},
                }
            },
            "networkProfile": {
                "networkPlugin": "azure",
                "networkPluginMode": "overlay",
                "networkDataplane": "cilium",
                "loadBalancerProfile": {
                    "managedOutboundIPs": {"count": 1},
                    "effectiveOutboundIPs": [{"id": "/subscriptions/1/ip"}],
                },
            },
            "somethingNewerThanTheClient": {"mode": "On"},
        },
    }


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as it came in."""

    method: str
    host: str
    path: str
    api_version: str
    authorization: str
    if_match: str
    body: dict[str, Any]


@dataclass
class Arm:
    """The cluster (None: there is none), and how requests for it are answered.

    `refusals` are answered to the next PUTs, as (status, code, meddling): the last is done to the
    cluster at that moment, as if somebody else had changed it. `deaf` takes a PUT and does nothing.
    After a PUT the cluster is busy for `updating` GETs, and ends as `outcome`; `denied` is the
    status of every answer.
    """

    cluster: dict[str, Any] | None = field(default_factory=fresh_cluster)
    refusals: list[tuple[int, str, Callable[[dict[str, Any]], None] | None]] = field(
        default_factory=list[Any]
    )
    deaf: bool = False
    updating: int = 2
    outcome: str = "Succeeded"
    denied: int = 0
    asked: list[Asked] = field(default_factory=list[Asked])
    version: int = 1

    @property
    def puts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "PUT"]

    def change(self, cluster: dict[str, Any]) -> None:
        """Give the cluster, just changed, a new version."""
        self.version += 1
        cluster["eTag"] = f"version-{self.version}"

    def answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        self.asked.append(asked)
        if self.denied:
            return self.denied, _error("AuthorizationFailed", "The client may not do this.")
        if self.cluster is None:
            return 404, _error("ResourceNotFound", "The Resource was not found.")
        if asked.method == "PUT":
            return self._put(self.cluster, asked)
        properties = self.cluster["properties"]
        answer = copy.deepcopy(self.cluster)
        if properties["provisioningState"] == "Updating":
            self.updating -= 1
            if self.updating <= 0:
                properties["provisioningState"] = self.outcome
                if self.outcome == "Failed":
                    reason = {"code": "QuotaExceeded", "message": "No cores are left."}
                    properties["status"] = {"provisioningError": reason}
        return 200, answer

    def _put(self, cluster: dict[str, Any], asked: Asked) -> tuple[int, dict[str, Any]]:
        if len(self.puts) > _PATIENCE:
            return 400, _error("TooManyRequests", f"{_PATIENCE} PUTs, and no end to it.")
        if self.refusals:
            status, code, meddle = self.refusals.pop(0)
            if meddle:
                meddle(cluster)
                self.change(cluster)
            return status, _error(code, "Another operation is in progress.")
        if asked.if_match != cluster["eTag"]:
            return 412, _error("PreconditionFailed", "The eTag is of another version.")
        if not self.deaf:
            kept = copy.deepcopy(cluster["properties"])
            cluster.update({**asked.body, "properties": {**kept, **asked.body["properties"]}})
        cluster["properties"]["provisioningState"] = "Updating"
        self.change(cluster)
        return 200, copy.deepcopy(cluster)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _handler(arm: Arm, tls: ssl.SSLContext) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""

        def do_CONNECT(self) -> None:
            """Be the proxy, and at once the server that is asked for."""
            self.host = self.path
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            self.connection = tls.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb")
            self.close_connection = False

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(
                method=self.command,
                host=self.host,
                path=address.path,
                api_version=parse_qs(address.query)["api-version"][0],
                authorization=self.headers.get("Authorization") or "",
                if_match=self.headers.get("If-Match") or "",
                body=json.loads(self.rfile.read(length)) if length else {},
            )
            status, answer = arm.answer(asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        do_PUT = do_GET

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Say nothing: `asked` has it."""

    return Handler


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for HOST; it vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "arm.pem", folder / "arm-key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key_pem)
    return pem, tls


def _az(folder: Path, *, logged_in: bool) -> None:
    """Write an `az` that hands out TOKEN, or says that nobody is logged in."""
    token = {"accessToken": TOKEN, "expiresOn": "2999-01-01 00:00:00.000000"}
    text = json.dumps({**token, "expires_on": 32472144000, "tenant": "t", "tokenType": "Bearer"})
    script = folder / "az"
    script.write_text(
        f"#!{sys.executable}\nimport sys\n"
        + (
            f"print({text!r})\n"
            if logged_in
            else "sys.exit(\"ERROR: Please run 'az login' to setup account.\")\n"
        )
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


@contextmanager
def running(arm: Arm, folder: Path, *, logged_in: bool = True) -> Generator[dict[str, str]]:
    """Answer as `arm`; yield the environment by which a client in any process comes here.

    `folder` keeps the certificate and, in `bin`, the Azure CLI.
    """
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    _az(folder / "bin", logged_in=logged_in)
    certificate, tls = _certificate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(arm, tls))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield {
            "HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}",
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(certificate),
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
