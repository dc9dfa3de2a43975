"""What each field does to the answer: its contribution by value, and how much it moves in all."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from contract.classifier import Column, ColumnContent, Content
from contract.employee import FIELDS, Category, Field, Integer
from training.classifier.compiled import CompiledClassifier
from training.evaluation.evidence import Effect, EffectPoint

__all__ = ["effects"]

_FEW_VALUES = 12
_POINTS = 21
_RANGE = (0.01, 0.99)
_DIGITS = 6


def effects(content: Content, features: pd.DataFrame) -> list[Effect]:
    """Describe every field that the classifier looks at, the most important first.

    Importance is the mean absolute contribution over `features` (`n_rows` x 30), in log-odds. A
    wide field is described at evenly spaced values between its 1st and 99th percentile.
    """
    shares = CompiledClassifier(content=content).contributions(features).abs().mean()
    importance = {str(name): float(share) for name, share in shares.items()}
    found: list[Effect] = [
        {
            "feature": field.name,
            "importance": round(importance[field.name], _DIGITS),
            "points": _points(content, field, features[field.name]),
        }
        for field in FIELDS
        if field.name in importance
    ]
    return sorted(found, key=lambda effect: -effect["importance"])


def _points(content: Content, field: Field, column: "pd.Series[Any]") -> list[EffectPoint]:
    values = _values(field, column)
    columns = [c for c in content["columns"] if field.name in (c["field"], c["against"])]
    return [
        {
            "value": value,
            "contribution": round(sum(_effect(c, field.name, value) for c in columns), _DIGITS),
            "share": round(float((column == value).mean()), _DIGITS),
        }
        for value in values
    ]


def _values(field: Field, column: "pd.Series[Any]") -> Sequence[int] | Sequence[str]:
    match field:
        case Category():
            return field.categories
        case Integer() if field.maximum - field.minimum < _FEW_VALUES:
            return range(field.minimum, field.maximum + 1)
        case Integer():
            low, high = (float(np.quantile(column, share)) for share in _RANGE)
            # Whole and round: a value on the axis is no employee's.
            step = max(1, 10 ** int(math.log10(max(high - low, 1) / _POINTS)))
            grid = np.linspace(low, high, _POINTS)
            return sorted({int(round(value / step) * step) for value in grid.tolist()})


def _effect(column: ColumnContent, field: str, value: int | str) -> float:
    """Return a column's part in the field's contribution, averaged over the other field."""
    coefficient, mean = column["coefficient"], column["mean"]
    if column["mean_field"] is None or column["mean_inverse"] is None:
        plain = Column(kind=column["kind"], field=field, against=column["against"])
        return coefficient * (plain.value({field: value}) - mean)
    # Shapley's share of a ratio, its other field averaged over the table.
    product = column["mean_field"] * column["mean_inverse"]
    if field == column["field"]:
        return coefficient * (float(value) * column["mean_inverse"] - (mean + product) / 2)
    alone = column["mean_field"] / (1.0 + float(value))
    return coefficient * (alone - (mean + product) / 2)
