"""How two selections compare, and what of a pool's labels a coreset covers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bioprune_core.errors import SelectionError

__all__ = ["LabelCoverage", "Overlap", "coverage", "overlap"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sets of positions share.

    Args:
        both: Positions in both.
        only_first: Positions in the first alone.
        only_second: Positions in the second alone.
    """

    both: int
    only_first: int
    only_second: int

    @property
    def jaccard(self) -> float:
        """Shared positions over those in either, 0 to 1; 1 for two empty sets."""
        union = self.both + self.only_first + self.only_second
        return self.both / union if union else 1.0

    @property
    def share_of_first(self) -> float:
        """Share of the first set that is in the second, 0 to 1; 1 for an empty first set."""
        size = self.both + self.only_first
        return self.both / size if size else 1.0


@dataclass(frozen=True, slots=True)
class LabelCoverage:
    """One label in the pool and in the coreset.

    Args:
        label: The label; None for sequences without one.
        pool: Sequences with it in the pool.
        selected: Sequences with it in the coreset.
        expected: Sequences with it in a random coreset of this size, on average.
    """

    label: str | None
    pool: int
    selected: int
    expected: float


def overlap(first: ArrayLike, second: ArrayLike) -> Overlap:
    """Compare two sets of positions (unique within each, in any order)."""
    one, other = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    both = len(np.intersect1d(one, other, assume_unique=True))
    return Overlap(both, len(one) - both, len(other) - both)


def coverage(labels: Sequence[str | None], positions: NDArray[np.int64]) -> list[LabelCoverage]:
    """How the labels of a pool are represented in a coreset.

    Args:
        labels: Label of each sequence of the pool, shape (N,).
        positions: Rows of the coreset, shape (B,).

    Returns:
        One entry for each label, the largest in the pool first.

    Raises:
        SelectionError: A position is outside the pool.
    """
    if len(positions) and not 0 <= int(np.min(positions)) <= int(np.max(positions)) < len(labels):
        raise SelectionError(
            f"Positions run from {np.min(positions)} to {np.max(positions)} but the pool has {len(labels):,} "
            "sequences. Give the labels of the pool that the coreset was selected from."
        )
    codes: dict[str | None, int] = {}
    coded = np.fromiter(
        (codes.setdefault(label, len(codes)) for label in labels), np.int64, count=len(labels)
    )
    pool = np.bincount(coded, minlength=len(codes))
    selected = np.bincount(coded[positions], minlength=len(codes))
    share = len(positions) / len(labels) if labels else 0.0
    entries = [
        LabelCoverage(label, int(pool[code]), int(selected[code]), float(pool[code] * share))
        for label, code in codes.items()
    ]
    return sorted(entries, key=lambda entry: (-entry.pool, entry.label or ""))
