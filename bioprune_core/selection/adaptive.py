"""Strata that follow the density of the scores: Dalenius-Hodges and quantiles, from one fine exact
histogram."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.source import ScoreProfile
from bioprune_core.selection.strata import Strata, single

__all__ = ["cum_sqrt_f", "fine_edges", "quantile"]

_FINE_BINS = 512


def fine_edges(profile: ScoreProfile, high: float, count: int) -> Strata:
    """Bins, much finer than `count` strata, over the scores up to `high`.

    The borders are quantiles of the profile's sample (which resolve the bulk) together with equal and
    geometric steps (which resolve a heavy tail that a sample hardly meets).
    """
    low = profile.low
    sample = profile.sample[: np.searchsorted(profile.sample, high, side="right")]
    bins = max(_FINE_BINS, 16 * count)
    borders = [np.array([low, high]), np.linspace(low, high, _FINE_BINS + 1)]
    if len(sample):
        places = np.linspace(0, len(sample) - 1, min(bins, len(sample)) + 1)
        borders.append(sample[np.unique(places.astype(np.int64))])
    if profile.smallest_positive is not None and low >= 0 and profile.smallest_positive < high:
        borders.append(np.geomspace(profile.smallest_positive, high, _FINE_BINS + 1))
    edges = np.unique(np.concatenate(borders))
    return Strata(edges[(edges >= low) & (edges <= high)])


def quantile(fine: Strata, counts: NDArray[np.int64], count: int) -> Strata:
    """`count` strata with as equal counts as the fine bins allow; fewer where equal scores fill several.

    With equal budgets this is proportional random sampling: a control, no coverage.
    """
    return _at_shares(fine, counts.astype(np.float64), count)


def cum_sqrt_f(fine: Strata, counts: NDArray[np.int64], count: int) -> Strata:
    """`count` strata with equal steps of the cumulative square root of the density.

    For bins of unequal width w and counts f the density is f / w, and its root integrates to sqrt(f * w).

    Source: Dalenius and Hodges, Minimum Variance Stratification, JASA 54 (1959).
    """
    return _at_shares(fine, np.sqrt(counts * np.diff(fine.edges)), count)


def _at_shares(fine: Strata, weights: NDArray[np.float64], count: int) -> Strata:
    """Strata bordered by the fine edges that lie nearest to equal shares of the cumulative weight."""
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    if cumulative[-1] <= 0 or count == 1:
        return single(float(fine.edges[0]), float(fine.edges[-1]))
    targets = cumulative[-1] * np.arange(1, count) / count
    after = np.clip(np.searchsorted(cumulative, targets), 1, len(cumulative) - 1)
    nearer = after - (targets - cumulative[after - 1] < cumulative[after] - targets)
    inner = np.unique(fine.edges[nearer])
    inner = inner[(inner > fine.edges[0]) & (inner < fine.edges[-1])]
    return Strata(np.concatenate([fine.edges[:1], inner, fine.edges[-1:]]))
