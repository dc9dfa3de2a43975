"""The classifier as an estimator: raw records in, everything learnt inside, good enough to use."""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline

from contract.dataset import DatasetError
from contract.employee import FIELDS, PROTECTED, TARGET_VALUES, Integer
from contract.parameters import Parameters
from training.classifier.design import column_values, design, design_matrix
from training.classifier.estimator import (
    Refits,
    additive,
    attrition_probability,
    log_odds,
    make_classifier,
)
from training.data.dataset import Dataset
from training.data.records import records_frame
from training.evaluation.validation import OutOfFold, cross_validate, held_out_figures


@pytest.fixture(scope="module")
def scores(classifier: Pipeline, dataset: Dataset) -> OutOfFold:
    return cross_validate(classifier, dataset, Parameters())


def test_it_is_as_good_as_the_project_promises(scores: OutOfFold) -> None:
    figures = scores.figures()
    assert figures["cv_roc_auc"]["value"] >= 0.860
    assert figures["cv_average_precision"]["value"] >= 0.680
    assert figures["cv_brier"]["value"] <= 0.0858
    assert figures["cv_ece"]["value"] <= 0.033
    for name in ("cv_roc_auc", "cv_average_precision", "cv_brier"):
        low, high = figures[name]["low"], figures[name]["high"]
        assert low is not None
        assert high is not None
        assert low < figures[name]["value"] < high


def test_anyone_can_cross_validate_it_from_outside(dataset: Dataset) -> None:
    labels = np.where(dataset.target == 1, *reversed(TARGET_VALUES))
    said: Any = cross_val_predict(
        make_classifier(), dataset.features, labels, cv=3, method="predict_proba"
    )
    assert said.shape == (1_470, 2)
    leavers = dataset.target.to_numpy() == 1
    assert said[leavers, 1].mean() > said[~leavers, 1].mean() + 0.2


def test_refits_are_fits_of_the_whole_pipeline(classifier: Pipeline, dataset: Dataset) -> None:
    rows = np.arange(0, 1_470, 2)
    target = np.asarray(dataset.target, dtype=np.int64)
    refits = Refits.of(classifier, dataset.features)
    quick = refits.fit(rows, target[rows])
    whole: Any = clone(make_classifier())
    whole.fit(dataset.features.iloc[rows], target[rows])
    np.testing.assert_array_equal(
        quick.predict_proba(dataset.features), whole.predict_proba(dataset.features)
    )
    np.testing.assert_allclose(
        refits.probability(quick, rows),
        attrition_probability(quick, dataset.features)[rows],
        rtol=1e-12,
    )


@pytest.mark.parametrize("name", PROTECTED)
def test_it_does_not_see_protected_fields(
    name: str, classifier: Pipeline, dataset: Dataset
) -> None:
    records = dataset.features.head(100)
    field = next(field for field in FIELDS if field.name == name)
    value = field.maximum if isinstance(field, Integer) else field.categories[0]
    np.testing.assert_array_equal(
        attrition_probability(classifier, records),
        attrition_probability(classifier, records.assign(**{name: value})),
    )


@pytest.mark.parametrize("name", PROTECTED)
def test_the_switch_puts_them_back(name: str, dataset: Dataset) -> None:
    assert name not in {part.field for column in design() for part in column.parts}
    seen = design(use_protected=True)
    assert name in {part.field for column in seen for part in column.parts}
    model = make_classifier(Parameters(use_protected=True)).fit(dataset.features, dataset.target)
    records = dataset.features.head(50)
    field = next(field for field in FIELDS if field.name == name)
    values = (18, 60) if isinstance(field, Integer) else field.categories[:2]
    first, second = (
        attrition_probability(model, records.assign(**{name: value})) for value in values
    )
    assert (first != second).all()


def test_it_refuses_an_unknown_category_without_showing_it(
    classifier: Pipeline, dataset: Dataset
) -> None:
    with pytest.raises(DatasetError, match="column 'OverTime', row 1") as refusal:
        attrition_probability(classifier, dataset.features.assign(OverTime="secret"))
    assert "secret" not in str(refusal.value)


def test_columns_in_any_order_give_the_same_answer(classifier: Pipeline, dataset: Dataset) -> None:
    turned = dataset.features[list(reversed(dataset.features.columns))]
    np.testing.assert_array_equal(
        log_odds(classifier, dataset.features), log_odds(classifier, turned)
    )


def test_it_is_a_sum_of_columns(
    classifier: Pipeline, dataset: Dataset, legal_records: list[dict[str, int | str]]
) -> None:
    model = additive(classifier)
    assert len(set(model.columns)) == len(model.columns)
    for records in (dataset.features, records_frame(legal_records)):
        total = model.matrix(records) @ model.coefficients + model.intercept
        np.testing.assert_allclose(total, log_odds(classifier, records), rtol=0, atol=1e-9)


def test_columns_of_frames_and_of_single_records_agree(
    legal_records: list[dict[str, int | str]],
) -> None:
    records = legal_records[:500]
    frame = records_frame(records)
    for part in {part for column in design(use_protected=True) for part in column.parts}:
        one_by_one = [part.value(record) for record in records]
        np.testing.assert_allclose(column_values(frame, part), one_by_one, rtol=1e-14)


def test_a_level_that_the_table_lacks_contributes_nothing(
    classifier: Pipeline, dataset: Dataset
) -> None:
    assert set(dataset.features["PerformanceRating"]) == {3, 4}
    model = additive(classifier)
    unseen = [c for c, k in zip(model.columns, model.coefficients, strict=True) if k == 0]
    assert {(column.field, column.against) for column in unseen} == {
        ("PerformanceRating", 1),
        ("PerformanceRating", 2),
    }


def test_the_design_has_the_groups_that_the_decision_record_names() -> None:
    assert {column.group for column in design()} == {
        *("categories", "conditions", "flags", "levels", "logarithms", "numbers", "ratios"),
        *("position", "satisfaction"),
    }
    smallest = {
        field.name: field.minimum if isinstance(field, Integer) else field.categories[0]
        for field in FIELDS
    }
    matrix = design_matrix(pd.DataFrame([smallest]), design(use_protected=True))
    assert np.isfinite(matrix).all()


def test_the_held_out_part_is_scored_by_a_model_that_has_not_seen_it(
    classifier: Pipeline, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[int]] = {}
    fit, probability = Refits.fit, Refits.probability

    def watched_fit(
        refits: Refits, rows: npt.NDArray[np.int64], target: npt.NDArray[np.int64]
    ) -> Pipeline:
        seen["fit"] = set(rows.tolist())
        return fit(refits, rows, target)

    def watched_probability(
        refits: Refits, fitted: Pipeline, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        seen["said"] = set(rows.tolist())
        return probability(refits, fitted, rows)

    monkeypatch.setattr(Refits, "fit", watched_fit)
    monkeypatch.setattr(Refits, "probability", watched_probability)
    rows, figures = held_out_figures(classifier, dataset, Parameters())
    assert seen["fit"] & seen["said"] == set()
    assert len(seen["fit"] | seen["said"]) == 1_470
    assert rows == len(seen["said"]) == 294
    found = figures["held_out_roc_auc"]
    assert found["low"] is not None
    assert found["high"] is not None
    assert 0.7 < found["low"] < found["value"] < found["high"] < 0.95


def test_without_signal_the_figures_say_so(classifier: Pipeline, dataset: Dataset) -> None:
    shuffled = dataset.target.sample(600, random_state=5).reset_index(drop=True)
    noise = Dataset(features=dataset.features.head(600), target=shuffled, sha256="", source="")
    parameters = Parameters(cv_folds=2, cv_repeats=2)
    figures = cross_validate(classifier, noise, parameters).figures()
    assert 0.4 < figures["cv_roc_auc"]["value"] < 0.6
    assert cross_validate(classifier, noise, parameters).figures() == figures
