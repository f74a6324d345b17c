"""A first look at a file before it is ingested: what it seems to be, and its first records."""

from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.alphabets import detect_alphabet
from bioprune_core.sequences.decoders import Compression
from bioprune_core.sequences.file_names import readable
from bioprune_core.sequences.formats import (
    SAMPLE_BYTES,
    SequenceFormat,
    UnrecognisedError,
    detect_format,
)
from bioprune_core.sequences.inputs import InputFile, survey
from bioprune_core.sequences.labels import Labeller
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.parquet import parquet_sample
from bioprune_core.sequences.readers import read_records
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Limits, Source
from bioprune_core.sequences.table import table_sample

__all__ = ["Preview", "PreviewRecord", "preview"]

_SHOWN_LETTERS = 200
_SEARCH_S = 0.2
"""Processor time for the labels of the records shown: a person waits, and others are served meanwhile."""


@dataclass(frozen=True, slots=True)
class PreviewRecord:
    """One record as it is written in the file.

    Args:
        number: Place in the file, from 1.
        id: First word of the header; empty where there is none.
        description: Rest of the header.
        label: Label as an ingest would take it, None where the file or the options give none.
        sequence: Its first 200 letters as written.
        length: Letters as written, gaps included.
    """

    number: int
    id: str
    description: str
    label: str | None
    sequence: str
    length: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file seems to be.

    Args:
        name: Its name.
        bytes: Its size.
        format: Its format.
        compression: How it is packed.
        alphabet: The alphabet its first records seem to have; None when they fit none.
        columns: Column names of a table or Parquet file, "1", "2", ... where it has no header; else empty.
        sequence_column: The column that would be read; None for a table of which it has still to be named.
        id_column: The column of the ids, None where there is none.
        label_column: The column of the labels, None where there is none.
        cells: The first rows of a table or Parquet file.
        records: The first records.
        notes: What the person should know or decide.
    """

    name: str
    bytes: int
    format: SequenceFormat
    compression: Compression
    alphabet: Alphabet | None
    columns: tuple[str, ...]
    sequence_column: str | None
    id_column: str | None
    label_column: str | None
    cells: tuple[tuple[str, ...], ...]
    records: tuple[PreviewRecord, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The preview as plain JSON values."""
        return asdict(self)


def preview(
    path: str | Path,
    rows: int = 20,
    options: IngestOptions = IngestOptions(),  # noqa: B008 - frozen
) -> Preview:
    """Look at the beginning of a file; cheap for any size (a packed Parquet file is unpacked whole).

    Args:
        path: The file.
        rows: How many records to show at most; fewer when records are very long.
        options: Columns that are already chosen, where labels come from, and limits.

    Raises:
        InputError: The file is unreadable, empty, damaged at its beginning or in no known format, or the
            search of its first headers for a label takes too long.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{readable(path)} is a folder. Preview one of its files.")
    names, cells = _table(path, rows, options)
    notes: list[str] = []
    try:
        file, sample = survey(path, path.name, options)
    except UnrecognisedError as error:
        if not names:
            raise
        return _undecided(path, names, cells, error, options)
    alphabet = options.alphabet
    if alphabet is None and sample is not None:
        try:
            alphabet, note = detect_alphabet(file.letters)
        except InputError as error:
            note = error.message
        notes.append(note)
    records = _first_records(sample, file, rows, options)
    notes += _notes_on_labels(records, options)
    chosen = file.recognised.columns or (file.recognised.layout and file.recognised.layout.columns)

    def column(place: int | None) -> str | None:
        return None if place is None else names[place]

    return Preview(
        file.name,
        file.bytes,
        file.recognised.format,
        file.compression,
        alphabet,
        names,
        column(chosen.sequence) if chosen else None,
        column(chosen.id) if chosen else None,
        column(chosen.label) if chosen else None,
        cells,
        records,
        tuple(notes),
    )


def _notes_on_labels(records: tuple[PreviewRecord, ...], options: IngestOptions) -> list[str]:
    if options.label_pattern is None or not records or any(record.label for record in records):
        return []
    where = "the first header" if len(records) == 1 else f"any of the first {len(records):,} headers"
    return [f"The label pattern finds no label in {where}. Check it before the whole file is read."]


def _source(path: Path, options: IngestOptions) -> Source:
    return Source(path, path.name, Limits(options.maximum_bytes, options.maximum_ratio))


def _table(
    path: Path, rows: int, options: IngestOptions
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Column names and first rows, if the file has columns."""
    with _source(path, options) as source:
        match detect_format(source):
            case SequenceFormat.TABLE:
                shape = table_sample(source)
                names, found = list(shape.names), shape.rows
            case SequenceFormat.PARQUET:
                names, found = parquet_sample(source, max(1, rows))
            case _:
                return (), ()
    return tuple(names), tuple(tuple(_shortened(cell) for cell in row) for row in found[:rows])


def _undecided(
    path: Path,
    names: tuple[str, ...],
    cells: tuple[tuple[str, ...], ...],
    error: UnrecognisedError,
    options: IngestOptions,
) -> Preview:
    """The preview of a table whose sequence column has still to be named."""
    with _source(path, options) as source:
        found, size, compression = detect_format(source), source.bytes, source.compression
    notes = (error.message,)
    return Preview(source.name, size, found, compression, None, names, None, None, None, cells, (), notes)


def _first_records(
    sample: RecordBlock | None, file: InputFile, rows: int, options: IngestOptions
) -> tuple[PreviewRecord, ...]:
    labelled = Labeller(options, _SEARCH_S)

    def first(block: RecordBlock, count: int) -> tuple[PreviewRecord, ...]:
        return _records(labelled(block.take(np.arange(min(count, len(block)))), file.name))

    found = () if sample is None else first(sample, rows)
    if len(found) < rows and file.bytes <= SAMPLE_BYTES:
        # The last record of a file is known to be whole at its end alone, and has a block of its own.
        with _source(file.path, options) as source:
            for block in islice(read_records(source, file.recognised, SAMPLE_BYTES), 1, 2):
                found += first(block, rows - len(found))
    return found


def _records(block: RecordBlock) -> tuple[PreviewRecord, ...]:
    lengths = block.letters.lengths
    return tuple(
        PreviewRecord(
            int(block.numbers[row]),
            block.ids.text(row),
            block.descriptions.text(row),
            (block.labels.text(row) or None) if block.labels is not None else None,
            block.letters[row][:_SHOWN_LETTERS].decode("latin-1"),
            int(lengths[row]),
        )
        for row in range(len(block))
    )


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _SHOWN_LETTERS else cell[: _SHOWN_LETTERS - 1] + "…"
