"""Comparing two orders of the same things: rank correlation, and what their tops share."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_ranks", "rank_correlation", "top_overlap"]


def rank_correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation; ties have their mean rank. None where one side is constant.

    Args:
        left: float64, shape (n,).
        right: float64, shape (n,).
    """
    centred = [ranks - ranks.mean() for ranks in (mean_ranks(left), mean_ranks(right))]
    scale = math.sqrt(float(centred[0] @ centred[0]) * float(centred[1] @ centred[1]))
    return float(centred[0] @ centred[1]) / scale if scale > 0 else None


def mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, float64, shape (n,); equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2).astype(np.float64)
    ranks: NDArray[np.float64] = mean[inverse]
    return ranks


def top_overlap(left: NDArray[np.float64], right: NDArray[np.float64], share: float) -> float:
    """Which part of the largest values of one side are among the largest of the other, 0 to 1.

    Args:
        left: float64, shape (n,), n >= 1.
        right: float64, shape (n,).
        share: How many count as largest, as a share of n, 0 < share <= 1; at least one. Ties go by row.
    """
    count = max(1, round(share * len(left)))
    tops = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (left, right)]
    return len(tops[0] & tops[1]) / count
