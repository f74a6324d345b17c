"""The token lists of the supported model families, in the order that their weights fix."""

from bioprune_core.alphabet import Alphabet

__all__ = [
    "CLS",
    "DNA_VOCABULARY",
    "EOS",
    "ESM2_VOCABULARY",
    "ESMC_VOCABULARY",
    "MASK",
    "PAD",
    "RNA_VOCABULARY",
    "UNKNOWN",
    "vocabulary_for",
]

CLS, PAD, EOS, UNKNOWN, MASK = "<cls>", "<pad>", "<eos>", "<unk>", "<mask>"
_PREFIX = (CLS, PAD, EOS, UNKNOWN)

# RNA-FM fills the list up to a multiple of eight with four null tokens before it appends the mask.
_NULLS = ("<null_1>", "<null_2>", "<null_3>", "<null_4>")
RNA_VOCABULARY: tuple[str, ...] = (*_PREFIX, *"ACGURYKMSWBDHVN-", *_NULLS, MASK)
DNA_VOCABULARY: tuple[str, ...] = (*_PREFIX, *"ACGTRYKMSWBDHVN-", *_NULLS, MASK)

_PROTEIN_LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO.-"
ESM2_VOCABULARY: tuple[str, ...] = (*_PREFIX, *_PROTEIN_LETTERS, "<null_1>", MASK)
# "|" is a chain break. The network has 64 rows; the last 31 are unused.
ESMC_VOCABULARY: tuple[str, ...] = (*_PREFIX, *_PROTEIN_LETTERS, "|", MASK)


def vocabulary_for(alphabet: Alphabet) -> tuple[str, ...]:
    """The vocabulary of a network made from scratch for an alphabet: RNA-FM's, its DNA twin, or ESM-2's."""
    return {
        Alphabet.RNA: RNA_VOCABULARY,
        Alphabet.DNA: DNA_VOCABULARY,
        Alphabet.PROTEIN: ESM2_VOCABULARY,
    }[alphabet]
