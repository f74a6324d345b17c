"""FASTQ with four lines per record; qualities are checked for their length and not kept."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.chunks import CHUNK_BYTES, chunks, lines
from bioprune_core.sequences.records import RecordBlock, split_headers
from bioprune_core.sequences.source import Source

__all__ = ["read_fastq"]


def read_fastq(source: Source, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The records of a FASTQ file, block by block.

    Raises:
        InputError: A record has not the four lines '@id', sequence, '+', qualities.
    """
    number = 1
    for chunk in chunks(source, _last_boundary, chunk_bytes):
        block = _parse(chunk, number, source.name)
        number += len(block)
        if len(block):
            yield block


def _last_boundary(data: bytes) -> int:
    """Just behind the last line feed whose number is a multiple of 4; 0 where there is none."""
    boundary = data.rfind(b"\n")
    for _ in range(data.count(b"\n") % 4):
        boundary = data.rfind(b"\n", 0, boundary)
    return boundary + 1


def _parse(chunk: bytes, number: int, name: str) -> RecordBlock:
    buffer, starts, ends = lines(chunk)
    count = len(starts)
    # Empty lines may follow the last record; an empty last line may also be the qualities of an empty read.
    while count % 4 and ends[count - 1] == starts[count - 1]:
        count -= 1
    if count % 4:
        raise InputError(
            f"{name}: record {number + count // 4} ends after {count % 4} of its 4 lines. The file was cut "
            "short, or its sequences run over several lines: fetch it again, or convert it to FASTA."
        )
    starts, ends = starts[:count].reshape(-1, 4), ends[:count].reshape(-1, 4)
    lengths = ends - starts
    _check(_begins(buffer, starts[:, 0], lengths[:, 0], "@"), number, name, "does not begin with '@'")
    _check(_begins(buffer, starts[:, 2], lengths[:, 2], "+"), number, name, "has no '+' in its third line")
    _check(lengths[:, 1] == lengths[:, 3], number, name, "has a different number of letters and of qualities")
    ids, descriptions = split_headers(ByteStrings.from_spans(buffer, starts[:, 0] + 1, ends[:, 0]))
    letters = ByteStrings.from_spans(buffer, starts[:, 1], ends[:, 1])
    numbers = np.arange(number, number + len(letters), dtype=np.int64)
    return RecordBlock(numbers, ids, descriptions, None, letters)


def _begins(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64], mark: str
) -> NDArray[np.bool_]:
    begins = np.zeros(len(starts), dtype=bool)
    filled = lengths > 0
    begins[filled] = buffer[starts[filled]] == ord(mark)
    return begins


def _check(good: NDArray[np.bool_], number: int, name: str, fault: str) -> None:
    if not good.all():
        place = number + int(np.flatnonzero(~good)[0])
        raise InputError(
            f"{name}: record {place} {fault}. A FASTQ record has the four lines '@id', sequence, '+', "
            "qualities; the file is damaged there, or its sequences run over several lines."
        )
