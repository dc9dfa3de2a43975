"""Business rules of an employee record: what its fields must hold together, in any company.

The contract's ranges judge a field alone; these judge two at a time. What is merely usual in one
company's table (which roles a department has, what a level is paid) is not a rule: the outlier
detector learns it.
"""

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["MINIMUM_WORKING_AGE", "RULES", "Columns", "Rule", "broken_rules"]

MINIMUM_WORKING_AGE = 15
"""Years; nobody can have worked before: Directive 94/33/EC on young people at work, article 4."""


class Columns(Protocol):
    """What field names lead to: the ints of one record, or columns (NumPy, pandas) of many."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value or the column of a field."""
        ...


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`lower` plus `offset` must not exceed `upper`; both are whole-number fields, in years.

    `sentence` says what must hold, without any employee's value.
    """

    name: str
    lower: str
    upper: str
    sentence: str
    offset: int = 0

    @property
    def fields(self) -> tuple[str, str]:
        """The two fields that the rule concerns."""
        return (self.lower, self.upper)

    def broken_by(self, record: Columns) -> Any:
        """Say whether the rule is broken: a bool for a record, `n_rows` of them for columns."""
        return record[self.lower] + self.offset > record[self.upper]


def _within_tenure(name: str, field: str, what: str) -> Rule:
    return Rule(
        name=name,
        lower=field,
        upper="YearsAtCompany",
        sentence=f"The years {what} are at most the years at the company.",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        name="tenure_within_working_years",
        lower="YearsAtCompany",
        upper="TotalWorkingYears",
        sentence="The years at the company are at most the working years in all.",
    ),
    _within_tenure("years_in_role_within_tenure", "YearsInCurrentRole", "in the current role"),
    _within_tenure(
        "years_since_promotion_within_tenure", "YearsSinceLastPromotion", "since the last promotion"
    ),
    _within_tenure(
        "years_with_manager_within_tenure", "YearsWithCurrManager", "with the current manager"
    ),
    Rule(
        name="working_years_within_age",
        lower="TotalWorkingYears",
        upper="Age",
        offset=MINIMUM_WORKING_AGE,
        sentence=(
            f"The working years in all are at most the age less {MINIMUM_WORKING_AGE}, "
            "the minimum working age."
        ),
    ),
)
"""Every rule; a record that breaks one is an outlier, whatever its score."""


def broken_rules(record: Columns) -> tuple[Rule, ...]:
    """Return the rules that one record breaks, in the order of `RULES`."""
    return tuple(rule for rule in RULES if rule.broken_by(record))
