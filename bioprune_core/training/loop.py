"""The one masked-LM loop: subset fine-tuning and pretraining from scratch are two configurations of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bioprune_core.errors import StageError
from bioprune_core.models import MaskedLanguageModel, load_model, save_model
from bioprune_core.models.state import load_state, unique_state
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import remove_leftovers
from bioprune_core.training.batches import (
    Corpus,
    MaskedBatch,
    sequences_per_step,
    steps_in_all,
    training_batches,
)
from bioprune_core.training.checkpoint import CheckpointFile
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.divergence import LossGrowth, bad_end, not_finite
from bioprune_core.training.group import ALONE, TrainingGroup
from bioprune_core.training.history import Curve, TrainingHistory, perplexity
from bioprune_core.training.identity import claim
from bioprune_core.training.measure import (
    batch_loss,
    entropy_of_targets,
    sentence_on_memory,
    sentence_on_optimiser,
    shared_loss,
)
from bioprune_core.training.optimisation import autocast, learning_rate, make_optimiser, uses_bf16
from bioprune_core.training.throughput import Throughput

__all__ = ["NETWORK", "train"]

NETWORK = "network"
"""Folder of the trained model inside a training's directory; `load_model` reads it."""


def train(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: TrainingConfig,
    directory: Path,
    report: Reporter = discard,
    validation: SequenceBlock | None = None,
    *,
    stage: str = "train",
    group: TrainingGroup = ALONE,
    tell: Callable[[str], None] = lambda _: None,
) -> TrainingHistory:
    """Train a model on masked residues; interrupted anywhere, the same call goes on where it was.

    On the CPU a resumed training has the losses and weights of an uninterrupted one to the last bit. A
    finished one returns at once, with its weights in `model`.

    In a group of processes all call it with equal arguments. Each passes its share of every step's sequences
    through its model, and gradients are added with the weight of their tokens: losses and weights are those
    of one process but for rounding. A training may go on in a group of another size.

    Args:
        model: Trained in place, on the device where it is; its weights become float32.
        block: The sequences to train on.
        config: Schedule, masks and numerics.
        directory: The training's own: checkpoint, history and, in the end, the model under "network".
        report: Told after every step, with loss, learning_rate, tokens_per_s and sequences_per_s; with
            validation_loss, validation_perplexity and the validation_step of both where there is a
            validation, and with model_flops_utilisation where the device's peak is known.
        validation: Sequences whose loss is measured before the first step, with every checkpoint and after
            the last step, always under the same masks.
        stage: Name of the stage in reports.
        group: The processes that train together; the first writes, in a directory that all can read.
        tell: Told in a sentence where steps are too small for the group.

    Raises:
        InputError: No sequence has anything to predict, or the precision does not fit the device.
        ConflictError: The directory holds a training of other weights, sequences or settings.
        StageError: The loss or the gradient is not finite, the loss has grown by a nat or ends above that of
            the untrained network, or the device's memory is too small.
        StorageError: The disk is full or a checkpoint damaged.
    """
    started = time.monotonic()
    uses_bf16(config.precision, model.device)  # refuses a precision before anything is written
    model.to(model.device, torch.float32)
    corpus = Corpus.of(block, model, "training set")
    if group.leads:
        claim(directory, model, corpus, config)
    group.wait()
    if not group.leads:
        claim(directory, model, corpus, config)  # refuses what is not what the first was given
    finished = TrainingHistory.read(directory)
    if finished is not None:
        if group.leads:
            CheckpointFile(directory).remove()  # killed between the history and this, it was left
        trained = load_model(directory / NETWORK)
        load_state(model.network, unique_state(trained.network), str(directory / NETWORK))
        return finished
    if sequences_per_step(corpus, config) < group.size:
        tell(
            f"A step of {config.token_budget:,} tokens holds {sequences_per_step(corpus, config):.1f} "
            f"sequences on average, fewer than the {group.size} processes: some have nothing to do. Raise "
            "the training setting token_budget, or start fewer processes."
        )
    run = _Run(
        model=model,
        config=config,
        steps=steps_in_all(corpus, config),
        checkpoint=CheckpointFile(directory),
        validation=None if validation is None else Corpus.of(validation, model, "validation set"),
        group=group,
        started=started,
    )
    with _training_mode(model.network):
        run.start()
        for batches in training_batches(
            corpus, model.tokeniser, config, len(run.curve), run.steps, rank=group.rank, ranks=group.size
        ):
            run.step(batches)
            report(run.progress(stage))
    run.refuse_bad_end()
    if group.leads:
        save_model(model, directory / NETWORK)
        run.history(corpus).write(directory)
        run.checkpoint.remove()
    group.wait()
    history = TrainingHistory.read(directory)
    assert history is not None
    return history


@dataclass(slots=True)
class _Run:
    """A training under way."""

    model: MaskedLanguageModel
    config: TrainingConfig
    steps: int
    checkpoint: CheckpointFile
    validation: Corpus | None
    group: TrainingGroup
    started: float
    optimiser: torch.optim.AdamW = field(init=False)
    curve: Curve = field(default_factory=Curve)
    validated: list[tuple[int, float]] = field(default_factory=list)
    _throughput: Throughput = field(init=False)
    _growth: LossGrowth = field(default_factory=LossGrowth)

    def __post_init__(self) -> None:
        self.optimiser = make_optimiser(self.model.network, self.config)
        self._throughput = Throughput(self.model, self.config.precision, self.group.size)

    def start(self) -> None:
        """Take up the checkpoint, or measure the untrained model."""
        if self.group.leads:
            remove_leftovers(self.checkpoint.path.parent)
        stored = self.checkpoint.restore(self.model.network, self.optimiser)
        if stored is None:
            self._validate()
        else:
            self.curve, self.validated, earlier = stored
            self.started -= earlier
            self._growth = LossGrowth(self.curve.loss)
        self._throughput.begin()

    def step(self, batches: tuple[MaskedBatch, ...]) -> None:
        """One optimiser step over this process's batches, with a checkpoint where one is due."""
        number = len(self.curve) + 1
        rate = learning_rate(number - 1, self.steps, self.config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        # Dropout is a function of seed, step and process: a resumed training draws what it would have drawn.
        seed = self.config.seed * 0x9E3779B97F4A7C15 + self.group.rank * 0xD1B54A32D192ED03 + number
        torch.manual_seed(seed & (1 << 63) - 1)
        device = self.model.device
        targets, tokens, sequences, squares = (
            int(count) for count in self.group.sums([sum(each) for each in _counts(batches)], device)
        )
        loss = torch.zeros((), device=device)
        for batch in batches:
            loss += self._add_gradient(batch, targets, number)
        with sentence_on_optimiser(self.model, number):
            self.group.add_gradients(self.model.network)
            norm = torch.nn.utils.clip_grad_norm_(self.model.network.parameters(), self.config.gradient_clip)
        (total,) = self.group.sums([loss.item()], device)
        self.curve.add(total, rate, norm.item(), tokens, sequences)
        self._refuse(not_finite(total, norm.item()) or self._growth.add(total))
        with sentence_on_optimiser(self.model, number):
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._throughput.end(tokens, squares)
        if number % self.config.checkpoint_every_steps == 0 or number == self.steps:
            self._validate()
            if self.group.leads:
                seconds = time.monotonic() - self.started
                self.checkpoint.save(self.model.network, self.optimiser, self.curve, self.validated, seconds)
        self._throughput.begin()

    def progress(self, stage: str) -> Progress:
        """Where the training stands, with rates over the last steps."""
        metrics = {
            "loss": self.curve.loss[-1],
            "learning_rate": self.curve.learning_rate[-1],
            **self._throughput.metrics(self.curve),
        }
        if self.validated:
            step, loss = self.validated[-1]
            metrics |= {"validation_step": float(step), "validation_loss": loss}
            metrics["validation_perplexity"] = perplexity(loss)
        return Progress(stage, len(self.curve), self.steps, "steps", metrics)

    def history(self, corpus: Corpus) -> TrainingHistory:
        """What was done, once it is."""
        return TrainingHistory(
            curve=self.curve,
            validation=self.validated,
            unusable=corpus.unusable,
            truncated=corpus.tokens.truncated,
            content_hash=self.model.content_hash,
            validation_entropy=None
            if self.validation is None
            else entropy_of_targets(self.validation, self.model, self.config),
            seconds=time.monotonic() - self.started,
        )

    def refuse_bad_end(self) -> None:
        """Refuse to keep a network that is worse than an untrained one.

        Raises:
            StageError: It is.
        """
        # Without a validation now, what is there belongs to the middle of the training.
        validation = [] if self.validation is None else [loss for _, loss in self.validated]
        self._refuse(bad_end(self.curve.loss, validation, self.model.tokeniser.vocabulary_size))

    def _add_gradient(self, batch: MaskedBatch, targets: int, number: int) -> torch.Tensor:
        """Add the batch's part of the step's gradient; return its part of the step's mean loss."""
        with sentence_on_memory(batch, self.config, f"step {number}"):
            with autocast(self.config.precision, self.model.device):
                loss = batch_loss(self.model, batch.to(self.model.device), "sum") / targets
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _refuse(self, wrong: str) -> None:
        """Stop the training where something is wrong; empty says that nothing is."""
        if wrong:
            raise StageError(
                f"The training diverged: {wrong} at step {len(self.curve)} of {self.steps} (learning rate "
                f"{self.curve.learning_rate[-1]:.3g}). Start it anew with a lower learning rate (now "
                f"{self.config.learning_rate:g}), a longer warm-up or a smaller gradient clip."
            )

    def _validate(self) -> None:
        if self.validation is not None:
            loss = shared_loss(self.model, self.validation, self.config, self.group)
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


def _counts(batches: tuple[MaskedBatch, ...]) -> tuple[list[int], ...]:
    """Targets, tokens, sequences and squared lengths of each batch."""
    return (
        [len(batch.labels) for batch in batches],
        [batch.real_tokens for batch in batches],
        [len(batch.rows) for batch in batches],
        [int(batch.attention_mask.sum(dim=1).square().sum()) for batch in batches],
    )
