"""One-letter tokenisation by a lookup table over the bytes of a sequence block.

About a hundred times faster than the models' own tokenisers, and equal to them token for token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.vocabulary import CLS, EOS, MASK, PAD, UNKNOWN
from bioprune_core.sequences.block import SequenceBlock, gather_rows

__all__ = ["ByteTokeniser", "TokenBlock"]


@dataclass(frozen=True, slots=True)
class TokenBlock:
    """The tokens of n sequences, end to end.

    Args:
        tokens: Token ids, each sequence from its cls to its eos, int16, shape (total tokens,).
        offsets: Sequence i is `tokens[offsets[i]:offsets[i + 1]]`; int64, shape (n + 1,).
        truncated: How many sequences were longer than the model takes and lost their end.
    """

    tokens: NDArray[np.int16]
    offsets: NDArray[np.int64]
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per sequence, cls and eos included; int64, shape (n,)."""
        return np.diff(self.offsets)

    def sequence(self, index: int) -> NDArray[np.int16]:
        """The tokens of sequence `index`, from cls to eos."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: NDArray[np.integer]) -> "TokenBlock":
        """The tokens of the given sequences, in the order given; how many were truncated is not counted."""
        source, offsets = gather_rows(self.lengths, self.offsets, rows)
        return TokenBlock(self.tokens[source], offsets)


@dataclass(frozen=True, slots=True, eq=False)
class ByteTokeniser:
    """A vocabulary of single letters between one leading cls and one trailing eos token.

    Args:
        vocabulary: All tokens by id. Tokens of one ASCII letter are residues; the rest are special.
        table: Token id of every byte, int16, shape (256,).
        cls_id: Id of the token that opens a sequence.
        eos_id: Id of the token that closes a sequence.
        pad_id: Id of the token that fills a batch.
        mask_id: Id of the token that hides a residue.
        unknown_id: Id of every letter that is not in the vocabulary.
        residue_ids: Ids of the unambiguous letters of the alphabet, in its order; int64.
        fuses_unknown: Whether a run of unknown letters becomes one token, as in ESM-2's tokeniser.
            RNA-FM's and ESM-C's write one token a letter.
    """

    vocabulary: tuple[str, ...]
    table: NDArray[np.int16]
    cls_id: int
    eos_id: int
    pad_id: int
    mask_id: int
    unknown_id: int
    residue_ids: NDArray[np.int64]
    fuses_unknown: bool = False

    def __post_init__(self) -> None:
        if self.table.shape != (256,) or self.table.dtype != np.int16:
            raise ValueError(
                f"table must be int16 of shape (256,), not {self.table.dtype} {self.table.shape}"
            )

    @classmethod
    def from_vocabulary(
        cls, vocabulary: Sequence[str], alphabet: Alphabet, *, fuses_unknown: bool = False
    ) -> "ByteTokeniser":
        """The tokeniser of a vocabulary of the ESM family: single letters and `<cls>`, `<pad>`, ...

        Raises:
            ModelError: A special token or a residue of the alphabet is not in the vocabulary.
        """
        ids = {token: index for index, token in enumerate(vocabulary)}
        missing = [token for token in (CLS, EOS, PAD, MASK, UNKNOWN) if token not in ids]
        if missing:
            raise ModelError(
                f"The vocabulary of {len(vocabulary)} tokens has no {', '.join(missing)}. "
                "Check that the vocabulary file belongs to this model."
            )
        letters = {token: index for token, index in ids.items() if len(token) == 1 and token.isascii()}
        special = {"cls": CLS, "eos": EOS, "pad": PAD, "mask": MASK, "unknown": UNKNOWN}
        special_ids = {role: ids[token] for role, token in special.items()}
        return cls.from_letters(vocabulary, letters, special_ids, alphabet, fuses_unknown=fuses_unknown)

    @classmethod
    def from_letters(
        cls,
        vocabulary: Sequence[str],
        letters: Mapping[str, int],
        special_ids: Mapping[str, int],
        alphabet: Alphabet,
        *,
        fuses_unknown: bool = False,
    ) -> "ByteTokeniser":
        """A tokeniser from the ids of its letters.

        Args:
            vocabulary: All tokens by id.
            letters: Id of every ASCII letter that is known.
            special_ids: Ids of "cls", "eos", "pad", "mask" and "unknown".
            alphabet: Whose residues must be known.
            fuses_unknown: See the class.

        Raises:
            ModelError: A residue of the alphabet is not known.
        """
        missing = [letter for letter in alphabet.residues if letter not in letters]
        if missing:
            raise ModelError(
                f"The model knows no {', '.join(missing)}, so it is no model of {alphabet.value} sequences, "
                f"whose letters are {alphabet.residues}. Choose a model of that alphabet."
            )
        table = np.full(256, special_ids["unknown"], dtype=np.int16)
        for letter, index in letters.items():
            table[ord(letter)] = index
        return cls(
            vocabulary=tuple(vocabulary),
            table=table,
            cls_id=special_ids["cls"],
            eos_id=special_ids["eos"],
            pad_id=special_ids["pad"],
            mask_id=special_ids["mask"],
            unknown_id=special_ids["unknown"],
            residue_ids=np.array([letters[letter] for letter in alphabet.residues], dtype=np.int64),
            fuses_unknown=fuses_unknown,
        )

    def description(self) -> dict[str, Any]:
        """The tokeniser as JSON values, for `from_description`."""
        known = np.flatnonzero(self.table != self.unknown_id)
        return {
            "vocabulary": list(self.vocabulary),
            "letters": {chr(byte): int(self.table[byte]) for byte in known},
            "special_ids": {
                "cls": self.cls_id,
                "eos": self.eos_id,
                "pad": self.pad_id,
                "mask": self.mask_id,
                "unknown": self.unknown_id,
            },
            "fuses_unknown": self.fuses_unknown,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any], alphabet: Alphabet) -> "ByteTokeniser":
        """The tokeniser that `description` described."""
        return cls.from_letters(
            description["vocabulary"],
            description["letters"],
            description["special_ids"],
            alphabet,
            fuses_unknown=description["fuses_unknown"],
        )

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary. A network may have more output rows (ESM-C: 64 for 33)."""
        return len(self.vocabulary)

    def encode(self, block: SequenceBlock, maximum_residues: int) -> TokenBlock:
        """Tokenise a block.

        Args:
            block: n sequences.
            maximum_residues: Longer sequences keep their first `maximum_residues` letters; how many were
                cut is in the result.

        Returns:
            The tokens of the n sequences in the block's order.
        """
        if maximum_residues < 1:
            raise ValueError(f"maximum_residues must be at least 1, not {maximum_residues}")
        letters = self.table[block.blob]
        lengths = block.lengths
        if self.fuses_unknown:
            letters, lengths = self._fuse_runs(letters, block.offsets)
        kept = np.minimum(lengths, maximum_residues)
        starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        offsets = np.concatenate([[0], np.cumsum(kept + 2)]).astype(np.int64)
        tokens = np.empty(offsets[-1], dtype=np.int16)
        tokens[offsets[:-1]] = self.cls_id
        tokens[offsets[1:] - 1] = self.eos_id
        inner = np.ones(len(tokens), dtype=bool)
        inner[offsets[:-1]] = inner[offsets[1:] - 1] = False
        truncated = int(np.count_nonzero(kept < lengths))
        if truncated:
            inside = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
            letters = letters[np.repeat(starts, kept) + inside]
        tokens[inner] = letters
        return TokenBlock(tokens, offsets, truncated)

    def _fuse_runs(
        self, letters: NDArray[np.int16], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        unknown = letters == self.unknown_id
        repeated = np.zeros_like(unknown)
        repeated[1:] = unknown[1:] & unknown[:-1]
        # A run ends with its sequence.
        starts = offsets[:-1]
        repeated[starts[starts < len(letters)]] = False
        removed = np.concatenate([[0], np.cumsum(repeated)])
        return letters[~repeated], np.diff(offsets - removed[offsets])
