"""Unique ids: a repeated id gets the suffix ~2, ~3, ... that no other id of the pool has."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioprune_core.hashing import mix_words
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.spill import KEY, TALLIED_KEY, VALUE, Partitions, RowSet, fold

__all__ = ["IdResolver", "renamed"]

# An id is a base and a number from 2, or a base alone, which is number 1: two ids are equal exactly when
# both their parts are.
_NUMBERED = re.compile(rb"(.+)~([2-9]|[1-9][0-9]{1,8})", re.DOTALL)


class IdResolver:
    """Finds the rows whose id an earlier row of the pool has, and a free number for each.

    Args:
        directory: Where partitions go that no longer fit into memory.
        rows_per_bucket: Rows per bucket of `numbers`.
    """

    def __init__(self, directory: Path, rows_per_bucket: int) -> None:
        self._keys = Partitions(directory, "ids", KEY)
        self._rows = 0
        self._rows_per_bucket = rows_per_bucket
        self.numbers = Partitions(directory, "numbers", VALUE)

    def add(self, ids: ByteStrings) -> None:
        """Take the ids of the next rows."""
        keys = np.empty(len(ids), dtype=KEY)
        keys["high"], keys["low"] = _hashes_and_numbers(ids)
        keys["row"] = np.arange(self._rows, self._rows + len(ids))
        self._rows += len(ids)
        self._keys.add((keys["high"] >> np.uint64(56)).astype(np.uint8), keys)

    def resolve(self, left_out: RowSet | None) -> None:
        """Fill `numbers` with the new number of every row to rename, by bucket `row // rows_per_bucket`.

        Args:
            left_out: Rows that are not in the pool and whose ids do not count.
        """
        for bucket in self._keys.buckets():
            shares = self._keys.shares(bucket)
            for share in range(shares):
                self._resolve(partial(self._pooled, (bucket, share, shares), left_out))
            self._keys.discard(bucket)

    def _pooled(self, share: tuple[int, int, int], left_out: RowSet | None) -> Iterator[NDArray[np.void]]:
        """The keys of a share of a bucket without those of rows left out."""
        for keys in self._keys.share(*share):
            yield keys if left_out is None else keys[~left_out.has(keys["row"])]

    def _resolve(self, pooled: Callable[[], Iterator[NDArray[np.void]]]) -> None:
        """Number rows among some that hold all ids of each of their bases, read as often as it takes."""
        table = np.zeros(0, dtype=TALLIED_KEY)
        bases = np.zeros(0, dtype=np.uint64)
        for keys in pooled():
            table, again = fold(table, keys)
            bases = np.union1d(bases, again["high"])
        if len(bases):
            self._number(pooled(), table, bases)

    def _number(
        self, pooled: Iterator[NDArray[np.void]], table: NDArray[np.void], bases: NDArray[np.uint64]
    ) -> None:
        """Number the later rows of every id whose base is in `bases`, in the order of rows."""
        table = table[np.isin(table["high"], bases)]
        firsts = set(table["row"].tolist())
        taken: dict[int, set[int]] = {}
        for base, number in zip(table["high"].tolist(), table["low"].tolist(), strict=True):
            taken.setdefault(base, set()).add(number)
        free: dict[int, int] = {}
        for keys in pooled:
            keys = keys[np.isin(keys["high"], bases)]
            found = []
            for base, row in zip(keys["high"].tolist(), keys["row"].tolist(), strict=True):
                if row in firsts:
                    continue
                number = free.get(base, 2)
                while number in taken[base]:
                    number += 1
                free[base] = number + 1
                found.append((row, number))
            values = np.array(found, dtype=VALUE)
            self.numbers.add(values["row"] // self._rows_per_bucket, values)


def renamed(name: str, number: int) -> str:
    """The id `name` with another number."""
    match = _NUMBERED.fullmatch(name.encode())
    return f"{match[1].decode() if match else name}~{number}"


def _hashes_and_numbers(ids: ByteStrings) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """A 64-bit hash of each id's base, and its number."""
    ends = ids.offsets[1:].copy()
    numbers = np.ones(len(ids), dtype=np.uint64)
    for row in np.flatnonzero(ids.any(ids.blob == ord("~"))).tolist():
        if match := _NUMBERED.fullmatch(ids[row]):
            ends[row] -= len(match[2]) + 1
            numbers[row] = int(match[2])
    return _hashes(ids.blob, ids.offsets[:-1], ends), numbers


def _hashes(
    blob: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Multilinear hashes of non-empty spans: each byte times the weight of its place, summed modulo 2^64.

    Two different ids collide with a chance of 2^-57 (Lemire and Kaser, arXiv 1202.4961); at 100 million ids
    one collision is expected in thirty ingests, and costs one id a needless suffix.
    """
    lengths = ends - starts
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    places = np.arange(int(lengths.sum())) - np.repeat(firsts, lengths)
    # Spans end to end, as all are without numbers to leave out, need not be gathered byte by byte.
    if np.array_equal(starts[1:], ends[:-1]):
        letters = blob[starts[0] : ends[-1]]
    else:
        letters = blob[places + np.repeat(starts, lengths)]
    weights = _mix(np.arange(1, int(lengths.max(initial=0)) + 1, dtype=np.uint64)) | np.uint64(1)
    terms = weights[places] * (letters.astype(np.uint64) + np.uint64(1))
    return _mix(np.add.reduceat(terms, firsts))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words, numbers in a row too, as if drawn at random: a step of SplitMix64 for each."""
    return mix_words(words * np.uint64(0x9E3779B97F4A7C15))
