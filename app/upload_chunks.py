"""One chunk of an upload on its way to disk, and what can be wrong with it."""

import os
import zlib
from typing import BinaryIO

from bioprune_core.errors import ConflictError, InputError

__all__ = ["ChunkError", "ChunkWriter", "OffsetError", "TooLargeError"]


class TooLargeError(InputError):
    """A file or a chunk is larger than the limit."""


class OffsetError(ConflictError):
    """A chunk does not continue where the file on disk ends.

    Args:
        accepted: Bytes on disk and verified: where the next chunk must start.
    """

    def __init__(self, message: str, accepted: int) -> None:
        super().__init__(message)
        self.accepted = accepted


class ChunkError(InputError):
    """A chunk arrived damaged or incomplete; nothing of it was kept."""


class ChunkWriter:
    """Writes one chunk behind what is there; only `commit` makes it count."""

    def __init__(self, stream: BinaryIO, offset: int, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._checksum = 0
        self._written = 0
        self._stream.seek(offset)

    def write(self, piece: bytes) -> None:
        """Write the next piece of the chunk.

        Raises:
            TooLargeError: More bytes than the file has left.
        """
        if self._written + len(piece) > self._limit:
            raise TooLargeError("The chunk runs past the announced end of the file. Start the upload again.")
        self._stream.write(piece)
        self._checksum = zlib.crc32(piece, self._checksum)
        self._written += len(piece)

    def commit(self, checksum: int) -> int:
        """Check the chunk and put it safely on disk; the number of bytes it had.

        Raises:
            ChunkError: The CRC-32 differs.
        """
        if checksum != self._checksum:
            raise ChunkError(
                "A part of the file was damaged on the way (checksum differs). It is sent again."
            )
        self._stream.flush()
        # The data must be on disk before the count that vouches for it.
        os.fdatasync(self._stream.fileno())
        return self._written
