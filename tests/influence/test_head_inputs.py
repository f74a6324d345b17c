"""Head inputs that the Fisher pass keeps give the score pass the scores of a forward pass."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from memory_pool import MemoryPool

from bioprune_core.errors import StorageError
from bioprune_core.influence import (
    InfluenceConfig,
    Precision,
    read_head_inputs,
    read_plan,
    run_fisher,
    run_scores,
)
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(precision=Precision.FLOAT32, token_budget=256, shard_size=7)
SUBSET = np.array([0, 1, 4, 5, 6, 11, 14, 15, 16, 17, 18, 19, 20])


@pytest.fixture
def pool() -> MemoryPool:
    random = np.random.default_rng(2)
    return MemoryPool(
        SequenceBlock.from_strings(
            ["".join(random.choice(list("ACGU"), size)) for size in random.integers(1, 60, 25)]
        )
    )


def read(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet")))


def columns(folder: Path) -> dict[str, np.ndarray]:
    table = read(folder / "scores")
    found = {name: table.column(name).to_numpy() for name in table.column_names}
    embedding = read(folder / "embeddings").column("embedding").combine_chunks()
    return found | {"embedding": embedding.flatten().to_numpy().reshape(len(table), -1)}


@pytest.mark.parametrize(("precision", "rtol"), [(Precision.FLOAT32, 1e-5), (Precision.BF16, 0.1)])
def test_scores_are_those_of_a_forward_pass(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, precision: Precision, rtol: float
) -> None:
    torch.set_num_threads(1)
    config = replace(CONFIG, precision=precision)
    fisher = run_fisher(rna_model, pool, SUBSET, config, tmp_path / "fisher", keep_inputs=True)
    inputs = read_head_inputs(tmp_path / "fisher")
    assert inputs.positions.tolist() == SUBSET.tolist()
    assert inputs.files[0].dtype == (np.float32 if precision is Precision.FLOAT32 else np.int16)
    found = {}
    for name, kept in (("without", None), ("with", inputs)):
        folder = tmp_path / name
        run_scores(
            rna_model,
            pool,
            fisher,
            config,
            folder / "scores",
            folder / "embeddings",
            kept_inputs=kept,
        )
        found[name] = columns(folder)
    for name, expected in found["without"].items():
        exact = name in ("position", "hash", "tokens")
        # Embeddings are means near 0 of values near 1, and are written in float16.
        floor = max(1e-3, rtol / 20) if name == "embedding" else 0.0
        np.testing.assert_allclose(found["with"][name], expected, rtol=0.0 if exact else rtol, atol=floor)


def test_the_backbone_is_not_run_for_what_was_kept(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = np.arange(len(pool))
    fisher = run_fisher(rna_model, pool, everything, CONFIG, tmp_path / "fisher", keep_inputs=True)

    def refuse(*_: object) -> None:
        raise AssertionError("the backbone was run")

    monkeypatch.setattr(MaskedLanguageModel, "hidden_states", refuse)
    kept = read_head_inputs(tmp_path / "fisher")
    summary = run_scores(rna_model, pool, fisher, CONFIG, tmp_path / "scores", None, kept_inputs=kept)
    assert summary.sequences == len(pool)


def test_a_damaged_file_is_left_out_and_its_sequences_are_computed(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    fisher = run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path / "fisher", keep_inputs=True)
    whole = run_scores(rna_model, pool, fisher, CONFIG, tmp_path / "whole" / "scores", None)
    path = tmp_path / "fisher" / "inputs-00000.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\x80\x7f")  # an infinity
    kept = read_head_inputs(tmp_path / "fisher")
    assert set(SUBSET) - set(kept.positions.tolist()) == set(SUBSET[:7])
    again = run_scores(rna_model, pool, fisher, CONFIG, tmp_path / "again" / "scores", None, kept_inputs=kept)
    assert again.sequences == whole.sequences
    one, other = (read(tmp_path / name / "scores")["influence"] for name in ("whole", "again"))
    np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-5)
    # A second Fisher pass mends it.
    run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path / "fisher", keep_inputs=True)
    assert len(read_head_inputs(tmp_path / "fisher").positions) == len(SUBSET)


@pytest.mark.parametrize("harm", [lambda path: os.truncate(path, 2_000), Path.unlink])
def test_inputs_that_are_lost_under_way_stop_the_pass_with_a_sentence(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    fisher = run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path / "fisher", keep_inputs=True)
    kept = read_head_inputs(tmp_path / "fisher")
    harm(tmp_path / "fisher" / "inputs-00000.npy")
    with pytest.raises(StorageError, match=r"inputs-00000\.npy"):
        run_scores(rna_model, pool, fisher, CONFIG, tmp_path / "scores", None, kept_inputs=kept)


def test_finished_scores_outlive_the_inputs(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    """Nothing is computed anew, with other last bits, because inputs went after the last shard."""
    fisher = run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path / "fisher", keep_inputs=True)
    places = tmp_path / "scores", tmp_path / "embeddings"
    kept = read_head_inputs(tmp_path / "fisher")
    first = run_scores(rna_model, pool, fisher, CONFIG, *places, kept_inputs=kept)
    written = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    for path in (tmp_path / "fisher").glob("inputs-*.npy"):
        path.unlink()
    gone = read_head_inputs(tmp_path / "fisher")
    assert len(gone.positions) == 0
    again = run_scores(rna_model, pool, fisher, CONFIG, *places, kept_inputs=gone)
    assert again == replace(first, reused=4, device_busy=None)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == written


def test_they_are_kept_where_the_system_cannot_ask_for_room(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path, keep_inputs=True)
    assert read_head_inputs(tmp_path).positions.tolist() == SUBSET.tolist()


def test_none_are_kept_unasked(rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path) -> None:
    run_fisher(rna_model, pool, SUBSET, CONFIG, tmp_path)
    assert not list(tmp_path.glob("inputs-*.npy"))


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, objective="masked", masks=2),
        replace(CONFIG, parameters="all-linear"),
        replace(CONFIG, too_long="window"),
    ],
)
def test_what_has_several_inputs_or_parameters_keeps_none(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path, config: InfluenceConfig
) -> None:
    run_fisher(rna_model, pool, SUBSET, config, tmp_path, keep_inputs=True)
    plan = read_plan(tmp_path, config)
    assert plan is not None
    assert not plan.head_inputs
    assert len(read_head_inputs(tmp_path).positions) == 0


def test_they_are_kept_only_where_they_are_worth_it(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    """One of 25 sequences would save less than a twentieth of the score pass."""
    for name, subset, expected in (("one", [3], False), ("two", [3, 9], True)):
        run_fisher(rna_model, pool, np.array(subset), CONFIG, tmp_path / name, keep_inputs=True)
        plan = read_plan(tmp_path / name, CONFIG)
        assert plan is not None
        assert plan.head_inputs is expected
        size = sum(path.stat().st_size for path in (tmp_path / name).glob("inputs-*.npy"))
        # The file has a header of 128 bytes.
        assert size == (plan.head_input_bytes + 128 if expected else 0)
