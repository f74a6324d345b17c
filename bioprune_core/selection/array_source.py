"""Scores in arrays, as a source for the selection."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.planning import SelectionRule
from bioprune_core.selection.ranking import sample_key, seeded_rank
from bioprune_core.selection.source import (
    SAMPLE_ROWS,
    Bracket,
    Candidates,
    Cut,
    ScoreProfile,
    Tail,
    sample_limit,
)
from bioprune_core.selection.strata import Strata
from bioprune_core.selection.validation import require_finite, require_rows

__all__ = ["ArrayScores"]

# Rows worked on at once: few enough for their temporaries to stay in a core's cache.
_CHUNK_ROWS = 1 << 16
Result = TypeVar("Result")


class ArrayScores:
    """A score source over two arrays; positions are row numbers.

    Args:
        scores: float64, shape (N,).
        hashes: uint64, shape (N,).
    """

    def __init__(self, scores: NDArray[np.float64], hashes: NDArray[np.uint64]) -> None:
        self.scores = scores
        self.hashes = hashes

    def profile(self) -> ScoreProfile:
        """One pass over the scores; see ScoreSource."""
        count = len(self.scores)
        require_rows(count)
        low, high = float(self.scores.min()), float(self.scores.max())
        # NaN and infinities show in the extremes, so the count costs nothing unless there are some.
        if not (np.isfinite(low) and np.isfinite(high)):
            require_finite(int(np.count_nonzero(~np.isfinite(self.scores))), count, "scores")
        smallest_positive: float | None = low
        if low <= 0:
            smallest_positive = (
                float(self.scores.min(where=self.scores > 0, initial=np.inf)) if high > 0 else None
            )
        return ScoreProfile(count, low, high, smallest_positive, self._sample())

    def tail(self, low: float, high: float) -> Tail:
        """How many rows have score > high, and the rows with low <= score <= high."""

        def look(rows: slice) -> Tail:
            scores = self.scores[rows]
            reached = np.flatnonzero(scores >= low)
            inside = reached[scores[reached] <= high]
            return Tail(len(reached) - len(inside), scores[inside], self.hashes[rows][inside])

        parts = self._each_chunk(look)
        return Tail(
            sum(part.above for part in parts),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.hashes for part in parts]),
        )

    def histogram(self, strata: Strata, cut: Cut | None) -> NDArray[np.int64]:
        """Rows per stratum beyond the cut."""

        def look(rows: slice) -> NDArray[np.int64]:
            scores = self.scores[rows]
            if cut is not None:
                scores = scores[~self._in_cut(rows, cut)]
            return np.bincount(strata.assign(scores), minlength=len(strata))

        counts: NDArray[np.int64] = np.sum(self._each_chunk(look), axis=0, dtype=np.int64)
        return counts

    def bracket(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        interval: tuple[NDArray[np.uint64], NDArray[np.uint64]],
        wanted: NDArray[np.bool_],
    ) -> Bracket:
        """The rows beyond the cut whose seeded rank lies in their stratum's interval."""
        lowest, highest = interval

        def look(rows: slice) -> Bracket:
            assigned = strata.assign(self.scores[rows])
            ranks = seeded_rank(self.hashes[rows], seed)
            reached = wanted[assigned] & (ranks <= highest[assigned])
            if cut is not None:
                reached &= ~self._in_cut(rows, cut)
            candidates = np.flatnonzero(reached)
            before = ranks[candidates] < lowest[assigned[candidates]]
            below = np.bincount(assigned[candidates[before]], minlength=len(strata))
            inside = candidates[~before]
            numbers = assigned[inside].astype(np.int64)
            return Bracket(below, numbers, ranks[inside], self.hashes[rows][inside])

        parts = self._each_chunk(look)
        return Bracket(
            np.sum([part.below for part in parts], axis=0, dtype=np.int64),
            np.concatenate([part.strata for part in parts]),
            np.concatenate([part.ranks for part in parts]),
            np.concatenate([part.hashes for part in parts]),
        )

    def candidates(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        highest: NDArray[np.uint64],
        wanted: NDArray[np.bool_],
    ) -> Candidates:
        """The rows beyond the cut whose seeded rank is within their stratum's bound."""

        def look(rows: slice) -> Candidates:
            assigned = strata.assign(self.scores[rows])
            ranks = seeded_rank(self.hashes[rows], seed)
            reached = wanted[assigned] & (ranks <= highest[assigned])
            if cut is not None:
                reached &= ~self._in_cut(rows, cut)
            found = np.flatnonzero(reached)
            return Candidates(assigned[found], ranks[found], self.hashes[rows][found], found + rows.start)

        parts = self._each_chunk(look)
        return Candidates(
            np.concatenate([part.strata for part in parts]),
            np.concatenate([part.ranks for part in parts]),
            np.concatenate([part.hashes for part in parts]),
            np.concatenate([part.positions for part in parts]),
        )

    def copies(self, sequence_hash: int, low: float, high: float, cut: Cut | None) -> NDArray[np.int64]:
        """Positions of the rows of one sequence with low <= score <= high, beyond the cut."""
        chosen = (self.hashes == np.uint64(sequence_hash)) & (self.scores >= low) & (self.scores <= high)
        if cut is not None:
            chosen &= ~self._in_cut(slice(0, len(self.scores)), cut)
        return np.flatnonzero(chosen)

    def positions(self, rule: SelectionRule) -> NDArray[np.int64]:
        """The rows that a rule selects, ascending."""
        return np.concatenate(self._each_chunk(lambda rows: self._selected(rows, rule)))

    def _selected(self, rows: slice, rule: SelectionRule) -> NDArray[np.int64]:
        cut = rule.occupancy.cut
        selected: NDArray[np.bool_] = np.ones(rows.stop - rows.start, dtype=np.bool_)
        if cut is not None:
            selected = self._in_cut(rows, cut)
            if not rule.inside_cut:
                selected = ~selected
        if rule.ranked:
            assigned = rule.occupancy.strata.assign(self.scores[rows])
            ranks, thresholds = (
                seeded_rank(self.hashes[rows], rule.occupancy.config.seed),
                rule.thresholds[assigned],
            )
            within = ranks <= thresholds
            if rule.tie_positions is not None:
                copies = np.flatnonzero(ranks == thresholds)
                within[copies] = copies + rows.start <= rule.tie_positions[assigned[copies]]
            selected &= within & ~rule.empty[assigned]
        chosen: NDArray[np.int64] = np.flatnonzero(selected) + rows.start
        return chosen

    def _in_cut(self, rows: slice, cut: Cut) -> NDArray[np.bool_]:
        scores = self.scores[rows]
        if not cut.is_tied:
            return scores >= cut.value
        inside = scores > cut.value
        ties = np.flatnonzero(scores == cut.value)
        if len(ties):
            hashes = self.hashes[rows][ties]
            inside[ties] = hashes <= cut.sequence_hash
            if cut.position is not None:
                copies = ties[hashes == cut.sequence_hash]
                inside[copies] = copies + rows.start <= cut.position
        return inside

    def _sample(self) -> NDArray[np.float64]:
        if len(self.scores) <= SAMPLE_ROWS:
            return np.sort(self.scores)
        limit = np.uint64(sample_limit(len(self.scores)))
        parts = self._each_chunk(lambda rows: self.scores[rows][sample_key(self.hashes[rows]) < limit])
        return np.sort(np.concatenate(parts))

    def _each_chunk(self, look: Callable[[slice], Result]) -> list[Result]:
        """`look` at every chunk of rows, on all cores (numpy lets go of the interpreter); results in
        order."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(look, self._chunks()))

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, len(self.scores), _CHUNK_ROWS):
            yield slice(start, min(start + _CHUNK_ROWS, len(self.scores)))
