"""What the page at `/` says of the employee record: labels, groups and meanings in plain words.

Ranges, categories, units and rules are the contract's; here is only what a person reads instead of
a column's name or a level's number, and which fields an employer can act on.
"""

from collections.abc import Mapping
from typing import Any

from contract import employee
from contract.rules import RULES

__all__ = ["describe_record"]

_LOW_TO_HIGH = ("Low", "Medium", "High", "Very high")

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Job": {
        "Department": "Department",
        "JobRole": "Job role",
        "JobLevel": "Job level",
        "OverTime": "Works overtime",
        "BusinessTravel": "Business travel",
        "TrainingTimesLastYear": "Trainings in the last year",
        "PerformanceRating": "Performance rating",
        "JobInvolvement": "Job involvement",
    },
    "Pay": {
        "MonthlyIncome": "Monthly income",
        "PercentSalaryHike": "Last pay rise",
        "StockOptionLevel": "Stock option level",
        "MonthlyRate": "Monthly rate",
        "DailyRate": "Daily rate",
        "HourlyRate": "Hourly rate",
    },
    "Satisfaction": {
        "JobSatisfaction": "With the job",
        "EnvironmentSatisfaction": "With the work environment",
        "RelationshipSatisfaction": "With relationships at work",
        "WorkLifeBalance": "Work-life balance",
    },
    "Years": {
        "TotalWorkingYears": "Working, in all",
        "NumCompaniesWorked": "Earlier employers",
        "YearsAtCompany": "At this company",
        "YearsInCurrentRole": "In the current role",
        "YearsSinceLastPromotion": "Since the last promotion",
        "YearsWithCurrManager": "With the current manager",
    },
    "Person": {
        "Age": "Age",
        "Education": "Education",
        "EducationField": "Field of education",
        "DistanceFromHome": "Distance from home to work",
        "Gender": "Gender",
        "MaritalStatus": "Marital status",
    },
}
"""The form's groups and, in their order, each field's label within the group."""

_ALONE: Mapping[str, str] = {
    "EnvironmentSatisfaction": "Satisfaction with the work environment",
    "JobSatisfaction": "Satisfaction with the job",
    "RelationshipSatisfaction": "Satisfaction with relationships at work",
    "TotalWorkingYears": "Working years in all",
    "YearsAtCompany": "Years at this company",
    "YearsInCurrentRole": "Years in the current role",
    "YearsSinceLastPromotion": "Years since the last promotion",
    "YearsWithCurrManager": "Years with the current manager",
}
"""Labels of fields that need their group's name where they stand alone."""

_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "Education": ("Below college", "College", "Bachelor", "Master", "Doctor"),
    "EnvironmentSatisfaction": _LOW_TO_HIGH,
    "JobInvolvement": _LOW_TO_HIGH,
    "JobSatisfaction": _LOW_TO_HIGH,
    "PerformanceRating": ("Low", "Good", "Excellent", "Outstanding"),
    "RelationshipSatisfaction": _LOW_TO_HIGH,
    "WorkLifeBalance": ("Bad", "Good", "Better", "Best"),
    "BusinessTravel": ("Does not travel", "Travels often", "Travels rarely"),
}
"""What the values of a field mean, in the contract's order: IBM's own words for its levels."""

_ACTIONABLE = frozenset(
    {
        "BusinessTravel",
        "Department",
        "EnvironmentSatisfaction",
        "JobInvolvement",
        "JobLevel",
        "JobRole",
        "JobSatisfaction",
        "MonthlyIncome",
        "OverTime",
        "RelationshipSatisfaction",
        "StockOptionLevel",
        "WorkLifeBalance",
    }
)
"""Fields that an employer can act on, if only in time. Neither what a person is (age, gender,
marital status, education, home), nor what has been (years, rises, ratings, trainings), nor the
three rates, of which nobody knows what IBM meant by them."""


def describe_record(max_records: int) -> dict[str, Any]:
    """Return all that the page knows of a record, as JSON content.

    `max_records` is what one request may hold. `fields` are in the order of the form; a field has
    `options` (value and label) where it has few values.
    """
    contract = {field.name: field for field in employee.FIELDS}
    return {
        "maxRecords": max_records,
        "fields": [
            _describe(contract[name], group, label)
            for group, labels in _GROUPS.items()
            for name, label in labels.items()
        ],
        "ignored": [*employee.IGNORED],
        "target": employee.TARGET,
        "rules": {rule.name: rule.sentence for rule in RULES},
        "example": dict(employee.EXAMPLE),
    }


def _describe(field: employee.Field, group: str, label: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": field.name,
        "group": group,
        "label": label,
        "alone": _ALONE.get(field.name, label),
        "asked": field.name not in employee.FAIRNESS_ONLY,
        "actionable": field.name in _ACTIONABLE,
        "expected": employee.expected(field),
    }
    match field:
        case employee.Category():
            meanings = _MEANINGS.get(field.name, field.categories)
            options = [
                {"value": value, "label": meaning}
                for value, meaning in zip(field.categories, meanings, strict=True)
            ]
            return {**described, "kind": "category", "options": options}
        case employee.Integer():
            numbers = {"minimum": field.minimum, "maximum": field.maximum, "unit": field.unit}
            return {**described, "kind": "integer", **numbers, **_levels(field)}


def _levels(field: employee.Integer) -> dict[str, Any]:
    """List the values of a field that counts in levels; others have none."""
    if field.unit != "level":
        return {}
    values = range(field.minimum, field.maximum + 1)
    meanings = _MEANINGS.get(field.name, ("",) * len(values))
    labels = [
        f"{n}: {meaning}" if meaning else str(n)
        for n, meaning in zip(values, meanings, strict=True)
    ]
    return {"options": [{"value": n, "label": x} for n, x in zip(values, labels, strict=True)]}
