"""From a file to record blocks, whatever its format."""

from collections.abc import Iterator
from dataclasses import dataclass

from bioprune_core.sequences.chunks import CHUNK_BYTES
from bioprune_core.sequences.columns import Columns, choose_columns
from bioprune_core.sequences.dotbracket import read_dot_bracket
from bioprune_core.sequences.fasta import read_fasta
from bioprune_core.sequences.fastq import read_fastq
from bioprune_core.sequences.formats import SequenceFormat, detect_format
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.parquet import parquet_sample, read_parquet
from bioprune_core.sequences.plain import read_plain
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Source
from bioprune_core.sequences.stockholm import read_stockholm
from bioprune_core.sequences.table import TableLayout, detect_layout, read_table

__all__ = ["Recognised", "read_records", "recognise"]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file turned out to be.

    Args:
        format: Its format.
        layout: How the table is written and which columns to read; None for other formats.
        columns: Which columns of a Parquet file to read; None for other formats.
        names: The column names of a Parquet file.
    """

    format: SequenceFormat
    layout: TableLayout | None = None
    columns: Columns | None = None
    names: tuple[str, ...] = ()


def recognise(source: Source, options: IngestOptions) -> Recognised:
    """Look at a file without moving on in it (a packed Parquet file must be opened anew after this).

    Raises:
        InputError: The file is empty, binary, in no known format, or lacks a column.
    """
    found = detect_format(source)
    if found is SequenceFormat.TABLE:
        return Recognised(found, layout=detect_layout(source, options))
    if found is SequenceFormat.PARQUET:
        names, rows = parquet_sample(source)
        columns = choose_columns(source.name, names, rows, options, has_header=True)
        return Recognised(found, columns=columns, names=tuple(names))
    return Recognised(found)


def read_records(
    source: Source, recognised: Recognised, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[RecordBlock]:
    """The records of a file in blocks of about `chunk_bytes` of text.

    Raises:
        InputError: The file is damaged or breaks the rules of its format.
    """
    match recognised.format, recognised.layout, recognised.columns:
        case SequenceFormat.FASTA, _, _:
            return read_fasta(source, chunk_bytes)
        case SequenceFormat.FASTQ, _, _:
            return read_fastq(source, chunk_bytes)
        case SequenceFormat.DOT_BRACKET, _, _:
            return read_dot_bracket(source, chunk_bytes)
        case SequenceFormat.STOCKHOLM, _, _:
            return read_stockholm(source, chunk_bytes)
        case SequenceFormat.PLAIN, _, _:
            return read_plain(source, chunk_bytes)
        case SequenceFormat.TABLE, TableLayout() as layout, _:
            return read_table(source, layout, chunk_bytes)
        case SequenceFormat.PARQUET, _, Columns() as columns:
            return read_parquet(source, columns)
    raise AssertionError(f"{recognised.format} was recognised without its columns")
