"""The Parquet parts of a dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.storage import flush

__all__ = ["SCHEMA", "PartWriter"]

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("description", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("sequence", pa.string()),
        ("length", pa.int32()),
        ("hash", pa.uint64()),
        ("duplicates", pa.int32()),
    ]
)

ROWS_PER_GROUP = 8192
ROWS_PER_PART = 1 << 18
# A row group is held in memory as a whole, so very long sequences close it early.
LETTERS_PER_GROUP = 1 << 26


class PartWriter:
    """Writes rows to part-00000.parquet and on, in row groups of 8,192 (fewer where sequences are very long).

    The bytes depend on the rows alone and not on how they were handed over.

    Args:
        directory: Where the parts go; it must exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_letters = 0
        self._part = 0
        self._part_rows = 0
        self._writer: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows that have `SCHEMA`."""
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_letters += int(batch.column("length").to_numpy().sum(dtype=np.int64))
        if self._waiting_rows >= ROWS_PER_GROUP or self._waiting_letters >= LETTERS_PER_GROUP:
            self._write(final=False)

    def close(self) -> None:
        """Write what is left and finish the last part."""
        self._write(final=True)
        self._finish_part()

    def _write(self, final: bool) -> None:
        rows = pa.Table.from_batches(self._waiting, schema=SCHEMA)
        letters = np.cumsum(rows.column("length").to_numpy(), dtype=np.int64)
        start, before = 0, 0
        while start < len(rows):
            full = int(np.searchsorted(letters, before + LETTERS_PER_GROUP)) + 1
            end = min(start + ROWS_PER_GROUP, full)
            if end > len(rows) and not final:
                break
            end = min(end, len(rows), start + ROWS_PER_PART - self._part_rows)
            self._write_group(rows.slice(start, end - start))
            start, before = end, int(letters[end - 1])
        rest = rows.slice(start)
        self._waiting, self._waiting_rows = rest.to_batches(), len(rest)
        self._waiting_letters = int(letters[-1]) - before if len(rest) else 0

    def _write_group(self, rows: pa.Table) -> None:
        if self._writer is None:
            path = self._directory / f"part-{self._part:05d}.parquet"
            self._writer = pq.ParquetWriter(
                path,
                SCHEMA,
                compression="zstd",
                compression_level=1,
                use_dictionary=["label", "source"],
                column_encoding={"position": "DELTA_BINARY_PACKED"},
                write_statistics=["position", "length"],
            )
        self._writer.write_table(rows, row_group_size=len(rows))
        self._part_rows += len(rows)
        if self._part_rows == ROWS_PER_PART:
            self._finish_part()

    def _finish_part(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        flush(self._directory / f"part-{self._part:05d}.parquet")
        self._part += 1
        self._part_rows = 0
