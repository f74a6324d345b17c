"""The byte table gives the tokens of the models' own tokenisers, one for one."""

import random
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import EsmcTokenizer, EsmTokenizer

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models import ByteTokeniser
from bioprune_core.models.vocabulary import DNA_VOCABULARY, ESM2_VOCABULARY, ESMC_VOCABULARY, RNA_VOCABULARY
from bioprune_core.sequences.block import SequenceBlock

# Clean, ambiguous, gapped, lower case, and letters that no vocabulary has.
LETTERS = ["ACGU", "ACGT", "ACGURYKMSWBDHVN-", string.ascii_uppercase, string.ascii_letters, "AaJj*1.-"]


def sequences() -> list[str]:
    chance = random.Random(5)
    some = [
        "".join(chance.choices(letters, k=chance.randint(1, 90))) for letters in LETTERS for _ in range(40)
    ]
    return ["JJ", "AJJ", "JJA", "J", *some]


def assert_equal(tokeniser: ByteTokeniser, official: Callable[[str], list[int]]) -> None:
    texts = sequences()
    tokens = tokeniser.encode(SequenceBlock.from_strings(texts), 1022)
    assert tokens.tokens.dtype == np.int16
    assert tokens.truncated == 0
    for index, text in enumerate(texts):
        assert tokens.sequence(index).tolist() == official(text), text
    assert tokens.lengths.sum() == len(tokens.tokens)


def test_esm_2(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(ESM2_VOCABULARY))
    official = EsmTokenizer(str(tmp_path / "vocab.txt"))
    tokeniser = ByteTokeniser.from_vocabulary(ESM2_VOCABULARY, Alphabet.PROTEIN, fuses_unknown=True)
    assert_equal(tokeniser, lambda text: official(text)["input_ids"])


def test_rna_vocabulary_through_the_esm_tokeniser(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(RNA_VOCABULARY))
    official = EsmTokenizer(str(tmp_path / "vocab.txt"))
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA, fuses_unknown=True)
    assert_equal(tokeniser, lambda text: official(text)["input_ids"])


def test_rna_fm() -> None:
    # The authors' own converter looks every letter up and takes <unk> where it is not in the list.
    ids = {token: index for index, token in enumerate(RNA_VOCABULARY)}
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    assert_equal(tokeniser, lambda text: [0, *(ids.get(letter, 3) for letter in text), 2])
    assert "".join(RNA_VOCABULARY[4:20]) == "ACGURYKMSWBDHVN-"
    assert (len(RNA_VOCABULARY), tokeniser.mask_id, tokeniser.pad_id) == (25, 24, 1)


def test_esm_c() -> None:
    official = EsmcTokenizer()
    tokeniser = ByteTokeniser.from_vocabulary(ESMC_VOCABULARY, Alphabet.PROTEIN)
    assert_equal(tokeniser, lambda text: official(text)["input_ids"])
    assert official.mask_token_id == tokeniser.mask_id


def test_t_is_unknown_to_an_rna_model_and_u_to_a_dna_model() -> None:
    block = SequenceBlock.from_strings(["TU"])
    rna = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    dna = ByteTokeniser.from_vocabulary(DNA_VOCABULARY, Alphabet.DNA)
    assert rna.encode(block, 9).tokens.tolist() == [0, 3, 7, 2]
    assert dna.encode(block, 9).tokens.tolist() == [0, 7, 3, 2]


@pytest.mark.parametrize("fuses", [False, True])
def test_longer_sequences_keep_their_beginning_and_are_counted(fuses: bool) -> None:
    tokeniser = ByteTokeniser.from_vocabulary(ESM2_VOCABULARY, Alphabet.PROTEIN, fuses_unknown=fuses)
    texts = ["LAGVS", "LA", "JJLAGV", "", "LAG"]
    cut = tokeniser.encode(SequenceBlock.from_strings(texts), 3)
    whole = tokeniser.encode(SequenceBlock.from_strings(texts), 99)
    assert cut.truncated == 2
    assert cut.lengths.tolist() == [5, 4, 5, 2, 5]
    for index in range(len(texts)):
        assert cut.sequence(index)[:-1].tolist() == whole.sequence(index)[:-1][:4].tolist()
        assert cut.sequence(index)[-1] == tokeniser.eos_id


def test_an_empty_block_has_no_tokens() -> None:
    tokeniser = ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA)
    assert len(tokeniser.encode(SequenceBlock.from_strings([]), 5)) == 0


def test_residues_are_the_real_alphabet_in_its_order() -> None:
    tokeniser = ByteTokeniser.from_vocabulary(ESM2_VOCABULARY, Alphabet.PROTEIN)
    letters = "".join(ESM2_VOCABULARY[index] for index in tokeniser.residue_ids)
    assert letters == Alphabet.PROTEIN.residues


def test_a_vocabulary_of_another_alphabet_is_refused() -> None:
    with pytest.raises(ModelError, match=r"knows no U, so it is no model of rna"):
        ByteTokeniser.from_vocabulary(DNA_VOCABULARY, Alphabet.RNA)
    with pytest.raises(ModelError, match=r"<mask>"):
        ByteTokeniser.from_vocabulary(RNA_VOCABULARY[:-1], Alphabet.RNA)
