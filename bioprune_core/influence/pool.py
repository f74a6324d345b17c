"""What the passes ask of a pool of sequences."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bioprune_core.sequences.block import SequenceBlock

__all__ = ["SequencePool"]


class SequencePool(Protocol):
    """N sequences on disk or in memory, addressed by position 0..N-1."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> SequenceBlock:
        """The sequences at positions start..stop-1."""
        ...

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        """The sequences at the given sorted positions."""
        ...
