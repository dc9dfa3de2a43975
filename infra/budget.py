"""A monthly budget with alerts: money that is spent unseen is noticed within a day.

It watches one resource group. What Databricks puts into its managed resource group (the machines of
a job cluster, storage) is billed there and not counted here; serverless compute is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pulumi
from pulumi_azure_native import consumption

__all__ = ["Budget", "BudgetArgs"]

_ACTUAL_PERCENT = 80
_FORECAST_PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """What is watched, and who is told.

    `scope` is the resource group's ARM id, `amount` is in the subscription's currency a month, and
    `today` any day of the first month that counts. With no `emails` the scope's owners are told.
    """

    scope: pulumi.Input[str]
    budget_name: str
    amount: int
    emails: Sequence[str]
    today: date


class Budget(pulumi.ComponentResource):
    """An alert at 80 % of the month's budget spent, another when all of it is forecast to be."""

    id: pulumi.Output[str]

    def __init__(
        self, name: str, args: BudgetArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("employee-retention:cost:Budget", name, None, opts)
        budget = consumption.Budget(
            f"{name}-monthly",
            consumption.BudgetArgs(
                scope=args.scope,
                budget_name=args.budget_name,
                amount=args.amount,
                category="Cost",
                time_grain="Monthly",
                time_period=consumption.BudgetTimePeriodArgs(
                    # Azure takes no other day than the first of a month.
                    start_date=f"{args.today:%Y-%m}-01T00:00:00Z"
                ),
                notifications={
                    "actual": _notification(args.emails, "Actual", _ACTUAL_PERCENT),
                    "forecast": _notification(args.emails, "Forecasted", _FORECAST_PERCENT),
                },
            ),
            # The start stays what it was when the budget was made: another month is no change.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )
        self.id = budget.id
        self.register_outputs({"id": self.id})


def _notification(emails: Sequence[str], kind: str, percent: int) -> consumption.NotificationArgs:
    return consumption.NotificationArgs(
        enabled=True,
        threshold_type=kind,
        operator="GreaterThanOrEqualTo",
        threshold=percent,
        contact_emails=list(emails),
        contact_roles=None if emails else ["Owner"],
    )
