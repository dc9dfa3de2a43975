"""Score an employee record in plain Python: probability, reasons, distance from the population.

Every field is a bounded integer or a category, so a linear model is a few look-ups, and numpy would
cost more start-up time and memory than it saves on the batches that people send.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import mul

__all__ = ["Classifier", "Feature", "Outliers", "Prediction", "Reason", "Value", "predict"]

Value = int | str
_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What one field adds to the log-odds: its table's entry, plus slope x value + offset.

    `table` holds every legal value, or nothing at all where only the slope counts; `baseline` is
    the mean contribution over the training population, in log-odds.
    """

    name: str
    table: Mapping[Value, float]
    slope: float
    offset: float
    baseline: float

    def contribution(self, value: Value) -> float:
        """Return what `value` adds to the log-odds."""
        total = self.offset
        if self.table:
            total += self.table[value]
        if self.slope:
            total += self.slope * float(value)
        return total


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A linear model of attrition: intercept and features, in log-odds."""

    intercept: float
    features: tuple[Feature, ...]


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """A squared Mahalanobis distance over `fields`, and the distance that makes an outlier.

    `precision` is n_fields x n_fields.
    """

    fields: tuple[str, ...]
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    threshold: float

    def score(self, record: Mapping[str, Value]) -> float:
        """Return the record's squared distance from the training population."""
        deviations = [
            float(record[name]) - mean for name, mean in zip(self.fields, self.mean, strict=True)
        ]
        return sum(
            deviation * sum(map(mul, row, deviations))
            for deviation, row in zip(deviations, self.precision, strict=True)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One field's share in an answer: its contribution less the population's mean, in log-odds."""

    feature: str
    contribution: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """The answer for one record; `outlier_score` is a squared Mahalanobis distance."""

    attrition_probability: float
    outlier_score: float
    is_outlier: bool
    reasons: tuple[Reason, ...]


def predict(classifier: Classifier, outliers: Outliers, record: Mapping[str, Value]) -> Prediction:
    """Answer for one record that holds every field of the contract."""
    logit = classifier.intercept
    deviations: list[tuple[float, str]] = []
    for feature in classifier.features:
        contribution = feature.contribution(record[feature.name])
        logit += contribution
        deviations.append((contribution - feature.baseline, feature.name))
    deviations.sort(key=_by_size, reverse=True)
    score = outliers.score(record)
    return Prediction(
        attrition_probability=_probability(logit),
        outlier_score=score,
        is_outlier=score > outliers.threshold,
        reasons=tuple(
            Reason(feature=name, contribution=deviation)
            for deviation, name in deviations[:_REASONS]
        ),
    )


def _by_size(deviation: tuple[float, str]) -> float:
    return abs(deviation[0])


def _probability(logit: float) -> float:
    # exp of a large positive number overflows: each sign has its own form.
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1 + odds)
