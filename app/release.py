"""Read a release's serving bundle, refusing whatever could fail on a legal record later."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from app.answers import difference
from app.compiling import legal_values, naming, number
from app.compiling_classifier import compile_classifier
from app.compiling_detectors import compile_drift, compile_outliers
from app.drift import Bins
from app.scoring import Classifier, Outliers, Value, encode, predict
from app.scoring_one import OneRecord
from contract import employee
from contract.release import (
    CARD,
    CLASSIFIER,
    DRIFT,
    EVIDENCE,
    OUTLIERS,
    REFERENCE,
    ReleaseError,
    verify,
)

__all__ = ["Reference", "Release", "load", "wrong_reference"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A record and what training answered for it."""

    record: Mapping[str, Value]
    answer: Any


@dataclass(frozen=True, kw_only=True)
class Release:
    """A verified bundle, ready to answer; `tolerance` bounds the error of any number in it.

    `figures` are the headline figures of its evidence, `card` is its model card in Markdown.
    """

    manifest_sha256: str
    classifier: Classifier
    outliers: Outliers
    drift: Bins
    figures: Mapping[str, Any]
    card: str
    references: tuple[Reference, ...]
    tolerance: float

    @property
    def needed(self) -> frozenset[str]:
        """The fields that a model of this release looks at; a record may lack the others."""
        drift = (reference.name for reference in self.drift.references)
        return frozenset((*self.classifier.names, *self.outliers.names, *drift))

    @cached_property
    def one(self) -> OneRecord:
        """What answers for a single record."""
        return OneRecord(self.classifier, self.outliers)


def load(bundle: Path, expected_sha256: str | None = None) -> Release:
    """Verify the bundle in the folder `bundle` and read it.

    Raises:
        ReleaseError: naming the file that is missing, altered or not what this code reads.
    """
    manifest_sha256 = verify(bundle, expected_sha256)
    references, tolerance = _read(bundle / REFERENCE, _references)
    return Release(
        manifest_sha256=manifest_sha256,
        classifier=_read(bundle / CLASSIFIER, compile_classifier),
        outliers=_read(bundle / OUTLIERS, compile_outliers),
        drift=_read(bundle / DRIFT, compile_drift),
        figures=_read(bundle / EVIDENCE, _figures),
        card=_text(bundle / CARD),
        references=references,
        tolerance=tolerance,
    )


def wrong_reference(release: Release) -> int | None:
    """Return the index of the first reference record that is answered wrongly, or None.

    All are asked for together, and each alone.
    """
    codes = encode([reference.record for reference in release.references])
    together = predict(release.classifier, release.outliers, codes)
    for index, (answer, reference) in enumerate(zip(together, release.references, strict=True)):
        for found in (answer, release.one.score(codes[:, index].tolist())):
            if difference(found, reference.answer) > release.tolerance:
                return index
    return None


def _read(path: Path, parse: Callable[[Any], _T]) -> _T:
    try:
        return parse(json.loads(path.read_bytes()))
    except KeyError as error:
        raise ReleaseError(f"{path}: {error.args[0]!r} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path}: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: cannot be read as UTF-8 text") from error


def _figures(found: Any) -> Mapping[str, Any]:
    figures = cast("Mapping[str, Any]", found["figures"])
    for name, content in figures.items():
        with naming(name):
            number(content, "value")
    return figures


def _references(found: Any) -> tuple[tuple[Reference, ...], float]:
    references: list[Reference] = []
    for index, entry in enumerate(found["records"]):
        with naming(f"record {index}"):
            references.append(_reference(entry))
    if not references:
        raise ValueError("no reference records: nothing could prove the release")
    return tuple(references), number(found, "tolerance")


def _reference(entry: Any) -> Reference:
    record, answer = cast("dict[str, Value]", entry["record"]), entry["answer"]
    for field in employee.FIELDS:
        # A range holds whole floats and booleans too; a record may not.
        if type(record.get(field.name)) not in (int, str) or (
            record[field.name] not in legal_values(field)
        ):
            raise ValueError(f"{field.name!r} must be {employee.expected(field)}")
    # An empty answer would prove nothing.
    number(answer, "attrition_probability")
    return Reference(record=record, answer=answer)
