"""Stockholm alignments, one or many in a file, in one block of lines or interleaved."""

from collections.abc import Iterator

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.chunks import CHUNK_BYTES, LARGEST_RECORD_BYTES, chunks
from bioprune_core.sequences.records import RecordBlock, as_text
from bioprune_core.sequences.source import Source

__all__ = ["read_stockholm"]


class _Alignment:
    """One alignment while it is read."""

    def __init__(self) -> None:
        self.rows: dict[bytes, list[bytes]] = {}
        self.accession = b""
        self.identifier = b""
        self.notes: dict[bytes, bytes] = {}
        self.letters = 0

    def annotate(self, line: bytes) -> None:
        words = line.split(None, 2)
        if words[0] == b"#=GF" and len(words) == 3:
            if words[1] == b"AC":
                self.accession = words[2]
            elif words[1] == b"ID":
                self.identifier = words[2]
        elif words[0] == b"#=GS" and len(words) == 3 and words[2].startswith(b"DE "):
            self.notes[words[1]] = words[2][3:].strip()

    def description(self, name: bytes) -> bytes:
        return b" ".join(
            word for word in (self.accession, self.identifier, self.notes.get(name, b"")) if word
        )


def read_stockholm(source: Source, chunk_bytes: int = CHUNK_BYTES) -> Iterator[RecordBlock]:
    """The sequences of all alignments; gaps are left to the normalisation.

    The description of a sequence is the accession and name of its alignment, then its own description.

    Raises:
        InputError: A line is not Stockholm, an alignment is too large, or the last one has no end.
    """
    number, waiting, letters = 1, list[tuple[bytes, bytes, bytes]](), 0
    alignment = _Alignment()
    for chunk in chunks(source, lambda data: data.rfind(b"\n") + 1, chunk_bytes):
        for line in chunk.splitlines():
            if not line.strip() or line.startswith(b"# STOCKHOLM"):
                continue
            if line.startswith(b"#"):
                alignment.annotate(line)
            elif line.startswith(b"//"):
                for name, pieces in alignment.rows.items():
                    waiting.append((name, alignment.description(name), b"".join(pieces)))
                letters += alignment.letters
                alignment = _Alignment()
                if letters >= chunk_bytes:
                    yield _block(waiting, number)
                    number, waiting, letters = number + len(waiting), [], 0
            else:
                _add(alignment, line, source.name, number + len(waiting) + len(alignment.rows))
    if alignment.rows:
        last = number + len(waiting) + len(alignment.rows) - 1
        raise InputError(
            f"{source.name} ends within an alignment, at record {last}, without the closing '//'. "
            "The file was cut short: fetch it again."
        )
    if waiting:
        yield _block(waiting, number)


def _add(alignment: _Alignment, line: bytes, file: str, number: int) -> None:
    words = line.split()
    if len(words) != 2:
        raise InputError(
            f"{file}: record {number} is no line of name and aligned sequence "
            f"({line[:40].decode('utf-8', errors='replace')!r}). Check the file around it."
        )
    alignment.rows.setdefault(words[0], []).append(words[1])
    alignment.letters += len(words[1])
    if alignment.letters > LARGEST_RECORD_BYTES:
        raise InputError(
            f"{file}: the alignment at record {number} is larger than {LARGEST_RECORD_BYTES:,} bytes. "
            "Give its sequences as FASTA."
        )


def _block(records: list[tuple[bytes, bytes, bytes]], number: int) -> RecordBlock:
    names, descriptions, letters = zip(*records, strict=True)
    return RecordBlock(
        np.arange(number, number + len(records), dtype=np.int64),
        as_text(ByteStrings.from_list(names)),
        as_text(ByteStrings.from_list(descriptions)),
        None,
        ByteStrings.from_list(letters),
    )
