"""Turn a release's models into look-up tables, refusing whatever could fail on a legal record."""

import contextlib
import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from app.scoring import Classifier, Outliers, Ratio, Wide
from contract.classifier import Column
from contract.employee import FIELD_NAMES, FIELDS, Category, Field, Integer

__all__ = ["compile_classifier", "compile_outliers", "legal_values", "naming", "number"]

_TABLE_VALUES = 256
"""Fields of more legal values have no table: a row for every income takes megabytes."""

_LARGEST = 1e50
"""No sum, product or square that scoring makes of smaller numbers is infinite or none."""

_KINDS = ("is", "value", "log1p", "at_least", "ratio")
_PLACES = {name: place for place, name in enumerate(FIELD_NAMES)}


def legal_values(field: Field) -> Sequence[int] | Sequence[str]:
    """List what a field may hold, in the order of its codes."""
    match field:
        case Integer():
            return range(field.minimum, field.maximum + 1)
        case Category():
            return field.categories


@contextlib.contextmanager
def naming(what: str) -> Generator[None]:
    """Put `what` in front of what is said of a defect found within.

    Raises:
        ValueError: for a missing key, and for a value of a wrong kind or type.
    """
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{what}: {error.args[0]!r} is missing") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error


def number(content: Mapping[str, Any], key: str) -> float:
    """Return the finite number under `key` of a JSON object.

    Raises:
        KeyError: there is nothing.
        ValueError: it is something else, or beyond all measure.
    """
    return _number(content[key], key)


def compile_classifier(content: Any) -> Classifier:
    """Compile `contract.classifier.Content`.

    Raises:
        KeyError: a key is missing.
        TypeError: a list or an object is something else.
        ValueError: a column's field, kind or numbers are not what the format says.
    """
    at_baseline = _numbers(content, "at_baseline")
    tabled: dict[int, Any] = {}
    wide: list[Wide] = []
    ratios: list[Ratio] = []
    for index, each in enumerate(content["columns"]):
        with naming(f"column {index}"):
            column, mean = _column(each), number(each, "mean")
            weights = _weights(each, len(at_baseline))
            place = _PLACES[column.field]
            values = legal_values(FIELDS[place])
            if column.kind == "ratio":
                ratios.append(_ratio(column, each, mean, weights))
            elif len(values) <= _TABLE_VALUES:
                distances = [column.value({column.field: value}) - mean for value in values]
                tabled[place] = tabled.get(place, 0.0) + np.outer(distances, weights)
            else:
                wide.append(_wide(column, place, mean, weights))
    places = sorted(tabled)
    named = {*places, *(w.field for w in wide), *(f for r in ratios for f in (r.number, r.other))}
    return Classifier(
        fields=tuple(sorted(named)),
        tabled=np.array(places, dtype=np.int64),
        offsets=_offsets(places, [len(tabled[place]) for place in places]),
        table=np.vstack([np.zeros((0, 1 + len(at_baseline))), *(tabled[at] for at in places)]),
        wide=tuple(wide),
        ratios=tuple(ratios),
        baseline=np.array([number(content, "baseline"), *at_baseline]),
        remainder=_not_negative(content, "remainder"),
        z=_not_negative(content, "z"),
        threshold=number(content, "threshold"),
    )


def compile_outliers(content: Any) -> Outliers:
    """Compile `contract.outliers.OutliersContent`.

    Raises:
        KeyError: a key is missing.
        TypeError: a list or an object is something else.
        ValueError: fields, edges, parents or tables are not what the format says.
    """
    entries: list[Any] = list(content["fields"])
    fields = [_known(entry["name"]) for entry in entries]
    if fields != sorted({*fields}):
        raise ValueError("'fields' must be of the contract, each once, in its order")
    bins: list[Any] = []
    counts: list[int] = []
    for at, entry in zip(fields, entries, strict=True):
        with naming(f"field {FIELD_NAMES[at]!r}"):
            bins.append(_bins(FIELDS[at], entry))
            counts.append(_bin_count(FIELDS[at], entry))
    strides = np.zeros((len(fields), len(fields)), dtype=np.int64)
    tables: list[Any] = []
    for place, entry in enumerate(entries):
        with naming(f"field {FIELD_NAMES[fields[place]]!r}"):
            axes = [*(_parent(parent, fields) for parent in entry["parents"]), place]
            shape = tuple(counts[at] for at in axes)
            tables.append(_terms(entry["table"], shape))
            for axis, at in enumerate(axes):
                strides[at, place] += math.prod(shape[axis + 1 :])
    return Outliers(
        fields=np.array(fields),
        bins=np.concatenate(bins),
        offsets=_offsets(fields, [len(each) for each in bins]),
        terms=np.concatenate(tables),
        bases=np.cumsum([0, *(len(table) for table in tables[:-1])]),
        strides=strides,
        threshold=number(content, "threshold"),
    )


def _parent(name: str, fields: list[int]) -> int:
    if (place := _known(name)) not in fields:
        raise ValueError(f"{name!r} is a parent and no field")
    return fields.index(place)


def _number(value: Any, key: str) -> float:
    # bool is a subclass of int; of a number that is none every comparison is false.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ValueError(f"{key!r} must be a finite number")
    return float(value)


def _numbers(content: Mapping[str, Any], key: str) -> list[float]:
    return [_number(value, key) for value in content[key]]


def _offsets(places: Sequence[int], lengths: Sequence[int]) -> Any:
    """Return, for each field, what leads from its codes to its rows in the joined table."""
    starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
    least = [f.minimum if isinstance(f := FIELDS[place], Integer) else 0 for place in places]
    return starts - np.array(least, dtype=np.int64)


def _column(content: Any) -> Column:
    kind, name, against = content["kind"], content["field"], content["against"]
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of column")
    field = FIELDS[_known(name)]
    if isinstance(field, Category) and kind != "is":
        raise ValueError(f"{name!r} is a category and has no column {kind!r}")
    if kind == "is" and against not in legal_values(field):
        raise ValueError(f"{name!r} has a column for a value that is not legal")
    if kind == "ratio" and not isinstance(FIELDS[_known(against)], Integer):
        raise ValueError(f"{against!r} is a category and cannot divide")
    if kind == "at_least":
        number(content, "against")
    return Column(kind=kind, field=name, against=against)


def _known(name: Any) -> int:
    if name not in FIELD_NAMES:
        raise ValueError(f"{name!r} is no field of an employee record")
    return _PLACES[name]


def _weights(content: Mapping[str, Any], directions: int) -> Any:
    uncertainty = _numbers(content, "uncertainty")
    if len(uncertainty) != directions:
        raise ValueError(
            f"'uncertainty' has {len(uncertainty)} directions; 'at_baseline' has {directions}"
        )
    return np.array([number(content, "coefficient"), *uncertainty])


def _ratio(column: Column, content: Mapping[str, Any], mean: float, weights: Any) -> Ratio:
    return Ratio(
        number=_PLACES[column.field],
        other=_PLACES[str(column.against)],
        mean=mean,
        mean_number=number(content, "mean_field"),
        mean_inverse=number(content, "mean_inverse"),
        weights=weights,
    )


def _wide(column: Column, place: int, mean: float, weights: Any) -> Wide:
    if column.kind not in ("value", "log1p"):
        raise ValueError(f"{column.field!r} has too many legal values for a column {column.kind!r}")
    return Wide(field=place, logarithmic=column.kind == "log1p", mean=mean, weights=weights)


def _bins(field: Field, content: Mapping[str, Any]) -> Any:
    if isinstance(field, Category):
        categories = list(content["categories"])
        if sorted(categories) != sorted(field.categories):
            raise ValueError("'categories' must be the contract's, each once")
        return np.array([categories.index(category) for category in field.categories])
    edges = _numbers(content, "edges")
    if edges != sorted(edges):
        raise ValueError("'edges' must ascend")
    return np.searchsorted(edges, np.array(legal_values(field)), side="right")


def _bin_count(field: Field, content: Mapping[str, Any]) -> int:
    if isinstance(field, Category):
        return len(field.categories)
    return len(content["edges"]) + 1


def _terms(content: Any, shape: Sequence[int]) -> Any:
    table = np.array(content)
    if table.shape != shape:
        raise ValueError(f"'table' is {table.shape}; the bins of parents and field are {shape}")
    if table.dtype.kind not in "if" or not (np.abs(table) <= _LARGEST).all():
        raise ValueError("'table' must hold finite numbers")
    return table.ravel().astype(np.float64)


def _not_negative(content: Mapping[str, Any], key: str) -> float:
    found = number(content, key)
    if found < 0:
        raise ValueError(f"{key!r} must not be negative")
    return found
