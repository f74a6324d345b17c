"""Content hashes: the 64-bit sequence hash that orders selections, file digests, a mixer of words."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["file_digest", "mix_words", "sequence_digest", "sequence_hash"]


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


def mix_words(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words, one by one and without collisions.

    Source: the output function of SplitMix64 (Steele, Lea and Flood 2014).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
