"""Memorisation: how much lower a sequence's loss is under models that were trained with it."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.ranks import rank_correlation

__all__ = ["memorisation_scores", "reliability"]


def memorisation_scores(losses: NDArray[np.float64], included: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean loss of each sequence over the models without it, minus that over the models with it.

    Args:
        losses: Of every sequence under every model, nats, shape (K, n).
        included: Whether the model was trained with the sequence, shape (K, n).

    Returns:
        Nats, float64, shape (n,); NaN for a sequence that all models had, or none.

    Source: Feldman and Zhang, arXiv 2008.03703, with the loss in the place of the accuracy.
    """
    # What a model does to all sequences alike says nothing about one of them.
    relative = losses - losses.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = np.where(included, 0.0, relative).sum(axis=0) / (~included).sum(axis=0)
        within = np.where(included, relative, 0.0).sum(axis=0) / included.sum(axis=0)
    difference: NDArray[np.float64] = without - within
    return difference


def reliability(losses: NDArray[np.float64], included: NDArray[np.bool_]) -> float | None:
    """Rank correlation of the memorisation from one half of the models with that from the other half.

    Stepped up to all models (Spearman-Brown). No score can be expected to correlate with the estimate by more
    than about the square root of it. None where a half cannot tell.
    """
    halves = [memorisation_scores(losses[start::2], included[start::2]) for start in (0, 1)]
    both = np.isfinite(halves[0]) & np.isfinite(halves[1])
    if both.sum() < 3:
        return None
    found = rank_correlation(halves[0][both], halves[1][both])
    return None if found is None or found <= -1 else 2 * found / (1 + found)
