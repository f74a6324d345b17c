"""Writing tables of sequences in the formats people want, batch by batch, always the same bytes."""

import gzip
import io
from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import PurePath
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from bioprune_core.sequences.file_names import is_named_as_fasta, packing

__all__ = ["Drain", "ExportFormat", "TableWriter", "table_writer"]


class ExportFormat(StrEnum):
    """A file format of an export."""

    FASTA = "fasta"
    FASTA_GZ = "fasta.gz"
    CSV = "csv"
    PARQUET = "parquet"
    IDS = "ids"

    @classmethod
    def of_file(cls, name: str) -> "ExportFormat | None":
        """The format that a file's name ends in; None where it ends in none, or is packed as none is."""
        packed = packing(name)
        if packed:
            return cls.FASTA_GZ if packed == ".gz" and is_named_as_fasta(name) else None
        if is_named_as_fasta(name):
            return cls.FASTA
        return _ENDINGS.get(PurePath(name).suffix.lower())

    @property
    def suffix(self) -> str:
        """The file name's ending."""
        return ".txt" if self is ExportFormat.IDS else f".{self.value}"

    @property
    def media_type(self) -> str:
        """The media type for a download."""
        return {
            ExportFormat.FASTA: "text/x-fasta",
            ExportFormat.FASTA_GZ: "application/gzip",
            ExportFormat.CSV: "text/csv",
            ExportFormat.PARQUET: "application/vnd.apache.parquet",
            ExportFormat.IDS: "text/plain",
        }[self]


_ENDINGS = {
    ".csv": ExportFormat.CSV,
    ".parquet": ExportFormat.PARQUET,
    ".pq": ExportFormat.PARQUET,
    ".txt": ExportFormat.IDS,
    ".ids": ExportFormat.IDS,
}


class Drain(io.RawIOBase):
    """A stream that keeps what is written until it is taken: turns a writer into pieces for a download."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """What was written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class TableWriter(ABC):
    """Writes tables of one schema, one after the other, to a stream that it does not close."""

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """Append the rows of a table."""

    def finish(self) -> None:  # noqa: B027 - text formats have no ending
        """Write what the format needs at its end."""


def table_writer(file_format: ExportFormat, schema: pa.Schema, stream: IO[bytes]) -> TableWriter:
    """A writer of `file_format`. FASTA needs the columns id, description and sequence, ids the id."""
    match file_format:
        case ExportFormat.FASTA:
            return _Fasta(stream)
        case ExportFormat.FASTA_GZ:
            return _CompressedFasta(stream)
        case ExportFormat.CSV:
            return _Csv(schema, stream)
        case ExportFormat.PARQUET:
            return _Parquet(schema, stream)
        case ExportFormat.IDS:
            return _Ids(stream)


class _Fasta(TableWriter):
    """Header = id and description; the sequence on one line, so that line tools see whole records."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream

    def write(self, table: pa.Table) -> None:
        described = pc.binary_join_element_wise(table["id"], table["description"], " ")
        header = pc.if_else(pc.equal(table["description"], ""), table["id"], described)
        self._stream.write(
            _joined(pc.binary_join_element_wise(">", header, "\n", table["sequence"], "\n", ""))
        )


class _CompressedFasta(TableWriter):
    def __init__(self, stream: IO[bytes]) -> None:
        # No time and no name in the gzip header: equal content gives equal bytes.
        self._gzip = gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0)
        self._fasta = _Fasta(self._gzip)

    def write(self, table: pa.Table) -> None:
        self._fasta.write(table)

    def finish(self) -> None:
        self._gzip.close()


class _Ids(TableWriter):
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, table: pa.Table) -> None:
        self._stream.write(_joined(pc.binary_join_element_wise(table["id"], "\n", "")))


class _Csv(TableWriter):
    def __init__(self, schema: pa.Schema, stream: IO[bytes]) -> None:
        self._writer = pyarrow.csv.CSVWriter(pa.PythonFile(stream, mode="w"), schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def finish(self) -> None:
        self._writer.close()


class _Parquet(TableWriter):
    def __init__(self, schema: pa.Schema, stream: IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(pa.PythonFile(stream, mode="w"), schema, compression="zstd")

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def finish(self) -> None:
        self._writer.close()


def _joined(texts: pa.ChunkedArray) -> bytes:
    """All texts end to end: the data buffer of the array, without a Python object per row."""
    array = texts.cast(pa.large_string()).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_string())
    if not len(array):
        return b""
    _, offsets, data = array.buffers()
    bounds = memoryview(offsets).cast("q")
    begin, end = bounds[array.offset], bounds[array.offset + len(array)]
    return bytes(memoryview(data)[begin:end]) if data is not None else b""
