"""CSV, TSV and their relatives, through Arrow's streaming reader."""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings, trim
from bioprune_core.sequences.chunks import CHUNK_BYTES
from bioprune_core.sequences.columns import (
    DESCRIPTION_NAMES,
    ID_NAMES,
    LABEL_NAMES,
    SEQUENCE_NAMES,
    Columns,
    choose_columns,
    looks_like_sequences,
)
from bioprune_core.sequences.formats import SAMPLE_BYTES, UnrecognisedError, sample_lines
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.records import RecordBlock, as_header, as_text
from bioprune_core.sequences.source import Source

__all__ = ["TableLayout", "TableSample", "detect_layout", "read_table", "table_sample"]

_DELIMITERS = ("\t", ",", ";", "|")
_SAMPLE_ROWS = 200
# Share of the first rows that must be as wide as the first one.
_REGULAR_SHARE = 0.8
LARGEST_ROW_BYTES = 1 << 23
# A row of one cell, which no table has, put after the last row: where a quoted cell is still open there, it
# becomes part of that cell. Else Arrow would take the rest of the file for the cell and say nothing.
_END_ROW = "\x04"


@dataclass(frozen=True, slots=True)
class TableLayout:
    """How a table is written.

    Args:
        delimiter: Character between cells.
        quoted: Whether double quotes enclose cells; TSV files often have stray ones.
        names: Column names, "1", "2", ... without a header.
        lines_before: Lines of the file before the first record: blank ones and the header.
        columns: The columns to read.
    """

    delimiter: str
    quoted: bool
    names: tuple[str, ...]
    lines_before: int
    columns: Columns


@dataclass(frozen=True, slots=True)
class TableSample:
    """The shape of a table and its first rows.

    Args:
        delimiter: Character between cells.
        quoted: Whether double quotes enclose cells.
        names: Column names, "1", "2", ... without a header.
        has_header: Whether the first row held the names.
        lines_before: Lines of the file before the first of `rows`: blank ones and the header.
        rows: The first rows after the header.
    """

    delimiter: str
    quoted: bool
    names: tuple[str, ...]
    has_header: bool
    lines_before: int
    rows: list[list[str]]


def detect_layout(source: Source, options: IngestOptions) -> TableLayout:
    """Delimiter, header and columns of a table, from its first rows.

    Raises:
        InputError: The rows do not make a table, or a column is missing.
    """
    sample = table_sample(source)
    columns = choose_columns(source.name, sample.names, sample.rows, options, sample.has_header)
    return TableLayout(sample.delimiter, sample.quoted, sample.names, sample.lines_before, columns)


def table_sample(source: Source) -> TableSample:
    """The first rows of a table, split by the delimiter that makes them most regular."""
    text = b"\n".join(sample_lines(source.peek(SAMPLE_BYTES))).decode("utf-8", errors="replace")
    candidates = []
    for delimiter in _DELIMITERS:
        quoted = delimiter != "\t" or f'"{delimiter}' in text or f'{delimiter}"' in text
        rows, lines = _rows(text, delimiter, quoted)
        if rows and len(rows[0]) > 1:
            regular = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
            candidates.append((regular, len(rows[0]), delimiter, quoted, rows, lines))
    if not candidates or max(found[0] for found in candidates) < _REGULAR_SHARE:
        raise UnrecognisedError(
            f"{source.name} is neither a sequence file nor a table: its lines do not have the same number of "
            "cells separated by tab, comma or semicolon."
        )
    _, width, delimiter, quoted, rows, lines = max(candidates, key=lambda found: found[:2])
    has_header = _has_header(rows)
    names = tuple(rows[0]) if has_header else tuple(str(place) for place in range(1, width + 1))
    return TableSample(delimiter, quoted, names, has_header, lines[has_header], rows[has_header:])


def read_table(source: Source, layout: TableLayout, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The rows of a table as records; rows with a wrong number of cells come as malformed.

    Raises:
        InputError: A row is too long, or a quoted cell is not closed.
    """
    malformed: list[tuple[int, str]] = []
    ended = False

    def note(row: Any) -> str:
        nonlocal ended
        ended = row.text == _END_ROW
        if ended:
            return "skip"
        # Arrow's numbering counts the lines that it was told to pass over.
        number = row.number - layout.lines_before
        malformed.append((number, f"{row.actual_columns} cells instead of {row.expected_columns}"))
        return "skip"

    names = [str(place) for place in range(len(layout.names))]
    columns = layout.columns
    try:
        reader = arrow_csv.open_csv(
            pa.PythonFile(_WithEndRow(source), mode="r"),
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                # A row must fit into a block.
                block_size=max(chunk_bytes, LARGEST_ROW_BYTES),
                column_names=names,
                skip_rows=layout.lines_before,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
                invalid_row_handler=note,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_binary()),
                include_columns=[names[place] for place in columns.wanted],
                strings_can_be_null=False,
            ),
        )
        number = 1
        for batch in chain.from_iterable(_pieces(whole, chunk_bytes) for whole in reader):
            numbers, bad = _numbers(number, batch.num_rows, malformed)
            number += batch.num_rows + len(bad)
            yield _block(batch, names, columns, numbers, bad)
        if not ended:
            raise InputError(
                f"{source.name}: a double quote opens a cell of record {number + len(malformed) - 1:,} and "
                "nothing closes it, so that the rest of the file belongs to the cell. Close or remove it."
            )
        if malformed:
            empty = np.zeros(0, dtype=np.int64)
            none = ByteStrings.empty(0)
            yield RecordBlock(empty, none, none, None, none, tuple(malformed))
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if "straddling" in str(error):
            raise InputError(
                f"{source.name}: a row after record {source.records:,} is longer than {LARGEST_ROW_BYTES:,} "
                "bytes. Give such long sequences as FASTA; if none is so long, a double quote that opens a "
                "cell is not closed."
            ) from error
        raise InputError(
            f"{source.name}: the table cannot be read after record {source.records:,}: {error}.",
            detail=str(error),
        ) from error


class _WithEndRow:
    """A table's file as Arrow reads it, with `_END_ROW` as its last line."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._end = f"\n{_END_ROW}\n".encode()

    @property
    def closed(self) -> bool:
        return self._source.closed

    def read(self, count: int) -> bytes:
        data = self._source.read(count)
        if not data:
            data, self._end = self._end, b""
        return data

    def close(self) -> None:
        self._source.close()


def _pieces(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a batch in pieces of about `size` bytes: what follows is quicker on what a cache holds."""
    rows = max(1, batch.num_rows * size // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _numbers(
    start: int, count: int, malformed: list[tuple[int, str]]
) -> tuple[NDArray[np.int64], tuple[tuple[int, str], ...]]:
    """Record numbers of the next `count` good rows, and the malformed rows among and before them."""
    bad: list[tuple[int, str]] = []
    while malformed and malformed[0][0] < start + count + len(bad):
        bad.append(malformed.pop(0))
    numbers = np.arange(start, start + count + len(bad), dtype=np.int64)
    return np.setdiff1d(numbers, [number for number, _ in bad], assume_unique=True), tuple(bad)


def _block(
    batch: pa.RecordBatch,
    names: list[str],
    columns: Columns,
    numbers: NDArray[np.int64],
    malformed: tuple[tuple[int, str], ...],
) -> RecordBlock:
    def cells(place: int | None) -> ByteStrings:
        if place is None:
            return ByteStrings.empty(len(numbers))
        strings = ByteStrings.from_arrow(batch.column(names[place]))
        starts, ends = trim(strings.blob, strings.offsets[:-1], strings.offsets[1:])
        return ByteStrings.from_spans(strings.blob, starts, ends)

    return RecordBlock(
        numbers,
        *as_header(cells(columns.id), cells(columns.description)),
        None if columns.label is None else as_text(cells(columns.label)),
        cells(columns.sequence),
        malformed,
    )


def _rows(text: str, delimiter: str, quoted: bool) -> tuple[list[list[str]], tuple[int, int]]:
    """The first rows from the first filled one on, and the lines before it, without and with its own."""
    reader = csv.reader(
        io.StringIO(text), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    rows: list[list[str]] = []
    before = through = 0
    # An error: no table with this delimiter, or a cell beyond the csv module's limit; what was read counts.
    with suppress(csv.Error):
        for row in reader:
            if not rows and not any(cell.strip() for cell in row):
                before = reader.line_num
            elif row:
                through = through or reader.line_num
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    return rows, (before, through)


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: it is a word over numbers, or no sequence over sequences."""
    lowered = {cell.strip().lower() for cell in rows[0]}
    if lowered & {*SEQUENCE_NAMES, *ID_NAMES, *LABEL_NAMES, *DESCRIPTION_NAMES}:
        return True
    if len(rows) == 1:
        return not any(len(cell) >= 20 and looks_like_sequences([cell]) for cell in rows[0])
    for place, cell in enumerate(rows[0]):
        below = [row[place] for row in rows[1:] if place < len(row)]
        if cell.strip() and not _is_number(cell) and below and all(_is_number(entry) for entry in below):
            return True
        if not looks_like_sequences(below):
            continue
        longest = max(len(entry) for entry in below)
        if longest >= 8 and 4 * len(cell) >= min(longest, 40) and looks_like_sequences([cell]):
            return False
    return any(cell.strip() and not _is_number(cell) for cell in rows[0])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
