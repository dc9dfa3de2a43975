import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_bundles import write_bundle

from app.release import load, wrong_reference
from contract.release import CLASSIFIER, MANIFEST, OUTLIERS, REFERENCE, ReleaseError, seal


def change(folder: Path, name: str, edit: Callable[[Any], object]) -> None:
    """Change one file of a release and seal it again: what training could have done wrong."""
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))
    seal(folder)


def test_a_sealed_release_loads_and_answers_right(tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path)
    release = load(tmp_path, sha256)
    assert release.manifest_sha256 == sha256
    assert wrong_reference(release) is None


@pytest.mark.parametrize("name", [CLASSIFIER, OUTLIERS, REFERENCE, MANIFEST])
def test_an_altered_file_is_named(tmp_path: Path, name: str) -> None:
    sha256 = write_bundle(tmp_path)
    (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
    with pytest.raises(ReleaseError, match=name):
        load(tmp_path, sha256)


LINE = {"feature": "OverTime", "slope": 1.0, "offset": 0.0}
EDITS: list[tuple[str, Callable[[Any], object], str]] = [
    (CLASSIFIER, lambda c: c["terms"][1]["table"].pop("3"), "'JobLevel' has no contribution.* 3"),
    (CLASSIFIER, lambda c: c["terms"][0].update(feature="Shoe"), "'Shoe' is no field"),
    (CLASSIFIER, lambda c: c["terms"].append(LINE), "'OverTime' is a category"),
    (CLASSIFIER, lambda c: c["baseline"].pop("Age"), "'Age' is missing"),
    (CLASSIFIER, lambda c: c.update(intercept=float("nan")), "expected a finite number"),
    (CLASSIFIER, lambda c: c.update(intercept="1"), "expected a finite number"),
    (CLASSIFIER, lambda c: c.pop("terms"), "'terms' is missing"),
    (OUTLIERS, lambda c: c["fields"].append("Gender"), "'Gender' is no whole-number field"),
    (OUTLIERS, lambda c: c["mean"].pop(), "1 numbers where 2 belong"),
    (OUTLIERS, lambda c: c["precision"].pop(), "1 rows for 2 fields"),
    (REFERENCE, lambda c: c["records"].clear(), "no reference records"),
    (REFERENCE, lambda c: c["records"][1]["record"].update(Age=17), "record 1: 'Age' must be"),
    (REFERENCE, lambda c: c["records"][0]["record"].pop("Age"), "record 0: 'Age' must be"),
    (REFERENCE, lambda c: c["records"][0]["record"].update(Age=True), "record 0: 'Age' must be"),
]


@pytest.mark.parametrize(("name", "edit", "message"), EDITS)
def test_what_would_fail_later_is_refused_at_once(
    tmp_path: Path, name: str, edit: Callable[[Any], object], message: str
) -> None:
    write_bundle(tmp_path)
    change(tmp_path, name, edit)
    with pytest.raises(ReleaseError, match=f"{name}: .*{message}"):
        load(tmp_path)


WRONG_ANSWERS: list[Callable[[Any], object]] = [
    lambda record: record.update(attrition_probability=0.123),
    lambda record: record.update(is_outlier=not record["is_outlier"]),
]


@pytest.mark.parametrize("edit", WRONG_ANSWERS)
def test_a_wrong_reference_answer_is_found(tmp_path: Path, edit: Callable[[Any], object]) -> None:
    write_bundle(tmp_path)
    change(tmp_path, REFERENCE, lambda content: edit(content["records"][2]))
    assert wrong_reference(load(tmp_path)) == 2
