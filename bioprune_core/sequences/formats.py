"""Which format a file has, told by its content."""

import re
from enum import StrEnum

from bioprune_core.errors import InputError
from bioprune_core.sequences.file_names import is_named_as_fasta
from bioprune_core.sequences.source import Source

__all__ = ["SAMPLE_BYTES", "SequenceFormat", "UnrecognisedError", "detect_format", "sample_lines"]

SAMPLE_BYTES = 1 << 18


class UnrecognisedError(InputError):
    """A file holds no sequences in a form that is read; in a folder it is passed over with a note."""


class SequenceFormat(StrEnum):
    """The formats that are read."""

    FASTA = "fasta"
    FASTQ = "fastq"
    DOT_BRACKET = "dot-bracket"
    STOCKHOLM = "stockholm"
    PARQUET = "parquet"
    TABLE = "table"
    PLAIN = "plain"


# What people upload by mistake, and what to do with it.
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file: export its sequences as FASTA or CSV",
    b"BAM\x01": "a BAM file: convert it with 'samtools fasta'",
    b"CRAM": "a CRAM file: convert it with 'samtools fasta'",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}
_SUPPORTED = "FASTA, FASTQ, CSV, TSV, Parquet, Stockholm, 3-line dot-bracket or one sequence per line"
_LETTERS = re.compile(rb"[A-Za-z.*\-]+")
_STRUCTURE = re.compile(rb"[.,:_~\-()\[\]{}<>A-Za-z]+")
_STRUCTURE_MARKS = b".,:_~()[]{}<>"
# In kcal/mol, which RNAfold writes behind a structure: ( -5.40).
_ENERGY = re.compile(rb"\s+\(\s*[+-]?\d+(\.\d+)?\)$")


def detect_format(source: Source) -> SequenceFormat:
    """The format of a file.

    Raises:
        InputError: The file is called FASTA and its first header is missing.
        UnrecognisedError: The file is empty, binary or in none of the formats.
    """
    sample = source.peek(SAMPLE_BYTES)
    if not sample:
        raise UnrecognisedError(f"{source.name} is empty.")
    if sample.startswith(b"PAR1"):
        return SequenceFormat.PARQUET
    _refuse_binary(source.name, sample)
    rows = sample_lines(sample)
    filled = [row.strip() for row in rows if row.strip()]
    if not filled:
        raise UnrecognisedError(f"{source.name} holds white space only.")
    if filled[0].startswith(b"# STOCKHOLM"):
        return SequenceFormat.STOCKHOLM
    if filled[0].startswith(b">"):
        return SequenceFormat.DOT_BRACKET if _is_dot_bracket(filled) else SequenceFormat.FASTA
    if filled[0].startswith(b"@") and len(filled) > 2 and filled[2].startswith(b"+"):
        return SequenceFormat.FASTQ
    if any(row.startswith(b">") for row in filled):
        # Notes on the data quote with the same sign.
        kind = InputError if is_named_as_fasta(source.name) else UnrecognisedError
        raise kind(
            f"{source.name}: there is a sequence before the first header (record 1 begins with "
            f"{filled[0][:40].decode('utf-8', errors='replace')!r}). Every FASTA record starts with a line "
            "'>id'; add the missing header."
        )
    if sum(bool(_LETTERS.fullmatch(row)) for row in filled) >= 0.9 * len(filled):
        return SequenceFormat.PLAIN
    if any(mark in filled[0] for mark in (b"\t", b",", b";", b"|")):
        return SequenceFormat.TABLE
    raise UnrecognisedError(
        f"{source.name} is in no format that is read (its first line is "
        f"{filled[0][:40].decode('utf-8', errors='replace')!r}). Give {_SUPPORTED}."
    )


def sample_lines(sample: bytes) -> list[bytes]:
    """The complete lines of a sample; of a sample that is one incomplete line, that line."""
    rows = sample.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return rows[:-1] if len(rows) > 1 and len(sample) >= SAMPLE_BYTES else rows


def _refuse_binary(name: str, sample: bytes) -> None:
    for magic, what in _OTHER_FILES.items():
        if sample.startswith(magic):
            raise UnrecognisedError(f"{name} is {what}. Give {_SUPPORTED}.")
    if sample[257:262] == b"ustar":
        raise UnrecognisedError(
            f"{name} is a tar archive: unpack it first, and give the folder or its files."
        )
    controls = len(sample) - len(sample.translate(None, bytes(set(range(32)) - set(b"\t\n\v\f\r"))))
    if b"\0" in sample or controls > 0.01 * len(sample):
        raise UnrecognisedError(f"{name} is a binary file and no sequence file. Give {_SUPPORTED}.")


def _is_dot_bracket(filled: list[bytes]) -> bool:
    """Whether records are a header, a sequence and a structure of the same length, nine of ten at least."""
    groups = [filled[place : place + 3] for place in range(0, min(len(filled), 300) - 2, 3)]
    records = [(header, sequence, _ENERGY.sub(b"", structure)) for header, sequence, structure in groups]
    good = sum(
        header.startswith(b">")
        and len(sequence) == len(structure)
        and _STRUCTURE.fullmatch(structure) is not None
        # Pseudoknots are written as letters; most of a structure is not.
        and 2 * sum(structure.count(mark) for mark in _STRUCTURE_MARKS) >= len(structure)
        for header, sequence, structure in records
    )
    return good >= 0.9 * max(1, len(records)) and any(b"(" in structure for _, _, structure in records)
