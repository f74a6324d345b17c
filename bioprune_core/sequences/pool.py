"""A dataset on disk, read by position."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, NotFoundError, StorageError
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json

__all__ = ["Pool"]


class Pool:
    """The sequences of a finished dataset. Holds no sequence in memory; safe to open in many processes.

    Open it with `Pool.open`.
    """

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory = directory
        self.manifest = manifest
        self._parts: list[Path] = sorted((directory / "sequences").glob("part-*.parquet"))
        # Row groups of all parts in order: part, group within the part, and first position (n + 1 of these).
        self._groups: list[tuple[int, int]] = []
        rows: list[int] = []
        for part, path in enumerate(self._parts):
            metadata = _open(path).metadata
            for group in range(metadata.num_row_groups):
                self._groups.append((part, group))
                rows.append(metadata.row_group(group).num_rows)
        self._starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        if self._starts[-1] != manifest["sequences"]:
            raise StorageError(
                f"{directory} holds {self._starts[-1]:,} sequences where its manifest says "
                f"{manifest['sequences']:,}: the dataset is damaged. Ingest it again."
            )

    @classmethod
    def open(cls, directory: Path) -> Self:
        """The pool of the dataset in `directory`.

        Raises:
            NotFoundError: There is no finished dataset.
            StorageError: Its files are damaged.
        """
        if not (directory / "manifest.json").exists():
            raise NotFoundError(f"{directory} holds no finished dataset. Ingest it first.")
        return cls(directory, read_json(directory / "manifest.json"))

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet of all sequences."""
        return Alphabet(self.manifest["alphabet"])

    @property
    def content_hash(self) -> str:
        """Identifies the sequences and their order."""
        return str(self.manifest["content_hash"])

    def read(self, start: int, stop: int) -> SequenceBlock:
        """The sequences at positions start <= position < stop.

        Raises:
            InputError: The range is not within the pool.
        """
        if not 0 <= start <= stop <= len(self):
            raise InputError(
                f"Positions {start} to {stop} are not within the pool of {len(self):,} sequences."
            )
        return self.take(np.arange(start, stop, dtype=np.int64))

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        """The sequences at `positions`, int64, sorted ascending, shape (n,).

        Raises:
            InputError: The positions are not sorted, or not within the pool.
        """
        if len(positions) == 0:
            return SequenceBlock.from_strings([])
        if (np.diff(positions) < 0).any():
            raise InputError("Positions to take from a pool must be sorted.")
        if positions[0] < 0 or positions[-1] >= len(self):
            outside = positions[0] if positions[0] < 0 else positions[-1]
            raise InputError(f"Position {outside} is not within the pool of {len(self):,} sequences.")
        groups = np.searchsorted(self._starts, positions, side="right") - 1
        cuts = np.flatnonzero(np.diff(groups)) + 1
        blobs, lengths, hashes = [], [], []
        opened: tuple[int, Any] = (-1, None)
        for wanted in np.split(positions, cuts):
            index = int(np.searchsorted(self._starts, wanted[0], side="right") - 1)
            part, group = self._groups[index]
            if opened[0] != part:
                opened = (part, _open(self._parts[part]))
            table = _read(opened[1], self._parts[part], group)
            rows = wanted - self._starts[index]
            if len(rows) < len(table) or (np.diff(rows) != 1).any():
                table = table.take(pa.array(rows))
            blob, sizes = _letters(table.column("sequence"))
            blobs.append(blob)
            lengths.append(sizes)
            hashes.append(table.column("hash").to_numpy())
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        return SequenceBlock(np.concatenate(blobs), offsets, np.concatenate(hashes), positions)

    def lengths(self) -> NDArray[np.int32]:
        """Residues of every sequence of the pool, int32, shape (N,)."""
        found = [pq.read_table(path, columns=["length"]).column("length").to_numpy() for path in self._parts]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int32)

    def hashes(self) -> Iterator[NDArray[np.uint64]]:
        """The sequence hashes of the whole pool in order, part by part, uint64, shape (n,) each.

        Raises:
            StorageError: A part is damaged.
        """
        for path in self._parts:
            try:
                yield pq.read_table(path, columns=["hash"]).column("hash").to_numpy()
            except (OSError, pa.ArrowInvalid) as error:
                raise _damaged(path, error) from error


def _open(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(
            f"{path} is missing or damaged. Ingest the dataset again.", detail=str(error)
        ) from error


def _read(file: Any, path: Path, group: int) -> pa.Table:
    try:
        return file.read_row_group(group, columns=["sequence", "hash"])
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StorageError:
    return StorageError(f"{path} is damaged. Ingest the dataset again.", detail=str(error))


def _letters(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All letters of a text column, and the length of each entry."""
    blobs, lengths = [np.zeros(0, dtype=np.uint8)], [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks:
        if not len(chunk):
            continue
        offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[
            chunk.offset : chunk.offset + len(chunk) + 1
        ]
        blobs.append(np.frombuffer(chunk.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]])
        lengths.append(np.diff(offsets).astype(np.int64))
    return np.concatenate(blobs), np.concatenate(lengths)
