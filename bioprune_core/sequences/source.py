"""One input file as a stream of unpacked bytes, with the limits and the errors that a person needs."""

import bz2
import hashlib
import lzma
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, cast

import zstandard
from isal import igzip_lib

from bioprune_core.errors import InputError
from bioprune_core.hashing import file_digest

__all__ = ["Compression", "Limits", "Source"]

_RAW_BYTES = 1 << 16
_UNPACKED_BYTES = 1 << 20
# Below this much text no ratio is suspicious: a small file of one repeated letter packs a thousandfold.
_RATIO_FROM_BYTES = 1 << 26
# xz -9 needs 65 MiB; a file that asks for more than this is made to exhaust memory.
_XZ_MEMORY_BYTES = 1 << 28


class Compression(StrEnum):
    """How a file is packed, recognised by its first bytes."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


_MAGIC = {
    Compression.GZIP: re.compile(rb"\x1f\x8b"),
    Compression.BZIP2: re.compile(rb"BZh[1-9]"),
    Compression.XZ: re.compile(rb"\xfd7zXZ\x00"),
    # A frame, or the skippable frame that pzstd puts before it.
    Compression.ZSTD: re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}


class _Decoder(Protocol):
    """What the decompressors of gzip, bzip2 and xz have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _ZstdDecoder:
    """zstandard's decompressor behind the same interface.

    Its own reader classes end silently at the end of the first frame or in the middle of a truncated one.
    Input goes in by 4 KiB, because the output of one call has no bound of its own: 128 MiB at the very worst.
    """

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._waiting = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data + self._waiting

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        waiting, pieces, length, place = self._waiting + data, [], 0, 0
        while place < len(waiting) and not self._decoder.eof and (max_length < 0 or length < max_length):
            pieces.append(self._decoder.decompress(waiting[place : place + 4096]))
            length += len(pieces[-1])
            place += 4096
        self._waiting = waiting[place:]
        return b"".join(pieces)


_DECODERS: dict[Compression, Callable[[], _Decoder]] = {
    Compression.GZIP: lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP),
    Compression.BZIP2: bz2.BZ2Decompressor,
    Compression.XZ: lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES),
    Compression.ZSTD: _ZstdDecoder,
}


# The stubs of isal declare its error as an instance, hence the cast.
_DAMAGE = (
    cast("type[Exception]", igzip_lib.error),
    lzma.LZMAError,
    zstandard.ZstdError,
    OSError,
    EOFError,
    ValueError,
)


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
        name: What to call it in messages and in the pool.
        limits: Bounds on the unpacked size.

    Attributes:
        records: Complete records read so far; the reader's driver keeps it, messages use it.
        consumed: Bytes of the file read so far.
    """

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.path, self.name = path, name
        self.records = 0
        self.consumed = 0
        self._limits = limits
        self._unpacked = 0
        self._ahead = b""
        self._digest, self._hashed = hashlib.sha256(), 0
        self._failure: InputError | None = None
        if path.exists() and not path.is_file():
            raise InputError(f"{name} is no regular file. Write its content to a file first.")
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
            self.bytes = path.stat().st_size
            start = self._file.read(6)
            self._file.seek(0)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}.", detail=str(error)) from error
        self.compression = next(
            (kind for kind, magic in _MAGIC.items() if magic.match(start)), Compression.NONE
        )
        self._decoder: _Decoder | None = None
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
        while length < count and self._failure is None:
            try:
                piece = self._next()
            except InputError as failure:
                self._failure = failure
                break
            if not piece:
                break
            pieces.append(piece)
            length += len(piece)
        if length == 0 and self._failure is not None:
            raise self._failure
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
                self._decoder = _DECODERS[self.compression]()
            try:
                data = self._decoder.decompress(self._packed, _UNPACKED_BYTES)
            except _DAMAGE as error:
                raise self._damaged(error) from error
            self._packed = b""
            if self._decoder.eof:
                self._packed = self._decoder.unused_data
                self._decoder = None
            if data:
                return data

    def _check_end(self) -> None:
        if self._decoder is not None:
            raise InputError(
                f"{self.name} ends in the middle of its {self.compression} data, after record "
                f"{self.records:,}. The copy or download was cut short: fetch the file again."
            )

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.name} holds damaged {self.compression} data after record {self.records:,} (byte "
            f"{self.consumed:,} of {self.bytes:,}). Fetch the file again, or test it with the program that "
            "packed it.",
            detail=str(error),
        )
