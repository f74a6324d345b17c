"""Drawing the subset, the held-out slice and other disjoint groups from a pool."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError

__all__ = ["Draw", "draw_groups", "draw_subset"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Draw:
    """Two disjoint draws from one pool.

    Args:
        subset: Positions of D_sub, ascending, int64, shape (M,).
        held_out: Positions of the held-out slice, ascending, int64, shape (H,).
    """

    subset: NDArray[np.int64]
    held_out: NDArray[np.int64]


def draw_subset(hashes: NDArray[np.uint64], size: int, held_out: int, seed: int) -> Draw:
    """Draw M sequences uniformly without replacement, and H others.

    Sequences are ranked by a mix of their hash and the seed: the M first are the subset, the H next the
    held-out slice. So the draw is the same in whatever order the pool stands, and a smaller subset under the
    same seed is part of a larger one.

    Args:
        hashes: Hash of every sequence of the pool, uint64, shape (N,).
        size: M, 1 <= M <= N.
        held_out: H wanted; where fewer than H remain outside the subset, all that remain.
        seed: Seed of the draw.

    Raises:
        InputError: M is larger than the pool, or smaller than 1.
    """
    count = len(hashes)
    if not 1 <= size <= count:
        raise InputError(
            f"The subset is to have {size:,} sequences, but the pool has {count:,}. "
            f"Choose between 1 and {count:,}."
        )
    return Draw(*draw_groups(hashes, (size, held_out), seed))


def draw_groups(hashes: NDArray[np.uint64], sizes: Sequence[int], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Disjoint groups, one after the other in the order of `draw_subset`.

    Args:
        hashes: Hash of every sequence of the pool, uint64, shape (N,).
        sizes: Sequences wanted in each group; where fewer remain, all that remain.
        seed: Seed of the draw.

    Returns:
        Positions of each group, ascending, int64. Groups of equal sizes before them make equal groups.
    """
    count = len(hashes)
    wanted = min(count, sum(sizes))
    keys = np.empty(0, dtype=np.uint64)
    positions = np.empty(0, dtype=np.int64)
    # Chunk by chunk, keeping the smallest: memory stays at the draw's size.
    for start in range(0, count, _CHUNK):
        chunk = _mix(hashes[start : start + _CHUNK], seed)
        keys = np.concatenate([keys, chunk])
        positions = np.concatenate([positions, np.arange(start, start + len(chunk), dtype=np.int64)])
        # Equal keys are equal sequences; which of them is first does not matter, only that it is determined.
        first = np.lexsort((positions, keys))[:wanted]
        keys, positions = keys[first], positions[first]
    return tuple(np.sort(group) for group in np.split(positions, np.cumsum(sizes)[:-1]))


def _mix(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """SplitMix64's finaliser over hash and seed: another order for every seed, from the hashes alone."""
    mask = (1 << 64) - 1
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & mask)
    words = hashes + offset  # Wraps around, as intended.
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = words ^ (words >> np.uint64(31))
    return mixed
