"""What a pool is made of: lengths and letters, gathered while it is written."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences.bytestrings import ByteStrings

__all__ = ["PoolStatistics"]

_COUNTED_LENGTHS = 1 << 16
# Bins of the length histogram per doubling of the length.
_BINS_PER_DOUBLING = 4


class PoolStatistics:
    """Exact length and letter counts of sequences that come in blocks.

    Args:
        alphabet: Alphabet of the pool.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._lengths = np.zeros(_COUNTED_LENGTHS, dtype=np.int64)
        self._long: Counter[int] = Counter()
        self._letters: Counter[str] = Counter()
        self._ambiguous_sequences = 0

    def add(self, letters: ByteStrings) -> None:
        """Take the normalised sequences of one block."""
        lengths = letters.lengths
        short = lengths[lengths < _COUNTED_LENGTHS]
        self._lengths += np.bincount(short, minlength=_COUNTED_LENGTHS)
        self._long.update(lengths[lengths >= _COUNTED_LENGTHS].tolist())
        residues = self._count(letters.blob, self._alphabet.residues)
        if residues < len(letters.blob):
            self._count(letters.blob, self._alphabet.ambiguous)
            ambiguous = np.isin(
                letters.blob, np.frombuffer(self._alphabet.ambiguous.encode(), dtype=np.uint8)
            )
            self._ambiguous_sequences += int(np.count_nonzero(letters.any(ambiguous)))

    def _count(self, blob: NDArray[np.uint8], letters: str) -> int:
        found = {letter: int(np.count_nonzero(blob == ord(letter))) for letter in letters}
        self._letters.update(found)
        return sum(found.values())

    def lengths(self) -> dict[str, float]:
        """Minimum, p5, median, mean, p95, maximum and total of the lengths, in residues."""
        values, counts = self._distinct()
        total = int(values @ counts)
        at = np.cumsum(counts)

        def quantile(share: float) -> int:
            return int(values[np.searchsorted(at, share * at[-1])])

        return {
            "minimum": int(values[0]),
            "p5": quantile(0.05),
            "median": quantile(0.5),
            "mean": total / int(at[-1]),
            "p95": quantile(0.95),
            "maximum": int(values[-1]),
            "total": total,
        }

    def length_histogram(self) -> dict[str, list[int]]:
        """Counts over about geometric bins of whole residues, the last one closed."""
        values, counts = self._distinct()
        lowest, highest = int(values[0]), max(int(values[-1]), int(values[0]) + 1)
        grid = np.rint(2.0 ** (np.arange(31 * _BINS_PER_DOUBLING) / _BINS_PER_DOUBLING)).astype(np.int64)
        inner = grid[(grid > lowest) & (grid < highest)]
        edges = np.unique(np.concatenate([[lowest], inner, [highest]]))
        histogram, _ = np.histogram(values, bins=edges, weights=counts)
        return {"edges": edges.tolist(), "counts": histogram.astype(np.int64).tolist()}

    def composition(self) -> dict[str, int]:
        """Letters that occur, in the alphabet's order, with their counts."""
        order = self._alphabet.residues + self._alphabet.ambiguous
        return {letter: self._letters[letter] for letter in order if self._letters[letter]}

    def ambiguous(self) -> dict[str, int]:
        """Sequences with ambiguous letters, and how many such letters there are."""
        return {
            "sequences": self._ambiguous_sequences,
            "letters": sum(self._letters[letter] for letter in self._alphabet.ambiguous),
        }

    def _distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        short = np.flatnonzero(self._lengths)
        long = sorted(self._long)
        values = np.concatenate([short, np.array(long, dtype=np.int64)])
        counts = np.concatenate(
            [self._lengths[short], np.array([self._long[x] for x in long], dtype=np.int64)]
        )
        return values, counts
