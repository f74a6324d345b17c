"""The objective `masked`: the training loss over K seeded masks, averaged before the gradient is squared."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from memory_pool import MemoryPool
from reference import Reference, fisher_of, influence_of

from bioprune_core.errors import InputError
from bioprune_core.influence import (
    InfluenceConfig,
    Objective,
    ScoreBlock,
    accumulate_fisher,
    fisher_diagonal,
    run_fisher,
    run_scores,
    score_block,
    score_sequences,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

RTOL = 1e-5
CONFIG = InfluenceConfig(objective=Objective.MASKED, masks=5, mask_seed=3, token_budget=1024)

MakeBlock = Callable[..., SequenceBlock]


def scores_of(
    model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig = CONFIG
) -> ScoreBlock:
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    return score_block(model, block, fisher, config)


def assert_same(one: ScoreBlock, other: ScoreBlock) -> None:
    for name in ("influence", "loss", "gradient_norm", "halves"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=RTOL)
    assert one.embedding is not None and other.embedding is not None
    np.testing.assert_allclose(one.embedding, other.embedding, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("masks", [1, 4, 5])
def test_against_autograd(model: MaskedLanguageModel, make_block: MakeBlock, masks: int) -> None:
    config = replace(CONFIG, masks=masks)
    block = make_block(model, 12)
    losses, gradients = Reference(model, config).gradients(block)
    reference = fisher_of(gradients)
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    # The floor is for entries whose terms cancel in float32.
    np.testing.assert_allclose(fisher, reference, rtol=RTOL, atol=1e-7 * reference.max())
    scores = score_block(model, block, fisher, config)
    np.testing.assert_allclose(scores.loss, losses, rtol=RTOL)
    np.testing.assert_allclose(scores.gradient_norm, np.sqrt((gradients**2).sum(axis=(1, 2))), rtol=RTOL)
    np.testing.assert_allclose(
        scores.influence, influence_of(gradients, reference, config.damping), rtol=RTOL
    )


def test_halves_are_the_even_and_the_odd_masks(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 6)
    reference = Reference(model, CONFIG)
    fisher = fisher_of(reference.gradients(block)[1])
    scores = score_block(model, block, fisher, CONFIG)
    assert scores.halves is not None and scores.halves.shape == (2, 6)
    for half, draws in enumerate(([0, 2, 4], [1, 3])):
        gradients = np.stack(
            [
                reference.gradient(sum(reference.loss_of_mask(text, draw) for draw in draws) / len(draws))
                for text in (block.sequence(row) for row in range(len(block)))
            ]
        )
        expected = influence_of(gradients, fisher, CONFIG.damping)
        np.testing.assert_allclose(scores.halves[half], expected, rtol=RTOL)


@pytest.mark.parametrize("budget", [1, 100, 100_000])
def test_batches_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock, budget: int) -> None:
    """At a budget of one token every mask is a forward pass of its own; at 100, a few are."""
    block = make_block(model, 12)
    assert_same(scores_of(model, block, replace(CONFIG, token_budget=budget)), scores_of(model, block))


def test_order_and_neighbours_do_not_matter(model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(model, 12)
    whole = scores_of(model, block)
    fisher = fisher_diagonal([accumulate_fisher(model, block, CONFIG)])
    order = np.random.default_rng(3).permutation(len(block))
    shuffled = score_block(model, block.take(order), fisher, CONFIG)
    np.testing.assert_allclose(shuffled.influence, whole.influence[order], rtol=RTOL)
    for row in range(3):
        alone = score_block(model, block.take(np.array([row])), fisher, CONFIG)
        np.testing.assert_allclose(alone.influence[0], whole.influence[row], rtol=RTOL)


def test_repetition_gives_the_same_bits(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(rna_model, 12)
    one, other = scores_of(rna_model, block), scores_of(rna_model, block)
    for name in ("influence", "loss", "gradient_norm", "embedding", "halves"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_seed_and_number_of_masks_matter(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(rna_model, 12)
    base = scores_of(rna_model, block)
    for config in (replace(CONFIG, mask_seed=4), replace(CONFIG, masks=4)):
        assert not np.isclose(scores_of(rna_model, block, config).influence, base.influence, rtol=0.01).any()


def test_mean_over_the_subset_is_the_effective_number_of_parameters(
    model: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    block = make_block(model, 12)
    fisher = fisher_diagonal([accumulate_fisher(model, block, CONFIG)])
    scores = score_block(model, block, fisher, CONFIG)
    assert scores.influence.mean() == pytest.approx((fisher / (fisher + CONFIG.damping)).sum(), rel=1e-7)


def test_a_sequence_without_residues_has_nothing_to_predict(rna_model: MaskedLanguageModel) -> None:
    scores = score_sequences(rna_model, ["ACGU", "NNN", "GG"], objective="masked", masks=2)
    assert scores.loss[1] == scores.influence[1] == 0
    assert (scores.influence[[0, 2]] > 0).all() and (scores.loss[[0, 2]] > 0).all()


def test_shards_hold_both_halves(
    rna_model: MaskedLanguageModel, tmp_path: Path, make_block: MakeBlock
) -> None:
    block = make_block(rna_model, 11)
    subset = np.arange(0, 11, 2)
    tables = []
    for size in (4, 100):
        config = replace(CONFIG, shard_size=size)
        folder = tmp_path / str(size)
        fisher = run_fisher(rna_model, MemoryPool(block), subset, config, folder / "fisher")
        run_scores(rna_model, MemoryPool(block), fisher, config, folder / "scores", None)
        tables.append(pq.read_table(sorted((folder / "scores").glob("*.parquet"))))
    names = ["position", "hash", "influence", "loss", "tokens", "gradient_norm"]
    assert tables[0].column_names == [*names, "influence_even", "influence_odd"]
    expected = score_block(rna_model, block, fisher, CONFIG)
    assert expected.halves is not None
    for table in tables:
        for name, values in (
            ("influence", expected.influence),
            ("influence_even", expected.halves[0]),
            ("influence_odd", expected.halves[1]),
        ):
            np.testing.assert_allclose(table[name].to_numpy(), values, rtol=RTOL)
    one = score_sequences(rna_model, block, subset, "masked", masks=1)
    assert one.halves is None


def test_masks_belong_to_the_masked_objective() -> None:
    with pytest.raises(InputError, match=r"masks is 4, but the objective unmasked draws no masks"):
        InfluenceConfig(masks=4)
    with pytest.raises(InputError, match="masks must be a whole number of at least 1; got 0"):
        InfluenceConfig(objective=Objective.MASKED, masks=0)
    assert {"masks", "mask_seed"}.isdisjoint(InfluenceConfig().to_json())
    assert InfluenceConfig.from_json(CONFIG.to_json()) == CONFIG
