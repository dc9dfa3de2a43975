"""The drift detector: its tests against SciPy's, its level, its power, and what it keeps."""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from contract.dataset import DatasetError
from contract.drift import FALSE_DISCOVERY_RATE, MINIMUM_EFFECT, MINIMUM_WINDOW
from contract.employee import DETECTED_FIELDS, DETECTED_NAMES, Category, Integer
from training.data.dataset import Dataset
from training.drift.bins import MOST_BINS, CategoryBins, IntegerBins
from training.drift.counts import (
    chi_squared_from_counts,
    cramers_v,
    ks_from_counts,
    psi,
    wasserstein_sd,
)
from training.drift.detector import (
    JOINT_LEVEL,
    JOINT_MINIMUM_EFFECT,
    DriftDetector,
    DriftReport,
)
from training.drift.joint import mean_features
from training.evaluation import drift as drift_evaluation
from training.evaluation.drift import Change, DriftFigures, Rate, drift_figures

Counts = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> pd.DataFrame:
    return dataset.features


@pytest.fixture(scope="module")
def detector(table: pd.DataFrame) -> DriftDetector:
    return DriftDetector().fit(table)


@pytest.fixture(scope="module")
def figures(table: pd.DataFrame) -> DriftFigures:
    return drift_figures(table, seed=1)


def counts_of(*values: int) -> Counts:
    return np.array(values, dtype=np.int64)


def named(report: DriftReport) -> set[str]:
    return {feature.feature for feature in report.features if feature.drifted}


def random_counts(seed: int, bins: int) -> tuple[Counts, Counts]:
    random = np.random.default_rng(seed)
    return random.integers(20, 90, bins), random.integers(20, 90, bins)


@pytest.mark.parametrize("seed", range(5))
def test_ks_is_scipys_on_the_expanded_values(seed: int) -> None:
    reference, window = random_counts(seed, 12)
    values = np.arange(12)
    expected: Any = stats.ks_2samp(
        np.repeat(values, reference), np.repeat(values, window), method="asymp"
    )
    statistic, p_value = ks_from_counts(reference, window)
    assert statistic == pytest.approx(expected.statistic, abs=1e-12)
    # SciPy's is the one-sample distribution at the effective size; ours is bounded by its limit.
    assert p_value <= expected.pvalue + 0.03


def test_ks_without_ties_has_kolmogorovs_p_value() -> None:
    random = np.random.default_rng(4)
    values = random.permutation(1_200)
    ours = [np.bincount(part, minlength=1_200) for part in (values[:900], values[900:])]
    expected: Any = stats.ks_2samp(values[:900], values[900:], method="exact")
    assert ks_from_counts(*ours)[1] == pytest.approx(expected.pvalue, abs=0.03)


def test_ks_of_two_values_is_a_test_of_one_share() -> None:
    """With two values there is one gap, and its normal tail is the answer, ties and all."""
    reference, window = counts_of(700, 300), counts_of(160, 40)
    table: Any = stats.chi2_contingency(np.array([reference, window]), correction=False)
    assert ks_from_counts(reference, window)[1] == pytest.approx(table.pvalue, rel=1e-9)


def test_ks_trusts_no_normal_tail_where_records_are_few() -> None:
    reference, window = counts_of(990, 10), counts_of(47, 3)
    exact: Any = stats.fisher_exact(np.array([reference, window]))
    normal: Any = stats.chi2_contingency(np.array([reference, window]), correction=False)
    # The normal tail is far below the exact one here: it must not be used.
    assert normal.pvalue < exact.pvalue / 2 < exact.pvalue <= ks_from_counts(reference, window)[1]


@pytest.mark.parametrize("seed", range(5))
def test_chi_squared_is_scipys(seed: int) -> None:
    reference, window = random_counts(seed, 6)
    expected: Any = stats.chi2_contingency(np.array([reference, window]), correction=False)
    statistic, p_value = chi_squared_from_counts(reference, window)
    assert statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("reference", "window", "pooled"),
    [
        # The two rare categories are counted as one.
        ((900, 480, 80, 80), (30, 15, 3, 2), ((900, 480, 160), (30, 15, 5))),
        # Together they are still too few: the smallest of the others joins.
        ((900, 480, 9, 9), (30, 18, 1, 1), ((900, 498), (30, 20))),
        ((900, 480, 0, 0), (30, 20, 0, 0), ((900, 480), (30, 20))),
    ],
)
def test_rare_categories_are_pooled(
    reference: tuple[int, ...], window: tuple[int, ...], pooled: tuple[tuple[int, ...], ...]
) -> None:
    expected: Any = stats.chi2_contingency(np.array(pooled), correction=False)
    found = chi_squared_from_counts(counts_of(*reference), counts_of(*window))
    assert found[1] == pytest.approx(expected.pvalue, rel=1e-9)


def test_one_category_is_no_evidence() -> None:
    assert chi_squared_from_counts(counts_of(900, 0), counts_of(50, 0))[1] == 1.0
    assert chi_squared_from_counts(counts_of(900, 3), counts_of(50, 0))[1] == 1.0
    assert ks_from_counts(counts_of(900, 0), counts_of(50, 0)) == (0.0, 1.0)


def test_effects_of_known_cases() -> None:
    reference, window = counts_of(50, 50, 0), counts_of(0, 5, 5)
    centres = np.array([0.0, 1.0, 3.0])
    distance = wasserstein_sd(reference, window, centres=centres, standard_deviation=2.0)
    expected = stats.wasserstein_distance([0.0, 1.0], [1.0, 3.0]) / 2
    assert distance == pytest.approx(expected)
    assert psi(reference, reference) == 0.0
    assert psi(reference, window) == pytest.approx(psi(window, reference))
    shares = np.array([1_000_000, 3_000_000]), np.array([2_000_000, 2_000_000])
    assert psi(*shares) == pytest.approx(0.25 * np.log(2) - 0.25 * np.log(2 / 3), rel=1e-5)


def test_cramers_v_is_scipys_between_samples_of_one_size_and_ignores_their_size() -> None:
    reference, window = counts_of(60, 30, 10), counts_of(30, 50, 20)
    table = np.array([reference, window])
    expected = stats.contingency.association(table, method="cramer")
    assert cramers_v(reference, window) == pytest.approx(expected, rel=1e-12)
    assert cramers_v(reference * 40, window) == pytest.approx(expected, rel=1e-12)
    assert cramers_v(counts_of(5, 0), counts_of(0, 9)) == 1.0


def test_many_windows_at_a_time_are_judged_as_one_by_one() -> None:
    reference, windows = (
        random_counts(3, 8)[0],
        np.stack([random_counts(s, 8)[1] for s in range(9)]),
    )
    for test in (ks_from_counts, chi_squared_from_counts):
        together = test(np.broadcast_to(reference, windows.shape), windows)[1]
        np.testing.assert_array_equal(together, [test(reference, one)[1] for one in windows])


def test_bins_cover_all_that_the_contract_allows(detector: DriftDetector) -> None:
    assert detector.bins().keys() == {*DETECTED_NAMES}
    for field in DETECTED_FIELDS:
        bins = detector.bins()[field.name]
        assert bins.size <= MOST_BINS
        if isinstance(field, Integer):
            assert isinstance(bins, IntegerBins)
            assert bins.upper[-1] == field.maximum
            assert list(bins.upper) == sorted(set(bins.upper))
            assert list(bins.centres) == sorted(set(bins.centres))
            ends = pd.Series([field.minimum, field.maximum])
            assert bins.encode(ends).tolist() == [0, bins.size - 1]
        else:
            assert isinstance(bins, CategoryBins)
            assert bins.encode(pd.Series(field.categories)).tolist() == [*range(bins.size)]


@pytest.mark.parametrize("records", [0, 1, MINIMUM_WINDOW - 1])
def test_too_few_records_are_not_judged(
    records: int, detector: DriftDetector, table: pd.DataFrame
) -> None:
    report = detector.detect(table.head(records))
    assert report == DriftReport(status="not_enough_data", window=records, features=(), joint=None)


def test_the_table_itself_has_not_drifted(detector: DriftDetector, table: pd.DataFrame) -> None:
    report = detector.detect(table)
    assert (report.status, report.window) == ("ok", 1_470)
    assert [feature.feature for feature in report.features] == list(DETECTED_NAMES)
    assert {feature.p_value for feature in report.features} == {1.0}
    assert {feature.effect for feature in report.features} == {0.0}
    assert report.joint is not None
    assert report.joint.p_value > 0.9


def test_q_values_are_benjamini_and_hochbergs(detector: DriftDetector, table: pd.DataFrame) -> None:
    report = detector.detect(table.sample(300, random_state=5))
    p_values = np.array([feature.p_value for feature in report.features])
    order = p_values.argsort()
    scaled = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    expected = np.empty(len(p_values))
    expected[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    found = [feature.q_value for feature in report.features]
    np.testing.assert_allclose(found, expected.clip(max=1.0), rtol=1e-12)
    np.testing.assert_allclose(found, stats.false_discovery_control(p_values), rtol=1e-12)


def test_the_rows_order_makes_no_difference(detector: DriftDetector, table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1, random_state=6)
    assert DriftDetector().fit(shuffled).to_dict() == detector.to_dict()
    window = table.head(400)
    assert detector.detect(window.sample(frac=1, random_state=7)) == detector.detect(window)


def test_it_comes_back_from_json_bit_by_bit(detector: DriftDetector, table: pd.DataFrame) -> None:
    text = json.dumps(detector.to_dict(), sort_keys=True)
    content = json.loads(text)
    # Nobody promises that an object's keys keep their order.
    content["fields"] = dict(reversed(content["fields"].items()))
    again = DriftDetector.from_dict(content)
    assert json.dumps(again.to_dict(), sort_keys=True) == text
    assert len(text) < 500_000
    assert again.detect(table.head(300)) == detector.detect(table.head(300))


def test_it_keeps_counts_and_moments_and_nothing_else(
    detector: DriftDetector, table: pd.DataFrame
) -> None:
    content = detector.to_dict()
    assert content.keys() == {"fields", "joint"}
    for name, field in content["fields"].items():
        described = (
            {"categories"} if "categories" in field else {"upper", "centres", "standard_deviation"}
        )
        assert field.keys() == described | {"counts"}
        assert sum(field["counts"]) == len(table)
        assert len(field["counts"]) == detector.bins()[name].size
    joint = content["joint"]
    scores = sum(
        len(field.categories) - 1 if isinstance(field, Category) else 1 for field in DETECTED_FIELDS
    )
    assert np.shape(joint.pop("matrix")) == (scores, scores)
    assert np.shape(joint.pop("features")) == (scores * (1 + scores),)
    assert {np.shape(joint.pop(name)) for name in ("mean", "scale")} == {(scores,)}
    assert set(joint.pop("spread")) == {"trace", "trace_2", "trace_3", "excess"}
    assert joint.keys() == {"radius", "records"}


def test_a_field_that_never_varied(table: pd.DataFrame) -> None:
    constant = table.assign(DailyRate=800, OverTime="No", JobLevel=2)
    fitted = DriftDetector().fit(constant)
    report = fitted.detect(constant.head(300))
    assert report.status == "ok"
    assert all(np.isfinite([f.p_value, f.effect, f.psi]).all() for f in report.features)
    assert named(fitted.detect(constant.head(300).assign(DailyRate=801))) == {"DailyRate"}
    varied = fitted.detect(table.head(300))
    assert named(varied) == {"DailyRate", "OverTime", "JobLevel"}


def test_values_new_to_it_and_missing_ones(detector: DriftDetector, table: pd.DataFrame) -> None:
    window = table.head(300)
    assert "Age" in named(detector.detect(window.assign(Age=80)))
    no_sales = table[table["Department"] != "Sales"].head(300)
    assert {"Department", "JobRole"} <= named(detector.detect(no_sales))
    one_department = DriftDetector().fit(no_sales)
    assert "Department" in named(one_department.detect(window))


def test_an_illegal_record_is_refused_without_showing_it(
    detector: DriftDetector, table: pd.DataFrame
) -> None:
    with pytest.raises(DatasetError, match="column 'OverTime', row 1") as refusal:
        detector.detect(table.assign(OverTime="secret"))
    assert "secret" not in str(refusal.value)
    with pytest.raises(DatasetError, match="column 'Age', row 1"):
        DriftDetector().fit(table.assign(Age=17))


def test_a_table_that_tells_nothing_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="at least 50"):
        DriftDetector().fit(table.head(MINIMUM_WINDOW - 1))
    with pytest.raises(ValueError, match="all records are alike"):
        DriftDetector().fit(pd.concat([table.head(1)] * 100))


@pytest.mark.parametrize("method", ["detect", "to_dict"])
def test_it_must_be_fitted_first(method: str, table: pd.DataFrame) -> None:
    arguments = [table] if method == "detect" else []
    with pytest.raises(RuntimeError, match="not fitted"):
        getattr(DriftDetector(), method)(*arguments)


def test_a_trifle_is_no_drift_however_many_records_show_it(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 40, ignore_index=True)
    report = DriftDetector().fit(many).detect(many.assign(DailyRate=many["DailyRate"] + 30))
    rate = next(feature for feature in report.features if feature.feature == "DailyRate")
    assert rate.q_value < 1e-6
    assert report.status == "ok"


def test_a_broken_correlation_is_seen_by_the_joint_test_alone(
    detector: DriftDetector, table: pd.DataFrame
) -> None:
    window = table.sample(200, random_state=8)
    incomes = window["MonthlyIncome"].sample(frac=1, random_state=9).to_numpy()
    before, after = (detector.detect(w) for w in (window, window.assign(MonthlyIncome=incomes)))
    assert before.features == after.features
    assert before.joint is not None
    assert after.joint is not None
    assert (before.joint.drifted, after.joint.drifted) == (False, True)
    assert (before.status, after.status, named(after)) == ("ok", "drift", set())
    assert after.joint.effect == pytest.approx(0.15, abs=0.05)


def test_the_joint_test_is_not_taken_in_by_the_rows_it_learnt_from(table: pd.DataFrame) -> None:
    """A map learnt from the rows that it is then used to compare calls all other rows drift."""
    alarms = 0
    for seed in range(20):
        shuffled = table.sample(frac=1, random_state=seed)
        report = DriftDetector().fit(shuffled.head(250)).detect(shuffled.tail(1_220))
        assert report.joint is not None
        alarms += report.joint.drifted
    assert alarms <= 3


def test_a_large_window_is_taken_in_parts(
    detector: DriftDetector, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = detector.detect(table.head(500)).joint
    monkeypatch.setattr("training.drift.joint._CHUNK", 64)
    parts = detector.detect(table.head(500)).joint
    assert whole is not None
    assert parts is not None
    assert parts.p_value == pytest.approx(whole.p_value, rel=1e-9)


def test_the_mean_features_distance_is_the_kernels() -> None:
    """The squared distance of mean features is the MMD with the kernel (1 + x'y)^2."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(30, 4)), random.normal(size=(20, 4))

    def kernel(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        return float(((1 + a @ b.T) ** 2).mean())

    distance = np.square(mean_features(x) - mean_features(y)).sum()
    assert distance == pytest.approx(kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))


def test_false_alarms_keep_to_the_level(figures: DriftFigures) -> None:
    """True rates are .03 to .04; of 500 windows more than 35 are then called in 1 of 5,000 runs."""
    assert [alarms.window for alarms in figures.alarms] == [50, 200, 1_000]
    assert [alarms.reference for alarms in figures.alarms] == [1_420, 1_270, 470]
    for alarms in figures.alarms:
        assert alarms.status.windows == 500
        assert alarms.status.hits <= 35
        assert alarms.joint.hits <= 20
    assert sum(alarms.status.hits for alarms in figures.alarms) > 0


@pytest.mark.parametrize(
    ("change", "size", "least"),
    [
        *[("shift", 1_000, 0.85), ("mix", 1_000, 0.80), ("correlation", 1_000, 0.97)],
        *[("shift", 200, 0.10), ("mix", 200, 0.10), ("correlation", 200, 0.95)],
        ("correlation", 50, 0.85),
    ],
)
def test_planted_drift_is_found(
    change: Change, size: int, least: float, figures: DriftFigures
) -> None:
    assert figures.figures()[f"drift_power_{change}_{size}"]["value"] >= least


def test_the_right_culprit_is_named(figures: DriftFigures) -> None:
    for power in figures.power:
        if power.window == 1_000:
            culprit = power.joint if power.change == "correlation" else power.field
            assert culprit.value >= 0.75
        if power.change == "correlation":
            assert power.field.value <= 0.05


def test_figures_are_json_with_intervals(figures: DriftFigures) -> None:
    content = json.loads(json.dumps(figures.to_dict()))
    assert len(content["power"]) == 11 * 3
    for entry in content["alarms"] + content["power"]:
        rate = entry["status"]
        assert rate["low"] <= rate["value"] <= rate["high"]
    assert Rate(hits=0, windows=200).to_dict()["high"] == pytest.approx(1 - 0.025 ** (1 / 200))


def test_headlines_are_the_worst_found(figures: DriftFigures) -> None:
    found = figures.figures()
    assert len(found) == 1 + 3 * 3
    rates = [alarms.status.value for alarms in figures.alarms]
    assert found["drift_false_alarm_rate"]["value"] == max(rates)
    for power in figures.power:
        name = f"drift_power_{power.change}_{power.window}"
        # Figures are rounded to six digits.
        assert found[name]["value"] <= round(power.status.value, 6)
    assert found["drift_power_shift_200"]["meaning"] == (
        "windows of 200 called drift, 0.3 standard deviations added to JobSatisfaction"
    )


def test_a_small_table_is_evaluated_as_far_as_it_goes(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ALARM_ROUNDS", 2), ("ALARM_WINDOWS", 10), ("POWER_ROUNDS", 1)):
        monkeypatch.setattr(drift_evaluation, f"_{name}", value)
    found = drift_figures(table.head(200), seed=1)
    assert [alarms.window for alarms in found.alarms] == [50]
    assert found.figures().keys() >= {"drift_false_alarm_rate", "drift_power_shift_1000"}


def test_the_same_seed_gives_the_same_figures(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_evaluation, "WINDOW_SIZES", (50,))
    for name, value in (("ALARM_ROUNDS", 2), ("ALARM_WINDOWS", 100), ("POWER_ROUNDS", 1)):
        monkeypatch.setattr(drift_evaluation, f"_{name}", value)
    first, second, other = (drift_figures(table, seed=seed).to_dict() for seed in (4, 4, 5))
    assert first == second != other


def test_a_verdict_follows_from_level_and_effect(
    detector: DriftDetector, table: pd.DataFrame
) -> None:
    for seed in range(5):
        report = detector.detect(table.sample(200, random_state=seed).assign(OverTime="No"))
        assert "OverTime" in named(report)
        assert report.joint is not None
        for feature in report.features:
            enough = feature.effect >= MINIMUM_EFFECT[feature.effect_kind]
            assert feature.drifted == (feature.q_value <= FALSE_DISCOVERY_RATE and enough)
        enough = report.joint.effect >= JOINT_MINIMUM_EFFECT
        assert report.joint.drifted == (report.joint.p_value <= JOINT_LEVEL and enough)
