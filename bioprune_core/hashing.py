"""Content hashes: the 64-bit sequence hash that orders selections, and digests of input files."""

import hashlib
from pathlib import Path

__all__ = ["file_digest", "sequence_digest", "sequence_hash"]


def sequence_digest(sequence: bytes) -> bytes:
    """The 16-byte BLAKE2b digest of a normalised sequence; equal digests are taken as equal sequences."""
    return hashlib.blake2b(sequence, digest_size=16).digest()


def sequence_hash(sequence: bytes) -> int:
    """The unsigned 64-bit hash stored with every sequence: the first 8 bytes of its digest, little endian."""
    return int.from_bytes(sequence_digest(sequence)[:8], "little")


def file_digest(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
