"""Decompressors behind one interface: bounded output per call, and an honest end of stream."""

import bz2
import lzma
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, cast

import zstandard
from isal import igzip_lib

__all__ = ["DAMAGE", "Compression", "Decoder", "compression_of", "decoder"]

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


class Decoder(Protocol):
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


_DECODERS: dict[Compression, Callable[[], Decoder]] = {
    Compression.GZIP: lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP),
    Compression.BZIP2: bz2.BZ2Decompressor,
    Compression.XZ: lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES),
    Compression.ZSTD: _ZstdDecoder,
}


# The stubs of isal declare its error as an instance, hence the cast.
DAMAGE = (
    cast("type[Exception]", igzip_lib.error),
    lzma.LZMAError,
    zstandard.ZstdError,
    OSError,
    EOFError,
    ValueError,
)


def compression_of(start: bytes) -> Compression:
    """The compression of a file that begins with `start` (6 bytes tell)."""
    return next((kind for kind, magic in _MAGIC.items() if magic.match(start)), Compression.NONE)


def decoder(compression: Compression) -> Decoder:
    """A decompressor for one stream, member or frame."""
    return _DECODERS[compression]()
