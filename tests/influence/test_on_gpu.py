"""Scores on a GPU: those of the processor, in every precision, and when its memory does not suffice."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from bioprune_core.influence import (
    InfluenceConfig,
    Precision,
    accumulate_fisher,
    fisher_diagonal,
    score_block,
)
from bioprune_core.influence.backoff import Backoff
from bioprune_core.influence.plan import settled_on_device
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="it needs a GPU")

MakeBlock = Callable[..., SequenceBlock]


@pytest.fixture
def on_gpu(model: MaskedLanguageModel) -> MaskedLanguageModel:
    return deepcopy(model).to("cuda")


@pytest.fixture
def little_memory() -> Iterator[Callable[[float], None]]:
    """Leaves a process that many bytes beyond what it holds."""

    def leave(more: float) -> None:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + more) / total)

    yield leave
    torch.cuda.set_per_process_memory_fraction(1.0)


def influence_of(model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig) -> np.ndarray:
    fisher = fisher_diagonal([accumulate_fisher(model, block, config)])
    return score_block(model, block, fisher, config).influence


def test_in_float32_they_are_those_of_the_processor(
    model: MaskedLanguageModel, on_gpu: MaskedLanguageModel, make_block: MakeBlock
) -> None:
    block, config = make_block(model, 60), InfluenceConfig(precision=Precision.FLOAT32)
    np.testing.assert_allclose(
        influence_of(on_gpu, block, config), influence_of(model, block, config), rtol=2e-4
    )


def test_in_bf16_their_ranks_are_those_of_float32(on_gpu: MaskedLanguageModel, make_block: MakeBlock) -> None:
    block = make_block(on_gpu, 600)
    exact, rounded = (
        influence_of(on_gpu, block, InfluenceConfig(precision=precision))
        for precision in (Precision.FLOAT32, Precision.AUTO)
    )
    assert not np.array_equal(exact, rounded)
    assert spearmanr(exact, rounded).statistic >= 0.9999
    top = [set(np.argsort(-scores)[:60].tolist()) for scores in (exact, rounded)]
    assert len(top[0] & top[1]) >= 0.98 * 60


def test_a_batch_without_memory_is_halved_and_nothing_is_lost(
    on_gpu: MaskedLanguageModel, make_block: MakeBlock, little_memory: Callable[[float], None]
) -> None:
    config = InfluenceConfig(token_budget=1 << 18, precision=Precision.FLOAT32)
    block = make_block(on_gpu, 4000)
    part = accumulate_fisher(on_gpu, block, config)
    fisher = fisher_diagonal([part])
    scores = score_block(on_gpu, block, fisher, config)
    little_memory(100e6)
    of_fisher, of_scores = Backoff(), Backoff()
    again = accumulate_fisher(on_gpu, block, config, backoff=of_fisher)
    scores_again = score_block(on_gpu, block, fisher, config, backoff=of_scores)
    assert of_fisher.times > 0
    assert of_scores.times > 0
    np.testing.assert_allclose(
        again.sum_squared, part.sum_squared, rtol=1e-3, atol=part.sum_squared.max() * 1e-7
    )
    np.testing.assert_allclose(scores_again.influence, scores.influence, rtol=1e-4)


def test_the_token_budget_is_one_that_fits(
    on_gpu: MaskedLanguageModel, little_memory: Callable[[float], None]
) -> None:
    free = settled_on_device(InfluenceConfig(), on_gpu).batch_tokens
    little_memory(60e6)
    tight = settled_on_device(InfluenceConfig(), on_gpu).batch_tokens
    assert 256 <= tight < free
