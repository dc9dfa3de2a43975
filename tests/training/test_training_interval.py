"""Interval, contributions, effects and decisions: what a release says beside the probability."""

# scikit-learn and SciPy ship no types (1.9.1 and 1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import dataclasses

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from contract.classifier import Column, Content, decide
from contract.employee import PROTECTED
from contract.parameters import Parameters
from training.classifier.compiled import CompiledClassifier, compile_classifier, interval_width
from training.classifier.estimator import Refits, additive, log_odds
from training.classifier.interval import Uncertainty, bootstrap, coverage
from training.classifier.threshold import decision_threshold
from training.data.dataset import Dataset
from training.data.records import records_frame
from training.evaluation.decision import decision_curve
from training.evaluation.effects import effects

QUICK = Parameters(replicates=40)


@pytest.fixture(scope="module")
def uncertainty(classifier: Pipeline, dataset: Dataset) -> Uncertainty:
    return bootstrap(classifier, dataset, QUICK)


@pytest.fixture(scope="module")
def content(classifier: Pipeline, uncertainty: Uncertainty, dataset: Dataset) -> Content:
    return compile_classifier(classifier, uncertainty, dataset.features, QUICK)


@pytest.fixture(scope="module")
def compiled(content: Content) -> CompiledClassifier:
    return CompiledClassifier(content=content)


def test_standard_errors_are_those_of_the_replicates(
    classifier: Pipeline, uncertainty: Uncertainty, dataset: Dataset, compiled: CompiledClassifier
) -> None:
    """The few directions that a release keeps say what refitting by hand says."""
    target = np.asarray(dataset.target, dtype=np.int64)
    refits = Refits.of(classifier, dataset.features)
    random = np.random.default_rng(QUICK.seed)
    logits = []
    for _ in range(QUICK.replicates):
        rows = random.integers(len(target), size=len(target))
        model = additive(refits.fit(rows, target[rows]))
        logits.append(model.matrix(dataset.features) @ model.coefficients + model.intercept)
    moves = np.array(logits) - log_odds(classifier, dataset.features)
    by_hand = np.sqrt((moves**2).mean(axis=0))
    ours = compiled.standard_errors(dataset.features)
    assert np.abs(ours / by_hand - 1).mean() < 0.05
    assert np.corrcoef(ours, by_hand)[0, 1] > 0.97


def test_intervals_hold_at_least_what_they_say(
    classifier: Pipeline, uncertainty: Uncertainty, dataset: Dataset
) -> None:
    for level in (0.8, 0.95):
        held = coverage(classifier, uncertainty, dataset, z=interval_width(level), seed=5)
        assert level - 0.02 < held < level + 0.06
    halved = dataclasses.replace(
        uncertainty,
        at_baseline=uncertainty.at_baseline / 2,
        columns=uncertainty.columns / 2,
        remainder=uncertainty.remainder / 4,
    )
    assert coverage(classifier, halved, dataset, z=interval_width(0.8), seed=5) < 0.65


def test_intervals_are_wider_for_records_unlike_the_table(
    compiled: CompiledClassifier, dataset: Dataset, legal_records: list[dict[str, int | str]]
) -> None:
    usual = compiled.standard_errors(dataset.features)
    odd = compiled.standard_errors(records_frame(legal_records))
    assert np.median(odd) > 1.5 * np.median(usual)


def test_the_same_seed_gives_the_same_intervals(
    classifier: Pipeline, uncertainty: Uncertainty, dataset: Dataset
) -> None:
    again = bootstrap(classifier, dataset, QUICK)
    np.testing.assert_array_equal(uncertainty.columns, again.columns)
    np.testing.assert_array_equal(uncertainty.at_baseline, again.at_baseline)
    assert uncertainty.remainder == again.remainder


def test_contributions_sum_to_the_score(
    classifier: Pipeline,
    compiled: CompiledClassifier,
    dataset: Dataset,
    legal_records: list[dict[str, int | str]],
) -> None:
    for records in (dataset.features, records_frame(legal_records)):
        logit = log_odds(classifier, records)
        shares = compiled.contributions(records)
        assert not set(shares.columns) & set(PROTECTED)
        total = shares.sum(axis=1).to_numpy() + compiled.content["baseline"]
        np.testing.assert_allclose(total, logit, rtol=0, atol=1e-9)
        np.testing.assert_allclose(compiled.logit(records), logit, rtol=0, atol=1e-9)


def test_the_baseline_is_the_training_mean(
    classifier: Pipeline, compiled: CompiledClassifier, dataset: Dataset
) -> None:
    mean = log_odds(classifier, dataset.features).mean()
    assert compiled.content["baseline"] == pytest.approx(mean, abs=1e-9)
    np.testing.assert_allclose(compiled.contributions(dataset.features).mean(), 0, atol=1e-9)


def test_a_ratio_is_shared_by_shapleys_rule(content: Content, dataset: Dataset) -> None:
    """By brute force: each field's part in the game whose absent player is drawn from the table."""
    ratio = next(column for column in content["columns"] if column["kind"] == "ratio")
    alone = CompiledClassifier(content={**content, "columns": [ratio]})
    number, other = ratio["field"], str(ratio["against"])
    records = dataset.features.head(20)
    shares = alone.contributions(records)
    numbers, others = (dataset.features[name].to_numpy() for name in (number, other))
    nobody = (numbers / (1 + others)).mean()
    for row, (a, b) in enumerate(zip(records[number], records[other], strict=True)):
        both, with_a, with_b = a / (1 + b), (a / (1 + others)).mean(), (numbers / (1 + b)).mean()
        expected = ratio["coefficient"] * (with_a - nobody + both - with_b) / 2
        assert shares[number][row] == pytest.approx(expected, abs=1e-12)
        expected = ratio["coefficient"] * (with_b - nobody + both - with_a) / 2
        assert shares[other][row] == pytest.approx(expected, abs=1e-12)


def test_effects_are_mean_contributions_of_a_value(
    content: Content, compiled: CompiledClassifier, dataset: Dataset
) -> None:
    found = {effect["feature"]: effect for effect in effects(content, dataset.features)}
    assert next(iter(found)) == "OverTime"
    assert found.keys() == set(dataset.features.columns) - set(PROTECTED)
    shares = compiled.contributions(dataset.features).abs().mean()
    for name in ("OverTime", "YearsAtCompany", "TotalWorkingYears", "MonthlyIncome"):
        assert found[name]["importance"] == pytest.approx(shares[name], abs=1e-6)
        for point in found[name]["points"][:4]:
            everyone = compiled.contributions(dataset.features.assign(**{name: point["value"]}))[
                name
            ]
            assert point["contribution"] == pytest.approx(everyone.mean(), abs=1e-6)
    assert sum(point["share"] for point in found["OverTime"]["points"]) == pytest.approx(
        1, abs=1e-5
    )


def test_the_threshold_follows_from_the_costs() -> None:
    assert decision_threshold(1) == 0.5
    assert decision_threshold(4) == 0.2
    target = np.array([0, 0, 0, 1])
    points = decision_curve(target, np.array([[0.1, 0.2, 0.6, 0.7]]), 4)
    at = {point["threshold"]: point for point in points}
    assert at[0.2] == {
        "threshold": 0.2,
        "selected": 0.75,
        "found": 1.0,
        "precision": pytest.approx(1 / 3, abs=1e-6),
        "cost": 0.5,
    }
    assert at[0.71] == {
        "threshold": 0.71,
        "selected": 0.0,
        "found": 0.0,
        "precision": 1.0,
        "cost": 1.0,
    }


def test_the_threshold_of_the_costs_is_near_the_cheapest(
    classifier: Pipeline, dataset: Dataset
) -> None:
    from training.evaluation.validation import cross_validate

    scores = cross_validate(classifier, dataset, Parameters())
    for cost in (3.0, 5.0, 10.0):
        points = decision_curve(scores.target, scores.probabilities, cost)
        chosen = round(decision_threshold(cost), 6)
        at = next(point for point in points if point["threshold"] == chosen)
        assert at["cost"] <= min(point["cost"] for point in points) * 1.08


@pytest.mark.parametrize(
    ("low", "high", "is_outlier", "decision"),
    [
        (0.3, 0.6, False, "at_risk"),
        (0.2, 0.6, False, "at_risk"),
        (0.1, 0.3, False, "refer"),
        (0.1, 0.2, False, "refer"),
        (0.1, 0.19, False, "not_at_risk"),
        (0.3, 0.6, True, "refer"),
        (0.1, 0.15, True, "refer"),
    ],
)
def test_it_abstains_for_want_of_evidence(
    *, low: float, high: float, is_outlier: bool, decision: str
) -> None:
    assert decide(low, high, 0.2, is_outlier=is_outlier) == decision


def test_a_column_is_what_the_format_says() -> None:
    record: dict[str, int | str] = {"OverTime": "Yes", "Age": 40, "JobLevel": 3}
    assert Column(kind="is", field="OverTime", against="Yes").value(record) == 1.0
    assert Column(kind="is", field="JobLevel", against=2).value(record) == 0.0
    assert Column(kind="value", field="Age").value(record) == 40.0
    assert Column(kind="log1p", field="Age").value(record) == pytest.approx(np.log(41))
    assert Column(kind="at_least", field="Age", against=40).value(record) == 1.0
    assert Column(kind="at_least", field="Age", against=41).value(record) == 0.0
    assert Column(kind="ratio", field="Age", against="JobLevel").value(record) == 10.0
