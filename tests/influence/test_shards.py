"""What the passes leave on disk is right, complete, and the same however often they were interrupted."""

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch
from memory_pool import MemoryPool
from safetensors.numpy import load_file

from bioprune_core.errors import InputError, StageError, StorageError
from bioprune_core.influence import (
    InfluenceConfig,
    ScoreSummary,
    accumulate_fisher,
    fisher_diagonal,
    read_fisher,
    run_fisher,
    run_scores,
    score_block,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256, shard_size=8)
SUBSET = np.array([0, 2, 3, 5, 7, 11, 13, 17, 19, 23])


@pytest.fixture(scope="module")
def pool(rna_model: MaskedLanguageModel) -> MemoryPool:
    random = np.random.default_rng(11)
    lengths = random.integers(1, 60, 27)
    return MemoryPool(
        SequenceBlock.from_strings(["".join(random.choice(list("ACGU"), length)) for length in lengths])
    )


def run(
    model: MaskedLanguageModel,
    pool: MemoryPool,
    folder: Path,
    config: InfluenceConfig = CONFIG,
    report: Reporter = discard,
) -> ScoreSummary:
    """Both passes, as the stages of a run do them."""
    run_fisher(model, pool, SUBSET, config, folder / "fisher", report)
    fisher = read_fisher(folder / "fisher")
    return run_scores(model, pool, fisher, config, folder / "scores", folder / "embeddings", report)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("finished")
    run(rna_model, pool, folder)
    return folder


def test_files_are_those_of_the_format(finished: Path) -> None:
    names = set(contents(finished))
    parts = {
        f"{folder}/part-{index:05d}.parquet" for folder in ("scores", "embeddings") for index in range(4)
    }
    fisher = {"fisher/plan.json", "fisher/fisher.safetensors"}
    for index in range(2):
        fisher.add(f"fisher/part-{index:05d}.safetensors")
    receipts = {f"scores/part-{index:05d}.json" for index in range(4)}
    assert names == parts | fisher | receipts | {f"fisher/part-{index:05d}.json" for index in range(2)}
    schema = pq.read_schema(finished / "scores" / "part-00000.parquet")
    assert [(field.name, field.type) for field in schema] == [
        ("position", pa.int64()),
        ("hash", pa.uint64()),
        ("influence", pa.float64()),
        ("loss", pa.float32()),
        ("tokens", pa.int32()),
        ("gradient_norm", pa.float64()),
    ]
    schema = pq.read_schema(finished / "embeddings" / "part-00000.parquet")
    assert schema.field("position").type == pa.int64()
    embedding = schema.field("embedding").type
    assert (embedding.value_type, embedding.list_size) == (pa.float16(), 128)


def test_shards_hold_what_the_block_functions_give(
    rna_model: MaskedLanguageModel, pool: MemoryPool, finished: Path
) -> None:
    fisher = fisher_diagonal([accumulate_fisher(rna_model, pool.take(SUBSET), CONFIG)])
    # Shards are batched otherwise than a block: with AVX-512 that moves an entry by 1.2e-6.
    np.testing.assert_allclose(read_fisher(finished / "fisher"), fisher, rtol=2e-6)
    expected = score_block(rna_model, pool.block, fisher, CONFIG)
    table = ds.dataset(finished / "scores", exclude_invalid_files=True).to_table()
    assert table["position"].to_pylist() == list(range(27))
    np.testing.assert_array_equal(table["hash"].to_numpy(), pool.block.hashes)
    np.testing.assert_array_equal(table["tokens"].to_numpy(), pool.block.lengths + 2)
    for name in ("influence", "loss", "gradient_norm"):
        np.testing.assert_allclose(table[name].to_numpy(), getattr(expected, name), rtol=1e-5)
    rows = pq.read_table(finished / "embeddings" / "part-00003.parquet")
    assert rows["position"].to_pylist() == [24, 25, 26]
    assert expected.embedding is not None
    stored = np.array(rows["embedding"].to_pylist())
    np.testing.assert_allclose(stored, expected.embedding[24:], rtol=2e-3, atol=1e-3)


def test_parts_of_the_fisher_add_up(finished: Path) -> None:
    parts = [load_file(finished / "fisher" / f"part-{index:05d}.safetensors") for index in range(2)]
    assert [int(part["count"]) for part in parts] == [8, 2]
    np.testing.assert_array_equal(
        (parts[0]["sum_squared"] + parts[1]["sum_squared"]) / 10, read_fisher(finished / "fisher")
    )


class Interruption(BaseException):
    """What a signal does: not an Exception that anything may catch."""


@pytest.mark.parametrize("seed", range(4))
def test_interrupted_anywhere_and_run_again_gives_the_same_bytes(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    finished: Path,
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(seed)
    monkeypatch.setattr("bioprune_core.influence.throughput.SECONDS_BETWEEN_REPORTS", 0.0)
    attempts = 0
    while True:
        left = random.integers(1, 12)

        def stop(_: Progress) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Interruption

        attempts += 1
        try:
            summary = run(rna_model, pool, tmp_path, report=stop)
        except Interruption:
            continue
        break
    assert attempts > 1
    assert contents(tmp_path) == contents(finished)
    assert summary.shards == 4 and summary.sequences == 27
    assert summary.tokens == int((pool.block.lengths + 2).sum())


def test_a_finished_pass_computes_nothing(
    rna_model: MaskedLanguageModel, pool: MemoryPool, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the model was used")

    before = contents(finished)
    monkeypatch.setattr(rna_model, "hidden_states", fail, raising=True)
    messages: list[Progress] = []
    summary = run(rna_model, pool, finished, report=messages.append)
    assert (summary.reused, summary.sequences) == (4, 27)
    assert (messages[-1].done, messages[-1].total) == (27, 27)
    assert contents(finished) == before


DAMAGED = [
    "scores/part-00001.parquet",
    "embeddings/part-00002.parquet",
    "scores/part-00000.json",
    "fisher/part-00001.safetensors",
    "fisher/part-00000.json",
    "fisher/fisher.safetensors",
]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("damage", ["cut", "changed", "emptied", "missing"])
def test_damaged_files_are_computed_again(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    finished: Path,
    tmp_path: Path,
    name: str,
    damage: str,
) -> None:
    expected = contents(finished)
    for other, data in expected.items():
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(data)
    path, data = tmp_path / name, expected[name]
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:middle], "emptied": b"", "changed": changed}[damage])
    run(rna_model, pool, tmp_path)
    assert contents(tmp_path) == expected


def test_shards_of_another_computation_are_computed_again(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, finished: Path
) -> None:
    run(rna_model, pool, tmp_path, replace(CONFIG, damping=1e-3))
    assert run(rna_model, pool, tmp_path).reused == 0
    assert contents(tmp_path) == contents(finished)


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_damaged_fisher_is_not_read(finished: Path, tmp_path: Path, damage: str) -> None:
    data = (finished / "fisher" / "fisher.safetensors").read_bytes()
    changed = data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]
    if damage != "missing":
        (tmp_path / "fisher.safetensors").write_bytes({"cut": data[:-100], "changed": changed}[damage])
    with pytest.raises(StorageError, match=r"fisher\.safetensors.*Run the Fisher stage again"):
        read_fisher(tmp_path)


def test_shards_of_a_larger_computation_are_refused(
    rna_model: MaskedLanguageModel, pool: MemoryPool, finished: Path, tmp_path: Path
) -> None:
    fisher = read_fisher(finished / "fisher")
    (tmp_path / "part-00004.parquet").touch()
    with pytest.raises(StageError, match=r"part-00004\.parquet.*4 shards"):
        run_scores(rna_model, pool, fisher, CONFIG, tmp_path, None)


def test_nothing_is_written_for_a_shard_with_more_unscored_than_allowed(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fisher = read_fisher(finished / "fisher")
    states = rna_model.hidden_states

    def overflow(tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = states(tokens, attention_mask)
        hidden[attention_mask.sum(dim=1) == int(pool.block.lengths[12]) + 2] = torch.inf
        return hidden

    monkeypatch.setattr(rna_model, "hidden_states", overflow, raising=True)
    none = replace(CONFIG, unscored_limit=0)
    with pytest.raises(StageError, match=r"positions .*12.* at most 0 of 27"):
        run_scores(rna_model, pool, fisher, none, tmp_path / "scores", tmp_path / "embeddings")
    # Position 12 is in shard 1: shard 0 stands, nothing else does.
    assert "part-00001.parquet" not in {path.name for path in tmp_path.rglob("*")}


def test_a_file_that_cannot_be_written_leaves_nothing(
    rna_model: MaskedLanguageModel, pool: MemoryPool, finished: Path, tmp_path: Path
) -> None:
    fisher = read_fisher(finished / "fisher")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, before[1]))
    try:
        with pytest.raises(StorageError, match=r"part-00000\.safetensors"):
            run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path / "fisher")
        with pytest.raises(StorageError, match=r"part-00000\.parquet"):
            run_scores(rna_model, pool, fisher, CONFIG, tmp_path / "scores", tmp_path / "embeddings")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert set(contents(tmp_path)) == {"fisher/plan.json"}


def test_an_empty_pool_or_subset_is_refused(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    empty = MemoryPool(SequenceBlock.from_strings([]))
    with pytest.raises(InputError, match="pool is empty"):
        run_scores(rna_model, empty, np.ones((128, 128)), CONFIG, tmp_path, None)
    with pytest.raises(InputError, match="subset is empty"):
        run_fisher(rna_model, pool, np.array([], dtype=np.int64), CONFIG, tmp_path)
    with pytest.raises(InputError, match=r"Position 27 .* 0 to 26"):
        run_fisher(rna_model, pool, np.array([3, 27]), CONFIG, tmp_path)
    with pytest.raises(InputError, match="5 is followed by 4"):
        run_fisher(rna_model, pool, np.array([3, 5, 4]), CONFIG, tmp_path)


def test_truncated_sequences_are_in_the_summary(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    tmp_path: Path,
    make_block: Callable[..., SequenceBlock],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rna_model, "maximum_residues", 30)
    expected = int((pool.block.lengths > 30).sum())
    assert expected > 3
    assert run(rna_model, pool, tmp_path).truncated == expected
    assert run(rna_model, pool, tmp_path).truncated == expected
