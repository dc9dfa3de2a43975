import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from app_bundles import (
    OUTLIER_THRESHOLD,
    REFERENCES,
    answer,
    classifier,
    column,
    contributions,
    logit,
    outliers,
    parts,
    record,
    terms,
    variance,
)

from app.compiling import legal_values
from app.compiling_classifier import compile_classifier
from app.compiling_detectors import compile_outliers
from app.scoring import Classifier, Outliers, encode, predict
from app.scoring_one import OneRecord
from contract.employee import DETECTED_FIELDS, DETECTED_NAMES, FIELD_NAMES, FIELDS, Category
from contract.rules import RULES

CLASSIFIER = compile_classifier(classifier())
OUTLIERS = compile_outliers(outliers())

BORDERS = [
    {"JobLevel": 3, "MonthlyIncome": 3_000},
    {"JobLevel": 2, "MonthlyIncome": 2_999},
    {"MonthlyIncome": 100_000, "DistanceFromHome": 31, "PercentSalaryHike": 26, "Age": 60},
    {"BusinessTravel": "Travel_Frequently", "OverTime": "No", "JobLevel": 5, "MonthlyIncome": 500},
    {"YearsSinceLastPromotion": 60, "YearsAtCompany": 0, "TotalWorkingYears": 0, "Age": 80},
]


def small_classifier(*columns: dict[str, Any], **changes: Any) -> Classifier:
    """Return one with other columns than the release's; no direction of uncertainty."""
    content: dict[str, Any] = {**classifier(), "baseline": 0.0, "at_baseline": [], "remainder": 0.0}
    return compile_classifier({**content, "columns": list(columns), **changes})


def fields_of(content: Mapping[str, Any]) -> list[str]:
    """Return the fields that a column looks at."""
    return [content["field"], *([content["against"]] if content["kind"] == "ratio" else [])]


def constant_outliers(found: Mapping[str, float]) -> Outliers:
    """Return a detector whose terms are those given, whatever the record holds."""
    content = outliers()
    for field, entry in zip(DETECTED_FIELDS, content["fields"], strict=True):
        bins = len(field.categories) if isinstance(field, Category) else 1
        entry.update(parents=[], table=[found.get(field.name, 0.0)] * bins)
        if "edges" in entry:
            entry.update(edges=[])
    return compile_outliers(content)


def explain(found: Mapping[str, float], **changes: int | str) -> list[str]:
    (only,) = predict(CLASSIFIER, constant_outliers(found), encode([record(**changes)]))
    return only["outlier"]["features"]


def drawn(count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(11)
    values = {field.name: list(legal_values(field)) for field in FIELDS}
    return [
        {name: legal[random.integers(len(legal))] for name, legal in values.items()}
        for _ in range(count)
    ]


@pytest.mark.parametrize("changes", [{}, *REFERENCES, *BORDERS])
def test_the_answer_is_the_one_of_the_definition(changes: dict[str, Any]) -> None:
    row = record(**changes)
    (found,) = predict(CLASSIFIER, OUTLIERS, encode([row]))
    (numbers, rest), (expected_numbers, expected_rest) = parts(found), parts(answer(row))
    assert numbers == pytest.approx(expected_numbers, rel=1e-12, abs=1e-14)
    assert rest == expected_rest


def test_the_reference_records_lead_to_every_kind_of_answer() -> None:
    """Or the replay of them, here and in other tests, would prove little."""
    found = [answer(record(**changes)) for changes in REFERENCES]
    kinds = [
        (
            a["decision"],
            a["outlier"]["score"] > OUTLIER_THRESHOLD,
            len(a["outlier"]["broken_rules"]),
        )
        for a in found
    ]
    assert kinds == [
        ("refer", False, 0),
        ("not_at_risk", False, 0),
        ("at_risk", False, 0),
        ("refer", True, 0),
        ("refer", False, 2),
    ]


def test_every_legal_value_counts_as_the_definition_says() -> None:
    """The wide fields at their ends and in places between, all others at every value."""
    rows = [
        record(**{field.name: value})
        for field in FIELDS
        for values in [legal_values(field)]
        for value in (*values[:: 1 if len(values) < 256 else 997], values[-1])
    ]
    found, errors, shares = CLASSIFIER.evaluate(encode(rows))
    scores = OUTLIERS.evaluate(encode(rows))
    fields = list(CLASSIFIER.names)
    assert fields == [name for name in FIELD_NAMES if name in contributions(record())]
    for at, row in enumerate(rows):
        assert found[at] == pytest.approx(logit(row), abs=1e-13)
        assert errors[at] == pytest.approx(math.sqrt(variance(row)), rel=1e-12)
        expected = contributions(row)
        assert shares[:, at] == pytest.approx([expected[name] for name in fields], abs=1e-13)
        assert scores[:, at].tolist() == list(terms(row).values())


def test_all_contributions_and_the_baseline_are_the_log_odds() -> None:
    codes = encode(drawn(2_000))
    found, _, shares = CLASSIFIER.evaluate(codes)
    assert shares.sum(axis=0) + CLASSIFIER.baseline[0] == pytest.approx(found, abs=1e-12)


def test_a_record_is_answered_alike_alone_and_in_company() -> None:
    """To the last bit: the batch job's answers are to be the API's."""
    rows = drawn(300)
    together = predict(CLASSIFIER, OUTLIERS, encode(rows))
    alone = [predict(CLASSIFIER, OUTLIERS, encode([row]))[0] for row in rows]
    assert together == alone
    one = OneRecord(CLASSIFIER, OUTLIERS)
    assert together == [one.score(encode([row])[:, 0].tolist()) for row in rows]
    assert {each["outlier"]["is_outlier"] for each in together} == {False, True}
    assert {each["decision"] for each in together} == {"not_at_risk", "refer"}


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [column("value", "Age", None, 1.0, 40.0, [])],
        [column("log1p", "MonthlyIncome", None, 1.0, 8.0, [])],
        [column("ratio", "YearsAtCompany", "TotalWorkingYears", 2.0, 0.5, [], 7.0, 0.3)],
    ],
)
def test_a_classifier_of_few_columns_answers_alike_too(columns: list[dict[str, Any]]) -> None:
    few = small_classifier(*columns)
    alone = OneRecord(few, OUTLIERS).score(encode([record()])[:, 0].tolist())
    assert predict(few, OUTLIERS, encode([record()])) == [alone]
    assert len(alone["reasons"]) == len({name for each in columns for name in fields_of(each)})


def test_equal_reasons_are_named_alike_alone() -> None:
    tied = small_classifier(
        *(column("value", name, None, 1.0, 0.0, []) for name in ("JobLevel", "Education", "Age")),
        column("is", "Gender", "Male", 2.0, 1.0, []),
    )
    row = encode([record(JobLevel=2, Education=2, Age=18)])
    alone = OneRecord(tied, OUTLIERS).score(row[:, 0].tolist())
    assert predict(tied, OUTLIERS, row) == [alone]
    assert [each["feature"] for each in alone["reasons"]] == ["Age", "Education", "Gender"]


def test_a_field_that_is_divided_by_itself_has_the_whole() -> None:
    ratio = column("ratio", "YearsAtCompany", "YearsAtCompany", 2.0, 0.5, [], 7.0, 0.3)
    found, _, shares = small_classifier(ratio).evaluate(encode([record(YearsAtCompany=4)]))
    assert found[0] == pytest.approx(2 * (4 / 5 - 0.5))
    assert shares[:, 0] == pytest.approx([found[0]])


def test_no_record_gives_no_answer() -> None:
    assert encode([]).shape == (30, 0)
    assert predict(CLASSIFIER, OUTLIERS, encode([])) == []


def test_codes_are_numbers_and_places() -> None:
    row = record(BusinessTravel="Non-Travel", JobRole="Sales Representative")
    codes = encode([{**row, "Over18": "Y"}])
    assert codes.dtype == np.int64
    found = dict(zip(FIELD_NAMES, codes[:, 0].tolist(), strict=True))
    places = {"BusinessTravel": 0, "Department": 2, "EducationField": 1, "Gender": 0}
    places |= {"JobRole": 8, "MaritalStatus": 2, "OverTime": 1}
    assert found == {**row, **places}


@pytest.mark.parametrize(("baseline", "expected"), [(-5000.0, 0.0), (0.0, 0.5), (5000.0, 1.0)])
def test_extreme_log_odds_do_not_overflow(baseline: float, expected: float) -> None:
    (found,) = predict(
        small_classifier(baseline=baseline, at_baseline=[3.0]), OUTLIERS, encode([record()])
    )
    assert found["attrition_probability"] == expected
    low, high = found["interval"]
    assert 0 <= low <= expected <= high <= 1
    assert found["reasons"] == []


def test_the_largest_numbers_that_load_give_numbers() -> None:
    """Finite ones: JSON has no others, and the answer would fail."""
    huge = [1e50, -1e50]
    wild = small_classifier(
        column("value", "MonthlyIncome", None, 1e50, -1e50, huge),
        column("ratio", "Education", "Age", -1e50, 1e50, huge, 1e50, -1e50),
        **{"baseline": -1e50, "at_baseline": huge, "remainder": 1e50, "z": 1e50},
    )
    (found,) = predict(
        wild, constant_outliers(dict.fromkeys(DETECTED_NAMES, 1e50)), encode([record()])
    )
    assert all(map(math.isfinite, parts(found)[0]))


def test_small_probabilities_keep_their_precision() -> None:
    (found,) = predict(small_classifier(baseline=-40.0), OUTLIERS, encode([record()]))
    assert found["attrition_probability"] == pytest.approx(math.exp(-40), rel=1e-12)


def test_of_equal_reasons_the_field_that_comes_first_is_named_first() -> None:
    tied = small_classifier(
        column("value", "WorkLifeBalance", None, -2.0, 0.0, []),
        column("value", "JobLevel", None, 1.0, 0.0, []),
        column("value", "Education", None, -1.0, 0.0, []),
        column("is", "Gender", "Male", 2.0, 1.0, []),
        column("value", "Age", None, 1.0, 41.5, []),
    )
    (found,) = predict(tied, OUTLIERS, encode([record()]))
    assert [(each["feature"], each["contribution"]) for each in found["reasons"]] == [
        ("Education", -2.0),
        ("Gender", -2.0),
        ("JobLevel", 2.0),
    ]


def test_fewer_fields_than_reasons_are_all_named() -> None:
    one = small_classifier(column("value", "Age", None, 1.0, 40.0, []))
    (found,) = predict(one, OUTLIERS, encode([record()]))
    assert found["reasons"] == [{"feature": "Age", "contribution": 1.0}]


@pytest.mark.parametrize(
    ("end", "up", "decision"),
    [
        # The ends of the interval as the threshold, and the next numbers above them.
        (0, False, "at_risk"),
        (0, True, "refer"),
        (1, False, "refer"),
        (1, True, "not_at_risk"),
    ],
)
def test_an_interval_that_touches_the_threshold(end: int, up: bool, decision: str) -> None:
    codes = encode([record()])
    threshold = predict(CLASSIFIER, OUTLIERS, codes)[0]["interval"][end]
    if up:
        threshold = math.nextafter(threshold, 1)
    (found,) = predict(replace(CLASSIFIER, threshold=threshold), OUTLIERS, codes)
    assert found["decision"] == decision


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_an_outlier_is_referred_whatever_its_probability(threshold: float) -> None:
    sure = replace(CLASSIFIER, threshold=threshold)
    rows = encode([record(), record(YearsAtCompany=9)])
    plain, outlier = predict(sure, OUTLIERS, rows)
    assert plain["decision"] == ("at_risk" if threshold == 0 else "not_at_risk")
    assert outlier["decision"] == "refer"


def test_a_score_has_to_exceed_the_threshold() -> None:
    codes = encode([record()])
    score = predict(CLASSIFIER, OUTLIERS, codes)[0]["outlier"]["score"]
    at, above = (
        predict(CLASSIFIER, replace(OUTLIERS, threshold=threshold), codes)[0]["outlier"]
        for threshold in (score, math.nextafter(score, 0))
    )
    assert at == {"is_outlier": False, "score": score, "features": [], "broken_rules": []}
    features = ["MonthlyIncome", "OverTime"]
    assert above == {"is_outlier": True, "score": score, "features": features, "broken_rules": []}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_broken_by_a_year(rule: Any) -> None:
    kept = record(
        **{"Age": 60, "TotalWorkingYears": 40, "YearsAtCompany": 30, "YearsInCurrentRole": 9}
    )
    kept |= {rule.lower: kept[rule.upper] - rule.offset}
    broken = {**kept, rule.lower: kept[rule.lower] + 1}
    silent = constant_outliers({rule.upper: 0.5})
    fine, wrong = predict(CLASSIFIER, silent, encode([kept, broken]))
    assert not fine["outlier"]["is_outlier"]
    assert wrong["outlier"] == {
        "is_outlier": True,
        "score": 0.5,
        "features": [rule.upper, rule.lower],
        "broken_rules": [rule.name],
    }


def test_an_outlier_by_its_score_names_what_has_a_tenth_of_it() -> None:
    assert explain({"Age": 8.0, "Education": 1.0, "DailyRate": 1.0}) == [
        "Age",
        "DailyRate",
        "Education",
    ]
    assert explain({"Age": 8.0, "Education": 1.0, "DailyRate": 0.99, "JobRole": 0.01}) == [
        "Age",
        "Education",
    ]
    assert explain(dict.fromkeys(["Age", "OverTime", "Department", "JobRole"], 4.0)) == [
        "Age",
        "Department",
        "JobRole",
    ]
    assert explain({"Age": 9.0}) == []


def test_the_fields_of_broken_rules_come_first() -> None:
    found = {"DailyRate": 9.0, "Age": 0.5, "TotalWorkingYears": 1.0, "JobRole": 2.0}
    # By the rule alone, by the rule and the score.
    too_long = {"Age": 20, "TotalWorkingYears": 8}
    assert explain({**found, "DailyRate": 2.0}, **too_long) == ["TotalWorkingYears", "Age"]
    assert explain(found, **too_long) == ["TotalWorkingYears", "Age", "DailyRate"]
    # Two rules, of three fields: nothing else has room.
    both = {**too_long, "YearsAtCompany": 9}
    assert explain(found, **both) == ["TotalWorkingYears", "Age", "YearsAtCompany"]
    assert explain({**found, "YearsAtCompany": 0.75}, **both) == [
        "TotalWorkingYears",
        "YearsAtCompany",
        "Age",
    ]
