"""A release's bundle on this machine: fetched once, verified always, fetched again when lost."""

from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import MODEL, Store

from contract.release import MANIFEST, seal
from infra.lifecycle.errors import RegistryError
from infra.lifecycle.release_files import ReleaseFilesProvider


@pytest.fixture
def release(store: Store, tmp_path: Path) -> dict[str, Any]:
    """Register a release with one file in its bundle; return the resource's inputs."""
    bundle = tmp_path / "model" / "artifacts" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "content.json").write_text("{}")
    sha256 = seal(bundle)
    version = store.add(source=tmp_path / "model")
    return {
        "registry": {"model_name": MODEL, "tracking_uri": store.uri},
        "version": version,
        "bundle_sha256": sha256,
        "releases_dir": str(tmp_path / "releases"),
    }


def test_it_copies_the_bundle_and_a_second_look_finds_nothing_to_do(
    release: dict[str, Any],
) -> None:
    provider = ReleaseFilesProvider()
    made = provider.create(release).outs
    assert made is not None
    assert Path(made["release_dir"], MANIFEST).exists()
    assert not provider.diff("id", made, release).changes


@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_a_lost_or_altered_copy_is_fetched_again_in_its_place(
    release: dict[str, Any], damage: str
) -> None:
    provider = ReleaseFilesProvider()
    made = provider.create(release).outs
    assert made is not None
    file = Path(made["release_dir"], "content.json")
    file.unlink() if damage == "lost" else file.write_text("[]")
    change = provider.diff("id", made, release)
    assert change.changes
    assert change.replaces == []
    again = provider.update("id", made, release).outs
    assert again == made
    assert file.read_text() == "{}"


def test_another_release_gets_a_folder_of_its_own(release: dict[str, Any]) -> None:
    made = ReleaseFilesProvider().create(release).outs
    change = ReleaseFilesProvider().diff("id", made or {}, {**release, "version": "9"})
    assert change.replaces == ["version"]


def test_what_the_registry_holds_must_be_what_it_says(release: dict[str, Any]) -> None:
    with pytest.raises(RegistryError, match=r"release 1 in the registry.*altered.*`retrain`"):
        ReleaseFilesProvider().create({**release, "bundle_sha256": "0" * 64})
    assert list(Path(release["releases_dir"]).iterdir()) == []


def test_deleting_it_removes_the_copy(release: dict[str, Any]) -> None:
    made = ReleaseFilesProvider().create(release).outs
    assert made is not None
    ReleaseFilesProvider().delete("id", made)
    assert not Path(made["release_dir"]).exists()
