"""Tables of numbers larger than memory: dealt into partitions that are worked on one at a time."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY", "TALLIED_KEY", "VALUE", "Partitions", "RowSet", "fold"]

# A 128-bit key of a row.
KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<i8")])
# A distinct key: the first row that has it, and how many rows have it.
TALLIED_KEY = np.dtype([*KEY.descr, ("count", "<i8")])
# A number that belongs to a row.
VALUE = np.dtype([("row", "<i8"), ("value", "<i8")])

_HELD_BYTES = 1 << 25
_SLICE_ROWS = 1 << 20
# Folding that many distinct keys takes 130 MB. In 256 buckets they are passed from 268 million rows on.
_SHARE_ROWS = 1 << 20


class Partitions:
    """Rows of one dtype, dealt by bucket; held in memory while few, then appended to a file per bucket.

    Args:
        directory: Where the files go.
        name: Begin of their names.
        dtype: What a row is.
    """

    def __init__(self, directory: Path, name: str, dtype: np.dtype[np.void]) -> None:
        self._directory, self._name, self._dtype = directory, name, dtype
        # Rows as they came; dealt many at a time, because a deal costs 256 small copies.
        self._undealt: list[tuple[NDArray[np.integer], NDArray[np.void]]] = []
        self._undealt_bytes = 0
        self._held: dict[int, NDArray[np.void]] = {}
        self._spilled: set[int] = set()

    def add(self, buckets: NDArray[np.integer], rows: NDArray[np.void]) -> None:
        """Deal `rows` into their `buckets`; each bucket keeps the order in which rows came."""
        if not len(rows):
            return
        self._undealt.append((buckets, rows))
        self._undealt_bytes += rows.nbytes
        if self._undealt_bytes > _HELD_BYTES:
            self._deal()
            self._spill()

    def buckets(self) -> list[int]:
        """The buckets that have rows, ascending."""
        self._deal()
        return sorted(self._spilled | set(self._held))

    def slices(self, bucket: int) -> Iterator[NDArray[np.void]]:
        """The rows of a bucket in the order they came, at most about a million at a time."""
        self._deal()
        if bucket in self._spilled:
            with self._path(bucket).open("rb") as stream:
                while data := stream.read(_SLICE_ROWS * self._dtype.itemsize):
                    yield np.frombuffer(data, dtype=self._dtype)
        if bucket in self._held:
            yield self._held[bucket]

    def shares(self, bucket: int) -> int:
        """Into how many shares the keys of a bucket divide such that each may be held in memory."""
        self._deal()
        rows = len(self._held.get(bucket, ()))
        if bucket in self._spilled:
            rows += self._path(bucket).stat().st_size // self._dtype.itemsize
        return max(1, -(-rows // _SHARE_ROWS))

    def share(self, bucket: int, share: int, shares: int) -> Iterator[NDArray[np.void]]:
        """The rows of one share of a bucket of `KEY` in the order they came, about a million at a time.

        Equal `high` are in the same share. Every share reads the whole bucket again, from memory as long as
        the system has some: that is quicker than writing shares out.
        """
        if shares == 1:
            yield from self.slices(bucket)
            return
        waiting: list[bytes] = []
        rows = 0
        for piece in self.slices(bucket):
            # The lowest and the highest byte may have chosen the bucket.
            chosen = np.flatnonzero((piece["high"] >> np.uint64(8)) % np.uint64(shares) == share)
            waiting.append(piece.take(chosen).tobytes())
            rows += len(chosen)
            if rows >= _SLICE_ROWS:
                yield np.frombuffer(b"".join(waiting), dtype=self._dtype)
                waiting, rows = [], 0
        yield np.frombuffer(b"".join(waiting), dtype=self._dtype)

    def all(self, bucket: int) -> NDArray[np.void]:
        """All rows of a bucket."""
        return np.frombuffer(b"".join(rows.tobytes() for rows in self.slices(bucket)), dtype=self._dtype)

    def discard(self, bucket: int) -> None:
        """Forget a bucket and free its room."""
        self._held.pop(bucket, None)
        if bucket in self._spilled:
            self._path(bucket).unlink()
            self._spilled.remove(bucket)

    def _deal(self) -> None:
        """Sort what came by bucket; what an earlier deal left in memory goes to disk."""
        if not self._undealt:
            return
        if self._held:
            self._spill()
        buckets = np.concatenate([part for part, _ in self._undealt])
        # Joined as bytes: numpy takes 30 microseconds per array to reconcile equal structured dtypes.
        rows = np.frombuffer(b"".join([part.tobytes() for _, part in self._undealt]), dtype=self._dtype)
        self._undealt, self._undealt_bytes = [], 0
        order = np.argsort(buckets, kind="stable")
        # `take` moves structured rows seven times faster than indexing does.
        buckets, rows = buckets.take(order), rows.take(order)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(buckets)) + 1, [len(buckets)]])
        self._held = {int(buckets[start]): rows[start:end] for start, end in pairwise(starts.tolist())}

    def _spill(self) -> None:
        for bucket, rows in self._held.items():
            with self._path(bucket).open("ab") as stream:
                stream.write(rows.tobytes())
            self._spilled.add(bucket)
        self._held = {}

    def _path(self, bucket: int) -> Path:
        return self._directory / f"{self._name}-{bucket:05d}.rows"


class RowSet:
    """A set of rows out of `count`, one bit each."""

    def __init__(self, count: int) -> None:
        self._bits = np.zeros(count // 8 + 1, dtype=np.uint8)

    def add(self, rows: NDArray[np.int64]) -> None:
        """Add `rows`."""
        np.bitwise_or.at(self._bits, rows >> 3, (1 << (rows & 7)).astype(np.uint8))

    def has(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `rows` are in the set."""
        found: NDArray[np.bool_] = (self._bits[rows >> 3] >> (rows & 7).astype(np.uint8)) & 1 == 1
        return found


def fold(table: NDArray[np.void], rows: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Fold the next rows of a partition into the table of its distinct keys.

    Args:
        table: Distinct keys so far, `TALLIED_KEY`, sorted by key.
        rows: Further rows, `KEY`, in ascending order of row, all later than those in `table`.

    Returns:
        The new table, and those of `rows` that are not the first with their key.
    """
    both = np.zeros(len(table) + len(rows), dtype=TALLIED_KEY)
    both[: len(table)] = table
    for field in ("high", "low", "row"):
        both[field][len(table) :] = rows[field]
    both["count"][len(table) :] = 1
    order = np.argsort(both["high"], kind="stable")
    high, low = both["high"][order], both["low"][order]
    if ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any():
        # Equal upper halves with different lower ones: only then is the slower sort by both needed.
        order = np.lexsort((both["low"], both["high"]))
        high, low = both["high"][order], both["low"][order]
    both = both.take(order)
    first = np.ones(len(both), dtype=bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    starts = np.flatnonzero(first)
    folded = both.take(starts)
    if len(starts):
        folded["count"] = np.add.reduceat(both["count"], starts)
    again = both.take(np.flatnonzero(~first))
    return folded, again[["high", "low", "row"]]
