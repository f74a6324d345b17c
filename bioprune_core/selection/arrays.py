"""Selection from arrays: the score source and the public `select`."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.hashing import sequence_hash
from bioprune_core.selection.config import SelectionConfig, StrataKind, Strategy
from bioprune_core.selection.planning import SelectionRule, measure_occupancy, plan_selection
from bioprune_core.selection.ranking import sample_key, seeded_rank
from bioprune_core.selection.source import SAMPLE_ROWS, Bracket, Cut, ScoreProfile, Tail, sample_limit
from bioprune_core.selection.strata import Strata
from bioprune_core.selection.validation import require_finite, require_rows

__all__ = ["ArrayScores", "as_hashes", "select", "select_with_rule"]

# Rows worked on at once: few enough for their temporaries to stay in a core's cache.
_CHUNK_ROWS = 1 << 16
Result = TypeVar("Result")


def select(
    influence: ArrayLike,
    strategy: Strategy | str = Strategy.COVERAGE_CENTRIC,
    prune_rate: Decimal | float | str = 90,
    hardest_cut: Decimal | float | str = 5,
    strata: int = 50,
    seed: int = 0,
    ids: Sequence[str] | ArrayLike | None = None,
    *,
    strata_kind: StrataKind | str = StrataKind.EQUAL_WIDTH,
    lengths: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Select a coreset of B = N - floor(prune_rate * N / 100) sequences.

    The result depends on scores, ids and seed alone, not on the order of the rows; a coreset with a larger
    prune rate and all else equal is a subset of one with a smaller.

    Args:
        influence: Self-influence of each sequence, shape (N,), finite.
        strategy: `coverage_centric`, `top_influence`, `random`, `bottom_influence` or `length_stratified`.
        prune_rate: alpha, percent of the pool left out, 0 <= alpha < 100.
        hardest_cut: beta, percent with the largest influence dropped first by `coverage_centric`; beta <=
            alpha.
        strata: k, number of strata, 1 to 10,000.
        seed: Chooses the random order of the sequences.
        ids: What tells the sequences apart and breaks ties: unique sequence hashes (integers of up to 64
            bits) or unique strings, shape (N,). None takes row numbers, and then the order of the rows
            matters.
        strata_kind: `equal-width`, `log-width`, `cum-sqrt-f` or `quantile`.
        lengths: Length of each sequence, shape (N,); `length_stratified` needs it.

    Returns:
        Positions of the selected rows, ascending, int64, shape (B,).

    Raises:
        SelectionError: A parameter or an array is not acceptable; names value, bound and remedy.

    Source: arXiv 2512.12932 (CCI) and 2210.15809 (coverage-centric selection).
    """
    config = SelectionConfig(
        strategy=strategy,  # type: ignore[arg-type]  # names and floats are converted and checked there
        prune_rate=prune_rate,  # type: ignore[arg-type]
        hardest_cut=hardest_cut,  # type: ignore[arg-type]
        strata=strata,
        strata_kind=strata_kind,  # type: ignore[arg-type]
        seed=seed,
    )
    return select_with_rule(influence, config, ids, lengths)[0]


def select_with_rule(
    influence: ArrayLike,
    config: SelectionConfig,
    ids: Sequence[str] | ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[NDArray[np.int64], SelectionRule]:
    """As `select`, with the rule that was applied: its occupancy has the budgets per stratum and the
    warnings."""
    scores = _scores(influence, "influence scores")
    if config.strategy is Strategy.LENGTH_STRATIFIED:
        if lengths is None:
            raise SelectionError("The strategy length_stratified needs `lengths`, one for each sequence.")
        require_finite(int(np.count_nonzero(~np.isfinite(scores))), len(scores), "influence scores")
        column = _scores(lengths, "lengths")
        if len(column) != len(scores):
            raise SelectionError(
                f"There are {len(column):,} lengths for {len(scores):,} scores; give one for each."
            )
        scores = column
    source = ArrayScores(scores, as_hashes(ids, len(scores)))
    rule = plan_selection(source, config, measure_occupancy(source, config))
    return source.positions(rule), rule


def as_hashes(ids: Sequence[str] | ArrayLike | None, count: int) -> NDArray[np.uint64]:
    """Unique 64-bit hashes of ids; row numbers for None.

    Raises:
        SelectionError: Their number is not `count`, some are equal, or they are neither integers nor text.
    """
    if ids is None:
        return np.arange(count, dtype=np.uint64)
    given = np.asarray(ids)
    if given.ndim != 1 or len(given) != count:
        raise SelectionError(f"There are {given.size:,} ids for {count:,} scores; give one for each.")
    if given.dtype.kind in "UO" and all(isinstance(name, str) for name in given):
        hashes = np.fromiter((sequence_hash(name.encode()) for name in given), dtype=np.uint64, count=count)
    elif given.dtype.kind in "iu":
        hashes = given.astype(np.uint64, copy=False)
    else:
        raise SelectionError(f"The ids are of type {given.dtype}; give integers (sequence hashes) or text.")
    copies = _copies(hashes)
    if copies:
        raise SelectionError(
            f"{copies:,} of {count:,} ids repeat an earlier one, so ties could not be broken. "
            "Deduplicate the sequences first, or leave `ids` out to go by row number."
        )
    return hashes


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


def _scores(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        scores = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SelectionError(
            f"The {name} are not all numbers; give one number each.", detail=str(error)
        ) from error
    if np.ndim(values) != 1:
        raise SelectionError(
            f"The {name} have {np.ndim(values)} dimensions; give one number for each sequence."
        )
    return scores


def _copies(hashes: NDArray[np.uint64]) -> int:
    ordered = np.sort(hashes)
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))
