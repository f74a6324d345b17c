"""How many sequences of a pool have a label, and how many different labels there are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.duplicates import digests
from bioprune_core.sequences.report import LabelCount
from bioprune_core.sequences.spill import KEY, TALLIED_KEY, Partitions, fold

__all__ = ["LabelCounter"]


class LabelCounter:
    """Counts labels while a pool is written, in bounded memory: there may be as many as sequences.

    Args:
        directory: Where digests of labels go that no longer fit into memory.
    """

    def __init__(self, directory: Path) -> None:
        self._keys = Partitions(directory, "labels", KEY)
        self._sequences = 0

    def add(self, labels: pa.StringArray) -> None:
        """Take the labels of the next sequences, null where there is none."""
        given = labels.drop_null()
        self._sequences += len(given)
        if not len(given):
            return
        # Families repeat much, so that of each label one digest a batch is enough.
        words = digests(ByteStrings.from_arrow(pc.unique(given).cast(pa.large_binary())))
        keys = np.zeros(len(words), dtype=KEY)
        keys["high"], keys["low"] = words[:, 0], words[:, 1]
        self._keys.add((words[:, 0] & np.uint64(0xFF)).astype(np.uint8), keys)

    def count(self) -> LabelCount:
        """The counts, once at the end."""
        different = 0
        for bucket in self._keys.buckets():
            shares = self._keys.shares(bucket)
            for share in range(shares):
                table = np.zeros(0, dtype=TALLIED_KEY)
                for keys in self._keys.share(bucket, share, shares):
                    table, _ = fold(table, keys)
                different += len(table)
            self._keys.discard(bucket)
        return LabelCount(self._sequences, different)
