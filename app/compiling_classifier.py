"""Turn `classifier.json` into look-up tables, refusing whatever could fail on a legal record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.compiling import (
    PLACES,
    known,
    legal_values,
    naming,
    not_negative,
    number,
    numbers,
)
from app.scoring import Classifier, Wide
from contract.classifier import Column, Kind
from contract.employee import FIELD_NAMES, FIELDS, Category, Integer

__all__ = ["compile_classifier"]

_TABLE_VALUES = 256
"""Fields of more legal values have no table: a row for every income takes megabytes."""

_KINDS = ("is", "value", "log1p", "at_least", "ratio")
_WIDE_KINDS: tuple[Kind, ...] = ("value", "log1p")
"""What needs no table, in the order of `app.scoring.Wide`."""

_PAIRS = 10_000
"""Two fields of more pairs of legal values have no ratio: a row for each takes megabytes."""


def compile_classifier(content: Any) -> Classifier:
    """Compile `contract.classifier.Content`.

    Raises:
        KeyError: a key is missing.
        TypeError: a list or an object is something else.
        ValueError: a column's field, kind or numbers are not what the format says.
    """
    at_baseline = numbers(content, "at_baseline")
    parts = _Parts(width=1 + len(at_baseline))
    for index, each in enumerate(content["columns"]):
        with naming(f"column {index}"):
            parts.add(_column(each), each, _weights(each, len(at_baseline)))
    parts.sort()
    owners = parts.owners()
    fields = sorted({*owners})
    firsts = [owners.index(place) for place in fields]
    others = [
        (fields.index(owner), piece) for piece, owner in enumerate(owners) if piece not in firsts
    ]
    return Classifier(
        names=tuple(FIELD_NAMES[place] for place in fields),
        **parts.rows(),
        wide=_wide(parts.wide, parts.width),
        firsts=np.array(firsts, dtype=np.int64),
        others=tuple(others),
        baseline=np.array([number(content, "baseline"), *at_baseline]),
        remainder=not_negative(content, "remainder"),
        z=not_negative(content, "z"),
        threshold=number(content, "threshold"),
    )


@dataclass(kw_only=True, eq=False)
class _Parts:
    """What the columns come to: tables by field or by pair of fields, and the wide columns.

    A table has the rows (`n_values` x `width`) and what of their contribution is the first field's
    (`n_values`); a single field is a pair with itself.
    """

    width: int
    tables: dict[tuple[int, int], tuple[Any, Any]] = field(
        default_factory=dict[tuple[int, int], tuple[Any, Any]]
    )
    wide: list[tuple[Kind, int, float, Any]] = field(
        default_factory=list[tuple[Kind, int, float, Any]]
    )

    def add(self, column: Column, content: Mapping[str, Any], weights: Any) -> None:
        """Take a column in."""
        place, mean = PLACES[column.field], number(content, "mean")
        values = legal_values(FIELDS[place])
        if column.kind == "ratio" and column.against != column.field:
            other = PLACES[str(column.against)]
            self._add(place, other, *_ratio(place, other, content), weights)
        elif len(values) <= _TABLE_VALUES:
            distances = np.array([column.value({column.field: value}) - mean for value in values])
            self._add(place, place, distances, distances, weights)
        elif column.kind in _WIDE_KINDS:
            self.wide.append((column.kind, place, mean, weights))
        else:
            raise ValueError(
                f"{column.field!r} has too many legal values for a column {column.kind!r}"
            )

    def _add(self, place: int, other: int, distances: Any, share: Any, weights: Any) -> None:
        rows, shares = self.tables.get((place, other), (0.0, 0.0))
        self.tables[place, other] = (
            rows + np.outer(distances, weights),
            shares + share * weights[0],
        )

    def sort(self) -> None:
        """Bring tables and columns into the order of `Classifier` and `Wide`."""
        self.tables = dict(sorted(self.tables.items(), key=lambda each: each[0][0] != each[0][1]))
        self.wide.sort(key=lambda each: _WIDE_KINDS.index(each[0]))

    def owners(self) -> list[int]:
        """Return whose each piece is: the first fields', the pairs' second ones', the columns'."""
        seconds = [other for place, other in self.tables if other != place]
        return [*(place for place, _ in self.tables), *seconds, *(each[1] for each in self.wide)]

    def rows(self) -> dict[str, Any]:
        """Return the tables laid end to end, and what leads to an entry."""
        strides = [
            (1, 0) if place == other else (len(legal_values(FIELDS[other])), 1)
            for place, other in self.tables
        ]
        least = [
            _least(place) * stride + _least(other) * second
            for (place, other), (stride, second) in zip(self.tables, strides, strict=True)
        ]
        tables = self.tables.values()
        sizes = [len(shares) for _, shares in tables]
        starts = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
        return {
            "singles": sum(place == other for place, other in self.tables),
            "axes": np.array([*self.tables], dtype=np.int64).reshape(-1, 2).T.copy(),
            "strides": np.array(strides, dtype=np.int64).reshape(-1, 2).T[:, :, np.newaxis].copy(),
            "offsets": (starts - np.array(least, dtype=np.int64))[:, np.newaxis],
            "table": np.vstack([np.zeros((0, self.width)), *(rows for rows, _ in tables)]),
            "shares": np.concatenate([np.zeros(0), *(shares for _, shares in tables)]),
        }


def _ratio(place: int, other: int, content: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return each pair's distance from the mean, and what of it is the first field's."""
    upper, lower = (np.array(legal_values(FIELDS[at])) for at in (place, other))
    if len(upper) * len(lower) > _PAIRS:
        raise ValueError("the two fields of the ratio have too many pairs of legal values")
    inverse = 1.0 / (1.0 + lower)
    distances = (np.outer(upper, inverse) - number(content, "mean")).ravel()
    # Shapley's rule: what a field does alone, the other drawn from the training table.
    first, second = upper * number(content, "mean_inverse"), number(content, "mean_field") * inverse
    return distances, (distances + np.subtract.outer(first, second).ravel()) / 2


def _least(place: int) -> int:
    found = FIELDS[place]
    return found.minimum if isinstance(found, Integer) else 0


def _wide(columns: Sequence[tuple[Kind, int, float, Any]], width: int) -> Wide:
    return Wide(
        fields=np.array([place for _, place, *_ in columns], dtype=np.int64),
        logarithms=sum(kind == "value" for kind, *_ in columns),
        means=np.array([mean for *_, mean, _ in columns], dtype=np.float64).reshape(-1, 1),
        weights=np.array([weights for *_, weights in columns]).reshape(-1, 1, width),
    )


def _column(content: Any) -> Column:
    kind, name, against = content["kind"], content["field"], content["against"]
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of column")
    found = FIELDS[known(name)]
    if isinstance(found, Category) and kind != "is":
        raise ValueError(f"{name!r} is a category and has no column {kind!r}")
    if kind == "is" and against not in legal_values(found):
        raise ValueError(f"{name!r} has a column for a value that is not legal")
    if kind == "ratio" and not isinstance(FIELDS[known(against)], Integer):
        raise ValueError(f"{against!r} is a category and cannot divide")
    if kind == "at_least":
        number(content, "against")
    return Column(kind=kind, field=name, against=against)


def _weights(content: Mapping[str, Any], directions: int) -> Any:
    uncertainty = numbers(content, "uncertainty")
    if len(uncertainty) != directions:
        raise ValueError(
            f"'uncertainty' has {len(uncertainty)} directions; 'at_baseline' has {directions}"
        )
    return np.array([number(content, "coefficient"), *uncertainty])
