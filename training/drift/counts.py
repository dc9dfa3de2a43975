"""Two-sample tests and effect sizes of one field, from counts per bin and nothing else.

_Counts are all that a release keeps of its table, and all that a service needs to keep of the
records it has seen. Every function takes the reference's and the window's counts, `... x n_bins`
each, bins in ascending order, and works on the last axis: one window or many at a time. Each count
must hold at least one record in all.
"""

# SciPy ships no types (1.17.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import numpy as np
import numpy.typing as npt
from scipy import special

from contract.drift import MINIMUM_EXPECTED, PSI_PRIOR

__all__ = [
    "chi_squared_from_counts",
    "cramers_v",
    "ks_from_counts",
    "psi",
    "wasserstein_sd",
]

_Floats = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]


def ks_from_counts(reference: _Counts, window: _Counts) -> tuple[_Floats, _Floats]:
    """Return the Kolmogorov-Smirnov statistic and its p-value, `...` each.

    The statistic is the largest gap between the two shares at or below a bin. Without ties its
    limit is Kolmogorov's distribution; with ties the p-value from it is too large (Noether, 1963).
    The limit with ties is the largest of a Brownian bridge at the bins' ends alone, so that the sum
    of the normal tail probabilities over those ends is another upper bound (Bonferroni), and with
    few bins a far closer one. The p-value is the smaller of the two bounds. The second is left out
    when either side of an end is expected to hold fewer than `MINIMUM_EXPECTED` records of either
    sample, where the normal limit is not to be trusted; the first holds at any size to a hair
    (Massart, 1990; Wei and Dudley, 2012).
    """
    sizes, totals = _sizes(reference, window), reference + window
    gaps = reference.cumsum(axis=-1) / sizes[0] - window.cumsum(axis=-1) / sizes[1]
    statistic = np.abs(gaps).max(axis=-1)
    scaled = statistic * np.sqrt(1 / (1 / sizes[0] + 1 / sizes[1]))[..., 0]
    below = totals.cumsum(axis=-1) / (sizes[0] + sizes[1])
    ends = (below > 0) & (below < 1)
    spread = np.sqrt(np.where(ends, below * (1 - below), 1.0))
    tails = np.where(ends, special.erfc(scaled[..., np.newaxis] / spread / np.sqrt(2)), 0.0)
    rarest = np.where(ends, np.minimum(below, 1 - below), 1.0) * np.minimum(*sizes)
    bound = np.where((rarest >= MINIMUM_EXPECTED).all(axis=-1), tails.sum(axis=-1), 1.0)
    # One bin alone has no end, an empty sum, and no difference to be surprised at.
    bound = np.where(statistic > 0, bound, 1.0)
    return statistic, np.minimum(special.kolmogorov(scaled), bound)


def chi_squared_from_counts(reference: _Counts, window: _Counts) -> tuple[_Floats, _Floats]:
    """Return Pearson's chi-squared statistic of homogeneity and its p-value, `...` each.

    Categories that are expected to hold fewer than `MINIMUM_EXPECTED` records of the smaller sample
    are counted as one (Cochran, 1954); should they be too few even together, the smallest of the
    others joins them. The choice looks at both samples' sum alone, never at their difference, and
    so leaves the level as it is. With one category left there is nothing to compare: p is 1.
    """
    sizes, totals = _sizes(reference, window), reference + window
    expected = totals * np.minimum(*sizes) / (sizes[0] + sizes[1])
    kept = expected >= MINIMUM_EXPECTED
    rest = np.where(kept, 0.0, expected).sum(axis=-1, keepdims=True)
    smallest = np.where(kept, expected, np.inf).argmin(axis=-1)[..., np.newaxis]
    joins = (np.arange(totals.shape[-1]) == smallest) & (rest > 0) & (rest < MINIMUM_EXPECTED)
    kept &= ~joins
    cells = [
        np.concatenate([np.where(kept, c, 0), np.where(kept, 0, c).sum(-1, keepdims=True)], axis=-1)
        for c in (reference, window)
    ]
    both = cells[0] + cells[1]
    shares = (cells[0] / sizes[0], cells[1] / sizes[1])
    weight = sizes[0] * sizes[1] / np.maximum(both, 1)
    statistic = ((shares[0] - shares[1]) ** 2 * weight).sum(axis=-1)
    freedom = np.count_nonzero(both, axis=-1) - 1
    p_value = special.chdtrc(np.maximum(freedom, 1), statistic)
    return statistic, np.where(freedom > 0, p_value, 1.0)


def psi(reference: _Counts, window: _Counts) -> _Floats:
    """Return the population stability index, `...` numbers ≥ 0: Jeffreys' divergence of the shares.

    Half a record is added to each bin. Without drift the index is not 0 but about (bins - 1) x
    (1 / reference + 1 / window) (Yurdakul and Naranjo, 2020), that is .4 for 20 bins and 50
    records: the custom of alarming at .1 or .25 is for windows of thousands.
    """
    shares = [
        (counts + PSI_PRIOR) / (counts + PSI_PRIOR).sum(axis=-1, keepdims=True)
        for counts in (reference, window)
    ]
    return np.asarray(
        ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(axis=-1), dtype=np.float64
    )


def wasserstein_sd(
    reference: _Counts, window: _Counts, *, centres: _Floats, standard_deviation: float
) -> _Floats:
    """Return the first Wasserstein distance in the reference's standard deviations, `...` ≥ 0.

    Each record is taken to lie at its bin's entry of `centres` (`n_bins`, ascending, in the field's
    unit), as is `standard_deviation`.
    """
    sizes = _sizes(reference, window)
    gaps = reference.cumsum(axis=-1) / sizes[0] - window.cumsum(axis=-1) / sizes[1]
    return np.asarray(
        (np.abs(gaps[..., :-1]) * np.diff(centres)).sum(axis=-1) / standard_deviation,
        dtype=np.float64,
    )


def cramers_v(reference: _Counts, window: _Counts) -> _Floats:
    """Return Cramér's V between sample and category, `...` numbers from 0 to 1.

    Both samples are weighed alike, for with their own sizes the same change of shares would have
    another V in a small window than in a large one.
    """
    sizes = _sizes(reference, window)
    shares = (reference / sizes[0], window / sizes[1])
    both = shares[0] + shares[1]
    terms = (shares[0] - shares[1]) ** 2 / np.where(both > 0, both, 1.0)
    return np.sqrt(terms.sum(axis=-1) / 2)


def _sizes(reference: _Counts, window: _Counts) -> tuple[_Floats, _Floats]:
    return (
        reference.sum(axis=-1, keepdims=True, dtype=np.float64),
        window.sum(axis=-1, keepdims=True, dtype=np.float64),
    )
