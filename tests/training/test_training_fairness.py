"""The fairness figures: tables counted by hand, planted unfairness, and what is too small to judge.

Two bounds are the gate's, and each sees what the other cannot: a scorer that says too little of a
group that leaves seldom selects it too seldom; of one that leaves often, it is miscalibrated first.
"""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contract.employee import CATEGORIES, INTEGERS, PROTECTED
from training.data.dataset import Dataset
from training.evaluation.fairness import (
    MINIMUM_LEAVERS,
    MINIMUM_RECORDS,
    AttributeFairness,
    Fairness,
    GroupFairness,
    fairness,
)

Floats = npt.NDArray[np.float64]
THRESHOLD = 1 / 6
BOUND = 0.8
CALIBRATION_BOUND = 0.08


def people(gender: str, records: int, leavers: int, found: int, selected: int) -> pd.DataFrame:
    """One gender: `found` of its `leavers` and `selected` of all its `records` are selected."""
    left = np.arange(records) < leavers
    chosen = np.arange(records) < found
    chosen[records - (selected - found) :] = True
    said = np.where(chosen, 0.5, 0.1)
    columns = {"Gender": gender, "MaritalStatus": "Single", "Age": 35}
    return pd.DataFrame({"left": left.astype(np.int64), "said": said} | columns)


def measure(*groups: pd.DataFrame) -> Fairness:
    table = pd.concat(groups, ignore_index=True)
    said = table["said"].to_numpy()[None, :]
    return fairness(table, table["left"], said, 0.5)


def genders(report: Fairness) -> dict[str, GroupFairness]:
    return {group.name: group for group in report.attributes["Gender"].groups}


def value(report: Fairness, name: str) -> float:
    return report.figures()[name]["value"]


def passes(report: Fairness) -> bool:
    """Judge as the gate does by default."""
    return (
        value(report, "fairness_four_fifths") >= BOUND
        and value(report, "fairness_calibration_gap") <= CALIBRATION_BOUND
    )


WOMEN = people("Female", records=200, leavers=50, found=40, selected=80)
MEN = people("Male", records=100, leavers=20, found=10, selected=20)


def test_a_table_counted_by_hand() -> None:
    report = measure(WOMEN, MEN)
    women, men = genders(report).values()
    assert (women.name, women.records, women.leavers, women.judged) == ("Female", 200, 50, True)
    assert women.leave_rate.value == 0.25
    assert women.selection_rate.value == 0.4
    assert women.true_positive_rate is not None
    assert women.true_positive_rate.value == 0.8
    assert men.false_positive_rate is not None
    assert men.false_positive_rate.value == pytest.approx(10 / 80)
    # Said: 80 x .5 + 120 x .1 over 200, less a quarter; 20 x .5 + 80 x .1 over 100, less a fifth.
    assert women.calibration_gap.value == pytest.approx(0.26 - 0.25)
    assert men.calibration_gap.value == pytest.approx(0.18 - 0.2)
    assert value(report, "fairness_selection_ratio_gender") == 0.5
    assert value(report, "fairness_opportunity_ratio_gender") == 0.625
    # Men leave at four fifths of the women's rate, which excuses that much of a half.
    assert value(report, "fairness_adjusted_ratio") == 0.625
    gap = report.figures()["fairness_calibration_gap"]
    assert gap["value"] == pytest.approx(0.02)
    # The gap may be none at all: the interval of its size begins there.
    assert gap["low"] == 0.0
    assert "Male against Female" in report.figures()["fairness_adjusted_ratio"]["meaning"]


def test_the_rates_intervals_are_wilsons() -> None:
    found = genders(measure(WOMEN, people("Male", 50, 10, 10, 10)))["Male"]
    expected = stats.binomtest(10, 50).proportion_ci(method="wilson")
    assert found.leave_rate.low == pytest.approx(expected.low, abs=1e-6)
    assert found.leave_rate.high == pytest.approx(expected.high, abs=1e-6)
    assert found.true_positive_rate is not None
    # Ten of ten: 1 / (1 + z^2 / 10).
    assert found.true_positive_rate.low == pytest.approx(0.722467, abs=1e-6)
    assert found.true_positive_rate.high == 1.0
    assert found.false_positive_rate is not None
    assert found.false_positive_rate.low == 0.0


def test_equal_groups_are_equal() -> None:
    report = measure(WOMEN, WOMEN.assign(Gender="Male"))
    for name in (
        "selection_ratio_gender",
        "opportunity_ratio_gender",
        "adjusted_ratio",
        "four_fifths",
    ):
        assert value(report, f"fairness_{name}") == 1.0


def test_where_groups_leave_alike_the_adjusted_ratio_is_the_four_fifths_rule() -> None:
    report = measure(WOMEN, people("Male", records=200, leavers=50, found=20, selected=40))
    assert value(report, "fairness_adjusted_ratio") == value(
        report, "fairness_selection_ratio_gender"
    )
    assert value(report, "fairness_adjusted_ratio") == 0.5


def test_a_group_that_leaves_more_is_not_excused_for_being_selected_less() -> None:
    report = measure(WOMEN, people("Male", records=200, leavers=100, found=60, selected=60))
    assert value(report, "fairness_adjusted_ratio") == 0.75


def test_more_than_a_fair_share_counts_as_a_fair_share() -> None:
    # Men leave at half the women's rate and are selected at three quarters of theirs.
    report = measure(WOMEN, people("Male", records=200, leavers=25, found=20, selected=60))
    assert value(report, "fairness_selection_ratio_gender") == 0.75
    assert value(report, "fairness_adjusted_ratio") == 1.0


def test_every_pair_is_compared_and_not_only_with_the_most_selected() -> None:
    # Singles leave often and are selected often; of the two others, who leave alike, one is
    # selected half as often. Against singles alone both would be excused.
    single = people("Female", 200, 100, 80, 100).assign(MaritalStatus="Single")
    married = people("Female", 200, 40, 30, 80).assign(MaritalStatus="Married")
    divorced = people("Female", 200, 40, 30, 40).assign(MaritalStatus="Divorced")
    worst = measure(single, married, divorced).attributes["MaritalStatus"].four_fifths
    assert worst is not None
    assert (worst.group, worst.reference, worst.value) == ("Divorced", "Married", 0.5)


def test_a_shortfall_that_chance_explains_is_shown_and_not_gated() -> None:
    few = measure(
        people("Female", records=40, leavers=10, found=8, selected=13),
        people("Male", records=40, leavers=10, found=8, selected=10),
    )
    assert value(few, "fairness_adjusted_ratio") < BOUND
    assert few.figures()["fairness_adjusted_ratio"]["high"] == 1.0
    assert few.figures()["fairness_four_fifths"]["value"] == 1.0
    assert few.figures()["fairness_four_fifths"]["low"] is None
    many = measure(
        people("Female", records=1_600, leavers=400, found=320, selected=520),
        people("Male", records=1_600, leavers=400, found=320, selected=400),
    )
    assert value(many, "fairness_four_fifths") == value(few, "fairness_adjusted_ratio")


@pytest.mark.parametrize(
    ("records", "leavers", "judged"),
    [
        (MINIMUM_RECORDS, MINIMUM_LEAVERS, True),
        (MINIMUM_RECORDS - 1, MINIMUM_LEAVERS, False),
        (MINIMUM_RECORDS, MINIMUM_LEAVERS - 1, False),
    ],
)
def test_small_groups_are_reported_and_not_judged(records: int, leavers: int, judged: bool) -> None:
    report = measure(WOMEN, people("Male", records, leavers, found=0, selected=0))
    men = genders(report)["Male"]
    assert (men.records, men.leavers, men.judged) == (records, leavers, judged)
    assert men.selection_rate.value == 0.0
    # With one judged group there is nothing to compare, and no figure that a bound could pass.
    ratios = {"fairness_four_fifths", "fairness_adjusted_ratio", "fairness_selection_ratio_gender"}
    assert (ratios <= report.figures().keys()) is judged
    assert (ratios & report.figures().keys() == set()) is not judged
    # What is said of men is the farthest from what is seen.
    assert ("Male" in report.figures()["fairness_calibration_gap"]["meaning"]) is judged


def test_nobody_large_enough_gives_no_figure_at_all() -> None:
    assert measure(people("Female", 20, 5, 5, 5)).figures() == {}


def test_a_group_in_which_nobody_or_everybody_leaves() -> None:
    report = measure(WOMEN, people("Male", records=50, leavers=0, found=0, selected=5))
    assert genders(report)["Male"].true_positive_rate is None
    everybody = measure(WOMEN, people("Male", records=50, leavers=50, found=5, selected=5))
    assert genders(everybody)["Male"].false_positive_rate is None
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()


def test_where_nobody_is_selected_nobody_is_selected_less_often() -> None:
    report = measure(
        people("Female", 100, 20, found=0, selected=0), people("Male", 100, 40, found=0, selected=0)
    )
    for name in (
        "selection_ratio_gender",
        "opportunity_ratio_gender",
        "adjusted_ratio",
        "four_fifths",
    ):
        assert value(report, f"fairness_{name}") == 1.0
    json.dumps(report.to_dict(), allow_nan=False)


def test_where_one_group_alone_is_selected_the_ratio_is_nothing() -> None:
    report = measure(
        people("Female", 100, 20, found=9, selected=9), people("Male", 100, 40, found=0, selected=0)
    )
    assert value(report, "fairness_selection_ratio_gender") == 0.0
    assert value(report, "fairness_four_fifths") == 0.0


def test_ages_fall_into_bands_at_their_first_year() -> None:
    ages = [18, 29, 30, 39, 40, 49, 50, 80]
    table = pd.DataFrame({"Gender": "Male", "MaritalStatus": "Single", "Age": ages})
    report = fairness(table, np.zeros(8, dtype=np.int64), np.zeros((1, 8)), 0.5)
    bands = {group.name: group.records for group in report.attributes["Age"].groups}
    assert bands == {"18-29": 2, "30-39": 2, "40-49": 2, "50 and over": 2}


def test_rates_are_means_over_the_repeats_and_the_threshold_selects() -> None:
    table = pd.concat([WOMEN, MEN], ignore_index=True)
    once = np.where(table["Gender"] == "Female", 0.5, 0.25)
    report = fairness(table, table["left"], np.stack([once, once / 2, once / 4]), 0.25)
    rates = {name: group.selection_rate.value for name, group in genders(report).items()}
    assert rates == pytest.approx({"Female": 2 / 3, "Male": 1 / 3})
    assert report.repeats == 3


def test_refuses_what_is_not_of_one_table() -> None:
    with pytest.raises(ValueError, match=r"200 records, 200 outcomes.*\(200,\)"):
        fairness(WOMEN, WOMEN["left"], WOMEN["said"].to_numpy(), 0.5)
    with pytest.raises(ValueError, match="200 records, 100 outcomes"):
        fairness(WOMEN, MEN["left"], MEN["said"].to_numpy()[None, :], 0.5)


def test_the_interval_of_a_ratio_holds_the_truth() -> None:
    # Women are selected at .4, men at .3; 19 of 20 intervals should hold .75.
    random = np.random.default_rng(11)
    held = 0
    for draw in range(40):
        table = pd.DataFrame({"Gender": np.repeat(["Female", "Male"], 200)})
        table = table.assign(MaritalStatus="Single", Age=35)
        said = (random.random(400) < np.repeat([0.4, 0.3], 200)).astype(np.float64)
        left = (random.random(400) < 0.2).astype(np.int64)
        ratio = fairness(table, left, said[None, :], 0.5, seed=draw).attributes["Gender"]
        assert ratio.selection_ratio is not None
        held += ratio.selection_ratio.low <= 0.75 <= ratio.selection_ratio.high
    assert 35 <= held <= 40


@pytest.fixture(scope="module")
def probabilities(dataset: Dataset) -> Floats:
    """Out-of-fold probabilities of a plain classifier without the protected fields, two repeats."""
    categories = [field.name for field in CATEGORIES if field.name not in PROTECTED]
    numbers = [field.name for field in INTEGERS if field.name not in PROTECTED]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), categories), (StandardScaler(), numbers)
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1_000))
    folds = [StratifiedKFold(5, shuffle=True, random_state=seed) for seed in (1, 2)]
    said = [
        np.asarray(
            cross_val_predict(
                model, dataset.features, dataset.target, cv=cv, method="predict_proba"
            )
        )
        for cv in folds
    ]
    return np.stack(said)[:, :, 1]


def test_to_dict_is_json_rounded_and_complete(dataset: Dataset, probabilities: Floats) -> None:
    report = fairness(dataset.features, dataset.target, probabilities, THRESHOLD)
    content = report.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["threshold"] == 0.166667
    assert content["repeats"] == 2
    assert content["attributes"].keys() == set(PROTECTED)
    for attribute in content["attributes"].values():
        assert attribute.keys() == set(AttributeFairness.__annotations__)
        assert sum(group["records"] for group in attribute["groups"]) == 1_470
        assert sum(group["leavers"] for group in attribute["groups"]) == 237
    assert report.figures().keys() == {
        f"fairness_{name}"
        for name in (
            *("selection_ratio_gender", "selection_ratio_marital_status", "selection_ratio_age"),
            *(
                "opportunity_ratio_gender",
                "opportunity_ratio_marital_status",
                "opportunity_ratio_age",
            ),
            *("adjusted_ratio", "four_fifths", "calibration_gap"),
        )
    }
    for found in report.figures().values():
        assert 0.0 <= found["value"] <= 1.0
        if found["low"] is not None and found["high"] is not None:
            assert found["low"] <= found["value"] <= found["high"]


def test_the_same_again_for_the_same_seed(dataset: Dataset, probabilities: Floats) -> None:
    def report(seed: int) -> str:
        found = fairness(dataset.features, dataset.target, probabilities, THRESHOLD, seed=seed)
        return json.dumps([found.to_dict(), found.figures()])

    assert report(3) == report(3)
    assert report(3) != report(4)


def test_nothing_but_the_three_columns_is_read_or_changed(
    dataset: Dataset, probabilities: Floats
) -> None:
    three = dataset.features[list(PROTECTED)]
    before = three.copy(deep=True)
    report = fairness(three, dataset.target, probabilities, THRESHOLD)
    assert report == fairness(dataset.features, dataset.target, probabilities, THRESHOLD)
    pd.testing.assert_frame_equal(three, before)


def test_a_chunk_more_or_less_changes_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(WOMEN, MEN)
    monkeypatch.setattr("training.evaluation.fairness._WEIGHTS_AT_ONCE", 7 * 300)
    # A product of matrices rounds its sums by the matrices' sizes: the reports agree, not the bits.
    assert measure(WOMEN, MEN).to_dict() == whole.to_dict()


def too_low_for(group: str, dataset: Dataset, probabilities: Floats) -> Fairness:
    """The report on probabilities that say 1 too little in log-odds of a group of the table."""
    members = np.asarray(dataset.features.eval(group), dtype=np.float64)
    log_odds = np.log(probabilities / (1 - probabilities)) - members
    return fairness(dataset.features, dataset.target, 1 / (1 + np.exp(-log_odds)), THRESHOLD)


def drawn_outcomes(probabilities: Floats, seed: int) -> npt.NDArray[np.int64]:
    """Outcomes for which the probabilities are right: what is then unequal is leave rates alone."""
    random = np.random.default_rng(seed)
    return (random.random(probabilities.shape[1]) < probabilities.mean(axis=0)).astype(np.int64)


def test_the_packaged_table_passes(dataset: Dataset, probabilities: Floats) -> None:
    assert passes(fairness(dataset.features, dataset.target, probabilities, THRESHOLD))


def test_a_scorer_whose_groups_differ_in_leave_rate_alone_passes(
    dataset: Dataset, probabilities: Floats
) -> None:
    right = probabilities.mean(axis=0)[None, :]
    reports = [
        fairness(dataset.features, drawn_outcomes(right, seed), right, THRESHOLD)
        for seed in range(10)
    ]
    assert sum(map(passes, reports)) >= 9
    # The plain four-fifths rule would refuse every one of them.
    assert all(value(report, "fairness_selection_ratio_age") < BOUND for report in reports)


def test_a_forecast_without_fault_passes_and_the_plain_rule_refuses_it(dataset: Dataset) -> None:
    perfect = np.asarray(dataset.target, dtype=np.float64)[None, :]
    report = fairness(dataset.features, dataset.target, perfect, THRESHOLD)
    assert passes(report)
    assert value(report, "fairness_adjusted_ratio") == 1.0
    assert value(report, "fairness_opportunity_ratio_age") == 1.0
    assert value(report, "fairness_selection_ratio_marital_status") == pytest.approx(
        0.395, abs=0.001
    )
    assert value(report, "fairness_selection_ratio_age") == pytest.approx(0.349, abs=0.001)


@pytest.mark.parametrize(
    "group",
    [
        *("Gender == 'Female'", "Gender == 'Male'"),
        *("MaritalStatus == 'Divorced'", "MaritalStatus == 'Married'", "MaritalStatus == 'Single'"),
        *("Age < 30", "30 <= Age < 40", "40 <= Age < 50", "50 <= Age"),
    ],
)
def test_saying_too_little_of_a_group_is_refused(
    group: str, dataset: Dataset, probabilities: Floats
) -> None:
    assert not passes(too_low_for(group, dataset, probabilities))


def test_each_bound_sees_what_the_other_does_not(dataset: Dataset, probabilities: Floats) -> None:
    divorced = too_low_for("MaritalStatus == 'Divorced'", dataset, probabilities)
    assert value(divorced, "fairness_four_fifths") < BOUND
    assert value(divorced, "fairness_calibration_gap") <= CALIBRATION_BOUND
    single = too_low_for("MaritalStatus == 'Single'", dataset, probabilities)
    assert value(single, "fairness_four_fifths") >= BOUND
    assert value(single, "fairness_calibration_gap") > CALIBRATION_BOUND
