"""A pool in memory, for the passes over shards."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.sequences.block import SequenceBlock


class MemoryPool:
    def __init__(self, block: SequenceBlock) -> None:
        self.block = block

    def __len__(self) -> int:
        return len(self.block)

    def read(self, start: int, stop: int) -> SequenceBlock:
        return self.block.take(np.arange(start, stop))

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        return self.block.take(positions)
