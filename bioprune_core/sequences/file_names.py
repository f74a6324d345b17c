"""What the name of an input file says about it."""

import os
from pathlib import PurePath

__all__ = ["is_named_as_fasta", "packing", "readable", "stem"]

_PACKED = frozenset({".gz", ".bgz", ".bz2", ".xz", ".zst", ".zstd"})
_FASTA = frozenset(
    {".fa", ".fas", ".fasta", ".fna", ".ffn", ".faa", ".frn", ".fsa", ".mfa", ".mpfa", ".afa", ".pep", ".seq"}
)
_OTHER_FORMATS = frozenset(
    {".fq", ".fastq", ".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".sto", ".stk", ".stockholm"}
    | {".dbn", ".dot", ".db"}
)


def readable(name: str | PurePath) -> str:
    """A name or path that can be written as UTF-8: bytes that are none, as older disks have them, as \\xe9.

    Two names stay two, which they would not with one sign for all such bytes.
    """
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def stem(name: str) -> str:
    """A file's name without folders and without the endings of its packing and its format; never empty.

    Any other dot belongs to the name: RF.5S.fa.gz and RF.tRNA.fa.gz are two families.
    """
    unpacked = _unpacked(name)
    return unpacked.stem if unpacked.suffix.lower() in _FASTA | _OTHER_FORMATS else unpacked.name


def is_named_as_fasta(name: str) -> bool:
    """Whether a file's name ends as those of FASTA files do."""
    return _unpacked(name).suffix.lower() in _FASTA


def packing(name: str) -> str:
    """The ending of a file's packing, such as ".gz"; empty where it has none."""
    ending = PurePath(name).suffix.lower()
    return ending if ending in _PACKED else ""


def _unpacked(name: str) -> PurePath:
    path = PurePath(name)
    return path.with_suffix("") if packing(name) else path
