"""Records as the readers hand them on: a block of columns, not one object each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.sequences.bytestrings import ByteStrings, trim

__all__ = ["RecordBlock", "as_header", "as_text", "split_headers"]

# Bytes that a FASTA header cannot carry within an id, nor lines within a description.
_BREAKS = np.zeros(256, dtype=bool)
_BREAKS[list(b" \t\r\n\v\f")] = True


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """n records of one file, in the order of the file.

    Args:
        numbers: Place of each record in its file, from 1; int64, shape (n,).
        ids: First word of each header; empty where the file has none.
        descriptions: The rest of each header; empty where there is none.
        labels: Label of each record, empty where it has none; None when the file gives no labels.
        letters: Sequences as written, without line breaks.
        malformed: Records that could not be taken apart, as (number, what is wrong); not among the n.
    """

    numbers: NDArray[np.int64]
    ids: ByteStrings
    descriptions: ByteStrings
    labels: ByteStrings | None
    letters: ByteStrings
    malformed: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.integer]) -> "RecordBlock":
        """The given rows, in the order given, without the malformed ones."""
        return RecordBlock(
            self.numbers[rows],
            self.ids.take(rows),
            self.descriptions.take(rows),
            None if self.labels is None else self.labels.take(rows),
            self.letters.take(rows),
        )


def split_headers(headers: ByteStrings) -> tuple[ByteStrings, ByteStrings]:
    """Take headers apart at their first white space: ids and descriptions, both without outer white space."""
    blob = headers.blob
    starts, ends = trim(blob, headers.offsets[:-1], headers.offsets[1:])
    blanks = np.flatnonzero((blob == ord(" ")) | (blob == ord("\t")))
    # A guard behind the last one, so that headers without any blank find it there.
    blanks = np.append(blanks, len(blob))
    middles = np.minimum(blanks[np.searchsorted(blanks, starts)], ends)
    ids = ByteStrings.from_spans(blob, starts, middles)
    rest, ends = trim(blob, middles, ends)
    return as_text(ids), as_text(ByteStrings.from_spans(blob, rest, ends))


def as_header(ids: ByteStrings, descriptions: ByteStrings) -> tuple[ByteStrings, ByteStrings]:
    """Ids and descriptions from the cells of a table, such that a FASTA header can carry them.

    An id ends at its first white space; what follows begins the description. Line breaks become spaces.
    """
    broken = _BREAKS[descriptions.blob] & (descriptions.blob != ord(" "))
    if not _BREAKS[ids.blob].any() and not broken.any():
        return as_text(ids), as_text(descriptions)
    headers = [b" ".join(pair) for pair in zip(ids.tolist(), descriptions.tolist(), strict=True)]
    nameless = [not name.split() for name in ids.tolist()]
    split = [header.split(None, 1) for header in headers]
    found = [
        (b"", b" ".join(words)) if empty else (words[0], words[1] if len(words) > 1 else b"")
        for words, empty in zip(split, nameless, strict=True)
    ]
    names, rests = [name for name, _ in found], [b" ".join(rest.split()) for _, rest in found]
    return as_text(ByteStrings.from_list(names)), as_text(ByteStrings.from_list(rests))


def as_text(strings: ByteStrings) -> ByteStrings:
    """The strings in UTF-8: those that are not are read as Latin-1, which old databases wrote."""
    if not len(strings.blob) or strings.blob.max() < 0x80:
        return strings
    try:
        strings.blob.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return ByteStrings.from_list([_to_utf8(string) for string in strings.tolist()])
    return strings


def _to_utf8(string: bytes) -> bytes:
    try:
        string.decode("utf-8")
    except UnicodeDecodeError:
        return string.decode("latin-1").encode("utf-8")
    return string
