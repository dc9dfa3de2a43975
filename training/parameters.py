"""What a training run may be told: the parameters, their types and their bounds."""

import json
import math
from dataclasses import dataclass, fields
from typing import Any, NoReturn

__all__ = ["Parameters", "ParametersError", "parse_parameters"]


class ParametersError(Exception):
    """The training parameters are not what `Parameters` holds; the message names the key."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of one training run; equal parameters and data give equal bundles.

    `seed` drives every random choice. `regularisation_c` is the logistic regression's inverse
    regularisation strength. Figures come from `cv_repeats` repeats of `cv_folds`-fold
    cross-validation.

    Raises:
        ParametersError: a value is outside its bounds.
    """

    seed: int = 42
    regularisation_c: float = 0.3
    cv_folds: int = 5
    cv_repeats: int = 3

    def __post_init__(self) -> None:
        """Check the bounds."""
        _check("seed", self.seed, 0, 2**31 - 1)
        _check("regularisation_c", self.regularisation_c, 1e-6, 1e6)
        _check("cv_folds", self.cv_folds, 2, 10)
        # A standard deviation over repeats needs two of them.
        _check("cv_repeats", self.cv_repeats, 2, 100)


def parse_parameters(text: str) -> Parameters:
    """Read a JSON object whose keys are fields of `Parameters`; absent keys keep their defaults.

    Raises:
        ParametersError: not a JSON object, an unknown key, a wrong type, or a value out of bounds.
    """
    try:
        given: Any = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ParametersError(f"parameters are not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ParametersError('parameters: expected a JSON object such as {"seed": 7}')
    known: dict[str, Any] = {field.name: field.type for field in fields(Parameters)}
    values: dict[str, int | float] = {}
    for key, value in dict[str, Any](given).items():  # pyright: ignore[reportUnknownArgumentType] JSON
        if key not in known:
            raise ParametersError(
                f"parameter {key!r} is unknown; known: {', '.join(sorted(known))}"
            )
        values[key] = _number(key, value, known[key])
    return Parameters(**values)  # pyright: ignore[reportArgumentType] checked by _number


def _number(key: str, value: object, kind: type[int] | type[float]) -> int | float:
    # bool is a subclass of int: without the first test, true would train with the seed 1.
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        wanted = "a whole number" if kind is int else "a number"
        raise ParametersError(f"parameter {key!r}: expected {wanted}")
    try:
        return kind(value)
    except OverflowError:
        raise ParametersError(f"parameter {key!r}: the number is too large") from None


def _check(key: str, value: float, minimum: float, maximum: float) -> None:
    if not (math.isfinite(value) and minimum <= value <= maximum):
        raise ParametersError(f"parameter {key!r}: expected a value from {minimum} to {maximum}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
