"""Strata, counts and budgets of a selection, and the exact cut: all that is known before a row is chosen.

A cut is found without sorting the table: a sample brackets the wanted score, one pass counts what lies above
the bracket and fetches what lies in it. A bracket that misses is widened, so a bad guess costs time and never
the result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection.adaptive import cum_sqrt_f, fine_edges, quantile
from bioprune_core.selection.config import SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.source import Cut, ScoreProfile, ScoreSource
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


def find_cut(source: ScoreSource, profile: ScoreProfile, count: int) -> Cut | None:
    """The `count` largest scores, exactly, ties by sequence hash; None for a count of 0."""
    if count == 0:
        return None
    sample = profile.sample
    place = len(sample) - count * len(sample) / profile.count
    margin = MARGIN * (np.sqrt(min(place, len(sample) - place) + 1) + 2)
    while True:
        first, last = int(np.floor(place - margin)), int(np.ceil(place + margin))
        low = sample[first] if first >= 0 else profile.low
        high = sample[last] if last < len(sample) else profile.high
        tail = source.tail(float(low), float(high))
        wanted = count - tail.above
        everything = low <= profile.low and high >= profile.high
        if wanted >= 1 and (wanted < len(tail.values) or everything):
            break
        margin *= WIDENING
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
