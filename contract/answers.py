"""An answer as training stores it in the reference records, and as the service gives it."""

from typing import TypedDict

from contract.classifier import Decision

__all__ = ["OutlierAnswer", "Prediction", "Reason"]


class OutlierAnswer(TypedDict):
    """Whether a record is unlike the training population; the fields that make it so, and rules."""

    is_outlier: bool
    score: float
    features: list[str]
    broken_rules: list[str]


class Reason(TypedDict):
    """One field's share in an answer: its contribution less the population's mean, in log-odds."""

    feature: str
    contribution: float


class Prediction(TypedDict):
    """The answer for one record; `interval` is the probability's, lower end first."""

    attrition_probability: float
    interval: list[float]
    decision: Decision
    outlier: OutlierAnswer
    reasons: list[Reason]
