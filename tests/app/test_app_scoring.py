import math
from typing import Any

import pytest
from app_bundles import distance, probability, record

from app.scoring import Classifier, Feature, Outliers, predict
from app.service import Service

NO_OUTLIERS = Outliers(fields=(), mean=(), precision=(), threshold=1.0)


def line(name: str, slope: float, baseline: float = 0.0) -> Feature:
    return Feature(name=name, table={}, slope=slope, offset=0.0, baseline=baseline)


@pytest.mark.parametrize(
    "changes",
    [{}, {"OverTime": "No"}, {"Age": 80, "JobLevel": 5}, {"MonthlyIncome": 100_000, "Age": 18}],
)
def test_the_answer_is_the_one_of_the_definition(service: Service, changes: dict[str, Any]) -> None:
    row = record(**changes)
    answer = predict(service.release.classifier, service.release.outliers, row)
    assert answer.attrition_probability == pytest.approx(probability(row), abs=1e-15)
    assert answer.outlier_score == pytest.approx(distance(row), rel=1e-12)
    assert answer.is_outlier == (distance(row) > 9)


@pytest.mark.parametrize(("intercept", "expected"), [(-5000.0, 0.0), (0.0, 0.5), (5000.0, 1.0)])
def test_extreme_log_odds_do_not_overflow(intercept: float, expected: float) -> None:
    classifier = Classifier(intercept=intercept, features=())
    assert predict(classifier, NO_OUTLIERS, record()).attrition_probability == expected


def test_small_probabilities_keep_their_precision() -> None:
    classifier = Classifier(intercept=-40.0, features=())
    answer = predict(classifier, NO_OUTLIERS, record())
    assert answer.attrition_probability == pytest.approx(math.exp(-40), rel=1e-12)


def test_reasons_are_the_largest_deviations_from_the_baseline() -> None:
    features = (
        line("Age", 1.0, baseline=41.0),
        line("DailyRate", -0.001),
        line("JobLevel", 1.0),
        line("Education", 1.0, baseline=7.0),
    )
    answer = predict(Classifier(intercept=0.0, features=features), NO_OUTLIERS, record())
    assert [(reason.feature, reason.contribution) for reason in answer.reasons] == [
        ("Education", -5.0),
        ("JobLevel", 2.0),
        ("DailyRate", -1.102),
    ]
