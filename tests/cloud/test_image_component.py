"""The image in a program: what is built from what, when, and what stays secret."""

import json
import os
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pytest

from infra import image
from infra.image import (
    Image,
    ImageArgs,
    ImageError,
    context_sha256,
    git_commit,
    registry_password,
)
from infra.lifecycle.registry import RegistryAddress
from infra.local_container import (
    LocalContainer,
    LocalContainerArgs,
    LocalImage,
    LocalImageArgs,
)
from tests.recorder import ROOT, Recorder, record

SERVER, DIGEST = "crone.azurecr.io", f"sha256:{'d' * 64}"
TOKEN, PASSWORD = "azure-token", "registry-password"
ARGS = ImageArgs(
    registry_server=SERVER,
    registry=RegistryAddress(
        model_name="ws.hr.attrition",
        tracking_uri="databricks",
        registry_uri="databricks-uc",
        host="https://adb-1.2.azuredatabricks.net",
    ),
    version="7",
    bundle_sha256="b" * 64,
)
INVOKES = {"azure-native:authorization:getClientToken": {"token": TOKEN}}


@pytest.fixture(autouse=True)
def _exchange(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "registry_server" not in request.fixturenames:
        monkeypatch.setattr(image, "registry_password", _password)


def _password(_server: str, _token: str) -> str:
    return PASSWORD


def build(args: ImageArgs = ARGS, *, unknown: bool = False, digest: str = DIGEST) -> Recorder:
    def program() -> None:
        pulumi.export("ref", Image("image", args).ref)

    made = {"image-build": {"digest": digest}}
    return record(program, Recorder(made=made, invokes=INVOKES, unknown=unknown))


def test_the_reference_is_by_digest() -> None:
    assert build().outputs["ref"] == f"{SERVER}/attrition-api@{DIGEST}"


def test_what_an_image_is_made_of() -> None:
    inputs = build()["image-build"].inputs
    context = context_sha256(ROOT)
    assert inputs["tags"] == [f"{SERVER}/attrition-api:7-{context[:12]}"]
    assert inputs["buildArgs"] == {
        "RELEASE_VERSION": "7",
        "RELEASE_SHA256": "b" * 64,
        "CONTEXT_SHA256": context,
        "GIT_COMMIT": git_commit(ROOT),
        "MODEL_NAME": "ws.hr.attrition",
        "TRACKING_URI": "databricks",
        "REGISTRY_URI": "databricks-uc",
        "DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net",
    }
    assert inputs["context"] == {"location": "."}
    assert inputs["dockerfile"] == {"location": "app/Dockerfile"}
    assert inputs["platforms"] == ["linux/amd64"]


def test_every_build_argument_is_one_of_the_dockerfiles() -> None:
    """BuildKit ignores an argument that no stage asks for."""
    lines = (ROOT / "app" / "Dockerfile").read_text().splitlines()
    asked = {line.split()[1].partition("=")[0] for line in lines if line.startswith("ARG ")}
    assert build()["image-build"].inputs["buildArgs"].keys() == asked - {"BASE"}


def test_it_is_built_once_pushed_and_kept() -> None:
    found = build()["image-build"]
    assert found.inputs["push"] is True
    assert found.inputs["buildOnPreview"] is False
    assert found.request.retainOnDelete
    # `pull` would build it anew in every `up`.
    assert not {"pull", "load", "noCache"} & found.inputs.keys()
    # The provider's own client switches provenance off; the machine's attaches it.
    assert found.inputs["exec"] is True


def test_the_cache_is_in_the_registry() -> None:
    inputs = build()["image-build"].inputs
    ref = f"{SERVER}/attrition-api:build-cache"
    assert inputs["cacheFrom"] == [{"registry": {"ref": ref}}]
    (target,) = inputs["cacheTo"]
    assert (target["registry"]["ref"], target["registry"]["mode"]) == (ref, "max")


def test_tokens_are_secrets_and_no_reason_to_build_again() -> None:
    recorder = build()
    found = recorder["image-build"]
    assert found.inputs["secrets"] == {"databricks_token": TOKEN}
    assert found.inputs["registries"] == [
        {
            "address": SERVER,
            "username": "00000000-0000-0000-0000-000000000000",
            "password": PASSWORD,
        }
    ]
    assert found.secrets >= {"secrets", "registries"}
    assert found.inputs["ignoreSecretsInDiffCalculation"] == ["databricks_token"]
    assert not {TOKEN, PASSWORD} & set(found.inputs["buildArgs"].values())
    dockerfile = (ROOT / "app" / "Dockerfile").read_text()
    assert "--mount=type=secret,id=databricks_token,required=true" in dockerfile


@pytest.mark.parametrize("first", [True, False])
def test_a_preview_signs_in_nowhere(monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    """Also where everything that it would need is known, as in any but the first."""

    def refuse(*_: str) -> str:
        raise AssertionError

    def program() -> None:
        recorder.unknown = first
        pulumi.export("ref", Image("image", ARGS).ref)

    monkeypatch.setattr(image, "registry_password", refuse)
    recorder = Recorder(made={"image-build": {"digest": ""}}, invokes=INVOKES, unknown=True)
    record(program, recorder)
    assert recorder["image-build"].inputs["buildOnPreview"] is False
    if not first:
        assert recorder["image-build"].inputs["registries"][0]["password"] == ""
        # A name that no image has, but one that everything after it can be previewed with.
        assert recorder.outputs["ref"] == f"{SERVER}/attrition-api@sha256:{'0' * 64}"


def test_a_build_that_pushed_nothing_is_an_error() -> None:
    with pytest.raises(ImageError, match="pushed no image"):
        build(digest="")


def test_a_new_release_or_hash_is_a_new_tag_or_argument() -> None:
    first = build()["image-build"].inputs
    second = build(replace(ARGS, version="8"))["image-build"].inputs
    third = build(replace(ARGS, bundle_sha256="c" * 64))["image-build"].inputs
    assert first["tags"] != second["tags"]
    assert first["buildArgs"] != third["buildArgs"]


class _Registry(BaseHTTPRequestHandler):
    """Exchanges tokens as Azure Container Registry does."""

    answers: ClassVar[dict[str, tuple[int, bytes]]] = {
        "good": (200, json.dumps({"refresh_token": PASSWORD}).encode()),
        "bad": (401, b'{"errors": [{"code": "UNAUTHORIZED"}]}'),
        "odd": (200, b"[]"),
    }

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = self.path == "/oauth2/exchange" and form.get("grant_type") == ["access_token"]
        right = right and form["service"] == [self.headers["Host"]]
        status, body = self.answers[form["access_token"][0]] if right else (404, b"")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def registry_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pem = tmp_path / "server.pem"
    subprocess.run([sys.executable, "-c", _CERTIFICATE, str(pem)], check=True, env={**os.environ})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


_CERTIFICATE = """
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
now = datetime.datetime.now(datetime.UTC)
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    .add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
    )
    .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    .sign(key, hashes.SHA256())
)
with open(sys.argv[1], "wb") as file:
    file.write(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    file.write(certificate.public_bytes(serialization.Encoding.PEM))
"""


def test_a_token_is_exchanged_for_a_password(registry_server: str) -> None:
    assert registry_password(registry_server, "good") == PASSWORD


def test_a_refusal_names_the_registry_and_the_role(registry_server: str) -> None:
    with pytest.raises(ImageError, match=r"127\.0\.0\.1:\d+: .*401.*AcrPush") as raised:
        registry_password(registry_server, "bad")
    assert "bad" not in str(raised.value)


def test_an_odd_answer_is_an_error(registry_server: str) -> None:
    with pytest.raises(ImageError, match="no sign-in"):
        registry_password(registry_server, "odd")


@pytest.mark.usefixtures("registry_server")
def test_no_answer_is_an_error() -> None:
    with pytest.raises(ImageError, match="no sign-in"):
        registry_password("127.0.0.1:1", "good")


class TestLocal:
    """The same image and its container on a laptop."""

    IMAGE = LocalImageArgs(release_dir=".local/releases/7", version="7", bundle_sha256="b" * 64)

    def run(
        self, *, port: int = 8000, unknown: bool = False, made: dict[str, Any] | None = None
    ) -> Recorder:
        def program() -> None:
            built = LocalImage("image", self.IMAGE)
            args = LocalContainerArgs(
                image=built.ref,
                accepted_sha256="a" * 64,
                environment={"MAX_IN_FLIGHT": "7"},
                port=port,
            )
            container = LocalContainer("api", args)
            pulumi.export("url", container.url)
            pulumi.export("ref", built.ref)

        docker: dict[str, Any] = {
            "image-build": {"digest": DIGEST},
            "image-loaded": {"imageId": "sha256:1234"},
            "api-container": {"ports": [{"internal": 8080, "external": port or 40001}]},
        }
        recorder = Recorder(made=docker if made is None else made, unknown=unknown)
        return record(program, recorder)

    def test_the_same_dockerfile_with_the_release_from_a_folder(self) -> None:
        inputs = self.run()["image-build"].inputs
        assert inputs["dockerfile"] == build()["image-build"].inputs["dockerfile"]
        assert inputs["context"] == {
            "location": ".",
            "named": {"release": {"location": ".local/releases/7"}},
        }
        # It takes the place of the stage of that name.
        assert " AS release\n" in (ROOT / "app" / "Dockerfile").read_text()
        assert (inputs["push"], inputs["load"], inputs["buildOnPreview"]) == (False, True, False)
        assert not {"secrets", "registries", "cacheTo"} & inputs.keys()

    def test_the_container_runs_what_was_loaded(self) -> None:
        recorder = self.run()
        loaded = recorder["image-loaded"]
        assert loaded.inputs["name"] == recorder["image-build"].inputs["tags"][0]
        assert loaded.inputs["keepLocally"] is True
        assert "image-build" in loaded.dependencies
        assert recorder["api-container"].inputs["image"] == "sha256:1234"
        assert recorder.outputs["ref"] == "sha256:1234"

    def test_the_container_is_as_restricted_as_a_pod(self) -> None:
        found = self.run()["api-container"]
        inputs = found.inputs
        assert inputs["readOnly"] is True
        assert inputs["user"] == "65532:65532"
        assert inputs["capabilities"] == {"drops": ["ALL"]}
        assert inputs["securityOpts"] == ["no-new-privileges"]
        assert inputs["memory"] == 256
        assert not {"privileged", "volumes", "mounts", "networkMode"} & inputs.keys()
        assert inputs["ports"] == [{"internal": 8080, "external": 8000, "ip": "127.0.0.1"}]
        assert "envs" in found.secrets

    def test_it_is_waited_for(self) -> None:
        inputs = self.run()["api-container"].inputs
        assert inputs["wait"] is True
        assert inputs["healthcheck"]["tests"] == ["CMD", "python", "-m", "app.health"]

    def test_two_at_once_only_on_ports_of_their_own(self) -> None:
        fixed, free = self.run(port=8000), self.run(port=0)
        assert fixed["api-container"].request.deleteBeforeReplace is True
        assert free["api-container"].request.deleteBeforeReplace is False
        assert fixed.outputs["url"] == "http://127.0.0.1:8000"
        assert free.outputs["url"] == "http://127.0.0.1:40001"

    def test_a_first_preview(self) -> None:
        assert self.run(unknown=True)["api-container"].inputs["readOnly"] is True

    def test_a_preview_that_knows_no_more_than_the_inputs(self) -> None:
        """As the embedded engine's, which then refuses an `up` in words."""
        assert self.run(port=0, made={}).outputs["url"] == "http://127.0.0.1:0"
