"""Business rules: the example keeps them, each can be broken alone, and its limit is legal."""

import subprocess
import sys

import numpy as np
import pytest

from contract.employee import EXAMPLE, INTEGERS
from contract.rules import MINIMUM_WORKING_AGE, RULES, Rule, broken_rules
from tests.recorder import ROOT

RECORD = {field.name: EXAMPLE[field.name] for field in INTEGERS} | {
    "Age": 40,
    "TotalWorkingYears": 20,
    "YearsAtCompany": 10,
    "YearsInCurrentRole": 5,
    "YearsSinceLastPromotion": 5,
    "YearsWithCurrManager": 5,
}
"""A record with room on either side of every rule."""


def at(rule: Rule, excess: int) -> dict[str, int | str]:
    """The record with the rule's lower field `excess` over its limit."""
    limit = RECORD[rule.upper]
    assert isinstance(limit, int)
    return RECORD | {rule.lower: limit - rule.offset + excess}


def test_rules_have_names_of_their_own_and_name_whole_number_fields() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 5
    integers = {field.name for field in INTEGERS}
    for rule in RULES:
        assert set(rule.fields) <= integers
        assert rule.fields == (rule.lower, rule.upper)
        assert rule.sentence.endswith(".")


def test_the_example_breaks_none() -> None:
    assert broken_rules(EXAMPLE) == ()
    assert broken_rules(RECORD) == ()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_holds_at_its_limit_and_breaks_one_year_over(rule: Rule) -> None:
    assert rule.broken_by(at(rule, 0)) is False
    assert rule.broken_by(at(rule, 1)) is True
    assert rule in broken_rules(at(rule, 1))
    # Tenure has rules on either side of it; the other fields are free below their limits.
    assert broken_rules(at(rule, 0)) == ()
    assert broken_rules(at(rule, 1)) == (rule,)


def test_nobody_works_before_the_minimum_age() -> None:
    young = RECORD | dict.fromkeys(
        (rule.lower for rule in RULES if rule.upper == "YearsAtCompany"), 0
    )
    young |= {"Age": 18, "YearsAtCompany": 0, "TotalWorkingYears": 18 - MINIMUM_WORKING_AGE}
    assert broken_rules(young) == ()
    (broken,) = broken_rules(young | {"TotalWorkingYears": 19 - MINIMUM_WORKING_AGE})
    assert broken.name == "working_years_within_age"
    assert broken.fields == ("TotalWorkingYears", "Age")


def test_every_broken_rule_is_told_in_order() -> None:
    record = RECORD | {"YearsAtCompany": 0, "TotalWorkingYears": 60}
    assert [rule.name for rule in broken_rules(record)] == [
        "years_in_role_within_tenure",
        "years_since_promotion_within_tenure",
        "years_with_manager_within_tenure",
        "working_years_within_age",
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_columns_are_judged_like_single_records(rule: Rule) -> None:
    records = [at(rule, excess) for excess in (-1, 0, 1)]
    columns = {name: np.array([record[name] for record in records]) for name in rule.fields}
    assert rule.broken_by(columns).tolist() == [False, False, True]


def test_rules_need_the_standard_library_alone() -> None:
    code = "import contract.rules, sys; assert not {'numpy', 'pandas'} & set(sys.modules)"
    # -S leaves out site-packages: an import of anything installed would fail.
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
