"""Strata, counts and budgets of a selection, and the exact cut: all that is known before a row is chosen.

A cut is found without sorting the table: a sample brackets the wanted score, one pass counts what lies above
the bracket and fetches what lies in it. A bracket that misses is widened, so a bad guess costs time and never
the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection import passes
from bioprune_core.selection.adaptive import cum_sqrt_f, fine_edges, quantile
from bioprune_core.selection.config import SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.source import Cut, ScoreProfile, ScoreTable
from bioprune_core.selection.strata import Strata, allocate, equal_width, log_width, single
from bioprune_core.selection.summary import SelectionSummary, StratumCount

__all__ = ["MARGIN", "WIDENING", "Occupancy", "find_cut", "measure_occupancy"]

# Standard deviations that a guess is wide at first, so that a second look is as good as never needed, and how
# much wider it is after a miss.
MARGIN = 6.0
WIDENING = 8


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
            strata_kind=self.config.strata_kind,
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


def measure_occupancy(
    table: ScoreTable, config: SelectionConfig, profile: ScoreProfile | None = None
) -> Occupancy:
    """Count the strata and share out the budget.

    Args:
        table: The scores; they must be lengths for `length_stratified`.
        config: What to select.
        profile: The table's profile from before, to save a pass.

    Raises:
        SelectionError: No rows, scores that are NaN or infinite, or strata that the scores do not allow.
    """
    known = profile or passes.profile(table)
    size = config.coreset_size(known.count)
    cut = find_cut(table, known, _cut_size(config, known.count))
    strata = single(known.low, known.high)
    counts = np.array([known.count], dtype=np.int64)
    if config.strategy in (Strategy.COVERAGE_CENTRIC, Strategy.LENGTH_STRATIFIED):
        strata = _borders(table, config, known, cut)
        counts = passes.histogram(table, strata, cut)
    return Occupancy(config, known.count, cut, strata, counts, allocate(counts, size))


def find_cut(table: ScoreTable, known: ScoreProfile, count: int) -> Cut | None:
    """The `count` largest scores, exactly, ties by sequence hash; None for a count of 0."""
    if count == 0:
        return None
    sample = known.sample
    place = len(sample) - count * len(sample) / known.count
    margin = MARGIN * (np.sqrt(min(place, len(sample) - place) + 1) + 2)
    while True:
        first, last = int(np.floor(place - margin)), int(np.ceil(place + margin))
        low = sample[first] if first >= 0 else known.low
        high = sample[last] if last < len(sample) else known.high
        found = passes.tail(table, float(low), float(high))
        wanted = count - found.above
        everything = low <= known.low and high >= known.high
        if wanted >= 1 and (wanted < len(found.values) or everything):
            break
        margin *= WIDENING
    descending = -np.sort(-found.values)
    value = float(descending[wanted - 1])
    left = float(descending[wanted]) if wanted < len(descending) else None
    if left != value:
        return Cut(count, value, left, None)
    hashes, positions = passes.tied(table, value)
    place_among_ties = wanted - 1 - int(np.searchsorted(-descending, -value))
    row = np.lexsort((positions, hashes))[place_among_ties]
    return Cut(count, value, left, (int(hashes[row]), int(positions[row])))


def _cut_size(config: SelectionConfig, pool_size: int) -> int:
    size = config.coreset_size(pool_size)
    if config.strategy is Strategy.TOP_INFLUENCE:
        return size
    if config.strategy is Strategy.BOTTOM_INFLUENCE:
        return pool_size - size
    return config.removed(pool_size)


def _borders(table: ScoreTable, config: SelectionConfig, known: ScoreProfile, cut: Cut | None) -> Strata:
    low, high = known.low, known.high
    if cut is not None and cut.highest_left is not None:
        high = cut.highest_left
    if low < 0 and config.strategy is Strategy.LENGTH_STRATIFIED:
        raise SelectionError(f"The smallest length is {low:.6g}; lengths must not be negative.")
    if config.strata_kind is StrataKind.EQUAL_WIDTH or low == high:
        return equal_width(low, high, config.strata)
    if config.strata_kind is StrataKind.LOG_WIDTH:
        return log_width(low, known.smallest_positive, high, config.strata)
    fine = fine_edges(known, high, config.strata)
    counts = passes.histogram(table, fine, cut)
    follow = quantile if config.strata_kind is StrataKind.QUANTILE else cum_sqrt_f
    return follow(fine, counts, config.strata)
