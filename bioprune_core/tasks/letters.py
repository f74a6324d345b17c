"""The letters of a task's sequences."""

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError

__all__ = ["Normaliser"]

# More strange letters than this share say that the sequence is of another kind.
_MOST_STRANGE = 0.2


class Normaliser:
    """Brings sequences to upper case and T or U as the alphabet has it, letter for letter.

    Letters that the alphabet does not have become its wildcard: targets of residues keep their places.

    Args:
        alphabet: Of the task.

    Attributes:
        replaced: In how many sequences letters were replaced so far.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self.replaced = 0
        table = {}
        if alphabet is not Alphabet.PROTEIN:
            table = {"T": "U"} if alphabet is Alphabet.RNA else {"U": "T"}
        self._table = str.maketrans(table)
        self._known = frozenset(alphabet.residues + alphabet.ambiguous)

    def __call__(self, text: str, where: str) -> str:
        """A normalised sequence.

        Args:
            text: As the file has it.
            where: File and record, for messages.

        Raises:
            InputError: The sequence is empty, or too many letters are not of the alphabet.
        """
        sequence = text.strip().upper().translate(self._table)
        if not sequence:
            raise InputError(f"{where}: the sequence is empty. Give it, or leave the record out.")
        if self._known.issuperset(sequence):
            return sequence
        strange = [letter for letter in sequence if letter not in self._known]
        if len(strange) > _MOST_STRANGE * len(sequence):
            raise InputError(
                f"{where}: {len(strange):,} of {len(sequence):,} letters are not of the alphabet "
                f"{self.alphabet.value} (the first is {strange[0]!r}). Check the column and the alphabet."
            )
        self.replaced += 1
        wildcard = self.alphabet.wildcard
        return "".join(letter if letter in self._known else wildcard for letter in sequence)
