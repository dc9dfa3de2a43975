"""From a request's body to codes: every record as the contract says, or every place that is not.

There are two ways, and one contract. The short way decodes the body straight into slots and takes
only what is plain: the fields of a record, each once, in order or not. Whatever it does not take,
the long way judges by the models that the API's document is made of, and finds every error. So the
short way may refuse what is right, and never take what is wrong: tests hold it to that.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.models import MAX_RECORDS, RecordError, batch_errors, record_errors, record_model
from app.scoring import CATEGORY_CODES, AnyCodes, Codes, Value, encode
from contract.employee import FIELD_NAMES, FIELDS, IGNORED, TARGET, Category, Field, Integer

__all__ = ["MAX_COMMAS", "Batch", "InvalidRecordsError", "MalformedError", "RecordReader"]

_PLAIN = int | float | str | bool | None
"""What an ignored field may hold on the short way."""

MAX_COMMAS = 100_000
"""A thousand full records have a third of them; each is a value that takes memory once parsed."""

_DIGITS = 20
_BEYOND = 10**_DIGITS
"""Stands for whole numbers of more digits: `int` takes long for them, and no field is as large."""

_NAMES = (*FIELD_NAMES, *IGNORED)
_KNOWN = frozenset(_NAMES)


class MalformedError(Exception):
    """The body is no JSON; the message says where, and repeats nothing of it."""


class InvalidRecordsError(Exception):
    """The body is no array of records that could be looked at; `errors` says what it must be."""

    def __init__(self, errors: list[RecordError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What can be scored: `codes`, 30 x `len(taken)`, and which of the `records` they are."""

    codes: AnyCodes
    records: int
    taken: Sequence[int]
    errors: list[RecordError]


class RecordReader:
    """Reads batches for a release that needs the fields `needed`.

    Other fields may be left out; they are checked and go no further.
    """

    def __init__(self, needed: frozenset[str]) -> None:
        self.record = record_model({name for name in FIELD_NAMES if name not in needed})
        self._judge: TypeAdapter[BaseModel] = TypeAdapter(self.record)
        self._needed = [name for name in FIELD_NAMES if name in needed]
        slots = [
            (field.name, _slot(field))
            if field.name in needed
            else (field.name, _slot(field) | msgspec.UnsetType, msgspec.UNSET)
            for field in FIELDS
        ]
        slots += [(name, _PLAIN | msgspec.UnsetType, msgspec.UNSET) for name in IGNORED]
        self._slots: Any = msgspec.defstruct(
            "Employee", slots, forbid_unknown_fields=True, kw_only=True, gc=False
        )
        self._optional = [at for at, slot in enumerate(slots) if slot[0] not in needed]
        self._decoder = msgspec.json.Decoder(list[self._slots])
        self._places = [
            places if name in needed else _NotNeeded()
            for name, places in zip(FIELD_NAMES, CATEGORY_CODES, strict=True)
        ]

    def long_way(self, body: bytes) -> Batch:
        """Return the legal records of a body, and every place that is wrong in the others.

        It takes its time, a record after the other, and may run beside the event loop.

        Raises:
            MalformedError: the body is no JSON.
            InvalidRecordsError: it is no array of 1 to 1,000.
        """
        found = _parse(body) if body.count(b",") <= MAX_COMMAS else None
        if not isinstance(found, list) or not 0 < len(found) <= MAX_RECORDS:  # pyright: ignore[reportUnknownArgumentType] - JSON
            raise InvalidRecordsError(batch_errors())
        records: list[dict[str, Value]] = []
        taken: list[int] = []
        errors: list[RecordError] = []
        for at, each in enumerate(found):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
            if wrong := self._errors(at, each):
                errors += wrong
            else:
                records.append({name: each[name] for name in self._needed})  # pyright: ignore[reportUnknownArgumentType] - JSON
                taken.append(at)
        return Batch(
            codes=encode(records),
            records=len(found),  # pyright: ignore[reportUnknownArgumentType] - JSON
            taken=taken,
            errors=errors,
        )

    def short_way(self, body: bytes) -> Batch | None:
        """Return a body's records, or None where it has to be looked at more closely."""
        try:
            records = self._decoder.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None
        if not 0 < len(records) <= MAX_RECORDS:
            return None
        rows = [*map(msgspec.structs.astuple, records)]
        # Of a name that comes twice the decoder takes the last. Each name has a colon, and plain
        # records have none elsewhere: as many colons as values are as many names as values.
        absent = sum([row[at] is msgspec.UNSET for row in rows for at in self._optional])
        if body.count(b":") != len(rows) * len(rows[0]) - absent:
            return None
        codes = self._codes_of(rows[0]) if len(rows) == 1 else self._codes(rows)
        return Batch(codes=codes, records=len(rows), taken=range(len(rows)), errors=[])

    def _codes_of(self, values: Sequence[Any]) -> list[int]:
        return [
            value if places is None else places[value]
            for places, value in zip(self._places, values, strict=False)
        ]

    def _codes(self, rows: Sequence[Sequence[Any]]) -> Codes:
        flat: list[int] = []
        for places, values in zip(self._places, zip(*rows, strict=True), strict=False):
            flat += values if places is None else map(places.__getitem__, values)
        return np.fromiter(flat, np.int64, len(flat)).reshape(len(FIELDS), len(rows))

    def _errors(self, at: int, found: Any) -> list[RecordError]:
        errors: list[RecordError] = []
        try:
            self._judge.validate_python(found)
        except ValidationError as error:
            errors = record_errors(error, at)
        if isinstance(found, _Repeating):
            for name in found.names:
                errors.append({"record": at, "field": name, "expected": "this field once"})
        return errors


class _NotNeeded(dict[Any, int]):
    """The code of a value that goes no further."""

    def __missing__(self, _value: Any) -> int:
        return 0


class _Repeating(dict[str, Any]):
    """A JSON object in which names come more than once; the contract's own are in `names`."""

    names: list[str | None]


def _parse(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8, at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON, at line {error.lineno} column {error.colno}") from None
    except (ValueError, RecursionError):
        raise MalformedError("JSON with a number that is none, or nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    kept = {name: found[name] for name in (*_NAMES, TARGET) if name in found}
    if len(kept) < len(found):
        # One unknown name stands for all: each would be an error to make, and they are told as one.
        kept[""] = None
    if len(found) == len(pairs):
        return kept
    repeating = _Repeating(kept)
    times = Counter([name for name, _ in pairs if name in _KNOWN])
    # Another name is the client's own text, and is not repeated.
    repeating.names = [name for name in _NAMES if times[name] > 1] or [None]
    return repeating


def _whole(text: str) -> int:
    return int(text) if len(text) <= _DIGITS else _BEYOND


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond all measure")
    return number


def _slot(field: Field) -> Any:
    match field:
        case Integer():
            return Annotated[int, msgspec.Meta(ge=field.minimum, le=field.maximum)]
        case Category():
            literal: Any = Literal
            return literal[field.categories]
