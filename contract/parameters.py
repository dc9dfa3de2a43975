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

    `seed` drives every random choice. Figures come from `cv_repeats` repeats of `cv_folds`-fold
    cross-validation. `missed_leaver_cost` is what overlooking a leaver costs, in units of one
    needless approach to a stayer; the decision threshold follows from it. `interval_level` is the
    share of true probabilities that the intervals are meant to hold, from `replicates` bootstrap
    replicates. `use_protected` lets the classifier see age, sex and marital status: for measuring
    what leaving them out costs, not for use (docs/decisions/0014-fairness.md).

    Raises:
        ParametersError: a value is outside its bounds.
    """

    seed: int = 42
    cv_folds: int = 5
    cv_repeats: int = 10
    missed_leaver_cost: float = 5.0
    interval_level: float = 0.8
    replicates: int = 100
    use_protected: bool = False

    def __post_init__(self) -> None:
        """Check the bounds."""
        _check("seed", self.seed, 0, 2**31 - 1)
        _check("cv_folds", self.cv_folds, 2, 10)
        # A standard deviation over repeats needs two of them.
        _check("cv_repeats", self.cv_repeats, 2, 100)
        _check("missed_leaver_cost", self.missed_leaver_cost, 0.01, 1_000)
        _check("interval_level", self.interval_level, 0.5, 0.99)
        _check("replicates", self.replicates, 20, 1_000)


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
    values: dict[str, int | float | bool] = {}
    for key, value in dict[str, Any](given).items():  # pyright: ignore[reportUnknownArgumentType] JSON
        if key not in known:
            raise ParametersError(
                f"parameter {key!r} is unknown; known: {', '.join(sorted(known))}"
            )
        kind = known[key]
        values[key] = _flag(key, value) if kind is bool else _number(key, value, kind)
    return Parameters(**values)  # pyright: ignore[reportArgumentType] checked by _flag and _number


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ParametersError(f"parameter {key!r}: expected true or false")
    return value


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
