"""A made-up evidence document with every part, in the shape that the evaluation gives it."""

from dataclasses import asdict

from contract.parameters import Parameters
from training.evaluation.drift import PLANTED, WINDOW_SIZES, Alarms, DriftFigures, Power, Rate
from training.evaluation.evidence import Evidence, figure
from training.evaluation.fairness import AttributeFairness, Estimate, Fairness, GroupFairness, Ratio
from training.evaluation.outliers import KindFigures, OutlierFigures, clopper_pearson

__all__ = ["made_up_evidence"]

_THRESHOLDS = (0.1, 1 / 6, 0.3, 0.5, 0.8)


def _estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.031, high=value + 0.047)


def _group(name: str, share: float, *, judged: bool) -> GroupFairness:
    return GroupFairness(
        name=name,
        records=round(1_000 * share),
        leavers=round(100 * share),
        judged=judged,
        leave_rate=_estimate(share / 2),
        selection_rate=_estimate(share),
        true_positive_rate=_estimate(share + 0.1) if judged else None,
        false_positive_rate=_estimate(share - 0.1),
        calibration_gap=_estimate(share - 0.4),
    )


def _attribute(names: tuple[str, ...], share: float, *, compared: bool) -> AttributeFairness:
    def ratio(value: float) -> Ratio | None:
        if not compared:
            return None
        return Ratio(
            value=value, low=value - 0.05, high=value + 0.04, group=names[0], reference=names[1]
        )

    return AttributeFairness(
        groups=tuple(
            _group(name, share + 0.07 * place, judged=compared) for place, name in enumerate(names)
        ),
        selection_ratio=ratio(share),
        opportunity_ratio=ratio(share + 0.11),
        adjusted_ratio=ratio(share + 0.22),
        four_fifths=None,
    )


def _fairness() -> Fairness:
    return Fairness(
        threshold=0.166667,
        repeats=10,
        attributes={
            "Gender": _attribute(("Female", "Male"), 0.31, compared=True),
            "MaritalStatus": _attribute(("Divorced", "Married", "Single"), 0.33, compared=True),
            "Age": _attribute(("18-29", "50 and over"), 0.12, compared=False),
        },
    )


def _drift() -> DriftFigures:
    return DriftFigures(
        alarms=tuple(
            Alarms(
                window=window,
                reference=1_470 - window,
                status=Rate(hits=9 + place, windows=200),
                ks=Rate(hits=6 + place, windows=200),
                chi_squared=Rate(hits=3 + place, windows=200),
                joint=Rate(hits=place, windows=200),
            )
            for place, window in enumerate(WINDOW_SIZES)
        ),
        power=tuple(
            Power(
                change=change,
                feature=feature,
                window=window,
                status=Rate(hits=20 * (place + 1) + series, windows=100),
                field=Rate(hits=15 * (place + 1) + series, windows=100),
                joint=Rate(hits=5 * place + series, windows=100),
            )
            for series, (change, feature) in enumerate(PLANTED)
            for place, window in enumerate(WINDOW_SIZES)
        ),
    )


def _outliers() -> OutlierFigures:
    return OutlierFigures(
        outlier_rate=clopper_pearson(17, 1_470),
        kinds={
            kind: KindFigures(
                caught=clopper_pearson(900 + place, 1_001),
                caught_by_score=clopper_pearson(700 + place, 1_001),
                isolation_forest=clopper_pearson(10 + place, 1_001),
                local_outlier_factor=clopper_pearson(300 + place, 1_001),
                breaks_a_rule=clopper_pearson(120 + 100 * place, 1_001),
                named=clopper_pearson(800 + place, 900 + place),
            )
            for place, kind in enumerate(("role_exceeds_tenure", "extreme_pay_high"))
        },
        outlier_caught=0.8991,
        outlier_caught_by_score=0.6994,
        outlier_caught_isolation_forest=0.0104,
        outlier_caught_local_outlier_factor=0.3002,
    )


def made_up_evidence() -> Evidence:
    """Return a document whose figures differ from each other wherever the card shows them."""
    return {
        "format": 1,
        "origin": {
            "source": "employees|2026.csv",
            "licence": "Made up | for tests, <free>.",
            "rows": 1_470,
            "leavers": 237,
            "held_out_rows": 294,
            "data_sha256": "d0" * 32,
            "code_sha256": "c0" * 32,
            "parameters": asdict(Parameters(seed=7_301, replicates=133)),
        },
        "environment": {"python": "3.11.91", "numpy": "2.4.92", "scikit-learn": "1.9.93"},
        "figures": {
            "cv_roc_auc": figure(0.8612, "chance that a | b", low=0.8321, high=0.8845),
            "cv_average_precision": figure(0.6813, "mean precision", low=0.6201, high=0.7402),
            "cv_ece": figure(0.0277, "gap, without an interval"),
        },
        "curves": {
            "roc": [
                {"false_positive_rate": x / 10, "true_positive_rate": (x / 10) ** 0.3}
                for x in range(11)
            ],
            "precision_recall": [
                {"recall": x / 10, "precision": 1 - 0.8 * (x / 10) ** 2} for x in range(11)
            ],
            "calibration": [
                {
                    "predicted": x / 10,
                    "observed": x / 9,
                    "low": x / 12,
                    "high": x / 9 + 0.05,
                    "records": 140 + x,
                }
                for x in range(9)
            ],
            "decision": [
                {
                    "threshold": round(threshold, 6),
                    "selected": 0.5 - threshold / 2,
                    "found": 0.97 - threshold,
                    "precision": 0.2 + threshold / 2,
                    "cost": 0.3 + (threshold - 0.17) ** 2,
                }
                for threshold in _THRESHOLDS
            ],
        },
        "missed_leaver_cost": 5.0,
        "threshold": round(1 / 6, 6),
        "interval": {
            "level": 0.8,
            "coverage": 0.7934,
            "relabellings": 23,
            "replicates": 133,
            "referred": 0.1765,
        },
        "effects": [
            {
                "feature": "MonthlyIncome",
                "importance": 0.4123,
                "points": [
                    {"value": 1_000 * x, "contribution": 0.61 - 0.11 * x, "share": 0.0}
                    for x in range(1, 12)
                ],
            },
            {
                "feature": "PerformanceRating",
                "importance": 0.3124,
                "points": [
                    {"value": x, "contribution": 0.33 - 0.13 * x, "share": 0.5 * (x > 2)}
                    for x in range(1, 5)
                ],
            },
            {
                "feature": "BusinessTravel",
                "importance": 0.2125,
                "points": [
                    {"value": "Non-Travel", "contribution": -0.71, "share": 0.1},
                    {"value": "Travel_Frequently", "contribution": 0.52, "share": 0.2},
                    {"value": "Travel_Rarely", "contribution": 0.03, "share": 0.7},
                ],
            },
            {
                "feature": "EducationField",
                "importance": 0.1126,
                "points": [
                    {"value": "Human Resources", "contribution": 0.17, "share": 0.2},
                    {"value": "Life Sciences", "contribution": -0.18, "share": 0.2},
                    {"value": "Marketing", "contribution": 0.01, "share": 0.2},
                    {"value": "Technical Degree", "contribution": 0.44, "share": 0.4},
                ],
            },
        ],
        "fairness": _fairness().to_dict(),
        "drift": _drift().to_dict(),
        "outliers": _outliers().to_dict(),
    }
