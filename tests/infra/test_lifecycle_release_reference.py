"""What a release expects of its population is read from its sealed bundle, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from lifecycle_store import MODEL, Store

from contract.release import DRIFT, seal
from infra.lifecycle.errors import RegistryError
from infra.lifecycle.release_reference import ReleaseReferenceProvider

DETECTOR: dict[str, Any] = {
    "fields": {
        "Age": {"upper": [30, 100], "counts": [4, 6]},
        "Gender": {"categories": ["Female", "Male"], "counts": [5, 5]},
    },
    "joint": {},
    "probabilities": [9, 1],
}


def register(store: Store, folder: Path, files: dict[str, Any]) -> dict[str, Any]:
    """Register a release with these files; return the resource's inputs."""
    bundle = folder / "artifacts" / "bundle"
    bundle.mkdir(parents=True)
    for name, content in files.items():
        (bundle / name).write_text(json.dumps(content))
    sha256 = seal(bundle)
    return {
        "registry": {"model_name": MODEL, "tracking_uri": store.uri},
        "version": store.add(source=folder),
        "bundle_sha256": sha256,
    }


def read(props: dict[str, Any]) -> dict[str, Any]:
    outs = ReleaseReferenceProvider().create(props).outs
    assert outs is not None
    return outs


def test_it_reads_the_counts_and_nothing_else(store: Store, tmp_path: Path) -> None:
    props = register(store, tmp_path / "model", {DRIFT: DETECTOR})
    made = read(props)
    assert made == {**props, "counts": {"Age": [4, 6], "Gender": [5, 5], "score": [9, 1]}}
    assert not ReleaseReferenceProvider().diff("id", made, props).changes


def test_another_release_is_read_again(store: Store, tmp_path: Path) -> None:
    made = read(register(store, tmp_path / "one", {DRIFT: DETECTOR}))
    wider = {**DETECTOR, "fields": {"Age": {"counts": [8, 12]}}}
    other = register(store, tmp_path / "other", {DRIFT: wider})
    change = ReleaseReferenceProvider().diff("id", made, other)
    assert change.changes
    assert not change.replaces
    again = ReleaseReferenceProvider().update("id", made, other).outs
    assert again is not None
    assert again["counts"] == {"Age": [8, 12], "score": [9, 1]}


def test_an_altered_bundle_is_refused(store: Store, tmp_path: Path) -> None:
    props = register(store, tmp_path / "model", {DRIFT: DETECTOR})
    with pytest.raises(RegistryError, match=r"release 1 in the registry.*altered"):
        read({**props, "bundle_sha256": "0" * 64})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"other.json": {}}, "the release was sealed without it"),
        ({DRIFT: {"fields": {"Age": {}}}}, "no `fields` with `counts`"),
        ({DRIFT: {"fields": {"Age": {"counts": [-1, 3]}}}}, "Age: its counts"),
    ],
)
def test_a_release_without_counts_cannot_be_watched(
    store: Store, tmp_path: Path, files: dict[str, Any], why: str
) -> None:
    props = register(store, tmp_path / "model", files)
    with pytest.raises(RegistryError, match=rf"release 1.*drift\.json: .*{why}.*`retrain`"):
        read(props)
