"""One sequence per line and nothing else."""

from collections.abc import Iterator

import numpy as np

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.chunks import CHUNK_BYTES, chunks, lines
from bioprune_core.sequences.columns import SEQUENCE_NAMES
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.source import Source

__all__ = ["read_plain"]


def read_plain(source: Source, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The filled lines as records without ids; a first line that names the column is passed over."""
    number = 1
    for chunk in chunks(source, lambda data: data.rfind(b"\n") + 1, chunk_bytes):
        buffer, starts, ends = lines(chunk)
        filled = ends > starts
        letters = ByteStrings.from_spans(buffer, starts[filled], ends[filled])
        if number == 1 and len(letters) and letters[0].decode("latin-1").strip().lower() in SEQUENCE_NAMES:
            letters = letters.take(np.arange(1, len(letters)))
        if len(letters):
            numbers = np.arange(number, number + len(letters), dtype=np.int64)
            none = ByteStrings.empty(len(letters))
            yield RecordBlock(numbers, none, none, None, letters)
        number += len(letters)
