"""Small releases for tests, sealed like real ones; `shift` moves every probability."""

import json
import math
from pathlib import Path
from typing import Any

from contract import employee
from contract.release import CLASSIFIER, EXAMPLE_REQUEST, OUTLIERS, REFERENCE, seal

INTERCEPT = -1.5
MEAN_INCOME, MEAN_AGE = 6500.0, 37.0


def write_bundle(folder: Path, *, shift: float = 0.0, wrong: bool = False) -> str:
    """Write and seal a release; return the manifest's sha-256. `wrong`: record 1 says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / CLASSIFIER, classifier(shift))
    _write(folder / OUTLIERS, outliers())
    references = [reference(index, shift) for index in range(5)]
    if wrong:
        references[1]["is_outlier"] = not references[1]["is_outlier"]
    _write(folder / REFERENCE, {"tolerance": 1e-9, "records": references})
    _write(folder / EXAMPLE_REQUEST, [dict(employee.EXAMPLE)])
    return seal(folder)


def classifier(shift: float = 0.0) -> dict[str, Any]:
    return {
        "intercept": INTERCEPT + shift,
        "terms": [
            {"feature": "OverTime", "table": {"No": -0.4, "Yes": 0.9}},
            {"feature": "JobLevel", "table": {"1": 0.7, "2": 0.1, "3": 0, "4": -0.3, "5": -0.2}},
            {"feature": "Age", "slope": -0.02, "offset": 0.75},
            {"feature": "JobLevel", "slope": -0.1, "offset": 0.05},
            {"feature": "MonthlyIncome", "slope": -5e-5, "offset": 0.3},
        ],
        "baseline": {"OverTime": 0.0, "JobLevel": 0.05, "Age": 0.01, "MonthlyIncome": -0.02},
    }


def outliers() -> dict[str, Any]:
    return {
        "fields": ["MonthlyIncome", "Age"],
        "mean": [MEAN_INCOME, MEAN_AGE],
        "precision": [[6e-8, -5e-6], [-5e-6, 0.015]],
        "threshold": 9.0,
    }


def record(**changes: int | str) -> dict[str, Any]:
    return {**employee.EXAMPLE, **changes}


def logit(row: dict[str, Any], shift: float = 0.0) -> float:
    """Compute the fixture's log-odds by the definition in the release format, not by app code."""
    total: float = INTERCEPT + shift
    for term in classifier()["terms"]:
        value = row[term["feature"]]
        if "table" in term:
            total += term["table"][str(value)]
        else:
            total += term["slope"] * value + term["offset"]
    return total


def probability(row: dict[str, Any], shift: float = 0.0) -> float:
    return 1 / (1 + math.exp(-logit(row, shift)))


def distance(row: dict[str, Any]) -> float:
    x, y = row["MonthlyIncome"] - MEAN_INCOME, row["Age"] - MEAN_AGE
    return 6e-8 * x * x - 2 * 5e-6 * x * y + 0.015 * y * y


def reference(index: int, shift: float = 0.0) -> dict[str, Any]:
    row = record(
        Age=18 + 7 * index % 60,
        MonthlyIncome=2000 + 9500 * index % 90_000,
        OverTime="Yes" if index % 2 else "No",
        JobLevel=1 + index % 5,
    )
    return {
        "record": row,
        "attrition_probability": probability(row, shift),
        "is_outlier": distance(row) > 9.0,
    }


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
