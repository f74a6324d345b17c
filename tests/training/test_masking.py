import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.models import ByteTokeniser
from bioprune_core.models.vocabulary import vocabulary_for
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training.masking import EVALUATION_DRAW, MaskedTokens, mask_tokens

RNA = ByteTokeniser.from_vocabulary(vocabulary_for(Alphabet.RNA), Alphabet.RNA)
PROTEIN = ByteTokeniser.from_vocabulary(vocabulary_for(Alphabet.PROTEIN), Alphabet.PROTEIN)


def mask(
    block: SequenceBlock, tokeniser: ByteTokeniser = RNA, seed: int = 0, draw: int = 0, rate: float = 0.15
) -> MaskedTokens:
    tokens = tokeniser.encode(block, 1022)
    return mask_tokens(
        tokens.tokens,
        tokens.offsets,
        block.hashes,
        residue_ids=tokeniser.residue_ids,
        mask_id=tokeniser.mask_id,
        seed=seed,
        draw=draw,
        rate=rate,
    )


def random_block(count: int, letters: str, seed: int = 0) -> SequenceBlock:
    random = np.random.default_rng(seed)
    return SequenceBlock.from_strings(
        ["".join(random.choice(list(letters), size=random.integers(1, 200))) for _ in range(count)]
    )


@pytest.mark.parametrize(
    ("tokeniser", "letters"),
    [(RNA, "ACGURYKMSWBDHVN"), (PROTEIN, "ACDEFGHIKLMNPQRSTVWYXBZUO")],
    ids=["rna", "protein"],
)
def test_only_real_residues_are_targets_or_replacements(tokeniser: ByteTokeniser, letters: str) -> None:
    block = random_block(300, letters)
    tokens = tokeniser.encode(block, 1022).tokens
    masked = mask(block, tokeniser, rate=0.5)
    assert np.isin(tokens[masked.targets], tokeniser.residue_ids).all()
    allowed = [*tokeniser.residue_ids, tokeniser.mask_id]
    assert np.isin(masked.inputs[masked.targets], allowed).all()
    assert (masked.inputs == tokens)[~masked.targets].all()
    assert masked.inputs.dtype == tokens.dtype


def test_shares_are_80_10_10() -> None:
    block = random_block(3000, "ACGU")
    tokens = RNA.encode(block, 1022).tokens
    masked = mask(block)
    original, seen = tokens[masked.targets], masked.inputs[masked.targets]
    residues = np.isin(tokens, RNA.residue_ids).sum()
    assert masked.targets.sum() / residues == pytest.approx(0.15, abs=0.003)
    assert (seen == RNA.mask_id).mean() == pytest.approx(0.8, abs=0.01)
    # A random residue is the original one in a quarter of the cases.
    assert (seen == original).mean() == pytest.approx(0.1 + 0.1 / 4, abs=0.01)
    replaced = seen[(seen != RNA.mask_id) & (seen != original)]
    counts = np.bincount(replaced, minlength=25)[RNA.residue_ids]
    assert counts.min() > 0.85 * counts.mean()


def test_a_mask_does_not_depend_on_order_or_company() -> None:
    block = random_block(100, "ACGUN")
    order = np.random.default_rng(1).permutation(100)
    tokens = RNA.encode(block, 1022)
    together = mask(block, draw=3)
    shuffled, shuffled_tokens = mask(block.take(order), draw=3), RNA.encode(block.take(order), 1022)
    for new, old in enumerate(order):
        here = slice(*shuffled_tokens.offsets[new : new + 2])
        there = slice(*tokens.offsets[old : old + 2])
        alone = mask(block.take(np.array([old])), draw=3)
        for one, two in ((shuffled.inputs[here], alone.inputs), (shuffled.targets[here], alone.targets)):
            assert np.array_equal(one, two)
        assert np.array_equal(together.inputs[there], alone.inputs)


def test_draws_and_seeds_give_other_masks() -> None:
    block = random_block(50, "ACGU")
    masks = [
        mask(block, seed=seed, draw=draw) for seed, draw in ((0, 0), (0, 1), (1, 0), (0, EVALUATION_DRAW))
    ]
    for first in range(4):
        for second in range(first):
            both = (masks[first].targets & masks[second].targets).sum()
            # Independent masks share about 15 % of their targets.
            assert both < 0.3 * masks[first].targets.sum()


def test_targets_fall_evenly_on_places_and_letters() -> None:
    block = SequenceBlock.from_strings(["ACGU" * 10])
    counts = sum(mask(block, draw=draw).targets.astype(int) for draw in range(4000))[1:-1]
    # 600 expected, standard deviation 22.6.
    assert counts.min() > 600 - 5 * 22.6
    assert counts.max() < 600 + 5 * 22.6


def test_the_mask_of_a_seed_never_changes() -> None:
    # Runs are replayed from their seed: another generator would need another version of the run's format.
    masked = mask(SequenceBlock.from_strings(["GGGAAACGCUUCGGCGUUUCCC"]), seed=7, draw=2, rate=0.3)
    assert np.flatnonzero(masked.targets).tolist() == [3, 8, 10, 13, 17, 19, 22]
    assert masked.inputs[masked.targets].tolist() == [24, 24, 24, 24, 24, 6, 5]


@given(st.text("ACGUN", min_size=1, max_size=30), st.floats(0.01, 1.0))
def test_every_sequence_with_a_residue_has_a_target(letters: str, rate: float) -> None:
    masked = mask(SequenceBlock.from_strings([letters]), rate=rate)
    residues = len(letters) - letters.count("N")
    targets = int(masked.targets.sum())
    assert targets >= min(1, residues)
    assert abs(targets - rate * residues) <= 1


def test_empty_and_ambiguous_sequences_are_left_alone() -> None:
    block = SequenceBlock.from_strings(["", "NNNN", "ACGU", ""])
    masked = mask(block)
    assert masked.targets.sum() == 1
    assert np.flatnonzero(masked.targets)[0] in range(9, 13)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, float("nan")])
def test_a_rate_out_of_bounds_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="mask rate"):
        mask(SequenceBlock.from_strings(["ACGU"]), rate=rate)
