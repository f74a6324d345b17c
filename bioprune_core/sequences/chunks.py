"""Cuts a source into chunks of whole records, and chunks into lines."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.sequences.source import Source

__all__ = ["CHUNK_BYTES", "LARGEST_RECORD_BYTES", "chunks", "lines"]

# Measured on FASTA of 220 nt, 2 cores: 2 to 8 MiB are equally fast, 1 MiB and 32 MiB 10 % slower.
CHUNK_BYTES = 1 << 22
LARGEST_RECORD_BYTES = 1 << 26


def chunks(source: Source, last_boundary: Callable[[bytes], int], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Pieces of about `size` bytes that end where a record ends.

    Args:
        source: The file.
        last_boundary: Gives the index in a chunk at which its last, perhaps incomplete record starts, or 0
            or less when there is no boundary.
        size: Bytes to read at a time.

    Raises:
        InputError: One record is larger than `LARGEST_RECORD_BYTES`.
    """
    carry, first = b"", True
    while data := source.read(size if not carry else max(size, len(carry))):
        if b"\r" in data and b"\n" not in data:
            data = data.replace(b"\r", b"\n")
        data = carry + data.removeprefix(b"\xef\xbb\xbf") if first else carry + data
        first = False
        boundary = last_boundary(data)
        if boundary > 0:
            yield data[:boundary]
            carry = data[boundary:]
        else:
            carry = data
        if len(carry) > LARGEST_RECORD_BYTES:
            raise InputError(
                f"{source.name}: the record after record {source.records:,} is longer than "
                f"{LARGEST_RECORD_BYTES:,} bytes. Cut it into pieces first."
            )
    if carry:
        yield carry


def lines(chunk: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The bytes of a chunk, and the start and end of each line without line feed and trailing white space."""
    buffer = np.frombuffer(chunk, dtype=np.uint8)
    feeds = np.flatnonzero(buffer == 10)
    if not len(feeds) or feeds[-1] != len(buffer) - 1:
        feeds = np.append(feeds, len(buffer))
    starts = np.empty_like(feeds)
    starts[0] = 0
    starts[1:] = feeds[:-1] + 1
    ends = feeds.copy()
    while True:
        rows = np.flatnonzero(ends > starts)
        # Every control character and the space are white here.
        rows = rows[buffer[ends[rows] - 1] <= 32]
        if not len(rows):
            return buffer, starts, ends
        ends[rows] -= 1
