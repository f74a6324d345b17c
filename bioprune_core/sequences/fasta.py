"""FASTA, one line or many per sequence."""

from collections.abc import Iterator

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.chunks import CHUNK_BYTES, chunks, lines
from bioprune_core.sequences.records import RecordBlock, split_headers
from bioprune_core.sequences.source import Source

__all__ = ["read_fasta"]


def read_fasta(source: Source, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The records of a FASTA file, block by block.

    Raises:
        InputError: There is text before the first header.
    """
    number = 1
    for chunk in chunks(source, lambda data: data.rfind(b"\n>") + 1, chunk_bytes):
        block = _parse(chunk, number, source.name)
        number += len(block)
        if len(block):
            yield block


def _parse(chunk: bytes, number: int, name: str) -> RecordBlock:
    buffer, starts, ends = lines(chunk)
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    is_header = buffer[starts] == ord(">")
    if len(starts) and not is_header[0]:
        shown = chunk[starts[0] : min(ends[0], starts[0] + 40)].decode("utf-8", errors="replace")
        raise InputError(
            f"{name}: there is a sequence before the first header (record {number} begins with {shown!r}). "
            "Every FASTA record starts with a line '>id'; add the missing header."
        )
    headers = np.flatnonzero(is_header)
    ids, descriptions = split_headers(ByteStrings.from_spans(buffer, starts[headers] + 1, ends[headers]))
    letters = ByteStrings.from_spans(buffer, starts[~is_header], ends[~is_header])
    # A record's letters are its lines joined: keep the line offsets at which a record begins.
    lines_before = headers - np.arange(len(headers))
    offsets = np.append(letters.offsets[lines_before], letters.offsets[-1])
    numbers = np.arange(number, number + len(headers), dtype=np.int64)
    return RecordBlock(numbers, ids, descriptions, None, ByteStrings(letters.blob, offsets))
