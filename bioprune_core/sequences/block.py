"""The unit in which sequences travel from disk to the models: one byte blob with offsets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.hashing import sequence_hash

__all__ = ["SequenceBlock", "gather_rows"]


@dataclass(frozen=True, slots=True)
class SequenceBlock:
    """n normalised sequences, end to end in one blob.

    Args:
        blob: ASCII letters of all sequences, uint8, shape (total letters,).
        offsets: Sequence i is `blob[offsets[i]:offsets[i + 1]]`; int64, shape (n + 1,).
        hashes: Sequence hashes, uint64, shape (n,).
        positions: Row of each sequence in its pool, int64, shape (n,).
    """

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Letters per sequence, int64, shape (n,)."""
        return np.diff(self.offsets)

    def sequence(self, index: int) -> str:
        """Sequence `index` as text."""
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes().decode("ascii")

    def take(self, rows: NDArray[np.integer]) -> "SequenceBlock":
        """A new block of the given rows (indices into this block), in the order given."""
        source, offsets = gather_rows(self.lengths, self.offsets, rows)
        return SequenceBlock(self.blob[source], offsets, self.hashes[rows], self.positions[rows])

    @classmethod
    def from_strings(cls, sequences: Sequence[str]) -> "SequenceBlock":
        """A block of already normalised sequences, positions 0..n-1."""
        encoded = [sequence.encode("ascii") for sequence in sequences]
        offsets = np.concatenate([[0], np.cumsum([len(letters) for letters in encoded])]).astype(np.int64)
        return cls(
            np.frombuffer(b"".join(encoded), dtype=np.uint8),
            offsets,
            np.array([sequence_hash(letters) for letters in encoded], dtype=np.uint64),
            np.arange(len(encoded), dtype=np.int64),
        )


def gather_rows(
    lengths: NDArray[np.int64], offsets: NDArray[np.int64], rows: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where to take the items of some rows from, when rows of any length lie end to end.

    Args:
        lengths: Items per row, int64, shape (n,).
        offsets: Row i begins at item `offsets[i]`; int64, shape (n + 1,).
        rows: The rows to take, in this order; shape (m,).

    Returns:
        Index of every item to take, int64, shape (items taken,), and the offsets of the taken rows, int64,
        shape (m + 1,).
    """
    taken = lengths[rows]
    new = np.concatenate([[0], np.cumsum(taken)]).astype(np.int64)
    # The start of an item's row, plus its place within the row.
    return np.repeat(offsets[:-1][rows] - new[:-1], taken) + np.arange(new[-1]), new
