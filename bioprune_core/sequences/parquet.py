"""Parquet files, the parts of an earlier dataset among them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.columns import Columns
from bioprune_core.sequences.decoders import Compression
from bioprune_core.sequences.records import RecordBlock, as_header, as_text
from bioprune_core.sequences.source import Source
from bioprune_core.storage import storage_error

__all__ = ["parquet_sample", "read_parquet"]

_BATCH_ROWS = 8192
_BATCH_BYTES = 1 << 25
_SAMPLE_ROWS = 200


def parquet_sample(source: Source, count: int = _SAMPLE_ROWS) -> tuple[list[str], list[list[str]]]:
    """The column names and the first rows, as text.

    Raises:
        InputError: The file is damaged.
    """
    with _opened(source) as file:
        names = list(file.schema_arrow.names)
        for batch in _batches(source, file, count, None):
            return names, [[_text(cell) for cell in row.values()] for row in batch.to_pylist()]
    return names, []


def read_parquet(source: Source, columns: Columns) -> Iterator[RecordBlock]:
    """The rows of a Parquet file as records.

    Raises:
        InputError: The file is damaged, or a column does not hold text.
    """
    number = 1
    with _opened(source) as file:
        total = max(1, file.metadata.num_rows)
        names = file.schema_arrow.names

        def cells(batch: pa.RecordBatch, place: int | None) -> ByteStrings:
            if place is None:
                return ByteStrings.empty(batch.num_rows)
            return _cells(source, batch, names[place])

        for batch in _batches(source, file, _batch_rows(file), [names[place] for place in columns.wanted]):
            if not batch.num_rows:
                continue
            yield RecordBlock(
                np.arange(number, number + batch.num_rows, dtype=np.int64),
                *as_header(cells(batch, columns.id), cells(batch, columns.description)),
                None if columns.label is None else as_text(cells(batch, columns.label)),
                cells(batch, columns.sequence),
            )
            number += batch.num_rows
            source.consumed = source.bytes * (number - 1) // total


class _opened:
    """A Parquet file for reading. Parquet is read from its end, so a packed one is first unpacked to disk."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file: Any = None

    def __enter__(self) -> Any:
        source = self._source
        if source.compression is not Compression.NONE:
            self._file = tempfile.TemporaryFile()
        try:
            if self._file is None:
                # Opened here: Arrow takes no path that is not UTF-8.
                self._file = source.path.open("rb")
            else:
                self._unpack()
            return pq.ParquetFile(self._file)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, pa.ArrowInvalid | OSError):
                raise _damaged(source, error) from error
            raise

    def _unpack(self) -> None:
        while data := self._source.read(1 << 20):
            try:
                self._file.write(data)
            except OSError as error:
                raise storage_error(error, Path(tempfile.gettempdir())) from error

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _batch_rows(file: Any) -> int:
    """Rows that hold about `_BATCH_BYTES`, so that long sequences do not fill memory."""
    metadata = file.metadata
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    rows = int(metadata.num_rows)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * max(1, rows) // max(1, int(size))))


def _batches(source: Source, file: Any, rows: int, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(batch_size=rows, columns=names, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(source, error) from error


def _cells(source: Source, batch: pa.RecordBatch, name: str) -> ByteStrings:
    column = batch.column(name)
    try:
        if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
            column = column.cast(pa.large_string())
        return ByteStrings.from_arrow(column.cast(pa.large_binary()).fill_null(b""))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"{source.name}: the column {name!r} holds {column.type} and no text. Choose another column.",
            detail=str(error),
        ) from error


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace")
    return "" if cell is None else str(cell)


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(
        f"{source.name} is a damaged Parquet file (after record {source.records:,}). Fetch it again.",
        detail=str(error),
    )
