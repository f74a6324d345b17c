"""What the selection needs to ask of a table of scores; arrays and DuckDB tables answer it alike."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.ranking import LARGEST_RANK
from bioprune_core.selection.strata import Strata

__all__ = ["Bracket", "Candidates", "Cut", "ScoreProfile", "ScoreSource", "Tail", "sample_limit"]

# Rows in the sample of a profile. It only narrows searches and places the borders of adaptive strata; 2^17
# give the rank of a score to within 0.14 % of the pool (one standard deviation), in 1 MB.
SAMPLE_ROWS = 1 << 17


def sample_limit(count: int) -> int:
    """The sample of a table of `count` rows are those whose sample key is below this."""
    return min(LARGEST_RANK, SAMPLE_ROWS * 2**64 // count)


@dataclass(frozen=True, slots=True)
class ScoreProfile:
    """What one pass over the scores tells; it depends on nothing but them, so it may be cached with a run.

    Args:
        count: N, rows of the table.
        low: Smallest score.
        high: Largest score.
        smallest_positive: Smallest score above 0; None without one.
        sample: Scores of a fixed sample of the sequences (all of them up to 131,072), ascending, float64.
    """

    count: int
    low: float
    high: float
    smallest_positive: float | None
    sample: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """The m largest scores, told by the last of them in the order (score descending, hash, position).

    Args:
        count: m, at least 1.
        value: Score of the m-th.
        sequence_hash: Its hash.
        position: Its position, where copies of it (equal score and hash) lie on both sides; None otherwise.
        highest_left: Largest score beyond the m-th; None where nothing is left.
    """

    count: int
    value: float
    sequence_hash: int
    position: int | None
    highest_left: float | None

    @property
    def is_tied(self) -> bool:
        """Whether equal scores lie on both sides, so that the score alone does not tell."""
        return self.highest_left == self.value


@dataclass(frozen=True, slots=True)
class Tail:
    """The rows with scores in an interval, and how many lie above it.

    Args:
        above: Rows with a score larger than the interval's upper end.
        values: Scores in the interval, float64, shape (n,), in any order.
        hashes: Their sequence hashes, uint64, shape (n,).
    """

    above: int
    values: NDArray[np.float64]
    hashes: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Bracket:
    """The rows whose seeded rank lies in their stratum's interval, and how many lie below it.

    Args:
        below: Rows of each stratum with a smaller rank, int64, shape (k,).
        strata: Stratum of each row inside, int64, shape (n,).
        ranks: Its seeded rank, uint64, shape (n,).
        hashes: Its sequence hash, uint64, shape (n,).
    """

    below: NDArray[np.int64]
    strata: NDArray[np.int64]
    ranks: NDArray[np.uint64]
    hashes: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows whose seeded rank is at most their stratum's bound.

    Args:
        strata: Stratum of each, unsigned integers, shape (n,).
        ranks: Its seeded rank, uint64, shape (n,).
        hashes: Its sequence hash, uint64, shape (n,).
        positions: Its position, int64, shape (n,).
    """

    strata: NDArray[np.unsignedinteger]
    ranks: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int64]


class ScoreSource(Protocol):
    """A table of rows (position, hash, score). The score is influence, or length for the length control."""

    def profile(self) -> ScoreProfile:
        """One pass over the scores.

        Raises:
            SelectionError: There are no rows, or scores are NaN or infinite.
        """

    def tail(self, low: float, high: float) -> Tail:
        """How many rows have score > high, and the rows with low <= score <= high."""

    def histogram(self, strata: Strata, cut: Cut | None) -> NDArray[np.int64]:
        """Rows per stratum, int64, shape (k,), leaving out those of the cut."""

    def bracket(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        interval: tuple[NDArray[np.uint64], NDArray[np.uint64]],
        wanted: NDArray[np.bool_],
    ) -> Bracket:
        """The rows, beyond the cut, with lowest <= seeded rank <= highest of their stratum.

        Args:
            strata: k strata.
            cut: Rows to leave out.
            seed: Of the rank.
            interval: Lowest and highest rank per stratum, both included, uint64, shape (k,).
            wanted: Strata to look at, bool, shape (k,).
        """

    def candidates(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        highest: NDArray[np.uint64],
        wanted: NDArray[np.bool_],
    ) -> Candidates:
        """The rows, beyond the cut, of the wanted strata with seeded rank <= highest of their stratum."""

    def copies(self, sequence_hash: int, low: float, high: float, cut: Cut | None) -> NDArray[np.int64]:
        """Positions, ascending, of the rows of one sequence with low <= score <= high, beyond the cut."""
