"""Memorisation: how much lower a sequence's loss is under models that were trained with it."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.ranks import rank_correlation

__all__ = ["chance_of_agreement", "memorisation_scores", "reliability"]


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

    Stepped up to all models (Spearman-Brown) where it is above 0: below, where the halves contradict each
    other, the formula has no meaning and goes to minus infinity. No score can be expected to correlate with
    the estimate by more than about the square root of it. None where a half cannot tell.
    """
    found = _agreement(*_halves(losses, included))
    return found if found is None or found <= 0 else 2 * found / (1 + found)


def chance_of_agreement(
    losses: NDArray[np.float64], included: NDArray[np.bool_], draws: int, seed: int
) -> float:
    """How often two halves of the models would agree as well by chance: a permutation test.

    A bootstrap interval of their correlation misleads where few sequences are known to both halves: of four
    sequences that happen to be in the same order, every resample is so, too.

    Args:
        losses: As in `reliability`.
        included: As in `reliability`.
        draws: Orders of the sequences to draw, >= 1.
        seed: Of the draws.

    Returns:
        The share of orders, the given one among them, under which the correlation is as large; 1 where a half
        cannot tell.
    """
    first, second = _halves(losses, included)
    found = _agreement(first, second)
    if found is None:
        return 1.0
    random = np.random.default_rng(seed)
    drawn = (_agreement(first, random.permutation(second)) for _ in range(draws))
    # Sums in another order differ by rounding.
    as_large = sum(value is not None and value >= found - 1e-12 for value in drawn)
    return (1 + as_large) / (1 + draws)


def _agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Rank correlation of two halves; None where they share fewer than 3 sequences, or one is constant."""
    return rank_correlation(first, second) if len(first) >= 3 else None


def _halves(
    losses: NDArray[np.float64], included: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Memorisation from each half of the models, of the sequences that are known to both; both shape (m,)."""
    one, other = (memorisation_scores(losses[start::2], included[start::2]) for start in (0, 1))
    both = np.isfinite(one) & np.isfinite(other)
    return one[both], other[both]
