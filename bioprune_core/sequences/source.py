"""One input file as a stream of unpacked bytes, with the limits and the errors that a person needs."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from bioprune_core.errors import InputError
from bioprune_core.hashing import file_digest
from bioprune_core.sequences.decoders import DAMAGE, Compression, Decoder, compression_of, decoder
from bioprune_core.sequences.file_names import readable

__all__ = ["Limits", "Source"]

_RAW_BYTES = 1 << 16
_UNPACKED_BYTES = 1 << 20
# Below this much text no ratio is suspicious: a small file of one repeated letter packs a thousandfold.
_RATIO_FROM_BYTES = 1 << 26


class _Fault(Exception):
    """A fault in a file, to be told once the records before it are counted.

    Args:
        tell: Gives the sentence for a number of records.
        detail: For the log.
    """

    def __init__(self, tell: Callable[[int], str], detail: str | None = None) -> None:
        super().__init__(detail)
        self.tell, self.detail = tell, detail


class Limits:
    """How much text files may unpack to; one object for all files of an ingest.

    Args:
        maximum_bytes: Most bytes of all files together.
        maximum_ratio: Most bytes of text per byte of a packed file.
    """

    def __init__(self, maximum_bytes: int, maximum_ratio: float) -> None:
        self._maximum_bytes = maximum_bytes
        self._maximum_ratio = maximum_ratio
        self._unpacked = 0

    def add(self, name: str, count: int, unpacked: int, packed: int) -> None:
        """Count `count` more bytes of file `name`, which has unpacked to `unpacked` from `packed` so far.

        Raises:
            InputError: A limit is passed.
        """
        self._unpacked += count
        if self._unpacked > self._maximum_bytes:
            raise InputError(
                f"{name}: the text passes the limit of {self._maximum_bytes:,} bytes. "
                "Raise the limit maximum_bytes or split the input."
            )
        if unpacked > _RATIO_FROM_BYTES and unpacked > self._maximum_ratio * packed:
            raise InputError(
                f"{name} unpacks to more than {self._maximum_ratio:g} times its size, as files do that are "
                "made to fill a disk. If it is genuine, unpack it first or raise the limit maximum_ratio."
            )


class Source:
    """The unpacked bytes of one file.

    Args:
        path: The file.
        name: What to call it in messages and in the pool; need not be UTF-8.
        limits: Bounds on the unpacked size.

    Attributes:
        records: Complete records read so far; the reader's driver keeps it, messages use it.
        consumed: Bytes of the file read so far.
    """

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.path, self.name = path, readable(name)
        self.records = 0
        self.consumed = 0
        self._limits = limits
        self._unpacked = 0
        self._ahead = b""
        self._digest, self._hashed = hashlib.sha256(), 0
        self._fault: _Fault | None = None
        if path.exists() and not path.is_file():
            raise InputError(f"{self.name} is no regular file. Write its content to a file first.")
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
            self.bytes = path.stat().st_size
            start = self._file.read(6)
            self._file.seek(0)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}.", detail=str(error)) from error
        self.compression = compression_of(start)
        self._decoder: Decoder | None = None
        self._packed = b""

    @property
    def closed(self) -> bool:
        """Whether the file is closed (part of the file protocol)."""
        return self._file.closed

    def digest(self) -> str:
        """The hexadecimal SHA-256 of the file as it lies on disk; free once it has been read to its end."""
        return self._digest.hexdigest() if self._hashed == self.bytes else file_digest(self.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end, without moving on."""
        data = self.read(count)
        self._ahead = data + self._ahead
        return data

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end.

        Raises:
            InputError: The file is unreadable, damaged, truncated or unpacks to too much. What precedes the
                fault is handed out first, so that `records` in the message is right.
        """
        pieces, length = [self._ahead], len(self._ahead)
        self._ahead = b""
        while length < count and self._fault is None:
            try:
                piece = self._next()
            except _Fault as fault:
                self._fault = fault
                break
            if not piece:
                break
            pieces.append(piece)
            length += len(piece)
        if length == 0 and self._fault is not None:
            raise InputError(self._fault.tell(self.records), self._fault.detail) from self._fault
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._ahead = data[count:]
        return data[:count]

    def _next(self) -> bytes:
        """Some more unpacked bytes; empty at the end."""
        piece = self._raw(_UNPACKED_BYTES) if self.compression is Compression.NONE else self._unpack()
        self._unpacked += len(piece)
        self._limits.add(self.name, len(piece), self._unpacked, self.consumed)
        return piece

    def _raw(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}.", detail=str(error)) from error
        self.consumed += len(data)
        self._hashed += len(data)
        self._digest.update(data)
        return data

    def _unpack(self) -> bytes:
        while True:
            if not self._packed and (self._decoder is None or self._decoder.needs_input):
                self._packed = self._raw(_RAW_BYTES)
                if not self._packed:
                    self._check_end()
                    return b""
            if self._decoder is None:
                # Packed files may be joined end to end, and padded with zeros.
                self._packed = self._packed.lstrip(b"\0")
                if not self._packed:
                    continue
                self._decoder = decoder(self.compression)
            try:
                data = self._decoder.decompress(self._packed, _UNPACKED_BYTES)
            except DAMAGE as error:
                raise self._damaged(error) from error
            self._packed = b""
            if self._decoder.eof:
                self._packed = self._decoder.unused_data
                self._decoder = None
            if data:
                return data

    def _check_end(self) -> None:
        if self._decoder is not None:
            raise _Fault(
                lambda records: (
                    f"{self.name} ends in the middle of its {self.compression} data, after record "
                    f"{records:,}. The copy or download was cut short: fetch the file again."
                )
            )

    def _damaged(self, error: Exception) -> _Fault:
        return _Fault(
            lambda records: (
                f"{self.name} holds damaged {self.compression} data after record {records:,} (byte "
                f"{self.consumed:,} of {self.bytes:,}). Fetch the file again, or test it with the "
                "program that packed it."
            ),
            str(error),
        )
