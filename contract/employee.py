"""The employee record: thirty fields under the IBM column names, with types and ranges.

The table is the IBM HR attrition sample (fictional employees). Ranges say what a legal record may
hold, not what the sample happens to hold: the oldest employee of the sample is 60, but a
67-year-old is an employee too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "CATEGORIES",
    "DETECTED_FIELDS",
    "DETECTED_NAMES",
    "EXAMPLE",
    "FAIRNESS_ONLY",
    "FIELDS",
    "FIELD_NAMES",
    "IGNORED",
    "INTEGERS",
    "PROTECTED",
    "TARGET",
    "TARGET_VALUES",
    "Category",
    "Field",
    "Integer",
    "expected",
]


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number from `minimum` to `maximum`, both included, in `unit`."""

    name: str
    minimum: int
    maximum: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class Category:
    """One of `categories`, in the IBM spelling."""

    name: str
    categories: tuple[str, ...]


Field = Integer | Category


def _level(name: str, maximum: int) -> Integer:
    return Integer(name=name, minimum=1, maximum=maximum, unit="level")


def _years(name: str) -> Integer:
    return Integer(name=name, minimum=0, maximum=60, unit="years")


FIELDS: tuple[Field, ...] = (
    Integer(name="Age", minimum=18, maximum=80, unit="years"),
    Category(
        name="BusinessTravel", categories=("Non-Travel", "Travel_Frequently", "Travel_Rarely")
    ),
    Integer(name="DailyRate", minimum=1, maximum=5_000, unit="currency units a day"),
    Category(name="Department", categories=("Human Resources", "Research & Development", "Sales")),
    Integer(name="DistanceFromHome", minimum=0, maximum=200, unit="miles"),
    _level("Education", 5),
    Category(
        name="EducationField",
        categories=(
            "Human Resources",
            "Life Sciences",
            "Marketing",
            "Medical",
            "Other",
            "Technical Degree",
        ),
    ),
    _level("EnvironmentSatisfaction", 4),
    Category(name="Gender", categories=("Female", "Male")),
    Integer(name="HourlyRate", minimum=1, maximum=500, unit="currency units an hour"),
    _level("JobInvolvement", 4),
    _level("JobLevel", 5),
    Category(
        name="JobRole",
        categories=(
            "Healthcare Representative",
            "Human Resources",
            "Laboratory Technician",
            "Manager",
            "Manufacturing Director",
            "Research Director",
            "Research Scientist",
            "Sales Executive",
            "Sales Representative",
        ),
    ),
    _level("JobSatisfaction", 4),
    Category(name="MaritalStatus", categories=("Divorced", "Married", "Single")),
    Integer(name="MonthlyIncome", minimum=500, maximum=100_000, unit="currency units a month"),
    Integer(name="MonthlyRate", minimum=500, maximum=100_000, unit="currency units a month"),
    Integer(name="NumCompaniesWorked", minimum=0, maximum=30, unit="companies"),
    Category(name="OverTime", categories=("No", "Yes")),
    Integer(name="PercentSalaryHike", minimum=0, maximum=100, unit="percent"),
    _level("PerformanceRating", 4),
    _level("RelationshipSatisfaction", 4),
    Integer(name="StockOptionLevel", minimum=0, maximum=3, unit="level"),
    _years("TotalWorkingYears"),
    Integer(name="TrainingTimesLastYear", minimum=0, maximum=50, unit="times"),
    _level("WorkLifeBalance", 4),
    _years("YearsAtCompany"),
    _years("YearsInCurrentRole"),
    _years("YearsSinceLastPromotion"),
    _years("YearsWithCurrManager"),
)

FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in FIELDS)
INTEGERS: tuple[Integer, ...] = tuple(f for f in FIELDS if isinstance(f, Integer))
CATEGORIES: tuple[Category, ...] = tuple(f for f in FIELDS if isinstance(f, Category))

TARGET = "Attrition"
TARGET_VALUES: tuple[str, str] = ("No", "Yes")
"""The target's labels; the second is the positive class: the employee left."""

IGNORED: tuple[str, ...] = ("EmployeeCount", "EmployeeNumber", "Over18", "StandardHours")
"""Columns of the IBM file that are constants or an identifier; they never reach a model."""

PROTECTED: tuple[str, ...] = ("Age", "Gender", "MaritalStatus")
"""Fields that the classifier does not see, unless a release is made to measure their worth."""

FAIRNESS_ONLY: tuple[str, ...] = ("Gender", "MaritalStatus")
"""Fields that no detector looks at either: they are in the table so that fairness can be measured.
Age is not among them, for a working life longer than the age allows is an outlier."""

DETECTED_FIELDS: tuple[Field, ...] = tuple(f for f in FIELDS if f.name not in FAIRNESS_ONLY)
"""Fields that the detectors of outliers and of drift look at."""

DETECTED_NAMES: tuple[str, ...] = tuple(field.name for field in DETECTED_FIELDS)

EXAMPLE: Mapping[str, int | str] = MappingProxyType(
    {
        "Age": 41,
        "BusinessTravel": "Travel_Rarely",
        "DailyRate": 1102,
        "Department": "Sales",
        "DistanceFromHome": 1,
        "Education": 2,
        "EducationField": "Life Sciences",
        "EnvironmentSatisfaction": 2,
        "Gender": "Female",
        "HourlyRate": 94,
        "JobInvolvement": 3,
        "JobLevel": 2,
        "JobRole": "Sales Executive",
        "JobSatisfaction": 4,
        "MaritalStatus": "Single",
        "MonthlyIncome": 5993,
        "MonthlyRate": 19479,
        "NumCompaniesWorked": 8,
        "OverTime": "Yes",
        "PercentSalaryHike": 11,
        "PerformanceRating": 3,
        "RelationshipSatisfaction": 1,
        "StockOptionLevel": 0,
        "TotalWorkingYears": 8,
        "TrainingTimesLastYear": 0,
        "WorkLifeBalance": 1,
        "YearsAtCompany": 6,
        "YearsInCurrentRole": 4,
        "YearsSinceLastPromotion": 0,
        "YearsWithCurrManager": 5,
    }
)
"""The first row of the public IBM table: a fictional employee, for documents and smoke tests."""


def expected(field: Field) -> str:
    """Say in words what `field` may hold, for error messages and documents."""
    match field:
        case Integer():
            return f"a whole number from {field.minimum} to {field.maximum} ({field.unit})"
        case Category():
            return "one of " + ", ".join(repr(category) for category in field.categories)
