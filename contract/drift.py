"""Drift as a release holds it, and the levels by which any reader of its counts judges.

`drift.json` has `fields`: for each, by its name, its bins, and the training table's `counts` in
them. A whole number has `upper` (bin `i` holds what is above `upper[i - 1]`, at most `upper[i]`),
`centres` and `standard_deviation`, in the field's unit; a category has `categories`, a bin each.
What else is in it is for the joint test of `training.drift`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NotRequired, TypedDict

__all__ = [
    "FALSE_DISCOVERY_RATE",
    "MINIMUM_EFFECT",
    "MINIMUM_EXPECTED",
    "MINIMUM_WINDOW",
    "PSI_PRIOR",
    "EffectKind",
    "FieldCounts",
    "Status",
]

MINIMUM_WINDOW = 50
"""Records: below, silence would read as stability.

Even at this size a shift by .3 standard deviations is rarely found; the model card says how often.
"""

FALSE_DISCOVERY_RATE = 0.03
"""Expected share of false findings among the fields' (Benjamini and Hochberg, 1995)."""

MINIMUM_EXPECTED = 5.0
"""Records expected in a cell before a normal limit is trusted with it (Cochran, 1954)."""

PSI_PRIOR = 0.5
"""Records added to each bin (Jeffreys' prior), for PSI is infinite when a bin is empty."""

Status = Literal["not_enough_data", "ok", "drift"]
EffectKind = Literal["wasserstein_sd", "cramers_v"]

MINIMUM_EFFECT: Mapping[EffectKind, float] = MappingProxyType(
    {"wasserstein_sd": 0.1, "cramers_v": 0.05}
)
"""Smaller effects are not called drift: with enough records any difference is significant.

That is a tenth of a standard deviation, or five points between two categories of 28 and 72 %. With
windows of up to 1,000 it costs no power, measured; it is for tables and windows of tens of
thousands.
"""


class FieldCounts(TypedDict):
    """A field in `drift.json`."""

    counts: list[int]
    upper: NotRequired[list[int]]
    centres: NotRequired[list[float]]
    standard_deviation: NotRequired[float]
    categories: NotRequired[list[str]]
