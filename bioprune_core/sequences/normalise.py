"""Letters into the alphabet's own, and the stated policies on ambiguous letters and on length."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.file_names import stem
from bioprune_core.sequences.options import AmbiguousPolicy, IngestOptions, LengthPolicy
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.report import ChangeReason, DropReason, Example, Tally
from bioprune_core.sequences.windows import truncate, windows

__all__ = ["GAPS", "STOP", "Normaliser"]

GAPS, STOP = "-.", "*"
"""Signs that are removed: gaps anywhere, stops at the end."""
_RESIDUE, _AMBIGUOUS, _GAP, _SPACE, _STOP, _INVALID = range(6)


class Normaliser:
    """Turns records as written into records of the pool, and counts what it did.

    Args:
        alphabet: Alphabet of the pool.
        options: The policies.
        tally: Where drops and changes are counted.
    """

    def __init__(self, alphabet: Alphabet, options: IngestOptions, tally: Tally) -> None:
        self._alphabet, self._options, self._tally = alphabet, options, tally
        self._table = _translation(alphabet)
        self._classes = _classes(alphabet)

    def __call__(self, block: RecordBlock, file: str) -> Iterator[RecordBlock]:
        """The surviving records of `block`, in order; several blocks only when windows multiply letters."""
        marks = _Marks(block, file, self._tally)
        letters, kinds = block.letters, None
        # Most files are written in the alphabet's own letters and need no more than this look.
        if not self._is_pure(letters):
            translated = letters.blob.tobytes().translate(self._table)
            letters = ByteStrings(np.frombuffer(translated, dtype=np.uint8), letters.offsets)
            self._mark_rewritten(block.letters, marks)
            if not self._is_pure(letters):
                letters, kinds = self._strip(letters, self._classes[letters.blob], marks)
        marks.drop(DropReason.EMPTY, letters.lengths == 0, lambda _: "the record has no sequence")
        if kinds is not None:
            letters = self._check(letters, kinds, marks)
        lengths, options = letters.lengths, self._options
        marks.drop(
            DropReason.TOO_SHORT,
            lengths < options.minimum_length,
            lambda row: f"{lengths[row]} {self._alphabet.unit}, minimum {options.minimum_length}",
        )
        long = np.zeros(len(block), dtype=bool)
        if options.maximum_length is not None:
            long = lengths > options.maximum_length
            self._mark_long(long, lengths, marks)
        nameless = block.ids.lengths == 0
        marks.change(ChangeReason.ID_GIVEN, nameless, "id made of the file's name and the record's number")
        kept = marks.finish()
        ids = _with_ids(block, nameless, file) if nameless.any() else block.ids
        clean = RecordBlock(block.numbers, ids, block.descriptions, block.labels, letters)
        if len(kept) < len(block):
            clean, long = clean.take(kept), long[kept]
        yield from self._cut(clean, long)

    def _is_pure(self, letters: ByteStrings) -> bool:
        # One vectorised comparison per residue is 20 times cheaper than a histogram of bytes.
        found = sum(int(np.count_nonzero(letters.blob == ord(letter))) for letter in self._alphabet.residues)
        return found == len(letters.blob)

    def _strip(
        self, letters: ByteStrings, kinds: NDArray[np.uint8], marks: "_Marks"
    ) -> tuple[ByteStrings, NDArray[np.uint8]]:
        """Without gaps, white space and trailing stops."""
        gaps = kinds == _GAP
        unwanted = gaps | (kinds == _SPACE)
        if unwanted.any():
            marks.change(ChangeReason.GAPS_REMOVED, letters.any(gaps), "gap characters removed")
            letters = letters.without(unwanted)
        ends = letters.offsets[1:].copy()
        while True:
            rows = np.flatnonzero(ends > letters.offsets[:-1])
            rows = rows[letters.blob[ends[rows] - 1] == ord("*")]
            if not len(rows):
                break
            ends[rows] -= 1
        stopped = ends < letters.offsets[1:]
        if stopped.any():
            marks.change(ChangeReason.STOP_REMOVED, stopped, "trailing * removed")
            letters = ByteStrings.from_spans(letters.blob, letters.offsets[:-1], ends)
        return letters, self._classes[letters.blob]

    def _check(self, letters: ByteStrings, kinds: NDArray[np.uint8], marks: "_Marks") -> ByteStrings:
        """Mark records with letters outside the alphabet and apply the policy on ambiguous ones."""
        invalid, ambiguous = kinds >= _STOP, kinds == _AMBIGUOUS

        def offender(row: int, mask: NDArray[np.bool_]) -> str:
            start, end = letters.offsets[row], letters.offsets[row + 1]
            place = int(np.flatnonzero(mask[start:end])[0])
            return f"{chr(letters.blob[start + place])!r} at letter {place + 1}"

        if invalid.any():
            marks.drop(
                DropReason.LETTERS,
                letters.any(invalid),
                lambda row: f"{offender(row, invalid)} is not in the {self._alphabet.upper()} alphabet",
            )
        policy = self._options.ambiguous
        if policy is AmbiguousPolicy.DROP:
            marks.drop(
                DropReason.AMBIGUOUS,
                letters.any(ambiguous),
                lambda row: f"{offender(row, ambiguous)} is ambiguous",
            )
        elif policy is AmbiguousPolicy.REPLACE:
            wildcard = ord(self._alphabet.wildcard)
            other = ambiguous & (letters.blob != wildcard)
            marks.change(
                ChangeReason.REPLACED, letters.any(other), f"ambiguous letters became {chr(wildcard)}"
            )
            letters = ByteStrings(np.where(other, np.uint8(wildcard), letters.blob), letters.offsets)
        return letters

    def _mark_rewritten(self, raw: ByteStrings, marks: "_Marks") -> None:
        """Mark records that had lower-case letters, or T for U, or U for T."""
        lower = (raw.blob >= ord("a")) & (raw.blob <= ord("z"))
        if lower.any():
            marks.change(ChangeReason.UPPER_CASED, raw.any(lower), "lower-case letters")
        if self._alphabet is not Alphabet.PROTEIN:
            foreign, own = ("T", "U") if self._alphabet is Alphabet.RNA else ("U", "T")
            converted = (raw.blob == ord(foreign)) | (raw.blob == ord(foreign.lower()))
            if converted.any():
                marks.change(ChangeReason.CONVERTED, raw.any(converted), f"{foreign} read as {own}")

    def _mark_long(self, long: NDArray[np.bool_], lengths: NDArray[np.int64], marks: "_Marks") -> None:
        maximum, unit = self._options.maximum_length, self._alphabet.unit
        match self._options.too_long:
            case LengthPolicy.DROP:
                marks.drop(DropReason.TOO_LONG, long, lambda row: f"{lengths[row]} {unit}, maximum {maximum}")
            case LengthPolicy.TRUNCATE:
                marks.change(ChangeReason.TRUNCATED, long, f"cut to {maximum} {unit}")
            case LengthPolicy.WINDOW:
                marks.change(ChangeReason.WINDOWED, long, f"cut into windows of {maximum} {unit}")

    def _cut(self, block: RecordBlock, long: NDArray[np.bool_]) -> Iterator[RecordBlock]:
        maximum = self._options.maximum_length
        if maximum is None or not long.any():
            if len(block):
                yield block
        elif self._options.too_long is LengthPolicy.TRUNCATE:
            yield truncate(block, maximum)
        else:
            yield from windows(block, maximum, self._options.window_overlap)


class _Marks:
    """Which records of one block are dropped or changed, with the first few as examples."""

    def __init__(self, block: RecordBlock, file: str, tally: Tally) -> None:
        self._block, self._file, self._tally = block, file, tally
        self._keep = np.ones(len(block), dtype=bool)
        self._changes: list[tuple[ChangeReason, NDArray[np.bool_], str]] = []

    def drop(self, reason: DropReason, mask: NDArray[np.bool_], detail: Callable[[int], str]) -> None:
        """Drop those records of `mask` that no earlier reason dropped."""
        rows = np.flatnonzero(mask & self._keep)
        if len(rows):
            count = self._tally.drop(reason)
            count.count += len(rows)
            count.examples += [
                self._example(row, detail(row)) for row in rows[: count.wants_examples].tolist()
            ]
            self._keep[rows] = False

    def change(self, reason: ChangeReason, mask: NDArray[np.bool_], detail: str) -> None:
        """Note a change; it counts for the records that no policy drops."""
        self._changes.append((reason, mask, detail))

    def finish(self) -> NDArray[np.int64]:
        """Count the changes and give the rows that remain."""
        for reason, mask, detail in self._changes:
            rows = np.flatnonzero(mask & self._keep)
            if len(rows):
                count = self._tally.change(reason)
                count.count += len(rows)
                count.examples += [
                    self._example(row, detail) for row in rows[: count.wants_examples].tolist()
                ]
        return np.flatnonzero(self._keep)

    def _example(self, row: int, detail: str) -> Example:
        return Example(self._file, int(self._block.numbers[row]), self._block.ids.text(row), detail)


def _with_ids(block: RecordBlock, nameless: NDArray[np.bool_], file: str) -> ByteStrings:
    # A blank ends the id in a FASTA header: all records of "my seqs.txt" would be exported as "my".
    name = "_".join(stem(file).split())
    ids = block.ids.tolist()
    for row in np.flatnonzero(nameless).tolist():
        ids[row] = f"{name}:{block.numbers[row]}".encode()
    return ByteStrings.from_list(ids)


def _translation(alphabet: Alphabet) -> bytes:
    """Upper case, and the other nucleic acid's T or U as one's own."""
    table = bytearray(bytes(range(256)).upper())
    if alphabet is not Alphabet.PROTEIN:
        foreign, own = (b"T", b"U") if alphabet is Alphabet.RNA else (b"U", b"T")
        for letter in (foreign, foreign.lower()):
            table[letter[0]] = own[0]
    return bytes(table)


def _classes(alphabet: Alphabet) -> NDArray[np.uint8]:
    classes = np.full(256, _INVALID, dtype=np.uint8)
    for letters, kind in (
        (alphabet.residues, _RESIDUE),
        (alphabet.ambiguous, _AMBIGUOUS),
        (GAPS, _GAP),
        (" \t\r\n\v\f", _SPACE),
        (STOP, _STOP),
    ):
        classes[list(letters.encode())] = kind
    return classes
