"""A process killed with SIGKILL in the middle of a write leaves nothing that is taken for finished."""

import itertools
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from memory_pool import MemoryPool

from bioprune_core.influence import InfluenceConfig, run_fisher, run_scores
from bioprune_core.models import MaskedLanguageModel, load_model, save_model
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256, shard_size=4)

# Loading torch anew takes longer than both passes.
FORKING = multiprocessing.get_context("fork")


def killed_in_a_write(folder: Path, number: int) -> None:
    """Both passes, in a process that ends when it has written one half of a table."""
    whole, calls = parquet.write_table, itertools.count(1)

    def half_a_file(table: object, path: Path, **options: object) -> None:
        whole(table, path, **options)
        if next(calls) == number:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    parquet.write_table = half_a_file
    both_passes(folder)


def both_passes(folder: Path) -> None:
    torch.set_num_threads(1)
    model = load_model(folder / "network")
    random = np.random.default_rng(4)
    pool = MemoryPool(
        SequenceBlock.from_strings(
            ["".join(random.choice(list("ACGU"), size)) for size in random.integers(1, 50, 14)]
        )
    )
    fisher = run_fisher(model, pool, np.arange(0, 14, 2), CONFIG, folder / "fisher")
    run_scores(model, pool, fisher, CONFIG, folder / "scores", folder / "embeddings")


def visible(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("part-*"))
        if path.is_file()
    }


@pytest.mark.faults
def test_killed_in_the_middle_of_a_write(rna_model: MaskedLanguageModel, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        save_model(rna_model, folder / "network")
    both_passes(whole)
    # The third table is the scores of the second shard, the second one of the process after it: the
    # embeddings of that shard.
    for write, finished in ((3, 1), (2, 1)):
        process = FORKING.Process(target=killed_in_a_write, args=(killed, write))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert len(list((killed / "scores").glob("part-*.json"))) == finished
    both_passes(killed)
    assert visible(killed) == visible(whole)
    assert len(visible(whole)) == 4 * 3 + 2 * 2
