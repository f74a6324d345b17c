"""From a configuration and a table of scores to the exact rule that says which rows are selected.

A coreset is a rule, not a list: beyond (or inside) a cut, and with a seeded rank up to the threshold of its
stratum.
Thresholds are found exactly without sorting the table: a guess brackets the wanted row, one pass counts what
lies before the bracket and fetches what lies in it. A bracket that misses is widened, so a bad guess costs
time and never the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection.adaptive import cum_sqrt_f, fine_edges, quantile
from bioprune_core.selection.config import SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.ranking import LARGEST_RANK
from bioprune_core.selection.source import Cut, ScoreProfile, ScoreSource
from bioprune_core.selection.strata import Strata, allocate, equal_width, log_width, single
from bioprune_core.selection.summary import SelectionSummary, StratumCount

__all__ = ["Occupancy", "SelectionRule", "measure_occupancy", "plan_selection"]

_WIDENING = 8


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Strata with their counts and budgets: all that a slider needs, before any row is chosen.

    Args:
        config: What was asked.
        pool_size: N.
        cut: The rows that the hardest cut removes, or that top and bottom influence split off.
        strata: Intervals of score; None for strategies that only cut.
        counts: Rows per stratum, int64, shape (k,).
        budgets: Rows to select per stratum, int64, shape (k,).
    """

    config: SelectionConfig
    pool_size: int
    cut: Cut | None
    strata: Strata
    counts: NDArray[np.int64]
    budgets: NDArray[np.int64]

    @property
    def summary(self) -> SelectionSummary:
        """The same for people: strata with counts and budgets, what was removed, warnings."""
        removes = self.config.strategy is Strategy.COVERAGE_CENTRIC and self.cut is not None
        return SelectionSummary(
            strategy=self.config.strategy,
            pool_size=self.pool_size,
            coreset_size=int(self.budgets.sum()),
            removed=self.cut.count if removes and self.cut else 0,
            removed_from=self.cut.value if removes and self.cut else None,
            strata=tuple(
                StratumCount(index, float(low), float(high), int(count), int(budget))
                for index, (low, high, count, budget) in enumerate(
                    zip(self.strata.edges[:-1], self.strata.edges[1:], self.counts, self.budgets, strict=True)
                )
            ),
        )


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


def measure_occupancy(
    source: ScoreSource, config: SelectionConfig, profile: ScoreProfile | None = None
) -> Occupancy:
    """Count the strata and share out the budget.

    Args:
        source: The table; its score column must be the length for `length_stratified`.
        config: What to select.
        profile: `source.profile()` from before, to save a pass.

    Raises:
        SelectionError: No rows, scores that are NaN or infinite, or strata that the scores do not allow.
    """
    profile = profile or source.profile()
    size = config.coreset_size(profile.count)
    cut = find_cut(source, profile, _cut_size(config, profile.count))
    whole = single(profile.low, profile.high)
    counts = np.array([profile.count], dtype=np.int64)
    if config.strategy in (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED):
        high = profile.high if cut is None or cut.highest_left is None else cut.highest_left
        whole = _borders(source, config, profile, cut, high)
        counts = source.histogram(whole, cut)
    return Occupancy(config, profile.count, cut, whole, counts, allocate(counts, size))


def plan_selection(source: ScoreSource, config: SelectionConfig, occupancy: Occupancy) -> SelectionRule:
    """Find the exact thresholds of an occupancy. Arguments as in `measure_occupancy`."""
    strategy = config.strategy
    cuts = strategy in (Strategy.TOP_INFLUENCE, Strategy.BOTTOM_INFLUENCE)
    budgets, counts = occupancy.budgets, occupancy.counts
    thresholds = np.full(len(budgets), LARGEST_RANK, dtype=np.uint64)
    ties = np.full(len(budgets), np.iinfo(np.int64).max)
    straddled = False
    if not cuts:
        partial = (budgets > 0) & (budgets < counts)
        straddled = _find_thresholds(source, occupancy, partial, thresholds, ties)
    return SelectionRule(
        occupancy=occupancy,
        inside_cut=strategy is Strategy.TOP_INFLUENCE,
        ranked=not cuts,
        empty=budgets == 0,
        thresholds=thresholds,
        tie_positions=ties if straddled else None,
    )


def find_cut(source: ScoreSource, profile: ScoreProfile, count: int) -> Cut | None:
    """The `count` largest scores, exactly, ties by sequence hash; None for a count of 0."""
    if count == 0:
        return None
    sample = profile.sample
    place = len(sample) - count * len(sample) / profile.count
    # Six standard deviations of a sampled rank, so that a second look is as good as never needed.
    margin = 6 * np.sqrt(min(place, len(sample) - place) + 1) + 8
    while True:
        first, last = int(np.floor(place - margin)), int(np.ceil(place + margin))
        low = sample[first] if first >= 0 else profile.low
        high = sample[last] if last < len(sample) else profile.high
        tail = source.tail(float(low), float(high))
        wanted = count - tail.above
        everything = low <= profile.low and high >= profile.high
        if wanted >= 1 and (wanted < len(tail.values) or everything):
            break
        margin *= _WIDENING
    order = np.lexsort((tail.hashes, -tail.values))
    row = order[wanted - 1]
    value, sequence_hash = tail.values[row], tail.hashes[row]
    left = float(tail.values[order[wanted]]) if wanted < len(order) else None
    position: int | None = None
    if left == value and tail.hashes[order[wanted]] == sequence_hash:
        earlier = tail.above + np.count_nonzero(tail.values > value)
        earlier += np.count_nonzero((tail.values == value) & (tail.hashes < sequence_hash))
        position = int(
            source.copies(int(sequence_hash), float(value), float(value), None)[count - earlier - 1]
        )
    return Cut(count, float(value), int(sequence_hash), position, left)


def _cut_size(config: SelectionConfig, pool_size: int) -> int:
    size = config.coreset_size(pool_size)
    if config.strategy is Strategy.TOP_INFLUENCE:
        return size
    if config.strategy is Strategy.BOTTOM_INFLUENCE:
        return pool_size - size
    return config.removed(pool_size)


def _borders(
    source: ScoreSource, config: SelectionConfig, profile: ScoreProfile, cut: Cut | None, high: float
) -> Strata:
    low = profile.low
    if low < 0 and config.strategy is Strategy.LENGTH_STRATIFIED:
        raise SelectionError(f"The smallest length is {low:.6g}; lengths must not be negative.")
    if config.strata_kind is StrataKind.EQUAL_WIDTH or low == high:
        return equal_width(low, high, config.strata)
    if config.strata_kind is StrataKind.LOG_WIDTH:
        return log_width(low, profile.smallest_positive, high, config.strata)
    fine = fine_edges(profile, high, config.strata)
    counts = source.histogram(fine, cut)
    return (quantile if config.strata_kind is StrataKind.QUANTILE else cum_sqrt_f)(
        fine, counts, config.strata
    )


def _find_thresholds(
    source: ScoreSource,
    occupancy: Occupancy,
    partial: NDArray[np.bool_],
    thresholds: NDArray[np.uint64],
    ties: NDArray[np.int64],
) -> bool:
    """Fill in the thresholds of strata that give a part of themselves; tells whether copies straddle one."""
    open_strata = partial.copy()
    counts, budgets = np.maximum(occupancy.counts, 1), occupancy.budgets
    deviation = np.sqrt(budgets * (1 - budgets / counts)) + 1
    margin, straddled = 6.0, False
    while open_strata.any():
        lows = _as_ranks((budgets - margin * deviation - 8) / counts)
        highs = _as_ranks((budgets + margin * deviation + 8) / counts)
        found = source.bracket(
            occupancy.strata, occupancy.cut, occupancy.config.seed, (lows, highs), open_strata
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
                low, high = occupancy.strata.interval(stratum)
                copies = source.copies(sequence_hash, low, high, occupancy.cut)
                ties[stratum] = copies[row - start - np.searchsorted(ranks[start:stop], ranks[row])]
        margin *= _WIDENING
    return straddled


def _as_ranks(shares: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Shares of the range of ranks; those beyond its ends become the ends."""
    ranks = np.full(len(shares), LARGEST_RANK, dtype=np.uint64)
    inside = shares < 1
    ranks[inside] = (np.maximum(shares[inside], 0) * 2.0**64).astype(np.uint64)
    return ranks
