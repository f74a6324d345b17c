"""Processes that train together compute what one computes; here two, on the CPU, connected by gloo."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from bioprune_core.errors import InputError
from bioprune_core.models import MaskedLanguageModel, load_model
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig, TrainingHistory, train
from bioprune_core.training.group import TrainingGroup, current_group, joined_group

# The longest sequences fill a step alone, so that one of two processes has nothing to do there.
CONFIG = TrainingConfig(
    epochs=2, token_budget=100, device_tokens=64, learning_rate=3e-3, checkpoint_every_steps=4, seed=5
)
# Loading torch anew takes longer than the training.
FORKING = multiprocessing.get_context("fork")
Maker = Callable[..., MaskedLanguageModel]


def train_as(
    rank: int,
    ranks: int,
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    end_at: int | None,
) -> None:
    """One of the processes; it ends without any farewell after a step where that is asked for."""
    torch.set_num_threads(1)  # threads are not forked
    meeting = directory.with_name(f"{directory.name}.meeting")
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)

    def report(progress: Progress) -> None:
        if progress.done == end_at:
            os.kill(os.getpid(), signal.SIGKILL)

    train(model, block, config, directory, report, validation=block.take(np.arange(9)), group=current_group())
    weights = [torch.zeros(1, dtype=torch.float64) for _ in range(ranks)]
    own = torch.stack([p.double().abs().sum() for p in model.network.parameters()]).sum().reshape(1)
    distributed.all_gather(weights, own)
    assert all(torch.equal(other, own) for other in weights), "every process holds the same weights"


def train_together(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    end_at: int | None = None,
) -> list[int | None]:
    """Exit codes of two processes that train together."""
    processes = [
        FORKING.Process(target=train_as, args=(rank, 2, model, block, config, directory, end_at))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    directory.with_name(f"{directory.name}.meeting").unlink(missing_ok=True)
    return [process.exitcode for process in processes]


def history_of(directory: Path) -> TrainingHistory:
    history = TrainingHistory.read(directory)
    assert history is not None
    return history


def test_two_processes_have_the_losses_of_one(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    alone = train(make_model(), block, CONFIG, tmp_path / "alone", validation=block.take(np.arange(9)))
    assert train_together(make_model(), block, CONFIG, tmp_path / "both") == [0, 0]
    both = history_of(tmp_path / "both")
    np.testing.assert_allclose(both.curve.loss, alone.curve.loss, rtol=0, atol=1e-4)
    np.testing.assert_allclose(both.curve.gradient_norm, alone.curve.gradient_norm, rtol=1e-3)
    assert (both.curve.tokens, both.curve.sequences) == (alone.curve.tokens, alone.curve.sequences)
    assert min(both.curve.sequences) == 1, "in some step one process has nothing to do"
    for (step, loss), (other_step, other_loss) in zip(both.validation, alone.validation, strict=True):
        assert step == other_step
        assert loss == pytest.approx(other_loss, abs=1e-4)
    weights = load_model(tmp_path / "both" / "network").network.state_dict()
    for name, tensor in load_model(tmp_path / "alone" / "network").network.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=2e-3)


@pytest.mark.faults
def test_two_processes_that_were_killed_go_on_to_the_same_weights(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    assert train_together(make_model(), block, CONFIG, tmp_path / "whole") == [0, 0]
    assert train_together(make_model(), block, CONFIG, tmp_path / "killed", end_at=6) == [-9, -9]
    assert not (tmp_path / "killed" / "network").exists()
    assert train_together(make_model(), block, CONFIG, tmp_path / "killed") == [0, 0]
    assert history_of(tmp_path / "killed") == history_of(tmp_path / "whole")


def test_one_process_goes_on_where_two_were_killed(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    assert train_together(make_model(), block, CONFIG, tmp_path / "both", end_at=6) == [-9, -9]
    resumed_from: list[int] = []
    history = train(
        make_model(), block, CONFIG, tmp_path / "both", lambda progress: resumed_from.append(progress.done)
    )
    alone = train(make_model(), block, CONFIG, tmp_path / "alone")
    assert resumed_from[0] == 5
    np.testing.assert_allclose(history.curve.loss, alone.curve.loss, rtol=0, atol=1e-4)


class WithoutOthers(TrainingGroup):
    """A process that does its share and hears of no other."""

    def wait(self) -> None:
        pass

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        return [float(value) for value in values]

    def add_gradients(self, network: torch.nn.Module) -> None:
        pass


def test_steps_too_small_for_the_processes_are_told_once(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    told: list[str] = []
    for budget in (100, 4096):
        config = TrainingConfig(steps=2, token_budget=budget)
        train(
            make_model(), block, config, tmp_path / str(budget), group=WithoutOthers(0, 4), tell=told.append
        )
    (sentence,) = told
    assert "A step of 100 tokens holds 1.7 sequences" in sentence
    assert "fewer than the 4 processes" in sentence


def test_gpus_are_connected_by_what_knows_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its device NCCL guesses it from the rank, which is wrong from the second machine on."""
    joined: list[tuple[object, ...]] = []

    def join(backend: str, timeout: timedelta, device_id: torch.device | None = None) -> None:
        assert timeout > timedelta(minutes=10), "the others wait while the first one writes"
        joined.append((backend, device_id))

    monkeypatch.setattr(distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(distributed, "init_process_group", join)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    for device in (torch.device("cuda", 1), torch.device("cpu")):
        with joined_group(device):
            pass
    assert joined == [("nccl", torch.device("cuda", 1)), ("gloo", None)]


def test_joining_without_torchrun_says_how_to_start() -> None:
    with pytest.raises(InputError, match="torchrun --nproc-per-node"), joined_group(torch.device("cpu")):
        pass
