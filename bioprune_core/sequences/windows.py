"""What the length policies make of long records."""

from collections.abc import Iterator

import numpy as np

from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.records import RecordBlock

__all__ = ["truncate", "window_starts", "windows"]

# Heavy overlap multiplies letters; blocks are cut so that memory stays bounded.
_BLOCK_LETTERS = 1 << 24


def truncate(block: RecordBlock, maximum: int) -> RecordBlock:
    """The records with at most their first `maximum` letters."""
    starts = block.letters.offsets[:-1]
    ends = np.minimum(block.letters.offsets[1:], starts + maximum)
    letters = ByteStrings.from_spans(block.letters.blob, starts, ends)
    return RecordBlock(block.numbers, block.ids, block.descriptions, block.labels, letters)


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Where windows of `window` letters start that cover `length` letters (length > window).

    Neighbours share `overlap` letters; the last window ends with the sequence and may share more.
    """
    starts = list(range(0, length - window, window - overlap))
    return [*starts, length - window]


def windows(block: RecordBlock, window: int, overlap: int) -> Iterator[RecordBlock]:
    """Long records as windows with ids `id/first-last` (from 1), the others as they are."""
    rows: list[int] = []
    ids: list[bytes] = []
    letters: list[bytes] = []
    size = 0
    for row, length in enumerate(block.letters.lengths.tolist()):
        name, sequence = block.ids[row], block.letters[row]
        for start in window_starts(length, window, overlap) if length > window else [-1]:
            rows.append(row)
            ids.append(b"%s/%d-%d" % (name, start + 1, start + window) if start >= 0 else name)
            letters.append(sequence[start : start + window] if start >= 0 else sequence)
            size += len(letters[-1])
            if size >= _BLOCK_LETTERS:
                yield _expanded(block, rows, ids, letters)
                rows, ids, letters, size = [], [], [], 0
    if rows:
        yield _expanded(block, rows, ids, letters)


def _expanded(block: RecordBlock, rows: list[int], ids: list[bytes], letters: list[bytes]) -> RecordBlock:
    source = np.array(rows, dtype=np.int64)
    return RecordBlock(
        block.numbers[source],
        ByteStrings.from_list(ids),
        block.descriptions.take(source),
        None if block.labels is None else block.labels.take(source),
        ByteStrings.from_list(letters),
    )
