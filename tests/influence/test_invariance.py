"""A score depends on the sequence, the model and the subset, and on nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bioprune_core.influence import (
    InfluenceConfig,
    ScoreBlock,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

RTOL = 1e-5
CONFIG = InfluenceConfig(token_budget=512)

MakeBlock = Callable[..., SequenceBlock]


def scores_of(
    model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig = CONFIG
) -> ScoreBlock:
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    return score_block(model, block, fisher, config)


def assert_same(one: ScoreBlock, other: ScoreBlock) -> None:
    np.testing.assert_allclose(one.influence, other.influence, rtol=RTOL)
    np.testing.assert_allclose(one.loss, other.loss, rtol=RTOL)
    np.testing.assert_allclose(one.gradient_norm, other.gradient_norm, rtol=RTOL)
    np.testing.assert_array_equal(one.tokens, other.tokens)
    assert one.embedding is not None and other.embedding is not None
    # Half precision: the last of ten bits may round either way.
    np.testing.assert_allclose(one.embedding, other.embedding, rtol=2e-3, atol=1e-3)


def test_batches_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 30)
    alone = scores_of(model, block, InfluenceConfig(token_budget=1))
    together = scores_of(model, block, InfluenceConfig(token_budget=100_000))
    assert_same(alone, together)


def test_pads_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    short, long = make_block(model, 6, seed=1, longest=9), make_block(model, 1, seed=2, longest=200)
    fisher = fisher_diagonal([accumulate_fisher(model, short, CONFIG)])
    texts = [block.sequence(row) for block in (short, long) for row in range(len(block))]
    wide = InfluenceConfig(token_budget=100_000)
    padded = score_block(model, SequenceBlock.from_strings([*texts, texts[-1] * 4]), fisher, wide)
    plain = score_block(model, short, fisher, InfluenceConfig(token_budget=1))
    np.testing.assert_allclose(padded.influence[: len(short)], plain.influence, rtol=RTOL)
    np.testing.assert_allclose(padded.loss[: len(short)], plain.loss, rtol=RTOL)


def test_order_does_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 30)
    order = np.random.default_rng(3).permutation(len(block))
    forward, shuffled = scores_of(model, block), scores_of(model, block.take(order))
    np.testing.assert_allclose(shuffled.influence, forward.influence[order], rtol=RTOL)
    np.testing.assert_array_equal(shuffled.tokens, forward.tokens[order])


def test_parts_of_the_subset_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 30)
    whole = fisher_diagonal([accumulate_fisher(model, block, CONFIG)])
    rows = np.array_split(np.arange(len(block)), [4, 5, 19])
    parts = fisher_diagonal([accumulate_fisher(model, block.take(part), CONFIG) for part in rows])
    np.testing.assert_allclose(parts, whole, rtol=RTOL, atol=1e-8 * whole.max())


def test_repetition_gives_the_same_bits(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 30)
    one, other = scores_of(model, block), scores_of(model, block)
    for name in ("influence", "loss", "tokens", "gradient_norm", "embedding"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("damping", [1e-8, 1e-2])
def test_mean_over_the_subset_is_the_effective_number_of_parameters(
    model: MaskedLanguageModel, make_block: MakeBlock, damping: float
) -> None:
    subset = make_block(model, 30)
    config = InfluenceConfig(damping=damping)
    fisher = fisher_diagonal([accumulate_fisher(model, subset, config)])
    scores = score_block(model, subset, fisher, config)
    assert scores.influence.mean() == pytest.approx((fisher / (fisher + damping)).sum(), rel=1e-7)
    assert (scores.influence >= 0).all()


def test_a_training_mode_is_left_as_it_was_and_not_used(
    rna_model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    block = make_block(rna_model, 10)
    expected = scores_of(rna_model, block)
    rna_model.network.train()
    try:
        rna_model.network.config.hidden_dropout_prob = 0.5
        scores = scores_of(rna_model, block)
        assert rna_model.network.training
    finally:
        rna_model.network.eval()
    assert scores.influence.tobytes() == expected.influence.tobytes()


def test_embeddings_are_means_over_residues(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 5)
    scores = scores_of(model, block)
    assert scores.embedding is not None and scores.embedding.dtype == np.float16
    for row in range(len(block)):
        encoded = model.tokeniser.encode(block.take(np.array([row])), model.maximum_residues)
        tokens = torch.from_numpy(encoded.tokens.astype(np.int64)).unsqueeze(0)
        with torch.no_grad():
            hidden = model.hidden_states(tokens, torch.ones_like(tokens, dtype=torch.bool))[0]
        np.testing.assert_allclose(
            scores.embedding[row], hidden[1:-1].mean(dim=0).numpy(), rtol=2e-3, atol=1e-3
        )
