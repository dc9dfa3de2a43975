"""The joint test of drift: do the fields still hang together as they did in the table?

Two records may swap their incomes and every field's counts stay as they were. This test looks at
what fields do together, and needs no record to do so. It is the kernel two-sample test (Gretton et
al., 2012, "A kernel two-sample test", JMLR 13) with the kernel (1 + x'y)^2, whose features can be
written down: the coordinates of x and their products. Hence the squared maximum mean discrepancy is
the squared distance between two samples' mean features, and a sample's mean features are all that
must be kept of it. A classifier two-sample test would need the records.

The coordinates are whitened. Among fields as closely bound as level and income, what is broken by a
swap is tiny in the fields' own units and large in the whitened ones: with windows of 50 a swap of
incomes is found always, and without whitening hardly ever.

A whitening fits the rows that it was learnt from better than any others, and a test that compares
these rows with others calls that drift. So a third of the rows learn it, and the rest are compared.
"""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from training.drift.bins import CategoryBins, Codes, FieldBins

__all__ = ["LEARNING_PART", "JointTest", "Spread", "Whitening", "mean_features"]

LEARNING_PART = 3
"""One row in so many learns the whitening: half would learn it no better, measured."""

_SPLIT_SEED = 0
"""Which rows learn is drawn once and for all: it must not depend on the rows' order."""

_RIDGE = 0.1
"""Added to the eigenvalues of the correlation matrix, whose smallest are noise (mean: 1)."""

_SPREAD_ROWS = 750
"""Rows whose pairwise kernel the spread is measured on; its cost grows with their third power."""

_CHUNK = 65_536
"""Rows at a time: a window of a million records would fill a gigabyte."""

_ALIKE = "all records are alike; expected a table whose records differ"

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Whitening:
    """The map from bins to coordinates: scores, centred, scaled, whitened, and drawn in.

    A whole number scores its bin's centre; a category has a 0-1 score for each of its values but
    one. The whitening is the symmetric one, (correlation + ridge)^(-1/2), which is unique. A record
    farther out than the root mean square `radius` is drawn in to it: otherwise the few farthest
    rule the mean of the products, and no approximation of its distribution holds for small windows.
    """

    bins: tuple[FieldBins, ...]
    mean: _Floats
    scale: _Floats
    matrix: _Floats
    radius: float

    @classmethod
    def learn(cls, codes: Codes, bins: Sequence[FieldBins]) -> Self:
        """Learn from `n_rows` x `n_fields`.

        Raises:
            ValueError: the rows are all alike.
        """
        scores = _scores(codes, bins)
        mean, scale = scores.mean(axis=0), scores.std(axis=0)
        constant = (scores == scores[0]).all(axis=0)
        if constant.all():
            raise ValueError(_ALIKE)
        # A score that never varies has no scale; one unit of its own stands in.
        scale[constant] = 1.0
        standardised = (scores - mean) / scale
        values, vectors = np.linalg.eigh(standardised.T @ standardised / len(scores))
        values = np.maximum(values, 0.0)
        return cls(
            bins=tuple(bins),
            mean=mean,
            scale=scale,
            matrix=(vectors / np.sqrt(values + _RIDGE)) @ vectors.T,
            radius=float(np.sqrt((values / (values + _RIDGE)).sum())),
        )

    def apply(self, codes: Codes) -> _Floats:
        """Return coordinates, `n_rows` x `n_scores`, of `n_rows` x `n_fields`."""
        whitened = (_scores(codes, self.bins) - self.mean) / self.scale @ self.matrix
        lengths = np.sqrt((whitened**2).sum(axis=1, keepdims=True))
        return whitened * (self.radius / np.maximum(lengths, self.radius))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How much the kernel's features scatter: what the distance of two samples' means goes by.

    `trace`, `trace_2` and `trace_3` are those of the features' covariance and its powers; `excess`
    is the fourth moment of a record's distance from the mean less that of a normal one.
    """

    trace: float
    trace_2: float
    trace_3: float
    excess: float

    @classmethod
    def measure(cls, coordinates: _Floats) -> Self:
        """Measure on `n_rows` x `n_scores`, of which `_SPREAD_ROWS` are looked at.

        Traces of powers are means over pairs and triples of different records: with the pairs of a
        record and itself they would be half too large at 1,000 rows.

        Raises:
            ValueError: the rows are all alike.
        """
        rows = coordinates[:_SPREAD_ROWS]
        n = len(rows)
        kernel = (1 + rows @ rows.T) ** 2
        means = kernel.mean(axis=0)
        centred = kernel - means - means[:, np.newaxis] + means.mean()
        own = centred.diagonal().copy()
        np.fill_diagonal(centred, 0.0)
        trace = float(own.sum() / (n - 1))
        if trace <= 0:
            raise ValueError(_ALIKE)
        trace_2 = float((centred**2).sum() / (n * (n - 1)))
        trace_3 = float(((centred @ centred) * centred).sum() / (n * (n - 1) * (n - 2)))
        # No covariance has less; the estimate from few rows may.
        trace_3 = max(trace_3, trace_2**2 / trace)
        excess = float((own**2).mean()) - trace**2 - 2 * trace_2
        return cls(trace=trace, trace_2=trace_2, trace_3=trace_3, excess=excess)

    def p_value(self, distance: _Floats, *, reference: int, window: int) -> _Floats:
        """Return the chance, without drift, of `distance` (squared, `...`) or more, for two sizes.

        Without drift it is a weighted sum of chi-squares, to which a Pearson curve of type III is
        fitted by the first three moments (Gretton et al., 2009, "A fast, consistent kernel
        two-sample test"). The variance has the term of small samples, `excess`, beside the limit's.
        """
        rates = 1 / reference + 1 / window
        variance = 2 * self.trace_2 * rates**2 + self.excess * (1 / reference**3 + 1 / window**3)
        skewness = 8 * self.trace_3 / (2 * self.trace_2) ** 1.5
        shape = 4 / skewness**2
        standardised = (distance - self.trace * rates) / np.sqrt(variance)
        return special.gammaincc(shape, np.maximum(shape + standardised * np.sqrt(shape), 0.0))

    def effect(self, distance: _Floats, *, reference: int, window: int) -> _Floats:
        """Return the shift of the mean features in standard deviations of one record's features.

        What samples of these sizes show without drift is taken off; 0 where nothing is left.
        """
        excess = distance - self.trace * (1 / reference + 1 / window)
        return np.sqrt(np.maximum(excess, 0.0) / self.trace)


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTest:
    """The fitted test: the map, and what is kept of the rows that a window is compared with."""

    whitening: Whitening
    spread: Spread
    features: _Floats
    records: int

    @classmethod
    def fit(cls, codes: Codes, bins: Sequence[FieldBins]) -> Self:
        """Learn the map from a third of `n_rows` x `n_fields`, and what to expect from the others.

        Raises:
            ValueError: the rows of either part are all alike.
        """
        ordered = _in_order(codes)
        shuffled = ordered[np.random.default_rng(_SPLIT_SEED).permutation(len(ordered))]
        learning = len(shuffled) // LEARNING_PART
        whitening = Whitening.learn(shuffled[:learning], bins)
        coordinates = whitening.apply(shuffled[learning:])
        return cls(
            whitening=whitening,
            spread=Spread.measure(coordinates),
            features=mean_features(coordinates),
            records=len(coordinates),
        )

    def compare(self, codes: Codes) -> tuple[float, float]:
        """Return p-value and effect (see `Spread`) of a window, `n_records` x `n_fields`."""
        ordered, total = _in_order(codes), np.zeros_like(self.features)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            total += mean_features(self.whitening.apply(chunk)) * len(chunk)
        distance = np.square(total / len(ordered) - self.features).sum()
        sizes = {"reference": self.records, "window": len(ordered)}
        p_value = float(self.spread.p_value(distance, **sizes))
        return p_value, float(self.spread.effect(distance, **sizes))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON content, all but the bins."""
        return {
            "mean": self.whitening.mean.tolist(),
            "scale": self.whitening.scale.tolist(),
            "matrix": self.whitening.matrix.tolist(),
            "radius": self.whitening.radius,
            "spread": asdict(self.spread),
            "features": self.features.tolist(),
            "records": self.records,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], bins: Sequence[FieldBins]) -> Self:
        """Rebuild what `to_dict` returned."""
        whitening = Whitening(
            bins=tuple(bins),
            mean=np.array(content["mean"], dtype=np.float64),
            scale=np.array(content["scale"], dtype=np.float64),
            matrix=np.array(content["matrix"], dtype=np.float64),
            radius=content["radius"],
        )
        return cls(
            whitening=whitening,
            spread=Spread(**content["spread"]),
            features=np.array(content["features"], dtype=np.float64),
            records=content["records"],
        )


def mean_features(coordinates: _Floats) -> _Floats:
    """Return the mean of the kernel's features over `n_rows` x `n_scores`, less the constant one.

    They are the coordinates times the root of 2, and all their products: `n_scores` x
    (1 + `n_scores`) numbers.
    """
    products = coordinates.T @ coordinates / len(coordinates)
    return np.concatenate([np.sqrt(2) * coordinates.mean(axis=0), products.ravel()])


def _scores(codes: Codes, bins: Sequence[FieldBins]) -> _Floats:
    columns: list[_Floats] = []
    for field, column in zip(bins, codes.T, strict=True):
        if isinstance(field, CategoryBins):
            # The last category follows from the others.
            columns.append(np.eye(field.size)[column, :-1])
        else:
            columns.append(np.array(field.centres)[column, np.newaxis])
    return np.concatenate(columns, axis=1)


def _in_order(codes: Codes) -> Codes:
    """Sort the rows: the sums' last digits then do not depend on the order they came in."""
    return codes[np.lexsort(codes.T)]
