"""The stand-in cluster can refuse: each of its rules, under the real engine, on a tiny program."""

import hashlib
import re
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cloud_up_engine import Engine
from cloud_up_images import BuiltImage, Images
from cloud_up_kubernetes import Kubernetes
from cloud_up_ledger import Ledger, differing
from cloud_up_network import Pod, allowed
from cloud_up_provider import serve

from tests.app.app_bundles import write_bundle
from tests.lifecycle.workspace import ROOT

_KEY = "a test's key"
_DIGEST = "sha256:" + "ab" * 32
_SELECTORS = (("app", "smoke"), ("kubernetes.io/metadata.name", "theirs"))
needs_pulumi = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="there is no pulumi command on the PATH"
)


@dataclass(frozen=True, kw_only=True)
class Tiny:
    engine: Engine
    ledger: Ledger
    cluster: Kubernetes

    def events(self, since: int = 0) -> list[str]:
        return [str(event) for event in self.ledger.events(since=since)]


@pytest.fixture
def tiny(tmp_path: Path) -> Generator[Tiny]:
    images = Images(tmp_path / "images")
    _image(images)
    ledger = Ledger()
    cluster = Kubernetes(ledger, images)
    server, port = serve(cluster)
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(Path(__file__).with_name("cloud_up_tiny.py"), project / "__main__.py")
    (project / "Pulumi.yaml").write_text(
        "name: tiny\nruntime:\n  name: python\n  options:\n"
        f"    toolchain: pip\n    virtualenv: {ROOT / '.venv'}\n"
    )
    engine = Engine(project, attached={"kubernetes": port}, environment={})
    engine.init("dev")
    engine.configure(
        "dev",
        image=f"registry.example/api@{_DIGEST}",
        key=_KEY,
        keySha256=hashlib.sha256(_KEY.encode()).hexdigest(),
        copies={"one": {}},
    )
    yield Tiny(engine=engine, ledger=ledger, cluster=cluster)
    server.stop(None)


def _image(images: Images) -> None:
    folder = images.folder(_DIGEST)
    write_bundle(folder / "release")
    for package in ("app", "contract"):
        shutil.copytree(ROOT / package, folder / package)
    image = BuiltImage(
        folder=str(folder),
        environment={"RELEASE_DIR": "/release", "HOST": "0.0.0.0", "PORT": "8000"},
        entrypoint=["python", "-m", "app"],
        command=[],
        paths={"/release": str(folder / "release")},
    )
    images.add(_DIGEST, image)


@needs_pulumi
def test_objects_live_as_with_the_provider(tiny: Tiny) -> None:
    tiny.engine.up("dev")
    assert tiny.events()[-3:] == [
        "create Deployment one-api",
        "create Service one-service",
        "create Job one-smoke",
    ]
    ((_, _, ended),) = tiny.cluster.jobs
    assert '"records": 5' in ended.output
    name = tiny.ledger.one("dev", "Secret").inputs["metadata"]["name"]
    assert name.startswith("one-key-")
    before = tiny.ledger.mark()
    tiny.engine.configure("dev", copies={"one": {"version": "2"}})
    tiny.engine.up("dev")
    # A ConfigMap of the same name has to go before another is made; the Secret keeps its own.
    assert tiny.events(before) == ["delete ConfigMap one-settings", "create ConfigMap one-settings"]
    assert tiny.ledger.one("dev", "Secret").inputs["metadata"]["name"] == name
    tiny.engine.changes_nothing("dev")
    tiny.engine.destroy("dev")
    assert tiny.ledger.find("dev") == []


@needs_pulumi
def test_a_failed_job_is_not_run_again_unless_it_is_to_be_replaced(tiny: Tiny) -> None:
    tiny.cluster.distort("dev", by=0.125)
    error = tiny.engine.refused("dev")
    assert "record 0: attrition_probability differs by 1.2e-01, tolerance 1e-09" in error
    tiny.cluster.distort("dev", by=0)
    assert "backoff limit" in tiny.engine.refused("dev")
    assert len(tiny.cluster.jobs) == 1
    tiny.engine.configure("dev", copies={"one": {"replaced": True}})
    tiny.engine.up("dev")
    assert len(tiny.cluster.jobs) == 2


@needs_pulumi
def test_what_a_cluster_refuses(tiny: Tiny) -> None:
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "closed": ({"closed": True}, "smoke): the network policies let nothing through"),
        "root": ({"root": True}, "api): violates PodSecurity"),
        "tag": ({"image": "registry.example/api:latest"}, "api): ImagePullBackOff"),
        "settings": ({"keySha256": "nonsense"}, "smoke): API_KEY_SHA256: entry 1 of 1 is not"),
        "key": ({"key": "another"}, "smoke): the API does not accept API_KEY"),
    }
    tiny.engine.configure("dev", copies={name: config for name, (config, _) in wrong.items()})
    error = tiny.engine.refused("dev", "up", "--continue-on-error")
    for name, (_, expected) in wrong.items():
        resource, _, message = expected.partition("): ")
        # The engine quotes each resource's errors below the resource's name.
        quoted = rf"\({name}-{resource}\):\n\s+error: [^\n]+\n[^\n]*{re.escape(message)}"
        assert re.search(quoted, error), error


def test_paths_of_what_differs() -> None:
    old: dict[str, Any] = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    new: dict[str, Any] = {"a": {"b": 2, "c": [1, 3]}, "e": [1]}
    assert list(differing(old, new)) == ["a.b", "a.c[1]", "d", "e"]
    assert list(differing(old, old)) == []


def test_network_policies_add_up() -> None:
    def policy(pods: str, way: str, **rules: Any) -> dict[str, Any]:
        selector = {"matchLabels": {"app": pods}} if pods else {}
        spec = {"podSelector": selector, "policyTypes": [way], **rules}
        return {"metadata": {"namespace": "ours"}, "spec": spec}

    def ingress(**rule: Any) -> dict[str, Any]:
        return policy("api", "Ingress", ingress=[rule])

    def pod(namespace: str, app: str) -> Pod:
        return Pod(namespace=namespace, labels={"app": app})

    api, smoke, stranger = pod("ours", "api"), pod("ours", "smoke"), pod("theirs", "smoke")
    smokes, theirs = ({"matchLabels": {key: value}} for key, value in _SELECTORS)
    closed = policy("", "Ingress")
    port: set[int | str] = {8000, "http"}
    assert allowed([], smoke, api, port)
    assert not allowed([closed], smoke, api, port)
    assert allowed([closed, ingress(ports=[{"port": 8000}])], smoke, api, port)
    assert allowed([closed, ingress(ports=[{"port": "http"}])], smoke, api, port)
    assert not allowed([closed, ingress(ports=[{"port": 8000}])], smoke, api, {9000})
    assert allowed([ingress(**{"from": [{"podSelector": smokes}]})], smoke, api, port)
    assert not allowed([ingress(**{"from": [{"podSelector": smokes}]})], stranger, api, port)
    elsewhere = ingress(**{"from": [{"podSelector": smokes, "namespaceSelector": theirs}]})
    assert allowed([elsewhere], stranger, api, port)
    assert not allowed([elsewhere], smoke, api, port)
    assert not allowed([policy("smoke", "Egress")], smoke, api, port)
    assert allowed([policy("smoke", "Egress")], stranger, api, port)
