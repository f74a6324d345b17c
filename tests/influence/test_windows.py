"""A sequence longer than the model takes is scored as a whole, in windows; others are as without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_pool import MemoryPool
from reference import Reference, fisher_of, influence_of

from bioprune_core.errors import InputError
from bioprune_core.influence import (
    InfluenceConfig,
    Objective,
    TooLong,
    accumulate_fisher,
    run_fisher,
    run_scores,
    score_block,
)
from bioprune_core.influence.backoff import Backoff
from bioprune_core.influence.windows import encode_block
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

LIMIT = 20
UNMASKED = InfluenceConfig(too_long=TooLong.WINDOW, token_budget=256)
MASKED = replace(UNMASKED, objective=Objective.MASKED, masks=3)
LENGTHS = (7, 20, 21, 40, 41, 65, 13)


@pytest.fixture
def short_model(rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> MaskedLanguageModel:
    monkeypatch.setattr(rna_model, "maximum_residues", LIMIT)
    return rna_model


@pytest.fixture
def block() -> SequenceBlock:
    random = np.random.default_rng(3)
    return SequenceBlock.from_strings(["".join(random.choice(list("ACGU"), size)) for size in LENGTHS])


@pytest.mark.parametrize("config", [UNMASKED, MASKED], ids=["unmasked", "masked"])
def test_loss_fisher_and_influence_are_those_of_the_method(
    short_model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig
) -> None:
    losses, gradients = Reference(short_model, config).gradients(block)
    fisher = fisher_of(gradients)
    part = accumulate_fisher(short_model, block, config)
    np.testing.assert_allclose(part.sum_squared / len(block), fisher, rtol=1e-5, atol=1e-7 * fisher.max())
    scores = score_block(short_model, block, fisher, config)
    np.testing.assert_allclose(scores.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(scores.influence, influence_of(gradients, fisher, config.damping), rtol=1e-5)
    norms = np.linalg.norm(gradients.reshape(len(block), -1), axis=1)
    np.testing.assert_allclose(scores.gradient_norm, norms, rtol=1e-4)
    assert scores.windowed == 4 and scores.truncated == 0
    assert scores.tokens.tolist() == [9, 22, 25, 44, 47, 73, 15]


def test_all_linear_layers_see_the_windows_too(
    short_model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    config = replace(UNMASKED, parameters=("lm_head.dense",))
    names = ["lm_head.dense.weight", "lm_head.dense.bias"]
    _, gradients = Reference(short_model, config, names).gradients(block)
    fisher = fisher_of(gradients)
    scores = score_block(short_model, block, fisher, config)
    np.testing.assert_allclose(scores.influence, influence_of(gradients, fisher, config.damping), rtol=1e-5)


@pytest.mark.parametrize("config", [UNMASKED, MASKED], ids=["unmasked", "masked"])
def test_neither_the_budget_nor_want_of_memory_changes_a_score(
    short_model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig
) -> None:
    fisher = accumulate_fisher(short_model, block, config).sum_squared
    expected = score_block(short_model, block, fisher, config)
    for budget, backoff in ((1, None), (60, None), (4_096, None), (4_096, Backoff(budget=45))):
        small = replace(config, token_budget=budget)
        found = score_block(short_model, block, fisher, small, backoff=backoff)
        np.testing.assert_allclose(found.influence, expected.influence, rtol=2e-4)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
        assert found.embedding is not None and expected.embedding is not None
        np.testing.assert_allclose(found.embedding, expected.embedding, rtol=2e-3, atol=1e-3)
        if expected.halves is not None and found.halves is not None:
            np.testing.assert_allclose(found.halves, expected.halves, rtol=2e-4)


@pytest.mark.parametrize("config", [UNMASKED, MASKED], ids=["unmasked", "masked"])
def test_a_sequence_that_fits_is_untouched_to_the_bit(
    short_model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig
) -> None:
    fits = np.array([0, 1, 6])
    fisher = accumulate_fisher(short_model, block, config).sum_squared
    scores = score_block(short_model, block, fisher, config)
    alone = score_block(short_model, block.take(fits), fisher, replace(config, too_long=TooLong.TRUNCATE))
    assert scores.influence[fits].tobytes() == alone.influence.tobytes()
    assert scores.loss[fits].tobytes() == alone.loss.tobytes()
    assert scores.embedding is not None and alone.embedding is not None
    assert scores.embedding[fits].tobytes() == alone.embedding.tobytes()


def test_windows_are_few_and_nearly_equal_and_lose_nothing(
    short_model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    encoded = encode_block(short_model, block, UNMASKED)
    assert encoded.windows.tolist() == [1, 1, 2, 2, 3, 4, 1]
    pieces = [encoded.tokens.sequence(place) for place in range(len(encoded.tokens))]
    whole = short_model.tokeniser.encode(block, 1_000)
    for row in range(len(block)):
        own = [piece for piece, owner in zip(pieces, encoded.owners, strict=True) if owner == row]
        sizes = [len(piece) for piece in own]
        assert max(sizes) - min(sizes) <= 1 and max(sizes) <= LIMIT + 2
        inner = np.concatenate([piece[1:-1] for piece in own])
        np.testing.assert_array_equal(inner, whole.sequence(row)[1:-1])
        for piece in own:
            assert (piece[0], piece[-1]) == (short_model.tokeniser.cls_id, short_model.tokeniser.eos_id)


def test_the_embedding_is_the_mean_over_all_residues(
    short_model: MaskedLanguageModel, block: SequenceBlock
) -> None:
    row = 5
    fisher = np.ones(tuple(short_model.head.dense.weight.shape))
    whole = score_block(short_model, block.take(np.array([row])), fisher, UNMASKED).embedding
    text = block.sequence(row)
    parts = Reference(short_model, UNMASKED).windows(text)
    pieces = score_block(short_model, SequenceBlock.from_strings(parts), fisher, UNMASKED).embedding
    assert whole is not None and pieces is not None
    sizes = np.array([len(part) for part in parts])
    expected = (pieces.astype(np.float64) * sizes[:, None]).sum(axis=0) / len(text)
    np.testing.assert_allclose(whole[0], expected, rtol=4e-3, atol=2e-3)


def test_how_many_were_in_windows_is_counted(
    short_model: MaskedLanguageModel, block: SequenceBlock, tmp_path: Path
) -> None:
    config = replace(UNMASKED, shard_size=4)
    fisher = run_fisher(short_model, MemoryPool(block), np.arange(7), config, tmp_path / "fisher")
    for _ in range(2):
        summary = run_scores(short_model, MemoryPool(block), fisher, config, tmp_path / "scores", None)
        assert (summary.windowed, summary.truncated, summary.tokens) == (4, 0, 235)


def test_code_that_knows_no_windows_is_not_given_any() -> None:
    with pytest.raises(InputError, match="too_long is window, but the objective paper-code"):
        InfluenceConfig(objective=Objective.PAPER_CODE, too_long=TooLong.WINDOW)
