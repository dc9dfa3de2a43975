import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_bundles import REFERENCES, write_bundle
from app_releases import change

from app.release import load, wrong_reference
from contract.employee import DETECTED_NAMES
from contract.release import (
    CARD,
    CLASSIFIER,
    DRIFT,
    EVIDENCE,
    MANIFEST,
    OUTLIERS,
    REFERENCE,
    ReleaseError,
    seal,
)

Edit = Callable[[Any], object]


def test_a_sealed_release_loads_and_answers_right(tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path)
    release = load(tmp_path, sha256)
    assert release.manifest_sha256 == sha256
    assert len(release.references) == len(REFERENCES)
    assert wrong_reference(release) is None


def test_other_files_of_a_release_are_not_read(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "example.json").write_text("{")
    change(tmp_path, REFERENCE, lambda _: None)
    assert wrong_reference(load(tmp_path)) is None


FIGURES: list[tuple[Edit, str]] = [
    (lambda content: content.pop("figures"), "'figures' is missing"),
    (lambda content: content["figures"]["cv_roc_auc"].pop("value"), "cv_roc_auc: 'value' is"),
    (lambda content: content["figures"].update(x={"value": "1"}), "x: 'value' must be"),
]


@pytest.mark.parametrize(("edit", "message"), FIGURES)
def test_figures_are_numbers(tmp_path: Path, edit: Edit, message: str) -> None:
    write_bundle(tmp_path)
    change(tmp_path, EVIDENCE, edit)
    with pytest.raises(ReleaseError, match=f"{EVIDENCE}: {message}"):
        load(tmp_path)


def test_the_card_is_text(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / CARD).write_bytes(b"\xff")
    seal(tmp_path)
    with pytest.raises(ReleaseError, match=f"{CARD}: cannot be read as UTF-8 text"):
        load(tmp_path)


DRIFTS: list[tuple[Edit, str]] = [
    (lambda c: c.pop("fields"), "'fields' is missing"),
    (lambda c: c["fields"].clear(), "'fields' is empty"),
    (lambda c: c["fields"].update(Shoe=c["fields"].pop("OverTime")), "'Shoe' is no field"),
    (lambda c: c["fields"]["JobLevel"].pop("counts"), "field 'JobLevel': 'counts' is missing"),
    (lambda c: c["fields"]["JobLevel"]["counts"].pop(), "'JobLevel': 'centres' must ascend"),
    (lambda c: c["fields"]["JobLevel"].update(counts=[0] * 5), "'JobLevel': 'counts' must not"),
    (lambda c: c["fields"]["JobLevel"].update(counts=[-1, 9, 9, 9, 9]), "'counts' must not be"),
    (lambda c: c["fields"]["JobLevel"]["upper"].reverse(), "'JobLevel': 'upper' must ascend"),
    (lambda c: c["fields"]["MonthlyIncome"]["upper"].pop(), "'upper' must ascend, up to the"),
    (lambda c: c["fields"]["JobLevel"]["centres"].reverse(), "'JobLevel': 'centres' must ascend"),
    (lambda c: c["fields"]["JobLevel"].update(standard_deviation=0), "be positive"),
    (lambda c: c["fields"]["OverTime"].update(categories=["Yes"]), "'categories' must be"),
    (lambda c: c["fields"]["OverTime"]["counts"].pop(), "'counts' must hold a number for every"),
]


@pytest.mark.parametrize(("edit", "message"), DRIFTS)
def test_bins_in_which_a_record_could_not_be_counted_are_refused(
    tmp_path: Path, edit: Edit, message: str
) -> None:
    write_bundle(tmp_path)
    change(tmp_path, DRIFT, edit)
    with pytest.raises(ReleaseError, match=f"{DRIFT}: .*{message}"):
        load(tmp_path)


def test_what_a_release_needs_is_what_its_models_look_at(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    assert load(tmp_path).needed == {*DETECTED_NAMES}
    change(tmp_path, CLASSIFIER, lambda c: c["columns"][0].update(field="Gender", against="Male"))
    assert load(tmp_path).needed == {*DETECTED_NAMES, "Gender"}


@pytest.mark.parametrize("name", [CLASSIFIER, OUTLIERS, REFERENCE, MANIFEST])
def test_an_altered_file_is_named(tmp_path: Path, name: str) -> None:
    sha256 = write_bundle(tmp_path)
    (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
    with pytest.raises(ReleaseError, match=name):
        load(tmp_path, sha256)


def record(**changes: Any) -> Edit:
    return lambda content: content["records"][1]["record"].update(changes)


EDITS: list[tuple[Edit, str]] = [
    (lambda c: c.pop("records"), "'records' is missing"),
    (lambda c: c["records"].clear(), "no reference records"),
    (lambda c: c.pop("tolerance"), "'tolerance' is missing"),
    (lambda c: c.update(tolerance=math.nan), "'tolerance' must be a finite number"),
    (record(Age=17), "record 1: 'Age' must be a whole number from 18 to 80"),
    (record(Age=True), "record 1: 'Age' must be"),
    (record(Age=41.0), "record 1: 'Age' must be"),
    (record(Age="41"), "record 1: 'Age' must be"),
    (record(Gender="male"), "record 1: 'Gender' must be one of 'Female', 'Male'"),
    (lambda c: c["records"][0]["record"].pop("Age"), "record 0: 'Age' must be"),
    (lambda c: c["records"][2].pop("record"), "record 2: 'record' is missing"),
    (lambda c: c["records"][2].pop("answer"), "record 2: 'answer' is missing"),
    (lambda c: c["records"][2].update(record=[]), "record 2: "),
    (lambda c: c["records"].append(None), "record 5: "),
    (lambda c: c["records"][3].update(answer={}), "record 3: 'attrition_probability' is missing"),
    (lambda c: c["records"][3].update(answer=[]), "record 3: "),
    (
        lambda c: c["records"][3]["answer"].update(attrition_probability=None),
        "record 3: 'attrition_probability' must be a finite number",
    ),
]


@pytest.mark.parametrize(("edit", "message"), EDITS)
def test_reference_records_that_prove_nothing_are_refused(
    tmp_path: Path, edit: Edit, message: str
) -> None:
    write_bundle(tmp_path)
    change(tmp_path, REFERENCE, edit)
    with pytest.raises(ReleaseError, match=f"{REFERENCE}: .*{message}"):
        load(tmp_path)


WRONG_ANSWERS: list[Edit] = [
    lambda answer: answer.update(attrition_probability=0.123),
    lambda answer: answer["interval"].__setitem__(0, answer["interval"][0] + 1e-8),
    lambda answer: answer["interval"].reverse(),
    lambda answer: answer.update(decision="refer"),
    lambda answer: answer["outlier"].update(is_outlier=True),
    lambda answer: answer["outlier"].update(score=answer["outlier"]["score"] + 1e-8),
    lambda answer: answer["outlier"]["features"].append("Age"),
    lambda answer: answer["outlier"]["broken_rules"].append("working_years_within_age"),
    lambda answer: answer["reasons"].pop(),
    lambda answer: answer["reasons"].reverse(),
    lambda answer: answer["reasons"][2].update(contribution=0.0),
    lambda answer: answer.update(verdict="guilty"),
    lambda answer: answer.update(verdict=None),
]


@pytest.mark.parametrize("edit", WRONG_ANSWERS)
def test_a_wrong_reference_answer_is_found(tmp_path: Path, edit: Edit) -> None:
    write_bundle(tmp_path)
    change(tmp_path, REFERENCE, lambda content: edit(content["records"][2]["answer"]))
    assert wrong_reference(load(tmp_path)) == 2


def test_reference_answers_may_say_less(tmp_path: Path) -> None:
    """Answers may grow, and an older release does not know what they grew by."""
    write_bundle(tmp_path)
    change(tmp_path, REFERENCE, lambda content: content["records"][2]["answer"].pop("reasons"))
    assert wrong_reference(load(tmp_path)) is None
