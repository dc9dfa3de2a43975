"""What a release expects of its own population: the counts that a window's are compared with.

It is what `drift.json` of the release's bundle holds of the table: counts by bin and nothing else.
A count may be of one person; whoever may read the queries reads the same as who may read the
release.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.release import PROBABILITIES

__all__ = ["SCORE", "CountsError", "Reference"]

SCORE = "score"
"""The predicted probability in tenths, beside the fields; the queries call it by this name."""


class CountsError(ValueError):
    """The release's drift detector holds no usable counts; the message says of what."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A release's version, and the table's records in each bin by field, `SCORE` last."""

    release: str
    counts: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, release: str, drift: Any) -> "Reference":
        """Read the content of `drift.json`; a release of before had no histogram of the score.

        Raises:
            CountsError: a field has no counts, or none that are whole numbers from 0.
        """
        try:
            counts = {name: field["counts"] for name, field in drift["fields"].items()}
            if probabilities := drift.get(PROBABILITIES):
                counts[SCORE] = probabilities
        except (KeyError, TypeError, AttributeError) as error:
            raise CountsError("the drift detector has no `fields` with `counts`") from error
        return cls.checked(release, counts)

    @classmethod
    def checked(cls, release: str, counts: Mapping[str, Any]) -> "Reference":
        """Take counts from where they were stored, and put them in order.

        An engine makes floats of whole numbers and keeps no order of keys; a query's text must be
        the same at every `up`, or each would write all of them anew.

        Raises:
            CountsError: some are no whole numbers from 0.
        """
        names = sorted(counts, key=lambda name: (name == SCORE, name))
        return cls(release=release, counts={name: _whole(name, counts[name]) for name in names})

    @property
    def features(self) -> tuple[str, ...]:
        """The fields, without the score."""
        return tuple(name for name in self.counts if name != SCORE)

    def only(self, *names: str) -> "Reference":
        """Leave out all but these; what is not compared needs no counts in a query."""
        return Reference(
            release=self.release,
            counts={name: self.counts[name] for name in names if name in self.counts},
        )


def _whole(name: str, counts: Any) -> list[int]:
    if not isinstance(counts, list) or not counts:
        raise CountsError(f"{name}: no counts by bin")
    numbers = [int(count) for count in counts if isinstance(count, int | float)]  # pyright: ignore[reportUnknownVariableType]
    if numbers != counts or min(numbers) < 0 or not sum(numbers):
        raise CountsError(f"{name}: its counts are no whole numbers from 0")
    return numbers
