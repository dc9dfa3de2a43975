"""The outlier detector: its stated rate, what it catches, what it names, and its file."""

# pandas is typed in part (2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from contract.employee import DETECTED_NAMES, EXAMPLE, FIELD_NAMES, FIELDS, Integer
from contract.outliers import OUTLIER_SHARE, STRIKING_FIELDS
from contract.rules import RULES
from training.data.dataset import Dataset
from training.data.records import check_records, records_frame
from training.evaluation import outliers as outlier_evaluation
from training.evaluation.outliers import OutlierFigures, clopper_pearson, outlier_figures
from training.evaluation.planted_outliers import KINDS, SWAPPED
from training.outliers import tables as outlier_tables
from training.outliers.detector import OutlierDetector
from training.outliers.tables import Conditional, cut_bins

RULE_BREAKING = ("role_exceeds_tenure", "tenure_exceeds_working_years", "young_with_long_career")


@pytest.fixture(scope="module")
def features(dataset: Dataset) -> pd.DataFrame:
    return dataset.features


@pytest.fixture(scope="module")
def detector(features: pd.DataFrame) -> OutlierDetector:
    return OutlierDetector().fit(features)


@pytest.fixture(scope="module")
def figures(features: pd.DataFrame) -> OutlierFigures:
    return outlier_figures(features, seed=42)


def example(**changes: int | str) -> pd.DataFrame:
    return records_frame([dict(EXAMPLE) | changes])


def read_as_documented(content: Mapping[str, Any], record: Mapping[str, Any]) -> float:
    """Score one record as a reader of the file would, in plain Python."""
    bins = {
        field["name"]: (
            field["categories"].index(record[field["name"]])
            if "categories" in field
            else sum(edge <= record[field["name"]] for edge in field["edges"])
        )
        for field in content["fields"]
    }
    score = 0.0
    for field in content["fields"]:
        term = field["table"]
        for name in (*field["parents"], field["name"]):
            term = term[bins[name]]
        score += term
    return score


# The rate, and what is caught


def test_the_rate_on_held_out_records_is_the_stated_one(figures: OutlierFigures) -> None:
    rate = figures.outlier_rate
    assert rate.records == 1_470
    assert rate.low < OUTLIER_SHARE < rate.high
    assert abs(rate.share - OUTLIER_SHARE) < 0.004


def test_no_record_of_the_table_breaks_a_rule(features: pd.DataFrame) -> None:
    for rule in RULES:
        assert not rule.broken_by(features).any()


def test_planted_outliers_are_caught_at_the_stated_shares(figures: OutlierFigures) -> None:
    caught = {name: kind.caught.share for name, kind in figures.kinds.items()}
    assert caught.keys() == KINDS.keys()
    for name in RULE_BREAKING:
        assert caught[name] == figures.kinds[name].breaks_a_rule.share == 1.0
    assert caught["swapped_columns"] > 0.68
    assert caught["extreme_pay_high"] > 0.94
    assert caught["extreme_pay_low"] > 0.78
    assert caught["role_outside_department"] > 0.97
    assert figures.outlier_caught > 0.92


def test_most_is_caught_without_the_rules_too(figures: OutlierFigures) -> None:
    kinds = figures.kinds
    assert kinds["role_exceeds_tenure"].caught_by_score.share > 0.5
    assert kinds["tenure_exceeds_working_years"].caught_by_score.share > 0.4
    assert kinds["young_with_long_career"].caught_by_score.share > 0.85
    assert figures.outlier_caught_by_score > 0.77
    assert figures.outlier_caught_by_score < figures.outlier_caught


def test_both_rivals_catch_less_of_every_kind(figures: OutlierFigures) -> None:
    for kind in figures.kinds.values():
        for rival in (kind.isolation_forest, kind.local_outlier_factor):
            assert rival.records == kind.caught.records
            assert kind.caught_by_score.low > rival.high
    assert figures.outlier_caught_isolation_forest < 0.05
    assert 0.1 < figures.outlier_caught_local_outlier_factor < 0.25


def test_explanations_name_what_was_planted(figures: OutlierFigures) -> None:
    for name, kind in figures.kinds.items():
        assert kind.named.records == kind.caught.hits
        assert kind.named.share > 0.93, name


def test_headline_figures_are_means_over_kinds(figures: OutlierFigures) -> None:
    content = json.loads(json.dumps(figures.to_dict()))
    shares = [kind["caught"]["share"] for kind in content["kinds"].values()]
    assert content["outlier_caught"] == pytest.approx(sum(shares) / len(KINDS))
    assert content["outlier_rate"]["records"] == 1_470


def test_figures_are_the_same_for_a_seed(
    features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlier_evaluation, "_FOLDS", 2)
    few = features.head(300)
    figures = outlier_figures(few, seed=3)
    assert outlier_figures(few.set_axis(range(900, 600, -1)), seed=3) == figures
    assert outlier_figures(few, seed=4) != figures


@pytest.mark.parametrize(
    ("hits", "low", "high"), [(0, 0.0, 0.3085), (1, 0.0025, 0.4450), (10, 0.6915, 1.0)]
)
def test_intervals_are_clopper_and_pearsons(hits: int, low: float, high: float) -> None:
    """The values for ten records are those of printed tables."""
    share = clopper_pearson(hits, 10)
    assert (share.low, share.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_of_no_records_nothing_is_known() -> None:
    share = clopper_pearson(0, 0)
    assert (share.share, share.low, share.high) == (0.0, 0.0, 1.0)


# Planting


@pytest.mark.parametrize("kind", KINDS)
def test_planted_records_are_legal_and_changed(kind: str, features: pd.DataFrame) -> None:
    planted, concerned = KINDS[kind](features, np.random.default_rng(1))
    again, _ = KINDS[kind](features, np.random.default_rng(1))
    pd.testing.assert_frame_equal(planted, again)
    check_records(planted)
    assert len(planted) == len(concerned) > 500
    before = features.loc[planted.index]
    changed = planted.ne(before)
    assert changed.any(axis=1).all()
    for row, fields in zip(changed.to_numpy(), concerned, strict=True):
        assert {name for name, is_new in zip(FIELD_NAMES, row, strict=True) if is_new} <= {*fields}


def test_swapped_columns_hold_each_others_values(features: pd.DataFrame) -> None:
    planted, concerned = KINDS["swapped_columns"](features, np.random.default_rng(1))
    assert {*concerned} == {*SWAPPED}
    records: Any = planted.to_dict("records")
    before: Any = features.loc[planted.index].to_dict("records")
    for record, original, (first, second) in zip(records, before, concerned, strict=True):
        assert (record[first], record[second]) == (original[second], original[first])


def test_a_planted_role_is_never_in_that_department(features: pd.DataFrame) -> None:
    planted, _ = KINDS["role_outside_department"](features, np.random.default_rng(1))
    seen = {*zip(features["JobRole"], features["Department"], strict=True)}
    assert not {*zip(planted["JobRole"], planted["Department"], strict=True)} & seen


# The verdict on single records


def test_the_example_is_no_outlier(detector: OutlierDetector) -> None:
    assert detector.predict(example()).tolist() == [False]
    assert detector.explain(example()) == [[]]
    assert 0.0 <= detector.score(example())[0] < detector.threshold


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"JobLevel": 1, "MonthlyIncome": 100_000}, "MonthlyIncome"),
        ({"Department": "Human Resources"}, "Department"),
        ({"PerformanceRating": 4}, "PerformanceRating"),
        ({"TotalWorkingYears": 40}, "TotalWorkingYears"),
        ({"TrainingTimesLastYear": 50}, "TrainingTimesLastYear"),
        ({"DailyRate": 5_000}, "DailyRate"),
        ({"Age": 80}, "Age"),
    ],
    ids=str,
)
def test_an_odd_field_is_named(
    detector: OutlierDetector, changes: dict[str, int | str], first: str
) -> None:
    record = example(**changes)
    assert detector.predict(record).tolist() == [True]
    assert first in detector.explain(record)[0]


def test_a_broken_rule_makes_an_outlier_whatever_the_score(
    detector: OutlierDetector, features: pd.DataFrame
) -> None:
    role = features["YearsAtCompany"] + 1
    broken = features.assign(YearsInCurrentRole=role)
    unsuspected = broken[detector.score(broken) <= detector.threshold]
    assert len(unsuspected) > 100
    assert detector.predict(unsuspected).all()
    for fields in detector.explain(unsuspected):
        assert {*fields} == {"YearsAtCompany", "YearsInCurrentRole"}


def test_explanations_are_short_and_for_outliers_alone(
    detector: OutlierDetector, legal_records: list[dict[str, int | str]]
) -> None:
    records = pd.concat([records_frame(legal_records[:300]), example()])
    flags = detector.predict(records)
    assert flags.any()
    assert not flags.all()
    for flag, fields in zip(flags, detector.explain(records), strict=True):
        assert bool(fields) is bool(flag)
        assert len(fields) == len({*fields}) <= STRIKING_FIELDS


@pytest.mark.parametrize(
    "field", [f for f in FIELDS if isinstance(f, Integer)], ids=lambda f: f.name
)
def test_beyond_the_table_a_number_surprises_most(
    detector: OutlierDetector, features: pd.DataFrame, field: Integer
) -> None:
    column = features[field.name]
    legal = range(field.minimum, field.maximum + 1, max(1, (field.maximum - field.minimum) // 400))
    records = pd.concat([example()] * len(legal), ignore_index=True).assign(
        **{field.name: np.array(legal)}
    )
    scores = detector.score(records)
    assert np.isfinite(scores).all()
    inside = records[field.name].between(column.min(), column.max()).to_numpy()
    reach = 0.11 * (column.max() - column.min()) + 1
    beyond = ~records[field.name].between(column.min() - reach, column.max() + reach).to_numpy()
    if beyond.any() and field.unit != "level":
        assert scores[beyond].min() > scores[inside].min()
        assert scores[beyond].min() > detector.threshold


def test_every_legal_record_has_a_score(
    detector: OutlierDetector, legal_records: list[dict[str, int | str]]
) -> None:
    scores = detector.score(records_frame(legal_records))
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()


def test_one_record_scores_as_it_does_among_others(
    detector: OutlierDetector, features: pd.DataFrame
) -> None:
    together = detector.score(features.head(20))
    alone = [detector.score(features.iloc[[row]])[0] for row in range(20)]
    assert together.tolist() == alone


# Fit and file


def test_the_fit_depends_on_neither_order_nor_index(
    detector: OutlierDetector, features: pd.DataFrame
) -> None:
    shuffled = features.sample(frac=1, random_state=5)
    assert OutlierDetector().fit(shuffled).to_dict() == detector.to_dict()


def test_the_file_gives_the_same_detector(
    detector: OutlierDetector, features: pd.DataFrame
) -> None:
    text = json.dumps(detector.to_dict(), allow_nan=False)
    assert len(text) < 300_000
    again = OutlierDetector.from_dict(json.loads(text))
    assert again.to_dict() == detector.to_dict()
    np.testing.assert_array_equal(again.score(features), detector.score(features))
    np.testing.assert_array_equal(again.predict(features), detector.predict(features))
    planted, _ = KINDS["swapped_columns"](features, np.random.default_rng(1))
    assert again.explain(planted) == detector.explain(planted)


def test_the_file_reads_as_documented_bit_for_bit(
    detector: OutlierDetector, legal_records: list[dict[str, int | str]]
) -> None:
    content = json.loads(json.dumps(detector.to_dict()))
    assert [field["name"] for field in content["fields"]] == list(DETECTED_NAMES)
    scores = detector.score(records_frame(legal_records)).tolist()
    assert [read_as_documented(content, record) for record in legal_records] == scores


def test_the_fit_finds_which_fields_go_together(detector: OutlierDetector) -> None:
    parents = {field["name"]: field["parents"] for field in detector.to_dict()["fields"]}
    assert parents["Department"] == ["JobRole"]
    assert "JobLevel" in parents["MonthlyIncome"]
    assert parents["YearsAtCompany"] == ["YearsInCurrentRole", "YearsWithCurrManager"]
    assert parents["DailyRate"] == parents["HourlyRate"] == parents["OverTime"] == []


def test_a_parent_beyond_the_table_acts_like_its_nearest_bin(detector: OutlierDetector) -> None:
    """Nothing was counted there: the other fields would be judged as if they had no parent."""
    fields = {field["name"]: field for field in detector.to_dict()["fields"]}
    level = fields["JobLevel"]
    assert level["parents"][0] == "MonthlyIncome"
    beyond = len(fields["MonthlyIncome"]["edges"])
    assert level["table"][beyond] == level["table"][beyond - 1] != level["table"][beyond - 2]


def test_a_field_that_never_varies_is_no_obstacle(features: pd.DataFrame) -> None:
    constant = features.assign(DailyRate=800, OverTime="No")
    detector = OutlierDetector().fit(constant)
    assert np.isfinite(detector.score(features)).all()
    assert detector.predict(constant.assign(OverTime="Yes")).mean() > 0.9


def test_leaving_out_by_counts_is_leaving_out(features: pd.DataFrame) -> None:
    """The closed form agrees with learning again from all records but one."""

    def learnt(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], Conditional]:
        level = bins["JobLevel"].of(rows["JobLevel"])
        own, kernel = (
            bins["MonthlyIncome"].of(rows["MonthlyIncome"]),
            bins["MonthlyIncome"].kernel(),
        )
        root = Conditional.uniform(len(rows), bins["MonthlyIncome"].count).learn(own, kernel)
        return own, root.learn(own, kernel, values=level, count=bins["JobLevel"].count)

    fields = {field.name: field for field in FIELDS}
    bins = {name: cut_bins(features[name], fields[name]) for name in ("MonthlyIncome", "JobLevel")}
    own, whole = learnt(features)
    for row in range(0, 1_470, 147):
        _, without = learnt(features.drop(index=row))
        cell = whole.cell[row], own[row]
        assert whole.left_out[cell] == pytest.approx(without.probability[cell], rel=1e-12)
        assert whole.left_out[cell] < whole.probability[cell]


def test_in_sample_scores_would_be_too_low(
    detector: OutlierDetector, features: pd.DataFrame
) -> None:
    """What leaving out is for: the table's own records would set the threshold far lower."""
    naive = np.quantile(detector.score(features), 1 - OUTLIER_SHARE)
    assert naive < 0.8 * detector.threshold


def test_parents_that_tell_nothing_are_not_taken(
    features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(2)
    noise = pd.DataFrame(
        {name: random.permutation(features[name].to_numpy()) for name in FIELD_NAMES}
    )
    found = OutlierDetector().fit(noise).to_dict()["fields"]
    assert [field["parents"] for field in found] == [[]] * len(DETECTED_NAMES)
    monkeypatch.setattr(outlier_tables, "_GAIN", -1.0)
    found = OutlierDetector().fit(noise).to_dict()["fields"]
    assert all(len(field["parents"]) == 2 for field in found)
