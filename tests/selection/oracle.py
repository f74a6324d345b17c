"""The method written down as plainly as it can be: full sorts over Python lists, nothing clever."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.config import SelectionConfig, Strategy
from bioprune_core.selection.ranking import seeded_rank


def plain_select(
    scores: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    config: SelectionConfig,
    edges: NDArray[np.float64] | None = None,
) -> list[int]:
    """Positions by the words of the method; strata by `edges`, or of equal width when None."""
    count = len(scores)
    budget = count - int(Fraction(config.prune_rate) * count / 100)
    descending = sorted(range(count), key=lambda row: (-scores[row], hashes[row], row))
    if config.strategy is Strategy.TOP_INFLUENCE:
        return sorted(descending[:budget])
    if config.strategy is Strategy.BOTTOM_INFLUENCE:
        return sorted(descending[count - budget :])
    ranks = seeded_rank(hashes, config.seed)
    if config.strategy is Strategy.RANDOM:
        return sorted(sorted(range(count), key=lambda row: (ranks[row], row))[:budget])
    removed = 0
    if config.strategy is Strategy.COVERAGE_CENTRIC:
        removed = int(Fraction(config.hardest_cut) * count / 100)
    rest = descending[removed:]
    members = _strata(scores, rest, config.strata, edges)
    selected: list[int] = []
    remaining = budget
    for visited, rows in enumerate(sorted(members, key=len)):
        take = min(len(rows), remaining // (len(members) - visited))
        selected += sorted(rows, key=lambda row: (ranks[row], row))[:take]
        remaining -= take
    return sorted(selected)


def _strata(
    scores: NDArray[np.float64], rows: list[int], count: int, edges: NDArray[np.float64] | None
) -> list[list[int]]:
    low, high = min(scores[rows]), max(scores[rows])
    if edges is not None:
        count = len(edges) - 1
    elif low == high:
        count = 1
    members: list[list[int]] = [[] for _ in range(count)]
    for row in rows:
        if edges is not None:
            index = sum(scores[row] >= edges[1:-1])
        elif count == 1:
            index = 0
        else:
            index = min(int((scores[row] - low) * (count / (high - low))), count - 1)
        members[index].append(row)
    return members
