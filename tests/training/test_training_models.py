"""The three models and their figures: what they look at, and how they behave."""

# scikit-learn, SciPy and MLflow are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.pipeline import Pipeline

from contract.dataset import DatasetError
from contract.employee import EXAMPLE, FIELDS, INTEGERS, PROTECTED, Integer
from training.classifier import attrition_probability
from training.dataset import Dataset
from training.drift import MINIMUM_WINDOW, DriftDetector
from training.evaluate import evaluate, expected_calibration_error
from training.outliers import OutlierDetector
from training.parameters import Parameters
from training.records import records_frame


@pytest.mark.parametrize("name", PROTECTED)
def test_the_classifier_does_not_see_protected_fields(
    name: str, classifier: Pipeline, dataset: Dataset
) -> None:
    records = dataset.features.head(100)
    field = next(field for field in FIELDS if field.name == name)
    value = field.maximum if isinstance(field, Integer) else field.categories[0]
    np.testing.assert_array_equal(
        attrition_probability(classifier, records),
        attrition_probability(classifier, records.assign(**{name: value})),
    )


def test_the_classifier_refuses_an_unknown_category_without_showing_it(
    classifier: Pipeline, dataset: Dataset
) -> None:
    with pytest.raises(DatasetError, match="column 'OverTime', row 1") as refusal:
        attrition_probability(classifier, dataset.features.assign(OverTime="secret"))
    assert "secret" not in str(refusal.value)


def test_outliers_flag_one_percent_and_the_impossible(
    outliers: OutlierDetector, dataset: Dataset
) -> None:
    assert 0.0 < outliers.predict(dataset.features).mean() <= 0.012
    odd = dict(EXAMPLE) | {"MonthlyIncome": 100_000, "JobLevel": 1, "YearsAtCompany": 60}
    frame = records_frame([EXAMPLE, odd])
    assert outliers.predict(frame).tolist() == [False, True]
    assert (outliers.score(frame) >= 0).all()


def test_outliers_survive_fields_that_never_vary(dataset: Dataset) -> None:
    constant = dataset.features.assign(DailyRate=800)
    detector = OutlierDetector().fit(constant)
    assert np.isfinite(detector.score(constant)).all()


def test_outliers_come_back_from_json(outliers: OutlierDetector, dataset: Dataset) -> None:
    again = OutlierDetector.from_dict(json.loads(json.dumps(outliers.to_dict())))
    np.testing.assert_array_equal(again.score(dataset.features), outliers.score(dataset.features))
    assert again.to_dict() == outliers.to_dict()


@pytest.fixture(scope="module")
def drift(dataset: Dataset) -> DriftDetector:
    return DriftDetector().fit(dataset.features)


def window(dataset: Dataset, records: int) -> pd.DataFrame:
    return dataset.features.sample(records, random_state=3)


def test_a_small_window_is_not_judged(drift: DriftDetector, dataset: Dataset) -> None:
    report = drift.detect(window(dataset, MINIMUM_WINDOW - 1))
    assert (report.status, report.window, report.features) == ("not_enough_data", 49, ())
    assert drift.detect(window(dataset, MINIMUM_WINDOW)).status == "stable"


def test_the_tables_own_records_are_stable(drift: DriftDetector, dataset: Dataset) -> None:
    report = drift.detect(window(dataset, 200))
    assert report.status == "stable"
    assert [feature.feature for feature in report.features] == [field.name for field in FIELDS]
    assert not any(feature.drifted for feature in report.features)


def test_a_shift_is_found_where_it_is(drift: DriftDetector, dataset: Dataset) -> None:
    records = window(dataset, 200)
    shifted = records.assign(
        MonthlyIncome=(records["MonthlyIncome"] * 1.5).astype("int64").clip(upper=100_000),
        OverTime="Yes",
    )
    report = drift.detect(shifted)
    assert report.status == "drift"
    drifted = {feature.feature: feature for feature in report.features if feature.drifted}
    assert drifted.keys() == {"MonthlyIncome", "OverTime"}
    assert drifted["MonthlyIncome"].test == "ks"
    assert drifted["OverTime"].test == "chi_squared"
    assert drifted["OverTime"].effect == pytest.approx(0.717, abs=0.001)
    assert all(f.q_value >= f.p_value for f in report.features)


def test_a_large_window_does_not_make_a_trifle_drift(dataset: Dataset) -> None:
    many = pd.concat([dataset.features] * 40)
    trifle = many.assign(DailyRate=many["DailyRate"] + 40)
    report = DriftDetector().fit(many).detect(trifle)
    rate = next(f for f in report.features if f.feature == "DailyRate")
    assert rate.q_value < 1e-6
    assert report.status == "stable"


def test_drift_handles_a_value_or_category_new_to_it(dataset: Dataset) -> None:
    one_department = dataset.features[dataset.features["Department"] == "Sales"]
    detector = DriftDetector().fit(one_department)
    assert detector.detect(one_department).status == "stable"
    report = detector.detect(dataset.features)
    assert "Department" in {f.feature for f in report.features if f.drifted}


def test_drift_comes_back_from_json(drift: DriftDetector, dataset: Dataset) -> None:
    again = DriftDetector.from_dict(json.loads(json.dumps(drift.to_dict())))
    assert again.detect(window(dataset, 200)) == drift.detect(window(dataset, 200))


def test_the_drift_reference_holds_counts_field_by_field(drift: DriftDetector) -> None:
    counts = drift.to_dict()["counts"]
    assert {sum(values.values()) for values in counts.values()} == {1_470}


def test_the_ks_statistic_is_scipys(drift: DriftDetector, dataset: Dataset) -> None:
    records = window(dataset, 200)
    by_name = {feature.feature: feature for feature in drift.detect(records).features}
    for field in INTEGERS:
        expected: Any = stats.ks_2samp(
            dataset.features[field.name], records[field.name], method="asymp"
        )
        assert by_name[field.name].effect == pytest.approx(expected.statistic, abs=1e-12)
        assert by_name[field.name].p_value == pytest.approx(expected.pvalue, abs=0.05)


def test_calibration_error_of_known_cases() -> None:
    target = np.array([0, 1, 1, 1])
    assert expected_calibration_error(target, np.array([0.0, 1.0, 1.0, 1.0])) == 0.0
    assert expected_calibration_error(target, np.full(4, 0.25)) == pytest.approx(0.5)


def test_figures_are_near_what_was_measured(dataset: Dataset) -> None:
    metrics = evaluate(dataset, Parameters(cv_repeats=2))
    assert 0.84 < metrics["cv_roc_auc"] < 0.87
    assert 0.62 < metrics["cv_average_precision"] < 0.70
    assert metrics["cv_brier"] < 0.093
    assert metrics["cv_ece"] < 0.05
    assert 0.0 <= metrics["cv_roc_auc_sd"] < 0.02
    assert 0.003 < metrics["cv_outlier_rate"] < 0.02
    assert metrics["drift_false_alarm_rate"] <= 0.1


def test_without_signal_the_figures_say_so(dataset: Dataset) -> None:
    shuffled = dataset.target.sample(600, random_state=5).reset_index(drop=True)
    noise = Dataset(features=dataset.features.head(600), target=shuffled, sha256="", source="")
    parameters = Parameters(cv_folds=2, cv_repeats=2)
    metrics = evaluate(noise, parameters)
    assert 0.4 < metrics["cv_roc_auc"] < 0.6
    assert evaluate(noise, parameters) == metrics
