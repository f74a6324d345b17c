"""Which alphabet letters are written in."""

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings

__all__ = ["count_letters", "detect_alphabet"]

_SAMPLE_LETTERS = 1 << 18


def count_letters(strings: ByteStrings) -> NDArray[np.int64]:
    """How often each byte occurs in the first letters of a block, int64, shape (256,)."""
    return np.bincount(strings.blob[:_SAMPLE_LETTERS], minlength=256)


def detect_alphabet(letters: NDArray[np.int64]) -> tuple[Alphabet, str]:
    """The alphabet of letters counted as written, shape (256,), and a sentence that says why.

    Nucleic acid is what consists of A, C, G, T, U and N to nine tenths; with more U than T, or neither of
    them, it is RNA.

    Raises:
        InputError: The letters fit no alphabet.
    """
    counts = letters.copy()
    counts[ord("A") : ord("Z") + 1] += counts[ord("a") : ord("z") + 1]

    counts[ord("a") : ord("z") + 1] = 0
    counts[list(b" \t\r\n\v\f-.*")] = 0
    total = int(counts.sum())

    def share(letters: str) -> float:
        return float(counts[list(letters.encode())].sum()) / max(1, total)

    if total and share("ACGTUN") >= 0.9:
        if counts[ord("T")] > counts[ord("U")]:
            return Alphabet.DNA, (
                "The alphabet was detected as DNA, from the letter T. If these are RNA sequences written "
                "with T, choose the alphabet RNA: T is then read as U."
            )
        reason = "from the letter U" if counts[ord("U")] else "though neither T nor U occurs in the sample"
        return Alphabet.RNA, f"The alphabet was detected as RNA, {reason}."
    protein = Alphabet.PROTEIN
    if share(protein.residues + protein.ambiguous) >= 0.9 and share(protein.residues) >= 0.5:
        return Alphabet.PROTEIN, "The alphabet was detected as protein."
    shown = "".join(chr(byte) for byte in np.argsort(-counts, kind="stable")[:12] if counts[byte])
    raise InputError(
        f"The sequences look like neither RNA, DNA nor protein (their most frequent characters are "
        f"{shown!r}). Check the file, or choose the alphabet yourself."
    )
