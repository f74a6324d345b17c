"""Where memory is too small for a batch, the pass goes on in smaller ones, to the same scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_pool import MemoryPool
from small_memory import shrink_memory

from bioprune_core.errors import StageError
from bioprune_core.influence import (
    InfluenceConfig,
    ParameterSet,
    ScoreBlock,
    accumulate_fisher,
    fisher_diagonal,
    read_backoffs,
    run_fisher,
    run_scores,
    score_block,
)
from bioprune_core.influence.backoff import Backoff, is_out_of_memory
from bioprune_core.influence.linear_layers import LinearEngine
from bioprune_core.influence.sequence_gradients import GroupGradients
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

MakeBlock = Callable[..., SequenceBlock]
Shrink = Callable[[int], list[int]]
CONFIGS = {
    "unmasked": InfluenceConfig(token_budget=512),
    "masked": InfluenceConfig(objective="masked", masks=5, token_budget=900),  # type: ignore[arg-type]
    "paper-code": InfluenceConfig(objective="paper-code", token_budget=512),  # type: ignore[arg-type]
    "all-linear": InfluenceConfig(parameters=ParameterSet.ALL_LINEAR, token_budget=512),
}


@pytest.fixture
def shrink(rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> Shrink:
    """Lets the network fail above so many tokens; gives the numbers of tokens that failed."""
    return lambda most: shrink_memory(rna_model, most, monkeypatch)


def both_passes(
    model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig, backoff: Backoff
) -> ScoreBlock:
    fisher = fisher_diagonal([accumulate_fisher(model, block, config, backoff=backoff)])
    return score_block(model, block, fisher, config, backoff=backoff)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_the_scores_are_those_of_enough_memory(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, shrink: Shrink, name: str
) -> None:
    block, config = make_block(rna_model, 14, longest=60), CONFIGS[name]
    expected = both_passes(rna_model, block, config, Backoff())
    failed = shrink(100)
    backoff = Backoff()
    found = both_passes(rna_model, block, config, backoff)
    # Only the first batches fail: those after them are planned for what fitted.
    assert 1 <= backoff.times == len(failed) <= 6
    np.testing.assert_allclose(found.influence, expected.influence, rtol=2e-4)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    np.testing.assert_allclose(found.gradient_norm, expected.gradient_norm, rtol=1e-4)
    assert found.embedding is not None and expected.embedding is not None
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=2e-3, atol=1e-3)
    if expected.halves is not None and found.halves is not None:
        np.testing.assert_allclose(found.halves, expected.halves, rtol=2e-4)


def test_a_batch_that_failed_when_half_was_summed_does_not_count_twice(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, config = make_block(rna_model, 9), InfluenceConfig(token_budget=300)
    expected = both_passes(rna_model, block, config, Backoff())
    add = GroupGradients.add
    calls = 0

    def fails_late(self: GroupGradients, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        add(self, *arguments)
        if calls in (2, 12):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(GroupGradients, "add", fails_late)
    told: list[int] = []
    backoff = Backoff()
    part = accumulate_fisher(
        rna_model, block, config, lambda sequences, _: told.append(sequences), backoff=backoff
    )
    assert backoff.times == 1
    assert sum(told) == 9
    found = score_block(rna_model, block, fisher_diagonal([part]), config, backoff=backoff)
    assert backoff.times == 2
    np.testing.assert_allclose(found.influence, expected.influence, rtol=2e-4)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_a_sequence_that_does_not_fit_alone_is_named(
    rna_model: MaskedLanguageModel, shrink: Shrink, name: str
) -> None:
    block = SequenceBlock.from_strings(["ACGU", "ACGUACGUGG" * 6, "GGA"])
    block = SequenceBlock(block.blob, block.offsets, block.hashes, np.array([70, 71, 72]))
    shrink(30)
    message = r"position 71, of 60 residues, does not fit into the memory of the device cpu"
    with pytest.raises(StageError, match=message) as caught:
        accumulate_fisher(rna_model, block, CONFIGS[name])
    assert caught.value.detail and "out of memory" in caught.value.detail


def test_shards_count_it_and_later_ones_do_not_fail_again(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, shrink: Shrink, tmp_path: Path
) -> None:
    pool = MemoryPool(make_block(rna_model, 30, longest=50))
    config = InfluenceConfig(token_budget=512, shard_size=10)
    failed = shrink(150)
    fisher = run_fisher(rna_model, pool, np.arange(12), config, tmp_path / "fisher")
    assert read_backoffs(tmp_path / "fisher") == len(failed) > 0
    failed.clear()
    for _ in range(2):
        summary = run_scores(rna_model, pool, fisher, config, tmp_path / "scores", None)
        assert summary.backoffs == len(failed) > 0
    # All of them in the first of three shards.
    assert read_backoffs(tmp_path / "scores") == len(failed)
    assert "backoffs" in (tmp_path / "scores" / "part-00000.json").read_text()
    assert "backoffs" not in (tmp_path / "scores" / "part-00002.json").read_text()


def test_a_batch_that_failed_keeps_nothing_that_its_halves_need(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, add = LinearEngine.run, GroupGradients.add
    left: list[tuple[int, object]] = []

    def watched(self: LinearEngine, *arguments: Any) -> Any:
        try:
            return run(self, *arguments)
        except MemoryError:
            left.append((len(self._inputs), self._hidden))
            raise

    def fails_first(self: GroupGradients, *arguments: Any) -> None:
        if not left:
            raise MemoryError
        add(self, *arguments)

    monkeypatch.setattr(LinearEngine, "run", watched)
    monkeypatch.setattr(GroupGradients, "add", fails_first)
    accumulate_fisher(rna_model, make_block(rna_model, 5), CONFIGS["all-linear"])
    assert left == [(0, None)]


def test_other_errors_are_not_taken_for_want_of_memory(
    rna_model: MaskedLanguageModel, make_block: MakeBlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(rna_model, "hidden_states", fails, raising=True)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        accumulate_fisher(rna_model, make_block(rna_model, 3), InfluenceConfig())
    assert is_out_of_memory(MemoryError())
