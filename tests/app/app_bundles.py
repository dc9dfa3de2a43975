"""Small releases for tests, sealed like real ones; `shift` moves every probability.

The answers are computed here by the words of the format (`contract.classifier`,
`contract.outliers`), number by number, and not by the service's code.
"""

import json
import math
from pathlib import Path
from typing import Any

from contract import employee
from contract.release import (
    CARD,
    CLASSIFIER,
    DRIFT,
    EVIDENCE,
    EXAMPLE_REQUEST,
    OUTLIERS,
    REFERENCE,
    seal,
)
from contract.rules import RULES

THRESHOLD = 0.4
"""Probability from which an employee is at risk."""

OUTLIER_THRESHOLD = 9.0

REFERENCES: tuple[dict[str, int | str], ...] = (
    {"TotalWorkingYears": 3, "MonthlyIncome": 2500, "YearsAtCompany": 2, "YearsInCurrentRole": 1,
     "YearsWithCurrManager": 1, "OverTime": "No", "NumCompaniesWorked": 5},
    {"OverTime": "No", "JobLevel": 4, "StockOptionLevel": 2, "Age": 58, "TotalWorkingYears": 20},
    {"NumCompaniesWorked": 30, "StockOptionLevel": 1, "MonthlyIncome": 1000, "Age": 24},
    {"MonthlyIncome": 100_000, "JobLevel": 1, "BusinessTravel": "Non-Travel"},
    {"YearsSinceLastPromotion": 40, "TotalWorkingYears": 60},
)  # fmt: skip
"""What makes the reference records: each leads to another kind of answer (a test says which)."""


def write_bundle(folder: Path, *, shift: float = 0.0, wrong: bool = False) -> str:
    """Write and seal a release; return the manifest's sha-256. `wrong`: record 1 says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / CLASSIFIER, classifier(shift))
    _write(folder / OUTLIERS, outliers())
    _write(folder / DRIFT, drift())
    _write(folder / EVIDENCE, {"figures": {"cv_roc_auc": {"value": 0.86, "low": 0.83}}})
    (folder / CARD).write_text("# Model card: attrition\n")
    references = [reference(changes, shift) for changes in REFERENCES]
    if wrong:
        outlier = references[1]["answer"]["outlier"]
        outlier["is_outlier"] = not outlier["is_outlier"]
    _write(folder / REFERENCE, {"tolerance": 1e-9, "records": references})
    _write(folder / EXAMPLE_REQUEST, [dict(employee.EXAMPLE)])
    return seal(folder)


def classifier(shift: float = 0.0) -> dict[str, Any]:
    """Columns of every kind; two on one field, logarithms of a narrow and of a wide field."""
    return {
        "baseline": -0.9 + shift,
        "level": 0.8,
        "z": 1.28,
        "remainder": 0.004,
        "at_baseline": [0.06, -0.05, 0.02],
        "threshold": THRESHOLD,
        "missed_leaver_cost": 1.5,
        "columns": [
            column("is", "OverTime", "Yes", 1.2, 0.28, [0.05, 0.02, 0.0]),
            column("is", "OverTime", "No", -0.2, 0.72, [-0.01, 0.0, 0.03]),
            column("is", "JobLevel", 1, 0.6, 0.37, [0.0, 0.09, 0.01]),
            column("at_least", "JobLevel", 2, -0.3, 0.63, [0.02, -0.04, 0.0]),
            column("at_least", "StockOptionLevel", 1, -0.5, 0.57, [0.03, 0.0, 0.06]),
            column("value", "Age", None, -0.03, 36.9, [0.002, -0.001, 0.003]),
            column("log1p", "TotalWorkingYears", None, -0.4, 2.27, [0.04, 0.01, -0.08]),
            column("log1p", "MonthlyIncome", None, -0.3, 8.55, [0.06, 0.0, 0.04]),
            column("value", "MonthlyIncome", None, -1e-5, 6500.0, [1e-6, 2e-6, 0.0]),
            column("value", "NumCompaniesWorked", None, 0.06, 2.7, [0.01, 0.0, -0.02]),
            column(
                *("ratio", "YearsSinceLastPromotion", "YearsAtCompany", 0.7, 0.24),
                *([0.1, 0.05, -0.02], 2.19, 0.23),
            ),
            column(
                *("ratio", "NumCompaniesWorked", "TotalWorkingYears", 0.5, 0.33),
                *([0.04, -0.06, 0.01], 2.7, 0.14),
            ),
        ],
    }


def column(
    kind: str,
    field: str,
    against: int | str | None,
    coefficient: float,
    mean: float,
    uncertainty: list[float],
    mean_field: float | None = None,
    mean_inverse: float | None = None,
) -> dict[str, Any]:
    return {
        **{"kind": kind, "field": field, "against": against, "coefficient": coefficient},
        **{"mean": mean, "mean_field": mean_field, "mean_inverse": mean_inverse},
        "uncertainty": uncertainty,
    }


def outliers() -> dict[str, Any]:
    """Most fields say nothing; some have terms of their own, given one other, or given two."""
    said: dict[str, dict[str, Any]] = {
        "Age": {"edges": [25, 60], "table": [0.5, 0.0, 2.5]},
        # In another order than the contract's.
        "BusinessTravel": {
            "categories": ["Travel_Rarely", "Non-Travel", "Travel_Frequently"],
            "table": [0.0, 0.75, 0.5],
        },
        "DistanceFromHome": {"edges": [31], "table": [0.0, 4.0]},
        "JobLevel": {"edges": [3], "table": [0.0, 0.25]},
        "MonthlyIncome": {
            "edges": [3_000, 10_000],
            "parents": ["JobLevel"],
            "table": [[0.0, 0.25, 9.5], [6.25, 1.0, 0.0]],
        },
        "OverTime": {
            "parents": ["JobLevel", "BusinessTravel"],
            "table": [[[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]], [[0.6, 0.7], [0.8, 0.9], [1.0, 1.1]]],
        },
        "PercentSalaryHike": {"edges": [26], "table": [0.0, 4.0]},
        "YearsSinceLastPromotion": {"edges": [16, 30], "table": [0.0, 1.5, 3.0]},
    }
    return {
        "threshold": OUTLIER_THRESHOLD,
        "fields": [
            {**_silent(field), **said.get(field.name, {})} for field in employee.DETECTED_FIELDS
        ],
    }


def drift() -> dict[str, Any]:
    """Three fields: bins of one value each, wide bins, and categories."""
    return {
        "fields": {
            "JobLevel": {
                **{"upper": [1, 2, 3, 4, 5], "centres": [1.0, 2.0, 3.0, 4.0, 5.0]},
                **{"standard_deviation": 1.1, "counts": [540, 530, 220, 110, 70]},
            },
            "MonthlyIncome": {
                **{"upper": [3_000, 6_000, 100_000], "centres": [2_500.0, 4_800.0, 11_000.0]},
                **{"standard_deviation": 4_700.0, "counts": [390, 560, 520]},
            },
            "OverTime": {"categories": ["No", "Yes"], "counts": [1_050, 420]},
        },
        "joint": {},
    }


def _silent(field: employee.Field) -> dict[str, Any]:
    match field:
        case employee.Integer():
            return {"name": field.name, "edges": [], "parents": [], "table": [0.0]}
        case employee.Category():
            table = [0.0] * len(field.categories)
            categories = list(field.categories)
            return {"name": field.name, "categories": categories, "parents": [], "table": table}


def record(**changes: int | str) -> dict[str, Any]:
    return {**employee.EXAMPLE, **changes}


def reference(changes: dict[str, int | str], shift: float = 0.0) -> dict[str, Any]:
    row = record(**changes)
    return {"record": row, "answer": answer(row, shift)}


def answer(row: dict[str, Any], shift: float = 0.0) -> dict[str, Any]:
    content = classifier(shift)
    middle, width = logit(row, shift), content["z"] * math.sqrt(variance(row))
    low, high = sigmoid(middle - width), sigmoid(middle + width)
    score = sum(terms(row).values())
    broken = [rule for rule in RULES if row[rule.lower] + rule.offset > row[rule.upper]]
    is_outlier = score > OUTLIER_THRESHOLD or bool(broken)
    if is_outlier or low < THRESHOLD <= high:
        decision = "refer"
    else:
        decision = "at_risk" if low >= THRESHOLD else "not_at_risk"
    return {
        "attrition_probability": sigmoid(middle),
        "interval": [low, high],
        "decision": decision,
        "outlier": {
            "is_outlier": is_outlier,
            "score": score,
            "features": _striking(row) if is_outlier else [],
            "broken_rules": [rule.name for rule in broken],
        },
        "reasons": reasons(row),
    }


def probability(row: dict[str, Any], shift: float = 0.0) -> float:
    return sigmoid(logit(row, shift))


def logit(row: dict[str, Any], shift: float = 0.0) -> float:
    content = classifier(shift)
    moves = [each["coefficient"] * _distance(each, row) for each in content["columns"]]
    return content["baseline"] + sum(moves)


def variance(row: dict[str, Any]) -> float:
    content = classifier()
    total = content["remainder"]
    for k, start in enumerate(content["at_baseline"]):
        moves = [each["uncertainty"][k] * _distance(each, row) for each in content["columns"]]
        total += (start + sum(moves)) ** 2
    return total


def reasons(row: dict[str, Any]) -> list[dict[str, Any]]:
    shares = contributions(row)
    # Sorting is stable: of equal ones the field that comes first in the contract.
    ranked = sorted(
        (name for name in employee.FIELD_NAMES if name in shares), key=lambda n: -abs(shares[n])
    )
    return [{"feature": name, "contribution": shares[name]} for name in ranked[:3]]


def contributions(row: dict[str, Any]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for each in classifier()["columns"]:
        whole = each["coefficient"] * _distance(each, row)
        own = whole
        if each["kind"] == "ratio":
            inverse = 1 / (row[each["against"]] + 1)
            alone = row[each["field"]] * each["mean_inverse"] - each["mean_field"] * inverse
            own = each["coefficient"] / 2 * (_distance(each, row) + alone)
            shares[each["against"]] = shares.get(each["against"], 0.0) + whole - own
        shares[each["field"]] = shares.get(each["field"], 0.0) + own
    return shares


def terms(row: dict[str, Any]) -> dict[str, float]:
    """Return what every field adds to the outlier score."""
    fields = {each["name"]: each for each in outliers()["fields"]}
    found: dict[str, float] = {}
    for name, each in fields.items():
        term: Any = each["table"]
        for place in (*each["parents"], name):
            term = term[_bin(fields[place], row[place])]
        found[name] = term
    return found


def parts(prediction: Any) -> tuple[list[float], list[Any]]:
    """Split an answer into its numbers, which may differ a little, and what has to be the same."""
    outlier, why = prediction["outlier"], prediction["reasons"]
    numbers = [prediction["attrition_probability"], *prediction["interval"], outlier["score"]]
    rest = [prediction["decision"], {**outlier, "score": 0}, [each["feature"] for each in why]]
    return [*numbers, *(each["contribution"] for each in why)], rest


def sigmoid(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _distance(content: dict[str, Any], row: dict[str, Any]) -> float:
    """Return a column's value less its mean."""
    found, against = row[content["field"]], content["against"]
    match content["kind"]:
        case "is":
            value = float(found == against)
        case "at_least":
            value = float(found >= against)
        case "value":
            value = float(found)
        case "log1p":
            value = math.log(1 + found)
        case _:
            value = found / (row[against] + 1)
    return value - content["mean"]


def _bin(content: dict[str, Any], value: int | str) -> int:
    if "categories" in content:
        return content["categories"].index(value)
    return sum(edge <= value for edge in content["edges"])


def _striking(row: dict[str, Any]) -> list[str]:
    found = terms(row)
    order = sorted(found, key=lambda name: -found[name])
    score = sum(found.values())
    ruled: set[str] = set()
    for rule in RULES:
        if row[rule.lower] + rule.offset > row[rule.upper]:
            ruled |= {rule.lower, rule.upper}
    then = [
        name
        for name in order
        if name not in ruled and score > OUTLIER_THRESHOLD and found[name] >= 0.1 * score
    ]
    return [*(name for name in order if name in ruled), *then][:3]


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
