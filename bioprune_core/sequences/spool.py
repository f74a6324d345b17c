"""Normalised records on their way: in order on disk, until it is known which are duplicates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bioprune_core.sequences.records import RecordBlock

__all__ = ["ROWS_PER_FILE", "Spool"]

ROWS_PER_FILE = 1 << 18

_SCHEMA = pa.schema(
    [
        ("file", pa.int32()),
        ("number", pa.int64()),
        ("id", pa.string()),
        ("description", pa.string()),
        ("label", pa.string()),
        ("sequence", pa.string()),
        ("hash", pa.uint64()),
    ]
)


class Spool:
    """Rows in files of exactly `ROWS_PER_FILE`, so that facts about a row can be looked up by its file.

    Not packed: LZ4 would halve the room on disk for 0.8 of the 5 microseconds that a record of 220 nt costs.

    Args:
        directory: Where the files go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stream: Any = None
        self._writer: Any = None
        self.rows = 0

    def add(self, file: int, block: RecordBlock, hashes: NDArray[np.uint64]) -> None:
        """Append the records of one block of the file with index `file`."""
        labels = pa.nulls(len(block), pa.string())
        if block.labels is not None:
            given = pa.array(block.labels.lengths > 0)
            labels = pc.if_else(given, block.labels.to_arrow_text(), pa.scalar(None, pa.string()))
        columns = [
            pa.array(np.full(len(block), file, dtype=np.int32)),
            pa.array(block.numbers),
            block.ids.to_arrow_text(),
            block.descriptions.to_arrow_text(),
            labels,
            block.letters.to_arrow_text(),
            pa.array(hashes),
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
        while batch.num_rows:
            room = ROWS_PER_FILE - self.rows % ROWS_PER_FILE
            if self._writer is None:
                self._open()
            piece = batch.slice(0, room)
            self._writer.write_batch(piece)
            self.rows += piece.num_rows
            batch = batch.slice(piece.num_rows)
            if self.rows % ROWS_PER_FILE == 0:
                self.close()

    def close(self) -> None:
        """Finish the file being written."""
        if self._writer is not None:
            self._writer.close()
            self._stream.close()
            self._writer = None

    def batches(self, file: int) -> Iterator[pa.RecordBatch]:
        """The rows of one spool file in order; the file is deleted behind them."""
        path = self._path(file)
        with pa.OSFile(str(path), "rb") as stream:
            yield from pa.ipc.open_stream(stream)
        path.unlink()

    @property
    def files(self) -> int:
        """How many files there are."""
        return -(-self.rows // ROWS_PER_FILE)

    def _open(self) -> None:
        self._stream = pa.OSFile(str(self._path(self.rows // ROWS_PER_FILE)), "wb")
        self._writer = pa.ipc.new_stream(self._stream, _SCHEMA)

    def _path(self, file: int) -> Path:
        return self._directory / f"spool-{file:05d}.arrow"
