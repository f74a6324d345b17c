"""From an occupancy to the rows: the rule that says which are selected, or the rows themselves.

A coreset is a rule, not a list: beyond (or inside) a cut, and with a seeded rank up to the threshold of its
stratum. The threshold of a stratum that gives b of its n rows lies near b / n of the ranks, within a few
standard deviations; so one pass over the table finds it exactly, and nothing is sorted but what lies near it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection import passes
from bioprune_core.selection.config import Strategy
from bioprune_core.selection.occupancy import MARGIN, WIDENING, Occupancy
from bioprune_core.selection.ranking import LARGEST_RANK, seeded_rank
from bioprune_core.selection.source import Rows, ScoreTable

__all__ = ["MOST_CANDIDATES", "Members", "SelectionRule", "apply_rule", "choose_members", "plan_selection"]

# Largest coreset whose members are fetched with some surplus: 110 MB.
MOST_CANDIDATES = 1 << 22
_CUTTING = (Strategy.TOP_INFLUENCE, Strategy.BOTTOM_INFLUENCE)


@dataclass(frozen=True, slots=True)
class Members:
    """The selected rows, ascending in position.

    Args:
        positions: int64, shape (B,).
        hashes: Their sequence hashes, uint64, shape (B,).
    """

    positions: NDArray[np.int64]
    hashes: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """Which rows are selected: a row is in when it passes the cut and its rank is within its stratum's
    threshold.

    Args:
        occupancy: Strata, counts and budgets.
        inside_cut: True where the rows of the cut are the coreset (top influence).
        ranked: False where the cut alone decides (top and bottom influence).
        empty: Strata that give nothing, bool, shape (k,).
        thresholds: Largest seeded rank selected per stratum, uint64, shape (k,).
        tie_positions: Of rows whose rank equals the threshold (copies of one sequence), the last position
            selected, int64, shape (k,); None where no copies straddle a threshold.
    """

    occupancy: Occupancy
    inside_cut: bool
    ranked: bool
    empty: NDArray[np.bool_]
    thresholds: NDArray[np.uint64]
    tie_positions: NDArray[np.int64] | None

    @property
    def is_whole(self) -> bool:
        """Whether every stratum gives all it has, so that no rank matters."""
        return bool(np.all(self.thresholds == LARGEST_RANK)) and not self.empty.any()

    def selects(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows are selected; needs hashes and positions."""
        cut = self.occupancy.cut
        selected = np.ones(len(rows.scores), dtype=np.bool_)
        if cut is not None:
            selected = cut.inside(rows) if self.inside_cut else ~cut.inside(rows)
        if self.ranked:
            assigned = self.occupancy.strata.assign(rows.scores)
            ranks, thresholds = (
                seeded_rank(rows.hashes, self.occupancy.config.seed),
                self.thresholds[assigned],
            )
            within = ranks <= thresholds
            if self.tie_positions is not None:
                copies = np.flatnonzero(ranks == thresholds)
                within[copies] = rows.positions[copies] <= self.tie_positions[assigned[copies]]
            selected &= within & ~self.empty[assigned]
        return selected


def plan_selection(table: ScoreTable, occupancy: Occupancy) -> SelectionRule:
    """Find the exact thresholds of an occupancy of `table`."""
    strategy = occupancy.config.strategy
    cuts = strategy in _CUTTING
    budgets, counts = occupancy.budgets, occupancy.counts
    thresholds = np.full(len(budgets), LARGEST_RANK, dtype=np.uint64)
    ties = np.full(len(budgets), np.iinfo(np.int64).max)
    straddled = False
    if not cuts:
        partial = (budgets > 0) & (budgets < counts)
        straddled = _find_thresholds(table, occupancy, partial, thresholds, ties)
    return SelectionRule(
        occupancy=occupancy,
        inside_cut=strategy is Strategy.TOP_INFLUENCE,
        ranked=not cuts,
        empty=budgets == 0,
        thresholds=thresholds,
        tie_positions=ties if straddled else None,
    )


def choose_members(table: ScoreTable, occupancy: Occupancy) -> Members | None:
    """The selected rows in one pass, ascending; None where the cut alone decides or they would not fit in
    memory.

    Fetches a little more than is wanted of each stratum and drops the surplus. It spares the pass that
    applies a rule, but holds 26 bytes for each selected row.
    """
    budgets, counts = occupancy.budgets, np.maximum(occupancy.counts, 1)
    if occupancy.config.strategy in _CUTTING or budgets.sum() > MOST_CANDIDATES:
        return None
    margin, wanted = MARGIN, budgets > 0
    while True:
        highest = _as_ranks((budgets + margin * _deviation(budgets, counts)) / counts)
        highest[budgets == counts] = LARGEST_RANK
        found = passes.candidates(
            table, occupancy.strata, occupancy.cut, occupancy.config.seed, highest, wanted
        )
        if np.all(np.bincount(found.strata, minlength=len(budgets)) >= budgets):
            break
        margin *= WIDENING
    lows = _as_ranks((budgets - margin * _deviation(budgets, counts)) / counts)
    # Almost all of them are so early that they are in for certain: only the others are put in order.
    chosen = found.ranks < lows[found.strata]
    certain = np.bincount(found.strata[chosen], minlength=len(budgets))
    if np.any(certain > budgets):
        chosen[:], certain = False, np.zeros_like(budgets)
    others = np.flatnonzero(~chosen)
    others = others[np.argsort(found.strata[others], kind="stable")]
    starts = np.searchsorted(found.strata[others], np.arange(len(budgets) + 1))
    for stratum in np.flatnonzero(budgets > certain).tolist():
        rows = others[starts[stratum] : starts[stratum + 1]]
        left = int(budgets[stratum] - certain[stratum])
        chosen[rows[_smallest(found.ranks[rows], found.positions[rows], left)]] = True
    positions, hashes = found.positions[chosen], found.hashes[chosen]
    if np.any(positions[1:] < positions[:-1]):
        order = np.argsort(positions)
        positions, hashes = positions[order], hashes[order]
    return Members(positions, hashes)


def apply_rule(table: ScoreTable, rule: SelectionRule) -> NDArray[np.int64]:
    """Positions of the rows that a rule selects, in the order of the table, int64, shape (B,)."""
    return np.concatenate(
        table.each(lambda rows: rows.positions[rule.selects(rows)], hashes=True, positions=True)
    )


def _smallest(ranks: NDArray[np.uint64], positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows of the `count` smallest ranks; of copies of one sequence those with the smallest positions."""
    if count == len(ranks):
        return np.arange(count)
    threshold = np.partition(ranks, count - 1)[count - 1]
    below, equal = np.flatnonzero(ranks < threshold), np.flatnonzero(ranks == threshold)
    equal = equal[np.argsort(positions[equal])]
    return np.concatenate([below, equal[: count - len(below)]])


def _find_thresholds(
    table: ScoreTable,
    occupancy: Occupancy,
    partial: NDArray[np.bool_],
    thresholds: NDArray[np.uint64],
    ties: NDArray[np.int64],
) -> bool:
    """Fill in the thresholds of strata that give a part of themselves; tells whether copies straddle one."""
    open_strata = partial.copy()
    counts, budgets = np.maximum(occupancy.counts, 1), occupancy.budgets
    deviation = _deviation(budgets, counts)
    margin, straddled = MARGIN, False
    while open_strata.any():
        lows = _as_ranks((budgets - margin * deviation) / counts)
        highs = _as_ranks((budgets + margin * deviation) / counts)
        found = passes.bracket(
            table, occupancy.strata, occupancy.cut, occupancy.config.seed, (lows, highs), open_strata
        )
        order = np.lexsort((found.ranks, found.strata))
        strata, ranks = found.strata[order], found.ranks[order]
        for stratum in np.flatnonzero(open_strata).tolist():
            start, stop = np.searchsorted(strata, [stratum, stratum + 1])
            row = start + budgets[stratum] - found.below[stratum] - 1
            if not (start <= row < stop - 1):
                continue
            thresholds[stratum] = ranks[row]
            open_strata[stratum] = False
            if ranks[row + 1] == ranks[row]:
                straddled = True
                sequence_hash = int(found.hashes[order[row]])
                copies = passes.copies(table, sequence_hash, occupancy.strata, stratum, occupancy.cut)
                ties[stratum] = copies[row - start - np.searchsorted(ranks[start:stop], ranks[row])]
        margin *= WIDENING
    return straddled


def _deviation(budgets: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard deviation of how many of `counts` rows have a rank below the share that is wanted, and a
    little."""
    return np.sqrt(budgets * (1 - budgets / counts)) + 2


def _as_ranks(shares: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Shares of the range of ranks; those beyond its ends become the ends."""
    ranks = np.full(len(shares), LARGEST_RANK, dtype=np.uint64)
    inside = shares < 1
    ranks[inside] = (np.maximum(shares[inside], 0) * 2.0**64).astype(np.uint64)
    return ranks
