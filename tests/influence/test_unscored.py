"""A sequence with a value that is not finite has no score, is named, and spoils nothing but itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
import torch
from memory_pool import MemoryPool
from safetensors.numpy import load_file

from bioprune_core.errors import InputError, StageError
from bioprune_core.influence import (
    InfluenceConfig,
    accumulate_fisher,
    read_unscored,
    run_fisher,
    run_scores,
    score_block,
)
from bioprune_core.influence.unscored import most_unscored
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

MakeBlock = Callable[..., SequenceBlock]
CONFIG = InfluenceConfig(token_budget=256, shard_size=8, unscored_limit=0.2)
BAD = [4, 12, 13]
SUBSET = np.array([0, 2, 4, 5, 12, 15, 17, 21])


@pytest.fixture
def pool(rna_model: MaskedLanguageModel, make_block: MakeBlock) -> MemoryPool:
    """30 sequences, of which those in BAD alone hold the letter N."""
    texts = [
        text.replace("N", "A") for text in map(make_block(rna_model, 30, longest=40).sequence, range(30))
    ]
    for position in BAD:
        texts[position] += "N"
    return MemoryPool(SequenceBlock.from_strings(texts))


@pytest.fixture
def broken(rna_model: MaskedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> MaskedLanguageModel:
    """The model with hidden states that are NaN wherever a sequence holds an N."""
    states = rna_model.hidden_states
    unknown = int(rna_model.tokeniser.table[ord("N")])

    def spoilt(tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = states(tokens, attention_mask)
        hidden[(tokens == unknown).any(dim=1)] = torch.nan
        return hidden

    monkeypatch.setattr(rna_model, "hidden_states", spoilt, raising=True)
    return rna_model


def test_the_fisher_is_that_of_the_others_and_counts_them_alone(
    broken: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    found = run_fisher(broken, pool, SUBSET, CONFIG_OF_SUBSET, tmp_path)
    others = np.setdiff1d(SUBSET, BAD)
    expected = accumulate_fisher(broken, pool.take(others), CONFIG)
    np.testing.assert_allclose(found, expected.sum_squared / len(others), rtol=1e-5, atol=1e-14)
    assert int(load_file(tmp_path / "part-00000.safetensors")["count"]) == len(others)
    assert [(each.position, each.reason) for each in read_unscored(tmp_path)] == [(4, "loss"), (12, "loss")]
    again = run_fisher(broken, pool, SUBSET, CONFIG_OF_SUBSET, tmp_path)
    np.testing.assert_array_equal(again, found)


CONFIG_OF_SUBSET = replace(CONFIG, unscored_limit=0.3)


def test_shards_have_no_rows_for_them_and_say_which_they_are(
    broken: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    fisher = run_fisher(broken, pool, SUBSET, CONFIG_OF_SUBSET, tmp_path / "fisher")
    for _ in range(2):
        summary = run_scores(broken, pool, fisher, CONFIG, tmp_path / "scores", tmp_path / "embeddings")
        assert (summary.sequences, summary.unscored) == (27, 3)
    expected = [position for position in range(30) if position not in BAD]
    for folder in ("scores", "embeddings"):
        table = ds.dataset(tmp_path / folder, exclude_invalid_files=True).to_table()
        assert table["position"].to_pylist() == expected
        assert all(column.null_count == 0 for column in table.columns)
    scores = ds.dataset(tmp_path / "scores", exclude_invalid_files=True).to_table()
    alone = score_block(broken, pool.take(np.array(expected)), fisher, CONFIG)
    np.testing.assert_array_equal(scores["hash"].to_numpy(), pool.block.hashes[expected])
    np.testing.assert_allclose(scores["influence"].to_numpy(), alone.influence, rtol=1e-5)
    found = read_unscored(tmp_path / "scores")
    assert [each.position for each in found] == BAD
    assert [each.hash for each in found] == pool.block.hashes[BAD].tolist()


def test_above_the_limit_the_pass_stops_at_the_shard_that_exceeds_it(
    broken: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    strict = replace(CONFIG, unscored_limit=0.05)
    fisher = run_fisher(broken, pool, np.setdiff1d(SUBSET, BAD), strict, tmp_path / "fisher")
    message = r"loss of 3 sequences .*positions 4, 12, 13\), and at most 1 of 30 .*unscored_limit 0\.05"
    for _ in range(2):
        with pytest.raises(StageError, match=message):
            run_scores(broken, pool, fisher, strict, tmp_path / "scores", None)
    assert {path.name for path in (tmp_path / "scores").glob("*.parquet")} == {"part-00000.parquet"}
    with pytest.raises(StageError, match=r"positions 4, 12\), and at most 1 of 8"):
        run_fisher(broken, pool, SUBSET, strict, tmp_path / "other")


def test_a_shard_of_which_nothing_has_a_score(
    broken: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    few = MemoryPool(pool.take(np.array([12, 13, 0, 1])))
    few = MemoryPool(replace(few.block, positions=np.arange(4)))
    config = replace(CONFIG, shard_size=2, unscored_limit=0.5)
    fisher = run_fisher(broken, few, np.array([2, 3]), config, tmp_path / "fisher")
    summary = run_scores(broken, few, fisher, config, tmp_path / "scores", tmp_path / "embeddings")
    assert (summary.sequences, summary.unscored, summary.shards) == (2, 2, 2)
    assert ds.dataset(tmp_path / "embeddings").to_table()["position"].to_pylist() == [2, 3]


@pytest.mark.parametrize(
    ("limit", "total", "allowed"),
    [(0.001, 10, 1), (0.001, 5_000, 5), (0.001, 1, 0), (0.0, 5_000, 0), (0.9, 2, 1)],
)
def test_how_many_may_stay_without_a_score(limit: float, total: int, allowed: int) -> None:
    assert most_unscored(limit, total) == allowed


def test_the_limit_is_a_share_and_its_default_changes_no_digest() -> None:
    assert "unscored_limit" not in InfluenceConfig().to_json()
    strict = InfluenceConfig(unscored_limit=0.0)
    assert InfluenceConfig.from_json(strict.to_json()) == strict
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="unscored_limit"):
            InfluenceConfig(unscored_limit=wrong)
