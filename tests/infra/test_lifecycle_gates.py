import math

import pytest

from infra.lifecycle.gates import Gate, judge

AUC = {"auc": 0.80, "brier": 0.10}


@pytest.mark.parametrize(
    ("bounds", "current", "holds"),
    [
        ({"at_least": 0.80}, None, True),
        ({"at_least": 0.8001}, None, False),
        ({"at_most": 0.80}, None, True),
        ({"at_most": 0.7999}, None, False),
        ({"at_least": 0.0}, None, True),
        ({"at_most": 0.0}, None, False),
        ({"at_least": 0.9, "at_most": 0.7}, None, False),
        ({"max_drop": 0.02}, {"auc": 0.82}, True),
        ({"max_drop": 0.02}, {"auc": 0.8201}, False),
        ({"max_drop": 0.02}, {"auc": 0.10}, True),
        ({"max_drop": 0.0}, {"auc": 0.80}, True),
        ({"max_drop": 0.0}, {"auc": 0.8001}, False),
        ({"max_rise": 0.02}, {"auc": 0.78}, True),
        ({"max_rise": 0.02}, {"auc": 0.7799}, False),
        ({"max_rise": 0.0}, {"auc": 0.99}, True),
        ({"at_least": 0.7, "max_drop": 0.02}, {"auc": 0.9}, False),
        ({"at_least": 0.9, "max_drop": 0.02}, {"auc": 0.8}, False),
    ],
)
def test_every_bound_that_is_set_must_hold(
    bounds: dict[str, float], current: dict[str, float] | None, holds: bool
) -> None:
    verdicts = judge([Gate(metric="auc", **bounds)], AUC, current)
    assert all(verdict.holds for verdict in verdicts) == holds
    assert len(verdicts) == len(bounds)


@pytest.mark.parametrize("bound", ["max_drop", "max_rise"])
@pytest.mark.parametrize("current", [None, {}, {"brier": 0.1}])
def test_without_a_figure_to_compare_with_there_is_nothing_to_lose(
    bound: str, current: dict[str, float] | None
) -> None:
    gate = Gate(metric="auc", **{bound: 0.0})
    assert all(verdict.holds for verdict in judge([gate], AUC, current))


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (None, "no release at the stage, or this one is pinned"),
        ({"brier": 0.1}, "the release to compare with has no such figure in its tag"),
    ],
    ids=["no release", "a release without the figure"],
)
def test_a_verdict_says_why_nothing_was_compared(
    current: dict[str, float] | None, why: str
) -> None:
    (verdict,) = judge([Gate(metric="auc", max_drop=0.0)], AUC, current)
    assert verdict.text == f"auc 0.8000: not compared ({why})"


def test_of_a_part_of_the_figures_a_gate_on_another_fails_nothing_yet() -> None:
    gates = [Gate(metric="f1", at_least=0.9), Gate(metric="auc", at_least=0.9)]
    later, now = judge(gates, AUC, None, partial=True)
    assert later.holds
    assert later.text == "f1: judged at the update, its figure is in the release's evidence"
    assert not now.holds


@pytest.mark.parametrize("bound", ["at_least", "at_most", "max_drop", "max_rise"])
def test_a_metric_that_was_not_measured_holds_no_gate(bound: str) -> None:
    (verdict,) = judge([Gate(metric="f1", **{bound: 0.0})], AUC, {"f1": 1.0})
    assert not verdict.holds
    assert verdict.text == "f1: not measured (measured: auc, brier)"


def test_a_release_without_figures_says_so() -> None:
    (verdict,) = judge([Gate(metric="auc", at_least=0.0)], {}, None)
    assert verdict.text == "auc: not measured (measured: none)"


@pytest.mark.parametrize("bound", ["at_least", "at_most", "max_drop", "max_rise"])
def test_a_figure_that_is_no_number_holds_no_gate(bound: str) -> None:
    gate = Gate(metric="auc", **{bound: 0.5})
    (verdict,) = judge([gate], {"auc": math.nan}, {"auc": 0.5})
    assert not verdict.holds


def test_a_verdict_names_figure_bound_and_outcome() -> None:
    gate = Gate(metric="auc", at_least=0.75, at_most=0.78, max_drop=0.01, max_rise=0.5)
    texts = [verdict.text for verdict in judge([gate], AUC, {"auc": 0.85})]
    assert texts == [
        "auc 0.8000, at least 0.7500: holds",
        "auc 0.8000, at most 0.7800: FAILS",
        "auc 0.8000, at least (0.85 now, less 0.01) 0.8400: FAILS",
        "auc 0.8000, at most (0.85 now, plus 0.5) 1.3500: holds",
    ]


def test_gates_are_judged_one_by_one_in_their_order() -> None:
    gates = [Gate(metric="brier", at_most=0.05), Gate(metric="auc", at_least=0.5)]
    assert [verdict.holds for verdict in judge(gates, AUC, None)] == [False, True]
    assert judge([], AUC, None) == []
