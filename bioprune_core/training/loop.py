"""The one masked-LM loop: subset fine-tuning and pretraining from scratch are two configurations of it."""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bioprune_core.errors import ConflictError, StageError
from bioprune_core.models import MaskedLanguageModel, load_model, save_model
from bioprune_core.models.state import load_state, unique_state
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json, write_json
from bioprune_core.training.batches import Corpus, MaskedBatch, steps_in_all, training_batches
from bioprune_core.training.checkpoint import CheckpointFile
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.history import Curve, TrainingHistory
from bioprune_core.training.measure import batch_loss, measure
from bioprune_core.training.optimisation import autocast, learning_rate, make_optimiser

__all__ = ["NETWORK", "train"]

NETWORK = "network"
"""Folder of the trained model inside a training's directory; `load_model` reads it."""

_IDENTITY = "training.json"
# Rates are reported over this many steps: steady, and yet a change of the machine's load shows.
_RATE_WINDOW = 20


def train(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    report: Reporter = discard,
    validation: SequenceBlock | None = None,
    *,
    stage: str = "train",
) -> TrainingHistory:
    """Train a model on masked residues; interrupted anywhere, the same call goes on where it was.

    On the CPU a resumed training has the losses and weights of an uninterrupted one to the last bit. A
    finished one returns at once, with its weights in `model`.

    Args:
        model: Trained in place, on the device where it is; its weights become float32.
        block: The sequences to train on.
        config: Schedule, masks and numerics.
        directory: The training's own: checkpoint, history and, in the end, the model under "network".
        report: Told after every step, with loss, learning_rate, tokens_per_s and sequences_per_s.
        validation: Sequences whose loss is measured before the first step, with every checkpoint and after
            the last step, always under the same masks.
        stage: Name of the stage in reports.

    Raises:
        InputError: No sequence has anything to predict, or the precision does not fit the device.
        ConflictError: The directory holds a training of other weights, sequences or settings.
        StageError: The loss or the gradient is not finite, or the device's memory is too small.
        StorageError: The disk is full or a checkpoint damaged.
    """
    autocast(config.precision, model.device)  # refuses a precision before anything is written
    model.to(model.device, torch.float32)
    corpus = Corpus.of(block, model, "training set")
    _claim(directory, model, corpus, config)
    finished = TrainingHistory.read(directory)
    if finished is not None:
        trained = load_model(directory / NETWORK)
        load_state(model.network, unique_state(trained.network), str(directory / NETWORK))
        return finished
    run = _Run(
        model=model,
        config=config,
        steps=steps_in_all(corpus, config),
        checkpoint=CheckpointFile(directory),
        validation=None if validation is None else Corpus.of(validation, model, "validation set"),
    )
    with _training_mode(model.network):
        run.start()
        for batch in training_batches(corpus, model.tokeniser, config, len(run.curve), run.steps):
            run.step(batch)
            report(run.progress(stage))
    save_model(model, directory / NETWORK)
    history = TrainingHistory(
        run.curve, run.validated, corpus.unusable, corpus.tokens.truncated, model.content_hash
    )
    history.write(directory)
    run.checkpoint.remove()
    return history


@dataclass(slots=True)
class _Run:
    """A training under way."""

    model: MaskedLanguageModel
    config: TrainingConfig
    steps: int
    checkpoint: CheckpointFile
    validation: Corpus | None
    optimiser: torch.optim.AdamW = field(init=False)
    curve: Curve = field(default_factory=Curve)
    validated: list[tuple[int, float]] = field(default_factory=list)
    _ends: deque[float] = field(default_factory=lambda: deque([time.monotonic()], maxlen=_RATE_WINDOW + 1))

    def __post_init__(self) -> None:
        self.optimiser = make_optimiser(self.model.network, self.config)

    def start(self) -> None:
        """Take up the checkpoint, or measure the untrained model."""
        self.checkpoint.remove_leftovers()
        stored = self.checkpoint.restore(self.model.network, self.optimiser)
        if stored is None:
            self._validate()
        else:
            self.curve, self.validated = stored

    def step(self, batch: MaskedBatch) -> None:
        """One optimiser step, with a checkpoint where one is due."""
        number = len(self.curve) + 1
        rate = learning_rate(number - 1, self.steps, self.config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        # Dropout is a function of seed and step, so that a resumed training draws what it would have drawn.
        torch.manual_seed(self.config.seed * 0x9E3779B97F4A7C15 + number & (1 << 63) - 1)
        try:
            with autocast(self.config.precision, self.model.device):
                loss = batch_loss(self.model, batch.to(self.model.device))
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(batch, self.config, number) from error
        norm = torch.nn.utils.clip_grad_norm_(self.model.network.parameters(), self.config.gradient_clip)
        self._record(batch, loss.item(), norm.item(), rate, number)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if number % self.config.checkpoint_every_steps == 0 or number == self.steps:
            self._validate()
            self.checkpoint.save(self.model.network, self.optimiser, self.curve, self.validated)

    def progress(self, stage: str) -> Progress:
        """Where the training stands, with rates over the last steps."""
        self._ends.append(time.monotonic())
        seconds = max(self._ends[-1] - self._ends[0], 1e-9)
        recent = len(self._ends) - 1
        metrics = {
            "loss": self.curve.loss[-1],
            "learning_rate": self.curve.learning_rate[-1],
            "tokens_per_s": sum(self.curve.tokens[-recent:]) / seconds,
            "sequences_per_s": sum(self.curve.sequences[-recent:]) / seconds,
        }
        if self.validated:
            metrics["validation_loss"] = self.validated[-1][1]
        return Progress(stage, len(self.curve), self.steps, "steps", metrics)

    def _record(self, batch: MaskedBatch, loss: float, norm: float, rate: float, number: int) -> None:
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if not math.isfinite(value):
                raise StageError(
                    f"The training diverged: the {name} is {value} at step {number} of {self.steps} "
                    f"(learning rate {rate:.3g}). Start it anew with a lower learning rate (now "
                    f"{self.config.learning_rate:g}), a longer warm-up or a smaller gradient clip."
                )
        self.curve.loss.append(loss)
        self.curve.learning_rate.append(rate)
        self.curve.gradient_norm.append(norm)
        self.curve.tokens.append(batch.real_tokens)
        self.curve.sequences.append(len(batch.rows))

    def _validate(self) -> None:
        if self.validation is not None:
            loss = measure(self.model, self.validation, self.config).loss
            self.validated.append((len(self.curve), loss))


@contextmanager
def _training_mode(network: Any) -> Iterator[None]:
    """Gradients and dropout on; both, and the global random state, as they were when the block ends."""
    was_training = network.training
    required = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    devices = sorted({p.device.index for p, _ in required if p.device.type == "cuda"})
    try:
        network.train()
        network.requires_grad_(True)
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            yield
    finally:
        network.train(was_training)
        for parameter, flag in required:
            parameter.requires_grad_(flag)
            parameter.grad = None


def _claim(directory: Path, model: MaskedLanguageModel, corpus: Corpus, config: TrainingConfig) -> None:
    """Write down whose the directory is, or check that it is this training's."""
    identity = {
        "model": model.content_hash,
        "sequences": corpus.digest(),
        "config": config.to_json(),
    }
    path = directory / _IDENTITY
    if not path.is_file():
        write_json(path, identity)
        return
    stored = read_json(path)
    finished = TrainingHistory.read(directory)
    if finished is not None and identity["model"] == finished.content_hash:
        # The same model object, handed in again after it was trained here.
        identity["model"] = stored.get("model")
    for part, what in (("model", "weights"), ("sequences", "sequences"), ("config", "settings")):
        if stored.get(part) != identity[part]:
            raise ConflictError(
                f"{directory} holds a training of other {what}. Give the {what} it was started with (a model "
                "left half-trained by an interruption must be loaded again), or choose another folder."
            )


def _out_of_memory(batch: MaskedBatch, config: TrainingConfig, number: int) -> StageError:
    rows, width = batch.inputs.shape
    return StageError(
        f"The device has too little memory for {rows} sequences of {width} tokens (step {number}). "
        f"Lower the training setting token_budget (now {config.token_budget}), or the longest length of the "
        "sequences where one alone is too long."
    )
