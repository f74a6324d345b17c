"""A table of scores as the selection sees it: rows in chunks, whether from arrays or from DuckDB."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.length_adjustment import LengthAdjustment

__all__ = ["Bracket", "Candidates", "Cut", "Rows", "ScoreProfile", "ScoreTable", "Tail"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Rows:
    """A chunk of a table.

    Args:
        scores: Influence, adjusted or not, or length for the length control, float64, shape (n,).
        hashes: Sequence hashes, uint64, shape (n,); empty where they were not asked for.
        positions: Positions in the pool, int64, shape (n,); empty where they were not asked for.
    """

    scores: NDArray[np.float64]
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64]) -> "Rows":
        """The rows at these places of the chunk; columns that were not asked for stay empty."""
        hashes = self.hashes[chosen] if len(self.hashes) else self.hashes
        positions = self.positions[chosen] if len(self.positions) else self.positions
        return Rows(self.scores[chosen], hashes, positions)


class ScoreTable(Protocol):
    """Where rows come from.

    Args:
        count: N, rows in all.
        name: What the scores are called in messages.
    """

    @property
    def count(self) -> int: ...

    @property
    def name(self) -> str: ...

    def each(
        self, look: Callable[[Rows], Result], hashes: bool = False, positions: bool = False
    ) -> list[Result]:
        """`look` at every chunk, on all cores; the results in the order of the chunks.

        Args:
            look: Called from several threads.
            hashes: Whether it needs the hashes.
            positions: Whether it needs the positions. Columns that nobody asks for are not read.
        """


@dataclass(frozen=True, slots=True)
class ScoreProfile:
    """What one pass over the scores tells; it depends on nothing but them, so it may be cached with a run.

    Args:
        count: N, rows of the table.
        low: Smallest score.
        high: Largest score.
        smallest_positive: Smallest score above 0; None without one.
        sample: Scores of a fixed sample of the sequences (all of them up to 131,072), ascending, float64.
        adjustment: How the scores were adjusted for length; None where they are as they are.
    """

    count: int
    low: float
    high: float
    smallest_positive: float | None
    sample: NDArray[np.float64]
    adjustment: LengthAdjustment | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The m largest scores, told by the last of them in the order (score descending, hash, position).

    Args:
        count: m, at least 1.
        value: Score of the m-th.
        highest_left: Largest score beyond the m-th; None where nothing is left.
        last: Hash and position of the m-th where equal scores lie on both sides of it; None otherwise.
    """

    count: int
    value: float
    highest_left: float | None
    last: tuple[int, int] | None

    def inside(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows belong to the m largest; needs hashes and positions where `last` is given."""
        if self.last is None:
            return rows.scores >= self.value
        sequence_hash, position = self.last
        inside = rows.scores > self.value
        ties = np.flatnonzero(rows.scores == self.value)
        hashes = rows.hashes[ties]
        inside[ties] = (hashes < sequence_hash) | (
            (hashes == sequence_hash) & (rows.positions[ties] <= position)
        )
        return inside


@dataclass(frozen=True, slots=True)
class Tail:
    """The scores in an interval, and how many lie above it.

    Args:
        above: Rows with a score larger than the interval's upper end.
        values: Scores in the interval, float64, shape (n,), in any order.
    """

    above: int
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bracket:
    """The rows whose seeded rank lies in their stratum's interval, and how many lie below it.

    Args:
        below: Rows of each stratum with a smaller rank, int64, shape (k,).
        strata: Stratum of each row inside, uint16, shape (n,).
        ranks: Its seeded rank, uint64, shape (n,).
        hashes: Its sequence hash, uint64, shape (n,).
    """

    below: NDArray[np.int64]
    strata: NDArray[np.unsignedinteger[Any]]
    ranks: NDArray[np.uint64]
    hashes: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows whose seeded rank is at most their stratum's bound.

    Args:
        strata: Stratum of each, uint16, shape (n,).
        ranks: Its seeded rank, uint64, shape (n,).
        hashes: Its sequence hash, uint64, shape (n,).
        positions: Its position, int64, shape (n,).
    """

    strata: NDArray[np.unsignedinteger[Any]]
    ranks: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int64]
