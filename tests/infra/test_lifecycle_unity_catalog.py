"""The registry in Unity Catalog: MLflow's own client, against a server that answers like it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lifecycle_unity_catalog import MODEL, TOKEN, UnityCatalog, serving

from contract import release as contract
from infra.lifecycle.databricks import Credentials
from infra.lifecycle.errors import GateError, RegistryError
from infra.lifecycle.model_stage import ModelStageProvider
from infra.lifecycle.registry import Registry
from infra.lifecycle.release_gate import ReleaseGateProvider

CREDENTIALS = Credentials(token=TOKEN)
IMAGE = "hr.azurecr.io/attrition-api@sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give back what asking a workspace changes: variables, and MLflow's defaults."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("DATABRICKS_", "MLFLOW_", "ARM_")):
            del os.environ[name]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def catalog() -> Iterator[UnityCatalog]:
    """Serve a catalog; whatever is asked of it that Unity Catalog does not have fails the test."""
    catalog = UnityCatalog()
    with serving(catalog):
        yield catalog
    assert catalog.unknown == []


@pytest.fixture
def registry(catalog: UnityCatalog) -> Registry:
    return Registry(catalog.address, CREDENTIALS)


def test_a_release_is_looked_up_in_the_catalog(catalog: UnityCatalog, registry: Registry) -> None:
    version = catalog.add("f1")
    found = registry.release(version)
    assert (found.version, found.fingerprint) == (version, "f1")
    assert found.bundle_sha256 == catalog.versions[version]["tags"]["bundle_sha256"]
    assert found.metrics == {"cv_roc_auc": 0.82}


def test_a_release_is_found_although_searches_return_no_tags(
    catalog: UnityCatalog, registry: Registry
) -> None:
    for number in range(7):
        catalog.add(f"f{number % 5}")
    newest, oldest = registry.find("f1"), registry.find("f4")
    assert newest is not None
    assert oldest is not None
    assert (newest.version, oldest.version) == ("7", "5")
    assert registry.find("f9") is None
    # Page by page: the server gives two versions at a time.
    assert catalog.calls.count("GET /api/2.0/mlflow/unity-catalog/model-versions/search") == 12


@pytest.mark.parametrize("status", ["PENDING_REGISTRATION", "FAILED_REGISTRATION"])
def test_a_version_whose_files_never_arrived_is_no_release(
    catalog: UnityCatalog, registry: Registry, status: str
) -> None:
    ready = catalog.add("f1")
    version = catalog.add("f1", status=status)
    found = registry.find("f1")
    assert found is not None
    assert found.version == ready
    with pytest.raises(RegistryError, match=f"version {version} is {status}: its registration"):
        registry.release(version)


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"])
def test_what_is_missing_is_missing_in_the_words_of_every_server(
    catalog: UnityCatalog, registry: Registry, code: str
) -> None:
    catalog.missing = code
    assert registry.at_stage("staging") is None
    with pytest.raises(RegistryError, match="version 9: not found; there is none yet"):
        registry.release("9")
    catalog.model_tags = None
    assert registry.find("f1") is None
    assert registry.at_stage("staging") is None
    assert registry.uses() == []


def test_the_first_missing_version_names_model_and_workspace(
    catalog: UnityCatalog, registry: Registry
) -> None:
    for _ in range(3):
        catalog.add()
    with pytest.raises(RegistryError) as caught:
        registry.release("9")
    assert str(caught.value) == (
        f"model registry databricks-uc at {catalog.url}, model '{MODEL}', version 9: not found; "
        "there are 3, 2, 1"
    )


def test_a_name_that_is_none_here_is_an_error_and_not_a_missing_release(
    catalog: UnityCatalog,
) -> None:
    registry = Registry({**catalog.address, "model_name": "attrition"}, CREDENTIALS)
    with pytest.raises(RegistryError, match=r"alias staging: .*specify all three levels"):
        registry.at_stage("staging")


def test_a_refused_token_is_an_error_and_not_a_missing_release(catalog: UnityCatalog) -> None:
    registry = Registry(catalog.address, Credentials(token="another-token"))
    with pytest.raises(RegistryError) as caught:
        registry.at_stage("staging")
    assert "Invalid access token" in str(caught.value)
    assert "another-token" not in str(caught.value)


def test_a_workspace_that_nobody_answers_for_is_an_error_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalog = UnityCatalog()
    with serving(catalog):
        pass
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(RegistryError, match=rf"version 1: nobody answers at {catalog.url} \(.*ref"):
        Registry(catalog.address, CREDENTIALS).release("1")
    assert slept == []


def test_without_a_way_to_log_in_the_error_says_how(
    catalog: UnityCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    address = {**catalog.address, "azure_resource_id": "/subscriptions/s/workspaces/w"}
    with pytest.raises(RegistryError, match=r"cannot log in .*; run `az login`, or set DATABRICKS"):
        Registry(address).release("1")


def test_a_stage_is_moved_proven_and_cleared(catalog: UnityCatalog, registry: Registry) -> None:
    first, second = catalog.add("f1"), catalog.add("f2")
    registry.move_stage("staging", first, {"image": IMAGE}, {"when": "20260101T000000Z"})
    registry.move_stage("staging", second, {"image": IMAGE})
    at_stage = registry.at_stage("staging")
    assert at_stage is not None
    assert at_stage.version == second
    assert registry.proof(first, "staging") == {"image": IMAGE}
    assert "moved_staging_20260101T000000Z" in catalog.versions[first]["tags"]
    registry.clear_stage("staging", first)
    assert catalog.aliases == {"staging": second}
    registry.clear_stage("staging", second)
    assert catalog.aliases == {}


def test_three_stages_never_fill_a_versions_fifty_tags(
    catalog: UnityCatalog, registry: Registry
) -> None:
    version = catalog.add()
    for minute in range(12):
        for stage in ("local", "staging", "production"):
            entry = {"when": f"20260101T00{minute:02}00Z", "to": version}
            registry.move_stage(stage, version, {"image": IMAGE}, entry)
    tags = catalog.versions[version]["tags"]
    assert len(tags) == 3 + 3 + 3 * 10
    assert "moved_local_20260101T000100Z" not in tags
    assert "moved_local_20260101T000200Z" in tags


def test_every_tag_that_is_written_has_a_key_that_the_catalog_takes(
    catalog: UnityCatalog, registry: Registry
) -> None:
    version = catalog.add()
    with pytest.raises(RegistryError, match="tag 'proven_a-team': its key contains '-'"):
        registry.move_stage("a-team", version, {"image": IMAGE})
    with pytest.raises(RegistryError, match="tag 'used_by_a-team': its key contains '-'"):
        registry.mark_use("a-team", "x")
    assert catalog.aliases == {}
    assert not [call for call in catalog.calls if call.startswith("POST")]


def test_users_of_the_model_are_named_and_forgotten(
    catalog: UnityCatalog, registry: Registry
) -> None:
    registry.mark_use("staging", "hr-staging")
    registry.mark_use("production", "hr-production")
    assert registry.uses() == ["production", "staging"]
    for _ in range(2):
        registry.clear_use("staging")
        assert registry.uses() == ["production"]


def test_a_bundle_comes_from_where_the_versions_name_leads(
    catalog: UnityCatalog, registry: Registry, tmp_path: Path
) -> None:
    version = catalog.add()
    folder = f"/Models/main/hr/attrition/{version}/artifacts/bundle"
    catalog.files = {
        f"{folder}/{contract.MANIFEST}": b"{}",
        f"{folder}/{contract.CLASSIFIER}": b"[1]",
        f"/Models/main/hr/attrition/{version}/MLmodel": b"not asked for",
    }
    fetched = registry.fetch_bundle(version, tmp_path / "target")
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        contract.MANIFEST: b"{}",
        contract.CLASSIFIER: b"[1]",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"target"}


def test_the_address_of_another_host_in_the_environment_does_not_count(
    catalog: UnityCatalog, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
    assert registry.release(catalog.add()).version == "1"


# The whole way of a release, by the providers


def gate(catalog: UnityCatalog, stage: str, **changes: Any) -> dict[str, Any]:
    return {
        "registry": catalog.address,
        "stage": stage,
        "promote_from": "staging" if stage == "production" else "",
        "image_server": "",
        "pinned": False,
        "compared_with": "production",
        "gates": [{"metric": "cv_roc_auc", "at_least": 0.8, "max_drop": 0.02}],
        **changes,
    }


def passed(props: dict[str, Any]) -> dict[str, Any]:
    provider = ReleaseGateProvider()
    provider.credentials = CREDENTIALS
    checked = provider.check({}, props)
    assert checked.failures == []
    outs = provider.create(checked.inputs).outs
    assert outs == checked.inputs
    return checked.inputs


def moved(catalog: UnityCatalog, stage: str, version: str, image: str) -> dict[str, Any]:
    provider = ModelStageProvider()
    provider.credentials = CREDENTIALS
    props = {
        "registry": catalog.address,
        "stage": stage,
        "version": version,
        "evidence": {"image": image, "records": 25.0},
        "reason": "promotion",
    }
    outs = provider.create(props).outs
    assert outs is not None
    return outs


def test_a_release_goes_through_staging_to_production_and_back(catalog: UnityCatalog) -> None:
    images = {version: f"{IMAGE[:-1]}{version}" for version in (catalog.add("f1"), catalog.add())}
    with pytest.raises(GateError, match=r"^staging has proven nothing yet: run `pulumi up -s"):
        passed(gate(catalog, "production"))
    for version, image in images.items():
        staged = passed(gate(catalog, "staging", version=version))
        assert staged["image"] == ""
        moved(catalog, "staging", version, image)
        outs = passed(gate(catalog, "production"))
        assert (outs["version"], outs["image"]) == (version, image)
        moved(catalog, "production", version, image)
    back = passed(gate(catalog, "production", version="1", pinned=True))
    assert back["image"] == images["1"]
    assert moved(catalog, "production", "1", back["image"])["previous_version"] == "2"
    assert catalog.aliases == {"staging": "2", "production": "1"}
    tags: dict[str, str] = catalog.versions["1"]["tags"]
    notes = [json.loads(tags[key]) for key in sorted(tags) if key.startswith("moved_production_")]
    assert {"from": "2", "to": "1"}.items() <= notes[-1].items()


def test_a_release_that_was_changed_in_the_catalog_is_not_promoted(catalog: UnityCatalog) -> None:
    version = catalog.add()
    moved(catalog, "staging", version, IMAGE)
    props, tags = gate(catalog, "production"), catalog.versions[version]["tags"]
    tags["metrics"] = '{"cv_roc_auc": 0.92}'
    with pytest.raises(GateError, match=r"cv_roc_auc: 0\.92 in the tag `metrics`, 0\.82 in the "):
        passed(props)
    tags["metrics"] = '{"cv_roc_auc": 0.82}'
    file = f"{catalog.folder(version)}/{contract.EVIDENCE}"
    content = catalog.files[file]
    catalog.files[file] = content.replace(b"0.82", b"0.92")
    with pytest.raises(GateError, match=r"\n  evidence\.json: its sha-256 is not the one in manif"):
        passed(props)
    catalog.files[file] = content
    assert passed(props)["version"] == version
