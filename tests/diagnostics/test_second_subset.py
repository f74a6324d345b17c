"""The influence under a second subset is what its Fisher gives, whatever was interrupted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from memory_pool import MemoryPool
from small_memory import shrink_memory

from bioprune_core.diagnostics import second_influence
from bioprune_core.influence import InfluenceConfig, accumulate_fisher, fisher_diagonal, score_block
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256, shard_size=5)
SUBSET, SAMPLE = np.arange(1, 20, 2), np.arange(20, 33)


@pytest.fixture
def pool(make_rna: Callable[..., SequenceBlock]) -> MemoryPool:
    return MemoryPool(make_rna(33))


def test_it_is_the_influence_under_that_subset(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    fisher = fisher_diagonal([accumulate_fisher(rna_model, pool.take(SUBSET), CONFIG)])
    expected = score_block(rna_model, pool.take(SAMPLE), fisher, CONFIG, embeddings=False).influence
    found = second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_where_memory_is_too_small_it_goes_on_in_smaller_batches(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path / "enough")
    failed = shrink_memory(rna_model, 100, monkeypatch)
    found = second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path / "small")
    assert failed
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_an_interrupted_one_goes_on_to_the_same_bytes(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    whole = second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_late(progress: Progress) -> None:
        if progress.stage == "score" and progress.done >= 5:
            raise Stop

    with pytest.raises(Stop):
        second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path / "broken", stop_late)
    again = second_influence(rna_model, pool, SUBSET, SAMPLE, CONFIG, tmp_path / "broken")
    assert again.tobytes() == whole.tobytes()
