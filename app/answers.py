"""How far one answer is from another.

The service and the smoke test compare answers with what training stored; this module needs nothing
but the standard library, as does the smoke test.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["difference"]


def difference(found: Any, expected: Any) -> float:
    """Return the largest difference of a number in two JSON values; infinite if else they differ.

    Above 1 it is relative. What `found` has beside the keys of `expected` does not count: answers
    may grow.
    """
    match found, expected:
        case Mapping(), Mapping():
            ours = cast("Mapping[str, Any]", found)
            theirs = cast("Mapping[str, Any]", expected)
            if not theirs.keys() <= ours.keys():
                return math.inf
            pairs = [(ours[key], value) for key, value in theirs.items()]
        case list(), list():
            if len(cast("Sequence[Any]", found)) != len(cast("Sequence[Any]", expected)):
                return math.inf
            pairs = list(zip(cast("list[Any]", found), cast("list[Any]", expected), strict=True))
        case (int() | float(), int() | float()) if not (
            isinstance(found, bool) or isinstance(expected, bool)
        ):
            return _distance(found, expected)
        case _:
            return 0.0 if (type(found), found) == (type(expected), expected) else math.inf
    return max((difference(*pair) for pair in pairs), default=0.0)


def _distance(found: float, expected: float) -> float:
    try:
        distance = abs(found - expected) / max(1.0, abs(expected))
    except OverflowError:
        # JSON has whole numbers of any size.
        return math.inf
    # Of a number that is none every comparison is false.
    return distance if distance <= math.inf else math.inf
