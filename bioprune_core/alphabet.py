"""The three alphabets: which letters are real residues, which are IUPAC ambiguity codes."""

from enum import StrEnum

__all__ = ["Alphabet"]


class Alphabet(StrEnum):
    """A residue alphabet after normalisation (upper case; RNA has U, DNA has T)."""

    RNA = "rna"
    DNA = "dna"
    PROTEIN = "protein"

    @property
    def residues(self) -> str:
        """The unambiguous letters, in the order used everywhere (ACGU, ACGT, the 20 amino acids)."""
        return {"rna": "ACGU", "dna": "ACGT", "protein": "ACDEFGHIKLMNPQRSTVWY"}[self.value]

    @property
    def ambiguous(self) -> str:
        """IUPAC codes for more than one residue; for proteins also the rare residues U and O."""
        return "XBZJUO" if self is Alphabet.PROTEIN else "RYKMSWBDHVN"

    @property
    def wildcard(self) -> str:
        """The letter for "any residue": what the policy "replace" writes."""
        return "X" if self is Alphabet.PROTEIN else "N"

    @property
    def unit(self) -> str:
        """The unit of a length: "nt" or "aa"."""
        return "aa" if self is Alphabet.PROTEIN else "nt"
