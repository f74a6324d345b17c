"""Drawing the subset, the held-out slice and other disjoint groups from a pool."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.hashing import mix_words

__all__ = ["Draw", "draw_groups", "draw_subset"]

_SPARE = 1 << 20
"""Sequences held beside twice those wanted before the smallest are told from the others."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Two disjoint draws from one pool.

    Args:
        subset: Positions of D_sub, ascending, int64, shape (M,).
        held_out: Positions of the held-out slice, ascending, int64, shape (H,).
    """

    subset: NDArray[np.int64]
    held_out: NDArray[np.int64]


def draw_subset(hashes: Iterable[NDArray[np.uint64]], size: int, held_out: int, seed: int) -> Draw:
    """Draw M sequences uniformly without replacement, and H others.

    Sequences are ranked by a mix of their hash and the seed: the M first are the subset, the H next the
    held-out slice. So the draw is the same in whatever order the pool stands, and a smaller subset under the
    same seed is part of a larger one.

    Args:
        hashes: Hash of every sequence of the pool in order, in blocks, uint64, shape (n,) each, N in all.
        size: M, 1 <= M <= N.
        held_out: H wanted; where fewer than H remain outside the subset, all that remain.
        seed: Seed of the draw.

    Raises:
        InputError: M is larger than the pool, or smaller than 1.
    """
    if size < 1:
        raise InputError(f"The subset is to have {size:,} sequences. Choose at least 1.")
    subset, held = draw_groups(hashes, (size, held_out), seed)
    # The held-out slice begins where the subset is full, so a short subset is the whole pool.
    if len(subset) < size:
        count = len(subset)
        raise InputError(
            f"The subset is to have {size:,} sequences, but the pool has {count:,}. "
            f"Choose between 1 and {count:,}."
        )
    return Draw(subset, held)


def draw_groups(
    hashes: Iterable[NDArray[np.uint64]], sizes: Sequence[int], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Disjoint groups, one after the other in the order of `draw_subset`, in memory of their own size.

    Args:
        hashes: Hash of every sequence of the pool in order, in blocks, uint64, shape (n,) each, N in all.
        sizes: Sequences wanted in each group; where fewer remain, all that remain.
        seed: Seed of the draw.

    Returns:
        Positions of each group, ascending, int64. Groups of equal sizes before them make equal groups.
    """
    positions = _first(hashes, sum(sizes), seed)
    return tuple(np.sort(group) for group in np.split(positions, np.cumsum(sizes)[:-1]))


def _first(hashes: Iterable[NDArray[np.uint64]], wanted: int, seed: int) -> NDArray[np.int64]:
    """Positions of the `wanted` sequences with the smallest keys, in the order of their keys."""
    keys: list[NDArray[np.uint64]] = [np.empty(0, dtype=np.uint64)]
    positions: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    start, held, bound = 0, 0, None
    for block in hashes:
        mixed = _mix(block, seed)
        # Of equal keys the earlier position comes first, so a key at the bound comes too late.
        rows = np.arange(len(block)) if bound is None else np.flatnonzero(mixed < bound)
        keys.append(mixed[rows])
        positions.append(rows + start)
        start += len(block)
        held += len(rows)
        if held > 2 * wanted + _SPARE:
            least, where = _smallest(keys, positions, wanted)
            keys, positions, held = [least], [where], len(least)
            bound = least[-1] if wanted else np.uint64(0)
    return _smallest(keys, positions, wanted)[1]


def _smallest(
    keys: list[NDArray[np.uint64]], positions: list[NDArray[np.int64]], wanted: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    every, places = np.concatenate(keys), np.concatenate(positions)
    # Equal keys are equal sequences; which of them is first does not matter, only that it is determined.
    first = np.lexsort((places, every))[:wanted]
    return every[first], places[first]


def _mix(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Keys of hash and seed: another order for every seed, from the hashes alone."""
    mask = (1 << 64) - 1
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & mask)
    return mix_words(hashes + offset)  # Wraps around, as intended.
