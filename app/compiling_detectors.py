"""Turn the detectors' files into look-up tables, refusing whatever could fail on a legal record."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.compiling import LARGEST, known, legal_values, naming, number, numbers, offsets
from app.drift import Bins
from app.drift_statistics import Reference
from app.scoring import Outliers
from contract.employee import FIELD_NAMES, FIELDS, Category, Field
from contract.outliers import MOST_PARENTS

__all__ = ["compile_drift", "compile_outliers"]


def compile_outliers(content: Any) -> Outliers:
    """Compile `contract.outliers.OutliersContent`.

    Raises:
        KeyError: a key is missing.
        TypeError: a list or an object is something else.
        ValueError: fields, edges, parents or tables are not what the format says.
    """
    entries: list[Any] = list(content["fields"])
    fields = [known(entry["name"]) for entry in entries]
    if fields != sorted({*fields}):
        raise ValueError("'fields' must be of the contract, each once, in its order")
    bins: list[Any] = []
    counts: list[int] = []
    for at, entry in zip(fields, entries, strict=True):
        with naming(f"field {FIELD_NAMES[at]!r}"):
            bins.append(_bins(FIELDS[at], entry))
            counts.append(_bin_count(FIELDS[at], entry))
    # A field with fewer parents than most looks at itself in their place, with stride 0.
    axes = np.tile(np.arange(len(fields)), (1 + MOST_PARENTS, 1))
    strides = np.zeros((1 + MOST_PARENTS, len(fields), 1), dtype=np.int64)
    tables: list[Any] = []
    for place, entry in enumerate(entries):
        with naming(f"field {FIELD_NAMES[fields[place]]!r}"):
            looked_at = [place, *(_parent(each, fields) for each in reversed(entry["parents"]))]
            if len(looked_at) > len(axes):
                raise ValueError(f"'parents' must be at most {MOST_PARENTS}")
            sizes = [counts[at] for at in looked_at]
            tables.append(_terms(entry["table"], tuple(reversed(sizes))))
            for axis, at in enumerate(looked_at):
                axes[axis, place], strides[axis, place] = at, math.prod(sizes[:axis])
    return Outliers(
        names=tuple(FIELD_NAMES[place] for place in fields),
        fields=np.array(fields),
        bins=np.concatenate(bins).astype(np.uint8),
        offsets=offsets(fields, [len(each) for each in bins]),
        terms=np.concatenate(tables),
        bases=np.cumsum([0, *(len(table) for table in tables[:-1])])[:, np.newaxis],
        axes=axes,
        strides=strides,
        threshold=number(content, "threshold"),
    )


def _parent(name: str, fields: list[int]) -> int:
    if (place := known(name)) not in fields:
        raise ValueError(f"{name!r} is a parent and no field")
    return fields.index(place)


def compile_drift(content: Any) -> Bins:
    """Compile `drift.json` (`contract.drift`); what the joint test needs is passed over.

    Raises:
        KeyError: a key is missing.
        TypeError: a list or an object is something else.
        ValueError: fields, bins or counts are not what the format says.
    """
    entries: Mapping[str, Any] = content["fields"]
    places = sorted(known(name) for name in entries)
    cells: list[Any] = []
    references: list[Reference] = []
    starts = [0]
    for place in places:
        field, entry = FIELDS[place], entries[FIELD_NAMES[place]]
        with naming(f"field {field.name!r}"):
            references.append(_reference(field, entry))
            bins = _drift_bins(field, entry)
            if len(references[-1].counts) <= int(bins.max()):
                raise ValueError("'counts' must hold a number for every bin")
            cells.append(bins + starts[-1])
            starts.append(starts[-1] + len(references[-1].counts))
    if not places:
        raise ValueError("'fields' is empty: there is nothing to count")
    return Bins(
        references=tuple(references),
        fields=np.array(places),
        offsets=offsets(places, [len(each) for each in cells]),
        cells=np.concatenate(cells).astype(np.int16),
        starts=tuple(starts),
    )


def _reference(field: Field, content: Mapping[str, Any]) -> Reference:
    counts = tuple(int(each) for each in numbers(content, "counts"))
    if min(counts, default=-1) < 0 or not sum(counts):
        raise ValueError("'counts' must not be negative, nor all be 0")
    if isinstance(field, Category):
        return Reference(name=field.name, counts=counts, centres=None, standard_deviation=1.0)
    centres, deviation = tuple(numbers(content, "centres")), number(content, "standard_deviation")
    if list(centres) != sorted(centres) or len(centres) != len(counts) or deviation <= 0:
        raise ValueError("'centres' must ascend, one a bin, and 'standard_deviation' be positive")
    return Reference(name=field.name, counts=counts, centres=centres, standard_deviation=deviation)


def _drift_bins(field: Field, content: Mapping[str, Any]) -> Any:
    if isinstance(field, Category):
        return _bins(field, content)
    upper = numbers(content, "upper")
    if upper != sorted(upper) or not upper or upper[-1] < field.maximum:
        raise ValueError("'upper' must ascend, up to the contract's maximum")
    return np.searchsorted(upper, np.array(legal_values(field)))


def _bins(field: Field, content: Mapping[str, Any]) -> Any:
    if isinstance(field, Category):
        categories = list(content["categories"])
        if sorted(categories) != sorted(field.categories):
            raise ValueError("'categories' must be the contract's, each once")
        return np.array([categories.index(category) for category in field.categories])
    edges = numbers(content, "edges")
    if edges != sorted(edges):
        raise ValueError("'edges' must ascend")
    return np.searchsorted(edges, np.array(legal_values(field)), side="right")


def _bin_count(field: Field, content: Mapping[str, Any]) -> int:
    if isinstance(field, Category):
        return len(field.categories)
    return len(content["edges"]) + 1


def _terms(content: Any, shape: tuple[int, ...]) -> Any:
    table = np.array(content)
    if table.shape != shape:
        raise ValueError(f"'table' is {table.shape}; the bins of parents and field are {shape}")
    if table.dtype.kind not in "if" or not (np.abs(table) <= LARGEST).all():
        raise ValueError("'table' must hold finite numbers")
    return table.ravel().astype(np.float64)
