"""The tables of the outlier detector: how values become bins, and a field's chances given others.

All is counts over bins, so that leaving one record out is exact and nearly free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.employee import Category, Field
from contract.outliers import MOST_PARENTS

__all__ = ["Bins", "Conditional", "choose_parents", "cut_bins"]

_BINS = 12
"""Ranges of about equally many records that a number is cut into."""

_MARGIN = 0.1
"""Share of the table's range by which a number may leave it before it counts as beyond it: a
bounded sample's next record exceeds its extremes by a little quite often."""

_BACKOFF = 1.0
"""Records that the distribution with one parent fewer counts for (a Dirichlet prior): few, so that
a combination which many records never show is a surprise."""

_GAIN = 0.05
"""Nats per left-out record that a further parent must save: less is noise, and costs power."""

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Bins:
    """How a field's values become bin numbers: by `edges`, each the first number of the next bin.

    `first` to `last` are the bins that the table reaches; a number's other bins lie beyond it.
    Categories have no edges: each is a bin.
    """

    field: Field
    edges: tuple[int, ...]
    count: int
    first: int
    last: int

    def of(self, column: "pd.Series[Any]") -> _Integers:
        """Return the bin number of each of `n_rows` values."""
        if isinstance(self.field, Category):
            return pd.Index(self.field.categories).get_indexer(pd.Index(column))
        numbers = column.to_numpy(dtype=np.int64)
        return np.asarray(np.searchsorted(self.edges, numbers, side="right"), dtype=np.int64)

    def kernel(self) -> _Floats:
        """Return weights (`count` x `count`, rows sum to 1) that share a record with neighbours.

        Levels and categories share nothing; nothing is shared with the bins beyond the table.
        """
        if isinstance(self.field, Category) or self.field.unit == "level":
            return np.eye(self.count)
        weights = np.eye(self.count)
        for at in range(self.first, self.last + 1):
            # A triangle of one bin on either side: its end is sharp, unlike a Gaussian's.
            near = [n for n in (at - 1, at + 1) if self.first <= n <= self.last]
            weights[at, near] = 0.5
        return weights / weights.sum(axis=1, keepdims=True)

    def nearest(self) -> _Integers:
        """Return, for each bin, the nearest bin that the table reaches."""
        return np.clip(np.arange(self.count), self.first, self.last)


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """A field's distribution given `parents`, as learnt from `n_rows` records.

    `cell` (`n_rows`) numbers each record's combination of the parents' bins. `probability` and
    `left_out` are `n_cells` x `n_bins`; the latter is for a record of that very cell and bin that
    is taken out of the counts. `mean_log` is the mean logarithm of it over the records, in nats.
    """

    parents: tuple[str, ...]
    cell: _Integers
    probability: _Floats
    left_out: _Floats
    mean_log: float

    @classmethod
    def uniform(cls, rows: int, bins: int) -> Self:
        """Return the distribution before any record: every bin alike."""
        alike = np.full((1, bins), 1 / bins)
        cell = np.zeros(rows, dtype=np.int64)
        return cls(parents=(), cell=cell, probability=alike, left_out=alike, mean_log=-np.inf)

    def learn(
        self,
        bins: _Integers,
        kernel: _Floats,
        *,
        parents: tuple[str, ...] = (),
        values: _Integers | None = None,
        count: int = 1,
    ) -> Self:
        """Count the field's `bins` by this one's cells, and by a further parent's `values`.

        Leaving a record out is exact: its own weight is taken from the smoothed counts. `count` is
        the number of the further parent's bins.
        """
        cell = self.cell if values is None else self.cell * count + values
        cells, width = len(self.probability) * count, len(kernel)
        counts = np.bincount(cell * width + bins, minlength=cells * width).reshape(cells, width)
        smooth = counts @ kernel
        total = counts.sum(axis=1, keepdims=True)
        prior = np.repeat(self.probability, count, axis=0)
        prior_left_out = np.repeat(self.left_out, count, axis=0)
        without = smooth - np.diag(kernel) + _BACKOFF * prior_left_out
        # Only cells that hold a record can have one left out; the others are never read.
        others = np.maximum(total - 1, 0)
        seen = counts > 0
        left_out = np.where(seen, without / (others + _BACKOFF), 1.0)
        return type(self)(
            parents=parents,
            cell=cell,
            probability=(smooth + _BACKOFF * prior) / (total + _BACKOFF),
            left_out=left_out,
            mean_log=float((counts[seen] * np.log(left_out[seen])).sum() / len(bins)),
        )


def cut_bins(column: "pd.Series[Any]", field: Field) -> Bins:
    """Return the bins of a field: its categories, its levels, or quantiles of the table's values.

    A number that is no level has a bin of its own for values well below the table's, and one for
    values well above, where the contract allows such.
    """
    if isinstance(field, Category):
        count = len(field.categories)
        return Bins(field=field, edges=(), count=count, first=0, last=count - 1)
    if field.unit == "level":
        edges = tuple(range(field.minimum + 1, field.maximum + 1))
        return Bins(field=field, edges=edges, count=len(edges) + 1, first=0, last=len(edges))
    values = column.to_numpy(dtype=np.int64)
    least, most = int(values.min()), int(values.max())
    margin = int(np.ceil(_MARGIN * (most - least)))
    shares = np.arange(1, _BINS) / _BINS
    inner = np.unique(np.quantile(values, shares, method="higher")).astype(np.int64)
    inside = [int(edge) for edge in inner if edge > least]
    below = [least - margin] if least - margin > field.minimum else []
    above = [most + margin + 1] if most + margin < field.maximum else []
    return Bins(
        field=field,
        edges=(*below, *inside, *above),
        count=len(below) + len(inside) + len(above) + 1,
        first=len(below),
        last=len(below) + len(inside),
    )


def choose_parents(
    name: str, bins: Mapping[str, Bins], numbers: Mapping[str, _Integers]
) -> Conditional:
    """Add to a field the parents that best foretell it in records left out, one after another."""
    own, kernel = numbers[name], bins[name].kernel()
    best = Conditional.uniform(len(own), bins[name].count).learn(own, kernel)
    for _ in range(MOST_PARENTS):
        options = [
            best.learn(
                own,
                kernel,
                parents=(*best.parents, other),
                values=numbers[other],
                count=bins[other].count,
            )
            for other in bins
            if other != name and other not in best.parents
        ]
        option = max(options, key=lambda each: each.mean_log)
        if option.mean_log < best.mean_log + _GAIN:
            break
        best = option
    return best
