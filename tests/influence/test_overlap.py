"""Both passes read ahead and write behind, and what goes wrong there costs nothing that was finished."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from memory_pool import MemoryPool
from numpy.typing import NDArray

from bioprune_core.claims import claimed
from bioprune_core.errors import StorageError
from bioprune_core.influence import (
    FisherScale,
    InfluenceConfig,
    ParameterSet,
    fisher_scale,
    read_fisher,
    read_head_inputs,
    run_fisher,
    run_scores,
    shard_scorer,
)
from bioprune_core.influence import fisher_shards as fisher_pass
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock

CONFIG = InfluenceConfig(token_budget=256, shard_size=4)
PATIENCE_S = 30.0


@pytest.fixture
def pool(rna_model: MaskedLanguageModel, make_block: Callable[..., SequenceBlock]) -> MemoryPool:
    return MemoryPool(make_block(rna_model, 14, longest=30))


@pytest.fixture(scope="module")
def scale() -> FisherScale:
    return fisher_scale(np.ones((128, 128)), CONFIG.damping)


def finished(folder: Path) -> dict[str, bytes]:
    """The files of a pass by name; there is nothing half-written."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    # Of linear layers it has two entries of metadata, which its library writes in either order.
    found.pop("fisher.safetensors", None)
    assert not [name for name in found if name.endswith((".part", ".lock"))]
    return found


def receipts(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.rglob("part-*.json"))


class PoolThatBreaks(MemoryPool):
    """A pool of which the sequences from position 8 on cannot be read."""

    def read(self, start: int, stop: int) -> SequenceBlock:
        if stop > 8:
            raise StorageError("part-00001.parquet is damaged.")
        return super().read(start, stop)

    def take(self, positions: NDArray[np.int64]) -> SequenceBlock:
        return self.read(0, int(positions.max()) + 1)


def test_shards_before_one_that_cannot_be_read_are_finished(
    rna_model: MaskedLanguageModel, pool: MemoryPool, scale: FisherScale, tmp_path: Path
) -> None:
    broken = PoolThatBreaks(pool.block)
    with pytest.raises(StorageError, match="is damaged"):
        run_scores(rna_model, broken, scale, CONFIG, tmp_path / "broken", None)
    assert receipts(tmp_path / "broken") == ["part-00000", "part-00001"]
    summary = run_scores(rna_model, pool, scale, CONFIG, tmp_path / "broken", None)
    assert (summary.shards, summary.reused) == (4, 2)
    run_scores(rna_model, pool, scale, CONFIG, tmp_path / "whole", None)
    assert finished(tmp_path / "broken") == finished(tmp_path / "whole")


def test_a_shard_that_cannot_be_written_stops_the_pass_and_the_others_stand(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    scale: FisherScale,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = parquet.write_table

    def full(table: Any, path: Path, **options: Any) -> None:
        write(table, path, **options)
        if table["position"][0].as_py() == 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parquet, "write_table", full)
    places = tmp_path / "scores", tmp_path / "embeddings"
    with pytest.raises(StorageError, match=r"No space left .*part-00001\.parquet"):
        run_scores(rna_model, pool, scale, CONFIG, *places)
    assert receipts(tmp_path) == ["part-00000"]
    assert sorted(finished(places[0])) == ["part-00000.json", "part-00000.parquet"]
    monkeypatch.undo()
    assert run_scores(rna_model, pool, scale, CONFIG, *places).reused == 1


def test_a_shard_is_claimed_until_its_receipt_is_there(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    scale: FisherScale,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever gets the claim finds the shard finished, also while the next one is computed."""
    write, begin = shard_scorer.write_receipt, shard_scorer.begin_scores
    at_work, held = threading.Event(), []

    def late(path: Path, *arguments: Any) -> None:
        assert path.name != "part-00000.json" or at_work.wait(PATIENCE_S)
        with claimed(tmp_path / ".claims" / f"{path.stem.removeprefix('part-')}.lock") as free:
            held.append(not free)
        write(path, *arguments)

    def watched(model: MaskedLanguageModel, block: SequenceBlock, *arguments: Any, **named: Any) -> Any:
        if block.positions[0] == 4:
            assert not (tmp_path / "part-00000.json").exists()
            at_work.set()
        return begin(model, block, *arguments, **named)

    monkeypatch.setattr(shard_scorer, "write_receipt", late)
    monkeypatch.setattr(shard_scorer, "begin_scores", watched)
    run_scores(rna_model, pool, scale, CONFIG, tmp_path, None)
    assert held == [True] * 4


@pytest.mark.parametrize("parameters", [ParameterSet.HEAD, ParameterSet.ALL_LINEAR])
def test_a_part_of_the_fisher_that_cannot_be_written_takes_its_inputs_along(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    tmp_path: Path,
    parameters: ParameterSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = InfluenceConfig(token_budget=256, shard_size=4, parameters=parameters)
    write = fisher_pass.write_tensors

    def full(path: Path, *arguments: Any) -> None:
        if path.name == "part-00001.safetensors":
            raise StorageError(f"No space left on the disk that holds {path}.")
        write(path, *arguments)

    monkeypatch.setattr(fisher_pass, "write_tensors", full)
    with pytest.raises(StorageError, match=r"part-00001\.safetensors"):
        run_fisher(rna_model, pool, np.arange(14), config, tmp_path / "broken", keep_inputs=True)
    assert receipts(tmp_path / "broken") == ["part-00000"]
    # Part 2 was computed meanwhile, or begun; of its inputs nothing is left.
    assert "inputs-00002.npy" not in finished(tmp_path / "broken")
    monkeypatch.undo()
    for name in ("broken", "whole"):
        run_fisher(rna_model, pool, np.arange(14), config, tmp_path / name, keep_inputs=True)
    np.testing.assert_array_equal(read_fisher(tmp_path / "broken"), read_fisher(tmp_path / "whole"))
    assert finished(tmp_path / "broken") == finished(tmp_path / "whole")
    if parameters is ParameterSet.HEAD:
        assert len(read_head_inputs(tmp_path / "broken").positions) == 14


def test_a_device_is_not_busy_while_files_are_written(
    rna_model: MaskedLanguageModel,
    pool: MemoryPool,
    scale: FisherScale,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, begin = shard_scorer.write_receipt, shard_scorer.begin_scores
    seconds = []

    def slowly(*arguments: Any) -> None:
        time.sleep(0.5)
        write(*arguments)

    def timed(*arguments: Any, **named: Any) -> Any:
        started = time.monotonic()
        finish = begin(*arguments, **named)
        seconds.append(time.monotonic() - started)
        return finish

    monkeypatch.setattr(shard_scorer, "write_receipt", slowly)
    monkeypatch.setattr(shard_scorer, "begin_scores", timed)
    started = time.monotonic()
    summary = run_scores(rna_model, pool, scale, CONFIG, tmp_path, None)
    whole = time.monotonic() - started
    assert whole > 2
    assert summary.device_busy == pytest.approx(sum(seconds) / whole, abs=0.15)


def test_a_pass_says_how_busy_the_device_was(
    rna_model: MaskedLanguageModel, pool: MemoryPool, tmp_path: Path
) -> None:
    told: list[Progress] = []
    fisher = run_fisher(rna_model, pool, np.arange(6), CONFIG, tmp_path / "fisher", told.append)
    assert 0 < told[-1].metrics["device_busy"] <= 1
    places = tmp_path / "scores", tmp_path / "embeddings"
    summary = run_scores(rna_model, pool, fisher, CONFIG, *places, told.append)
    assert summary.device_busy is not None and 0 < summary.device_busy <= 1
    assert summary.device_busy == pytest.approx(told[-1].metrics["device_busy"], abs=0.2)
    again = run_scores(rna_model, pool, fisher, CONFIG, *places, told.append)
    assert again.device_busy is None
    assert "device_busy" not in told[-1].metrics
