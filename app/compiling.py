"""What reading a release takes: finite numbers, fields that exist, errors that say where."""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from contract.employee import FIELD_NAMES, FIELDS, Category, Field, Integer

__all__ = [
    "LARGEST",
    "PLACES",
    "checked",
    "known",
    "legal_values",
    "naming",
    "not_negative",
    "number",
    "numbers",
    "offsets",
]

LARGEST = 1e50
"""No sum, product or square that scoring makes of smaller numbers is infinite or none."""

PLACES: Mapping[str, int] = {name: place for place, name in enumerate(FIELD_NAMES)}
"""Each field's place in the contract's order."""


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
    return checked(content[key], key)


def checked(value: Any, key: str) -> float:
    """Return `value`, found under `key`, if it is a finite number; raise ValueError if not."""
    # bool is a subclass of int; of a number that is none every comparison is false.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"{key!r} must be a finite number")
    return float(value)


def numbers(content: Mapping[str, Any], key: str) -> list[float]:
    """Return the finite numbers under `key`; raise as `number` does."""
    return [checked(value, key) for value in content[key]]


def offsets(places: Sequence[int], lengths: Sequence[int]) -> Any:
    """Return, for each field, what leads from its codes to its rows: `n_fields` x 1."""
    starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
    least = [f.minimum if isinstance(f := FIELDS[place], Integer) else 0 for place in places]
    return (starts - np.array(least, dtype=np.int64))[:, np.newaxis]


def known(name: Any) -> int:
    """Return a field's place in the contract's order; raise ValueError if it has none."""
    if name not in FIELD_NAMES:
        raise ValueError(f"{name!r} is no field of an employee record")
    return PLACES[name]


def not_negative(content: Mapping[str, Any], key: str) -> float:
    """Return the number under `key`; raise as `number` does, and for one below 0."""
    found = number(content, key)
    if found < 0:
        raise ValueError(f"{key!r} must not be negative")
    return found
