"""The letters of a task's sequences."""

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.normalise import GAPS, STOP

__all__ = ["Normaliser"]

_WITHOUT_GAPS = str.maketrans("", "", GAPS)
# More strange letters than this share say that the sequence is of another kind.
_MOST_STRANGE = 0.2


class Normaliser:
    """Brings sequences to upper case and T or U as the alphabet has it, as ingest does.

    White space, gaps and a trailing `*` go. Other letters that the alphabet does not have become its
    wildcard: targets of residues keep their places.

    Args:
        alphabet: Of the task.
        of_residues: Whether targets are of residues, so that none may go without its target: sequences with
            gaps, stops or white space are refused.

    Attributes:
        replaced: In how many sequences letters were replaced so far.
        stripped: In how many gaps, a trailing `*` or white space were removed.
    """

    def __init__(self, alphabet: Alphabet, of_residues: bool = False) -> None:
        self.alphabet = alphabet
        self.replaced = 0
        self.stripped = 0
        self._of_residues = of_residues
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
            InputError: The sequence is empty, too many letters are not of the alphabet, or letters would go
                that have targets.
        """
        written = text.strip().upper().translate(self._table)
        sequence = written if self._known.issuperset(written) else self._without_gaps(written, where)
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

    def _without_gaps(self, written: str, where: str) -> str:
        sequence = "".join(written.translate(_WITHOUT_GAPS).split()).rstrip(STOP)
        if sequence == written:
            return written
        if self._of_residues:
            place, letter = next(
                (place, letter)
                for place, letter in enumerate(written, 1)
                if letter in GAPS or letter == STOP or letter.isspace()
            )
            raise InputError(
                f"{where}: letter {place} of the sequence is {letter!r}, which is no residue, but the label "
                "has a sign for it. Remove both."
            )
        self.stripped += 1
        return sequence
