"""Read a release's serving bundle, refusing whatever could fail on a legal record later."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from app.scoring import Classifier, Feature, Outliers, Value, predict
from contract import employee
from contract.release import CLASSIFIER, OUTLIERS, REFERENCE, ReleaseError, verify

__all__ = ["Reference", "Release", "load", "wrong_reference"]

_T = TypeVar("_T")

_FIELDS: Mapping[str, employee.Field] = {field.name: field for field in employee.FIELDS}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A record and what training answered for it."""

    record: Mapping[str, Value]
    attrition_probability: float
    is_outlier: bool


@dataclass(frozen=True, kw_only=True)
class Release:
    """A verified bundle, ready to answer; `tolerance` bounds the error of a probability."""

    manifest_sha256: str
    classifier: Classifier
    outliers: Outliers
    references: tuple[Reference, ...]
    tolerance: float


def load(bundle: Path, expected_sha256: str | None = None) -> Release:
    """Verify the bundle in the folder `bundle` and read it.

    Raises:
        ReleaseError: naming the file that is missing, altered or not what this code reads.
    """
    manifest_sha256 = verify(bundle, expected_sha256)
    references, tolerance = _read(bundle / REFERENCE, _references)
    return Release(
        manifest_sha256=manifest_sha256,
        classifier=_read(bundle / CLASSIFIER, _classifier),
        outliers=_read(bundle / OUTLIERS, _outliers),
        references=references,
        tolerance=tolerance,
    )


def wrong_reference(release: Release) -> int | None:
    """Return the index of the first reference record that is answered wrongly, or None."""
    for index, reference in enumerate(release.references):
        answer = predict(release.classifier, release.outliers, reference.record)
        difference = abs(answer.attrition_probability - reference.attrition_probability)
        if difference > release.tolerance or answer.is_outlier != reference.is_outlier:
            return index
    return None


def _read(path: Path, parse: Callable[[Any], _T]) -> _T:
    try:
        return parse(json.loads(path.read_bytes()))
    except KeyError as error:
        raise ReleaseError(f"{path}: {error.args[0]!r} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path}: {error}") from error


def _classifier(content: Any) -> Classifier:
    terms: dict[str, list[Any]] = {}
    for term in content["terms"]:
        if term["feature"] not in _FIELDS:
            raise ValueError(f"{term['feature']!r} is no field of an employee record")
        terms.setdefault(term["feature"], []).append(term)
    return Classifier(
        intercept=_number(content["intercept"]),
        features=tuple(
            _feature(_FIELDS[name], terms[name], _number(content["baseline"][name]))
            for name in terms
        ),
    )


def _feature(field: employee.Field, terms: list[Any], baseline: float) -> Feature:
    tables = [term["table"] for term in terms if "table" in term]
    lines = [term for term in terms if "table" not in term]
    if lines and isinstance(field, employee.Category):
        raise ValueError(f"{field.name!r} is a category and cannot have a slope")
    return Feature(
        name=field.name,
        table={value: _entry(field.name, tables, value) for value in _values(field)}
        if tables
        else {},
        slope=sum(_number(line["slope"]) for line in lines),
        offset=sum(_number(line["offset"]) for line in lines),
        baseline=baseline,
    )


def _entry(name: str, tables: list[Mapping[str, Any]], value: Value) -> float:
    try:
        return sum(_number(table[str(value)]) for table in tables)
    except KeyError as error:
        raise ValueError(f"{name!r} has no contribution for the legal value {value!r}") from error


def _values(field: employee.Field) -> Sequence[Value]:
    match field:
        case employee.Integer():
            return range(field.minimum, field.maximum + 1)
        case employee.Category():
            return field.categories


def _outliers(content: Any) -> Outliers:
    fields = tuple[str, ...](content["fields"])
    integers = {field.name for field in employee.INTEGERS}
    if strangers := sorted(set(fields) - integers):
        raise ValueError(f"{strangers[0]!r} is no whole-number field of an employee record")
    mean = _numbers(content["mean"], len(fields))
    precision = tuple(_numbers(row, len(fields)) for row in content["precision"])
    if len(precision) != len(fields):
        raise ValueError(f"'precision' has {len(precision)} rows for {len(fields)} fields")
    threshold = _number(content["threshold"])
    return Outliers(fields=fields, mean=mean, precision=precision, threshold=threshold)


def _references(content: Any) -> tuple[tuple[Reference, ...], float]:
    references = tuple(_reference(index, entry) for index, entry in enumerate(content["records"]))
    if not references:
        raise ValueError("no reference records: nothing could prove the release")
    return references, _number(content["tolerance"])


def _reference(index: int, entry: Any) -> Reference:
    record = cast("dict[str, Value]", entry["record"])
    for field in employee.FIELDS:
        # A range holds whole floats and booleans too; a record may not.
        if type(record.get(field.name)) not in (int, str) or (
            record[field.name] not in _values(field)
        ):
            raise ValueError(f"record {index}: {field.name!r} must be {employee.expected(field)}")
    return Reference(
        record=record,
        attrition_probability=_number(entry["attrition_probability"]),
        is_outlier=bool(entry["is_outlier"]),
    )


def _numbers(values: Any, length: int) -> tuple[float, ...]:
    numbers = tuple(_number(value) for value in values)
    if len(numbers) != length:
        raise ValueError(f"{len(numbers)} numbers where {length} belong")
    return numbers


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("expected a finite number where there is something else")
    return float(value)
