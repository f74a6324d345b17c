"""Helpers of a pass: they read what they compute and nothing else, and say how much that was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from memory_pool import MemoryPool
from numpy.typing import NDArray

from bioprune_core.influence import (
    FisherScale,
    InfluenceConfig,
    fisher_scale,
    help_fisher,
    help_scores,
    run_fisher,
    run_scores,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256, shard_size=4)


class PoolThatCounts(MemoryPool):
    """A pool that notes where it was read."""

    def __init__(self, block: SequenceBlock) -> None:
        super().__init__(block)
        self.reads: list[int] = []

    def read(self, start: int, stop: int) -> SequenceBlock:
        self.reads.append(start)
        return super().read(start, stop)

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        self.reads.append(int(positions[0]))
        return super().take(positions)


@pytest.fixture
def pool(rna_model: MaskedLanguageModel, make_block: Callable[..., SequenceBlock]) -> PoolThatCounts:
    return PoolThatCounts(make_block(rna_model, 14, longest=30))


@pytest.fixture(scope="module")
def scale() -> FisherScale:
    return fisher_scale(np.ones((128, 128)), CONFIG.damping)


def test_a_helper_of_the_scores_reads_and_counts_what_it_computes(
    rna_model: MaskedLanguageModel, pool: PoolThatCounts, scale: FisherScale, tmp_path: Path
) -> None:
    assert help_scores(rna_model, pool, scale, CONFIG, tmp_path, None) == 4
    whole = (tmp_path / "part-00001.parquet").read_bytes()
    pool.reads.clear()
    assert help_scores(rna_model, pool, scale, CONFIG, tmp_path, None) == 0
    assert pool.reads == []
    (tmp_path / "part-00001.json").unlink()
    assert help_scores(rna_model, pool, scale, CONFIG, tmp_path, None) == 1
    assert pool.reads == [4]
    assert (tmp_path / "part-00001.parquet").read_bytes() == whole
    pool.reads.clear()
    # Whose pass it is makes sure of them all.
    assert run_scores(rna_model, pool, scale, CONFIG, tmp_path, None).reused == 4
    assert sorted(pool.reads) == [0, 4, 8, 12]


def test_a_helper_of_the_fisher_reads_and_counts_what_it_computes(
    rna_model: MaskedLanguageModel, pool: PoolThatCounts, tmp_path: Path
) -> None:
    subset = np.arange(0, 14)
    work = rna_model, pool, subset, CONFIG, tmp_path
    assert help_fisher(*work) is None  # There is no plan yet.
    run_fisher(*work)
    pool.reads.clear()
    assert help_fisher(*work) == 0
    assert pool.reads == []
    (tmp_path / "part-00002.json").unlink()
    assert help_fisher(*work) == 1
    assert pool.reads == [8]
