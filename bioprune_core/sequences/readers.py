"""From a file to record blocks, whatever its format."""

from collections.abc import Iterator
from dataclasses import dataclass

from bioprune_core.sequences.chunks import CHUNK_BYTES
from bioprune_core.sequences.fasta import read_fasta
from bioprune_core.sequences.formats import SequenceFormat, detect_format
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Source
from bioprune_core.sequences.table import TableLayout, detect_layout, read_table

__all__ = ["Recognised", "read_records", "recognise"]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file turned out to be.

    Args:
        format: Its format.
        layout: How the table is written; None for other formats.
    """

    format: SequenceFormat
    layout: TableLayout | None


def recognise(source: Source, options: IngestOptions) -> Recognised:
    """Look at the beginning of a file without moving on in it.

    Raises:
        InputError: The file is empty, binary, in no known format, or lacks a column.
    """
    found = detect_format(source)
    layout = detect_layout(source, options) if found is SequenceFormat.TABLE else None
    return Recognised(found, layout)


def read_records(
    source: Source, recognised: Recognised, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[RecordBlock]:
    """The records of a file in blocks of about `chunk_bytes` of text."""
    match recognised.format:
        case SequenceFormat.TABLE:
            assert recognised.layout is not None
            return read_table(source, recognised.layout, chunk_bytes)
        case _:
            return read_fasta(source, chunk_bytes)
