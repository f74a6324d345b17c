"""The questions a selection asks of a table, each answered in one pass over it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.ranking import LARGEST_RANK, sample_key, seeded_rank
from bioprune_core.selection.source import Bracket, Candidates, Cut, Rows, ScoreProfile, ScoreTable, Tail
from bioprune_core.selection.strata import Strata
from bioprune_core.selection.validation import require_finite, require_rows

__all__ = ["bracket", "candidates", "copies", "histogram", "profile", "tail", "tied"]

# Rows in the sample of a profile. It only narrows searches and places the borders of adaptive strata; 2^17
# give the rank of a score to within 0.14 % of the pool (one standard deviation), in 1 MB.
SAMPLE_ROWS = 1 << 17


def profile(table: ScoreTable) -> ScoreProfile:
    """Extremes of the scores and a sample of them.

    Raises:
        SelectionError: There are no rows, or scores are missing, NaN or infinite.
    """
    count = table.count
    require_rows(count)
    limit = np.uint64(min(LARGEST_RANK, SAMPLE_ROWS * 2**64 // count))

    def look(rows: Rows) -> tuple[float, float, float, NDArray[np.float64]]:
        scores = rows.scores
        low = float(scores.min())
        positive = low if low > 0 else float(scores.min(where=scores > 0, initial=np.inf))
        sample = scores if count <= SAMPLE_ROWS else scores[sample_key(rows.hashes) < limit]
        return low, float(scores.max()), positive, sample

    lows, highs, positives, samples = zip(*table.each(look, hashes=count > SAMPLE_ROWS), strict=True)
    low, high, positive = float(np.min(lows)), float(np.max(highs)), float(np.min(positives))
    # NaN and infinities show in the extremes, so they are counted only where there are some.
    if not (np.isfinite(low) and np.isfinite(high)):
        require_finite(sum(table.each(_not_finite)), count, table.name)
    sample = np.sort(np.concatenate(samples))
    return ScoreProfile(count, low, high, positive if np.isfinite(positive) else None, sample)


def tail(table: ScoreTable, low: float, high: float) -> Tail:
    """How many rows have score > high, and the scores with low <= score <= high."""

    def look(rows: Rows) -> Tail:
        reached = rows.scores[rows.scores >= low]
        inside = reached[reached <= high]
        return Tail(len(reached) - len(inside), inside)

    parts = table.each(look)
    return Tail(sum(part.above for part in parts), np.concatenate([part.values for part in parts]))


def tied(table: ScoreTable, value: float) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes and positions of the rows with this very score."""

    def look(rows: Rows) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        equal = np.flatnonzero(rows.scores == value)
        return rows.hashes[equal], rows.positions[equal]

    hashes, positions = zip(*table.each(look, hashes=True, positions=True), strict=True)
    return np.concatenate(hashes), np.concatenate(positions)


def copies(
    table: ScoreTable, sequence_hash: int, strata: Strata, stratum: int, cut: Cut | None
) -> NDArray[np.int64]:
    """Positions, ascending, of the rows of one sequence in a stratum, beyond the cut."""

    def look(rows: Rows) -> NDArray[np.int64]:
        chosen = (rows.hashes == sequence_hash) & _beyond(cut, rows)
        chosen &= strata.assign(rows.scores) == stratum
        positions: NDArray[np.int64] = rows.positions[chosen]
        return positions

    return np.sort(np.concatenate(table.each(look, hashes=True, positions=True)))


def histogram(table: ScoreTable, strata: Strata, cut: Cut | None) -> NDArray[np.int64]:
    """Rows per stratum beyond the cut, int64, shape (k,)."""

    def look(rows: Rows) -> NDArray[np.int64]:
        scores = rows.scores if cut is None else rows.scores[_beyond(cut, rows)]
        return np.bincount(strata.assign(scores), minlength=len(strata))

    return _sum(table.each(look, hashes=_is_tied(cut), positions=_is_tied(cut)))


def bracket(
    table: ScoreTable,
    strata: Strata,
    cut: Cut | None,
    seed: int,
    interval: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    wanted: NDArray[np.bool_],
) -> Bracket:
    """The rows, beyond the cut, with lowest <= seeded rank <= highest of their stratum.

    Args:
        table: The table.
        strata: k strata.
        cut: Rows to leave out.
        seed: Of the rank.
        interval: Lowest and highest rank per stratum, both included, uint64, shape (k,).
        wanted: Strata to look at, bool, shape (k,).
    """
    lowest, highest = interval

    def look(rows: Rows) -> Bracket:
        assigned, ranks, found = _within(rows, strata, cut, seed, highest, wanted)
        before = ranks[found] < lowest[assigned[found]]
        below = np.bincount(assigned[found[before]], minlength=len(strata))
        inside = found[~before]
        return Bracket(below, assigned[inside], ranks[inside], rows.hashes[inside])

    parts = table.each(look, hashes=True, positions=_is_tied(cut))
    return Bracket(
        _sum([part.below for part in parts]),
        np.concatenate([part.strata for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.hashes for part in parts]),
    )


def candidates(
    table: ScoreTable,
    strata: Strata,
    cut: Cut | None,
    seed: int,
    highest: NDArray[np.uint64],
    wanted: NDArray[np.bool_],
) -> Candidates:
    """The rows, beyond the cut, of the wanted strata with seeded rank <= highest of their stratum."""

    def look(rows: Rows) -> Candidates:
        assigned, ranks, found = _within(rows, strata, cut, seed, highest, wanted)
        return Candidates(assigned[found], ranks[found], rows.hashes[found], rows.positions[found])

    parts = table.each(look, hashes=True, positions=True)
    return Candidates(
        np.concatenate([part.strata for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.positions for part in parts]),
    )


def _within(
    rows: Rows,
    strata: Strata,
    cut: Cut | None,
    seed: int,
    highest: NDArray[np.uint64],
    wanted: NDArray[np.bool_],
) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.uint64], NDArray[np.int64]]:
    """Stratum and seeded rank of every row, and which of them are wanted."""
    assigned = strata.assign(rows.scores)
    ranks = seeded_rank(rows.hashes, seed)
    # The rank rules most rows out, so it is asked first and the rest of the few that it leaves.
    found = np.flatnonzero(ranks <= highest[assigned])
    found = found[wanted[assigned[found]]]
    return assigned, ranks, found[_beyond(cut, rows.take(found))]


def _beyond(cut: Cut | None, rows: Rows) -> NDArray[np.bool_]:
    return np.ones(len(rows.scores), dtype=np.bool_) if cut is None else ~cut.inside(rows)


def _is_tied(cut: Cut | None) -> bool:
    return cut is not None and cut.last is not None


def _not_finite(rows: Rows) -> int:
    return int(np.count_nonzero(~np.isfinite(rows.scores)))


def _sum(counts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum(counts, axis=0, dtype=np.int64)
    return total
