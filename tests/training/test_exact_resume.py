import copy
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bioprune_core.errors import ConflictError
from bioprune_core.models import MaskedLanguageModel, load_model
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training import TrainingConfig, TrainingHistory, loop, throughput, train

CONFIG = TrainingConfig(epochs=3, token_budget=256, learning_rate=3e-3, checkpoint_every_steps=4, seed=5)
IN_PARTS = replace(CONFIG, device_tokens=90)
# Loading torch anew takes longer than the training.
FORKING = multiprocessing.get_context("fork")
Maker = Callable[..., MaskedLanguageModel]


class InterruptedForTest(Exception):
    """What the reporter raises to break a training off."""


def interrupt_at(*steps: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.done in steps:
            raise InterruptedForTest

    return report


def trained(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    directory: Path,
    interruptions: tuple[int, ...] = (),
    config: TrainingConfig = CONFIG,
) -> TrainingHistory:
    for step in interruptions:
        # The half-trained object is thrown away, as when the process dies.
        with pytest.raises(InterruptedForTest):
            train(
                copy.deepcopy(model),
                block,
                config,
                directory,
                interrupt_at(step),
                validation=block.take(np.arange(9)),
            )
    return train(model, block, config, directory, validation=block.take(np.arange(9)))


@pytest.mark.parametrize(("dropout", "config"), [(0.0, CONFIG), (0.1, CONFIG), (0.1, IN_PARTS)])
def test_an_interrupted_run_equals_an_uninterrupted_one(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, dropout: float, config: TrainingConfig
) -> None:
    whole_model, broken_model = make_model(dropout=dropout), make_model(dropout=dropout)
    whole = trained(whole_model, block, tmp_path / "whole", config=config)
    steps = whole.steps
    # Before, at and after checkpoints, several times, and at the very last step.
    interruptions = (1, 4, 5, 11, 11, steps - 1, steps)
    broken = trained(broken_model, block, tmp_path / "broken", interruptions, config)
    assert broken == whole
    assert broken_model.content_hash == whole_model.content_hash == whole.content_hash
    assert load_model(tmp_path / "broken" / "network").content_hash == whole.content_hash
    assert [step for step, _ in whole.validation] == [0, *range(4, steps, 4), steps]


def train_and_tell(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    tells: "Connection[int, int]",
) -> None:
    """A training that another process kills, which it tells of every step."""
    torch.set_num_threads(1)  # threads are not forked
    train(model, block, config, directory, lambda progress: tells.send(progress.done))


@pytest.mark.faults
@pytest.mark.parametrize("config", [CONFIG, IN_PARTS], ids=["whole steps", "steps in parts"])
def test_a_run_killed_with_sigkill_equals_an_uninterrupted_one(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, config: TrainingConfig
) -> None:
    for kill_after in (3, 10):
        told, tells = FORKING.Pipe(duplex=False)
        process = FORKING.Process(
            target=train_and_tell, args=(make_model(), block, config, tmp_path / "killed", tells)
        )
        process.start()
        tells.close()
        while told.recv() < kill_after:
            pass
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    resumed_from: list[int] = []
    killed_model, whole_model = make_model(), make_model()
    killed = train(
        killed_model, block, config, tmp_path / "killed", lambda progress: resumed_from.append(progress.done)
    )
    whole = train(whole_model, block, config, tmp_path / "whole")
    assert resumed_from[0] > 8
    assert killed == whole
    assert killed_model.content_hash == whole_model.content_hash
    assert not list((tmp_path / "killed").glob(".*.part"))


def test_a_step_in_parts_has_the_losses_and_gradients_of_a_whole_one(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    whole = train(make_model(), block, CONFIG, tmp_path / "whole").curve
    parts = train(make_model(), block, IN_PARTS, tmp_path / "parts").curve
    np.testing.assert_allclose(parts.loss, whole.loss, rtol=1e-4)
    np.testing.assert_allclose(parts.gradient_norm, whole.gradient_norm, rtol=1e-3)
    assert (parts.tokens, parts.sequences) == (whole.tokens, whole.sequences)


def test_training_learns_and_reports(make_model: Maker, block: SequenceBlock, tmp_path: Path) -> None:
    messages: list[Progress] = []
    config = TrainingConfig(steps=60, token_budget=512, learning_rate=1e-2)
    history = train(make_model(), block, config, tmp_path, messages.append)
    assert [message.done for message in messages] == list(range(1, 61))
    assert {message.total for message in messages} == {60}
    assert set(messages[0].metrics) == {"loss", "learning_rate", "tokens_per_s", "sequences_per_s"}
    assert np.mean(history.curve.loss[-5:]) < 1.2 < np.mean(history.curve.loss[:5])


def test_a_finished_run_returns_at_once_with_its_weights(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    model = make_model()
    history = train(model, block, CONFIG, tmp_path)
    again = make_model()
    steps: list[Progress] = []
    assert train(again, block, CONFIG, tmp_path, steps.append) == history
    assert steps == []
    assert again.content_hash == model.content_hash
    # The trained object itself may be handed in again. What a kill left is removed.
    (tmp_path / "checkpoint.safetensors").write_bytes(b"left between two writes")
    assert train(model, block, CONFIG, tmp_path) == history
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_rates_are_those_of_the_steps_alone(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second a step; validation and checkpoint take a hundred each."""
    clock = [0.0]

    def taking(seconds: float, done: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            clock[0] += seconds
            return done(*arguments)

        return slow

    monkeypatch.setattr(throughput, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(loop, "shared_loss", taking(100.0, loop.shared_loss))
    monkeypatch.setattr(loop.CheckpointFile, "save", taking(100.0, loop.CheckpointFile.save))
    monkeypatch.setattr(loop, "not_finite", taking(1.0, loop.not_finite))
    told: list[Progress] = []
    config = replace(CONFIG, steps=5)
    history = train(make_model(), block, config, tmp_path, told.append, validation=block.take(np.arange(9)))
    tokens = np.cumsum(history.curve.tokens)
    rates = [progress.metrics["tokens_per_s"] for progress in told]
    np.testing.assert_allclose(rates, tokens / np.arange(1, 6))
    validated = dict(history.validation)
    for progress in told:
        step = progress.metrics["validation_step"]
        assert step <= progress.done
        assert progress.metrics["validation_loss"] == validated[step]


def test_seconds_are_those_of_the_whole_training(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten a step, with a checkpoint every four."""
    clock = [0.0]
    monkeypatch.setattr("bioprune_core.training.loop.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def ends_at(step: int) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            clock[0] += 10.0
            if progress.done == step:
                raise InterruptedForTest

        return report

    config = replace(CONFIG, steps=9)
    with pytest.raises(InterruptedForTest):
        train(make_model(), block, config, tmp_path, ends_at(6))
    clock[0] += 1000.0
    history = train(make_model(), block, config, tmp_path, ends_at(0))
    # Three steps were reported before the checkpoint at the fourth, and five after it.
    assert history.seconds == 80.0
    assert TrainingHistory.read(tmp_path).seconds == 80.0  # type: ignore[union-attr]


def test_a_directory_of_another_training_is_refused(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    with pytest.raises(InterruptedForTest):
        train(make_model(), block, CONFIG, tmp_path, interrupt_at(1))
    with pytest.raises(ConflictError, match="other weights"):
        train(make_model(seed=1), block, CONFIG, tmp_path)
    with pytest.raises(ConflictError, match="other sequences"):
        train(make_model(), block.take(np.arange(10)), CONFIG, tmp_path)
    with pytest.raises(ConflictError, match="other settings"):
        train(make_model(), block, TrainingConfig(seed=6), tmp_path)


def test_a_training_goes_on_with_its_steps_in_more_parts(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    """On a device with less memory, as the message on too little of it says."""
    with pytest.raises(InterruptedForTest):
        train(make_model(), block, CONFIG, tmp_path / "parts", interrupt_at(9))
    resumed: list[int] = []
    parts = train(make_model(), block, IN_PARTS, tmp_path / "parts", lambda each: resumed.append(each.done))
    assert resumed[0] > 1
    whole = train(make_model(), block, CONFIG, tmp_path / "whole")
    np.testing.assert_allclose(parts.curve.loss, whole.curve.loss, rtol=1e-4)


def test_training_leaves_modes_and_the_global_random_state_alone(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    model = make_model()
    model.network.requires_grad_(False)
    state = torch.get_rng_state()
    train(model, block, TrainingConfig(steps=2), tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.network.training
    assert all(p.grad is None and not p.requires_grad for p in model.network.parameters())
