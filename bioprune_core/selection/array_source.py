"""Scores in arrays, as a table for the selection."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.source import Rows

__all__ = ["ArrayScores"]

# Rows worked on at once: few enough for their temporaries to stay in a core's cache.
_CHUNK_ROWS = 1 << 16
Result = TypeVar("Result")


class ArrayScores:
    """A score table over two arrays; positions are row numbers.

    Args:
        scores: float64, shape (N,).
        hashes: uint64, shape (N,).
        name: What the scores are called in messages.
    """

    def __init__(self, scores: NDArray[np.float64], hashes: NDArray[np.uint64], name: str) -> None:
        self.name = name
        self.count = len(scores)
        self._scores = scores
        self._hashes = hashes

    def each(
        self,
        look: Callable[[Rows], Result],
        hashes: bool = False,  # noqa: ARG002 - slices cost nothing
        positions: bool = False,  # noqa: ARG002
    ) -> list[Result]:
        """`look` at every chunk, on all cores (numpy lets go of the interpreter); results in order."""

        def look_from(start: int) -> Result:
            rows = slice(start, min(start + _CHUNK_ROWS, self.count))
            return look(Rows(self._scores[rows], self._hashes[rows], np.arange(rows.start, rows.stop)))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(look_from, range(0, self.count, _CHUNK_ROWS)))
