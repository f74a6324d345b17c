"""Exact deduplication of any number of sequences in bounded memory, by their 128-bit digests."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.report import EXAMPLES_PER_REASON
from bioprune_core.sequences.spill import KEY, TALLIED_KEY, VALUE, Partitions, RowSet, fold

__all__ = ["DuplicateFinder", "digests"]


def digests(letters: ByteStrings) -> NDArray[np.uint64]:
    """The digests of `hashing.sequence_digest` as two little-endian words each, uint64, shape (n, 2).

    The first word is the sequence hash.
    """
    whole, places = letters.blob.tobytes(), letters.offsets.tolist()
    # Copies of one empty state: to make it, with parameters to parse, is a quarter of the microsecond that
    # `hashing.sequence_digest` takes.
    empty, found = blake2b(digest_size=16), []
    for start, end in pairwise(places):
        state = empty.copy()
        state.update(whole[start:end])
        found.append(state.digest())
    return np.frombuffer(b"".join(found), dtype="<u8").reshape(-1, 2)


class DuplicateFinder:
    """Finds the rows that repeat an earlier row's sequence.

    Digests are dealt into 256 partitions by their first byte as rows come, and each partition is sorted on
    its own, in shares where it is large: at 100 million rows a partition takes 10 MB. The set of repeated
    rows takes a bit for every row.

    Args:
        directory: Where partitions go that no longer fit into memory.
        rows_per_bucket: Rows of the pool per bucket of `counts`.
    """

    def __init__(self, directory: Path, rows_per_bucket: int) -> None:
        self._keys = Partitions(directory, "digests", KEY)
        self._rows = 0
        self._rows_per_bucket = rows_per_bucket
        self.counts = Partitions(directory, "counts", VALUE)
        self.examples: dict[int, int] = {}

    def add(self, words: NDArray[np.uint64]) -> None:
        """Take the digests of the next rows, uint64, shape (n, 2)."""
        keys = np.empty(len(words), dtype=KEY)
        keys["high"], keys["low"] = words[:, 0], words[:, 1]
        keys["row"] = np.arange(self._rows, self._rows + len(words))
        self._rows += len(words)
        self._keys.add((words[:, 0] & np.uint64(0xFF)).astype(np.uint8), keys)

    def resolve(self) -> RowSet:
        """The repeated rows.

        Afterwards `counts` has, for every first row that is repeated, how many rows share its sequence, by
        bucket `row // rows_per_bucket`; and `examples` maps the first few repeated rows to their first rows.
        """
        repeated = RowSet(self._rows)
        for bucket in self._keys.buckets():
            shares = self._keys.shares(bucket)
            for share in range(shares):
                self._resolve(self._keys.share(bucket, share, shares), repeated)
            self._keys.discard(bucket)
        return repeated

    def _resolve(self, rows: Iterable[NDArray[np.void]], repeated: RowSet) -> None:
        """Note the repeated rows among some that hold all rows of each of their digests, in order."""
        table, examples = np.zeros(0, dtype=TALLIED_KEY), list[tuple[int, int, int]]()
        for keys in rows:
            table, again = fold(table, keys)
            repeated.add(again["row"])
            examples += again[np.argsort(again["row"])[:EXAMPLES_PER_REASON]].tolist()
        several = table[table["count"] > 1]
        values = np.empty(len(several), dtype=VALUE)
        values["row"], values["value"] = several["row"], several["count"]
        self.counts.add(values["row"] // self._rows_per_bucket, values)
        self._note_examples(examples, several)

    def _note_examples(self, examples: list[tuple[int, int, int]], several: NDArray[np.void]) -> None:
        last = max(self.examples, default=-1) if len(self.examples) >= EXAMPLES_PER_REASON else None
        for high, low, row in examples:
            if last is None or row < last:
                same = (several["high"] == high) & (several["low"] == low)
                self.examples[row] = int(several["row"][same][0])
        self.examples = dict(sorted(self.examples.items())[:EXAMPLES_PER_REASON])
