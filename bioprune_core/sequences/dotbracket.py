"""Dot-bracket files of three lines per record: header, sequence, structure.

The structure is not kept, nor the energy that RNAfold writes behind it.
"""

from collections.abc import Iterator

import numpy as np

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.chunks import CHUNK_BYTES, chunks, lines
from bioprune_core.sequences.records import RecordBlock, split_headers
from bioprune_core.sequences.source import Source

__all__ = ["read_dot_bracket"]


def read_dot_bracket(source: Source, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The records of a dot-bracket file, block by block; those without three lines come as malformed."""
    number = 1
    for chunk in chunks(source, lambda data: data.rfind(b"\n>") + 1, chunk_bytes):
        block = _parse(chunk, number)
        number += len(block) + len(block.malformed)
        yield block


def _parse(chunk: bytes, number: int) -> RecordBlock:
    buffer, starts, ends = lines(chunk)
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    headers = np.flatnonzero(buffer[starts] == ord(">"))
    counts = np.diff(np.append(headers, len(starts)))
    good = counts == 3
    numbers = np.arange(number, number + len(headers), dtype=np.int64)
    malformed = tuple(
        (place, f"{count} lines instead of header, sequence and structure")
        for place, count in zip(numbers[~good].tolist(), counts[~good].tolist(), strict=True)
    )
    headers, numbers = headers[good], numbers[good]
    ids, descriptions = split_headers(ByteStrings.from_spans(buffer, starts[headers] + 1, ends[headers]))
    letters = ByteStrings.from_spans(buffer, starts[headers + 1], ends[headers + 1])
    return RecordBlock(numbers, ids, descriptions, None, letters, malformed)
