import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from bioprune_core.errors import InputError, StageError, StorageError
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.models.saved import save_tensors
from bioprune_core.progress import Progress
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import remove_leftovers
from bioprune_core.training import Precision, TrainingConfig, train
from bioprune_core.training.checkpoint import CheckpointFile
from bioprune_core.training.history import Curve
from bioprune_core.training.optimisation import make_optimiser

Maker = Callable[..., MaskedLanguageModel]
# Loading torch anew takes longer than the test.
FORKING = multiprocessing.get_context("fork")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Make every write beyond `size` bytes fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def one_step(model: MaskedLanguageModel) -> torch.optim.AdamW:
    optimiser = make_optimiser(model.network, TrainingConfig())
    model.logits(torch.tensor([[0, 4, 5, 2]]), torch.ones(1, 4, dtype=torch.bool)).sum().backward()
    optimiser.step()
    return optimiser


def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(
    make_model: Maker, tmp_path: Path
) -> None:
    model = make_model()
    optimiser = one_step(model)
    checkpoint = CheckpointFile(tmp_path)
    checkpoint.save(model.network, optimiser, Curve([1.0], [1e-3], [0.5], [10], [2]), [(0, 1.5)], 2.5)
    before = checkpoint.path.read_bytes()
    with largest_file(1000), pytest.raises(StorageError, match=r"checkpoint\.safetensors"):
        checkpoint.save(model.network, optimiser, Curve(), [], 0.0)
    assert checkpoint.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_checkpoint_restores_weights_optimiser_and_figures_bit_for_bit(
    make_model: Maker, tmp_path: Path
) -> None:
    model, other = make_model(), make_model(seed=1)
    optimiser = one_step(model)
    curve = Curve([1.0, 0.1], [1e-3, 2e-3], [0.5, 0.25], [10, 11], [2, 3])
    checkpoint = CheckpointFile(tmp_path)
    assert checkpoint.restore(other.network, make_optimiser(other.network, TrainingConfig())) is None
    checkpoint.save(model.network, optimiser, curve, [(0, 1.5)], 2.5)
    fresh = make_optimiser(other.network, TrainingConfig())
    assert checkpoint.restore(other.network, fresh) == (curve, [(0, 1.5)], 2.5)
    assert other.content_hash == model.content_hash
    for one, two in zip(model.network.parameters(), other.network.parameters(), strict=True):
        assert optimiser.state[one].keys() == fresh.state[two].keys()
        for key, value in optimiser.state[one].items():
            assert torch.equal(value, fresh.state[two][key])
    # Tied weights are still one tensor.
    assert other.head.decoder_weight is other.network.get_input_embeddings().weight


def test_a_checkpoint_of_an_older_version_has_no_seconds(make_model: Maker, tmp_path: Path) -> None:
    model = make_model()
    optimiser, checkpoint = one_step(model), CheckpointFile(tmp_path)
    checkpoint.save(model.network, optimiser, Curve([1.0], [1e-3], [0.5], [10], [2]), [], 2.5)
    tensors = load_file(checkpoint.path)
    del tensors["seconds"]
    save_tensors(tensors, checkpoint.path)
    stored = checkpoint.restore(model.network, make_optimiser(model.network, TrainingConfig()))
    assert stored is not None
    assert stored[2] == 0.0


def test_a_damaged_checkpoint_is_named(make_model: Maker, block: SequenceBlock, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(StorageError, match=r"checkpoint\.safetensors: it is damaged"):
        train(make_model(), block, TrainingConfig(steps=1), tmp_path)


def test_leftovers_of_killed_writers_are_removed(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    (tmp_path / ".checkpoint.safetensors.12345.part").write_bytes(b"half")
    train(make_model(), block, TrainingConfig(steps=1), tmp_path)
    assert not list(tmp_path.glob(".*"))


def save_without_end(path: Path) -> None:
    torch.set_num_threads(1)  # threads are not forked
    while True:
        save_tensors({"weight": torch.zeros(16 << 20)}, path)


def test_a_process_killed_while_it_saves_leaves_nothing_for_good(tmp_path: Path) -> None:
    """The library writes to a name that it makes up, which only the folder around it makes known."""
    checkpoint = CheckpointFile(tmp_path)
    left: list[Path] = []
    deadline = time.monotonic() + 60
    while not left and time.monotonic() < deadline:
        process = FORKING.Process(target=save_without_end, args=(checkpoint.path,))
        process.start()
        while not list(tmp_path.glob(".*.part/.tmp*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.join()
        left = list(tmp_path.glob(".*.part/.tmp*"))  # none where it was just renamed
    assert left
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) <= {checkpoint.path}


def train_until_the_network_is_half_saved(
    model: MaskedLanguageModel, block: SequenceBlock, path: Path
) -> None:
    torch.set_num_threads(1)  # threads are not forked
    whole = safetensors.torch.save_file

    def half(tensors: dict[str, torch.Tensor], filename: Path) -> None:
        if filename.name != "model.safetensors":
            whole(tensors, filename)
            return
        filename.with_name(".tmp123456").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    safetensors.torch.save_file = half
    train(model, block, TrainingConfig(steps=1), path)


def test_a_process_killed_while_it_saves_the_network_leaves_nothing_for_good(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    process = FORKING.Process(
        target=train_until_the_network_is_half_saved, args=(make_model(), block, tmp_path)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    network = tmp_path / "network"
    (network / ".config.json.12345678.part").write_text("{")
    assert len(list(network.iterdir())) == 2
    train(make_model(), block, TrainingConfig(steps=1), tmp_path)
    assert {path.name for path in network.iterdir()} == {"model.safetensors", "config.json"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_remedy(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, value: float
) -> None:
    model = make_model()
    seen: list[int] = []

    def spoil(progress: object) -> None:
        seen.append(1)
        if len(seen) == 5:
            with torch.no_grad():
                model.head.dense.weight[0, 0] = value

    config = TrainingConfig(steps=20, checkpoint_every_steps=4, token_budget=512)
    with pytest.raises(StageError, match=r"(loss|gradient norm) is .* at step 6 of 20 .*lower learning rate"):
        train(model, block, config, tmp_path, spoil)
    # The last good checkpoint is still there.
    model = make_model()
    stored = CheckpointFile(tmp_path).restore(model.network, make_optimiser(model.network, config))
    assert stored is not None
    curve = stored[0]
    assert len(curve) == 4
    assert np.isfinite(curve.loss).all()


def test_bf16_on_a_cpu_without_it_is_refused(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioprune_core.training.optimisation.computes_in_bf16", lambda _: False)
    with pytest.raises(InputError, match="precision is bf16"):
        train(make_model(), block, TrainingConfig(steps=1, precision=Precision.BF16), tmp_path)


def test_too_little_memory_names_the_budget(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("bioprune_core.training.loop.batch_loss", exhausted)
    with pytest.raises(StageError, match=r"\(step 1\)\. Lower .* device_tokens \(now 4096\)"):
        train(make_model(), block, TrainingConfig(token_budget=4096), tmp_path)


def test_too_little_memory_for_the_optimiser_is_said(
    make_model: Maker, block: SequenceBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.AdamW, "step", exhausted)
    with pytest.raises(StageError, match=r"optimiser's state of [\d,]+ parameters \(step 1\).*smaller model"):
        train(make_model(), block, TrainingConfig(steps=1), tmp_path)


def test_a_training_that_has_forgotten_what_it_knew_has_diverged(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    """Gradients are clipped, so the loss stays a number: it is its growth that tells."""
    model = make_model()

    def spoil(progress: Progress) -> None:
        if progress.done == 60:
            with torch.no_grad():
                for parameter in model.network.parameters():
                    parameter.mul_(20.0)

    config = TrainingConfig(steps=200, token_budget=512, learning_rate=1e-4)
    with pytest.raises(StageError, match=r"mean loss of the last 50 steps is .* at step 6\d of 200 .*lower"):
        train(model, block, config, tmp_path, spoil)
    assert not (tmp_path / "network").exists()


def test_a_short_training_that_ends_worse_than_it_began_has_diverged(
    make_model: Maker, block: SequenceBlock, tmp_path: Path
) -> None:
    model = make_model()

    def spoil(progress: Progress) -> None:
        if progress.done == 5:
            with torch.no_grad():
                for parameter in model.network.parameters():
                    parameter.mul_(20.0)

    config = TrainingConfig(steps=9, token_budget=512, learning_rate=1e-4)
    for _ in range(2):  # the second goes on from the last checkpoint
        with pytest.raises(
            StageError, match=r"validation loss is .* untrained network was 3\..* at step 9 of 9"
        ):
            train(model, block, config, tmp_path, spoil, validation=block.take(np.arange(9)))
        model = make_model()
    assert not (tmp_path / "network").exists()
