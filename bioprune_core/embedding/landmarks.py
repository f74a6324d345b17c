"""The choice of landmarks: few enough to lay out, and from every level of influence."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.hashing import mix_words

__all__ = ["choose_landmarks"]


def choose_landmarks(
    influence: NDArray[np.float64], hashes: NDArray[np.uint64], count: int, strata: int, seed: int
) -> NDArray[np.int64]:
    """Choose landmarks stratum by stratum, so that the rare large influences are laid out and not guessed.

    The strata are equally wide in the logarithm of the influence. They are visited from the smallest; each
    gives at most an equal share of what is left to choose, by a seeded order of the hashes. The choice
    therefore does not depend on the order of the rows.

    Args:
        influence: Finite and >= 0, shape (n,).
        hashes: Sequence hashes, shape (n,).
        count: How many to choose.
        strata: Number of strata.
        seed: Of the order within a stratum.

    Returns:
        Rows of the landmarks, int64, ascending; all n where count >= n.
    """
    if count >= len(influence):
        return np.arange(len(influence))
    stratum = _strata(influence, strata)
    sizes = np.bincount(stratum, minlength=strata)
    budgets = np.zeros(strata, dtype=np.int64)
    left = count
    occupied = np.flatnonzero(sizes)
    for place, index in enumerate(occupied[np.argsort(sizes[occupied], kind="stable")]):
        budgets[index] = min(sizes[index], left // (len(occupied) - place))
        left -= budgets[index]
    key = mix_words(hashes ^ mix_words(np.array([seed + 1], dtype=np.uint64)))
    order = np.lexsort((key, stratum))
    first = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    return np.sort(
        np.concatenate([order[start : start + budget] for start, budget in zip(first, budgets, strict=True)])
    )


def _strata(influence: NDArray[np.float64], strata: int) -> NDArray[np.int64]:
    """The stratum of each influence; zeros, which have no logarithm, go with the smallest."""
    positive = influence > 0
    if not positive.any():
        return np.zeros(len(influence), dtype=np.int64)
    least = influence[positive].min()
    logarithm: NDArray[np.float64] = np.log(np.maximum(influence, least) / least)
    largest = logarithm.max()
    if largest == 0:
        return np.zeros(len(influence), dtype=np.int64)
    stratum: NDArray[np.int64] = np.minimum((logarithm * (strata / largest)).astype(np.int64), strata - 1)
    return stratum
