"""Masked loss and its gradient: on a batch while training, on fixed masks when measuring."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from bioprune_core.errors import StageError
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.models.modes import evaluation_mode
from bioprune_core.training.batches import Corpus, MaskedBatch, evaluation_batches
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.group import TrainingGroup
from bioprune_core.training.optimisation import autocast

__all__ = [
    "HeadGradient",
    "Measurement",
    "batch_loss",
    "entropy_of_targets",
    "measure",
    "sentence_on_memory",
    "sentence_on_optimiser",
    "shared_loss",
]


@dataclass(frozen=True, slots=True, eq=False)
class HeadGradient:
    """Gradient of the masked losses with respect to the head's dense weight, g_i for sequence i.

    Args:
        mean_of_norms: Mean over the sequences of the L2 norm of g_i.
        norm_of_mean: L2 norm of the mean of g_i; near zero where the head fits the sequences as a whole.
    """

    mean_of_norms: float
    norm_of_mean: float


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """Masked loss of n sequences under fixed masks.

    Args:
        losses: Mean over each sequence's targets, nats, float64, shape (n,).
        targets: How many each has, int64, shape (n,).
        loss: Mean over all targets, nats.
        composition_entropy: Entropy of the letters of the targets, nats: the loss of a model that knows
            their frequencies and nothing else.
        gradient: Only where asked for.
    """

    losses: NDArray[np.float64]
    targets: NDArray[np.int64]
    loss: float
    composition_entropy: float
    gradient: HeadGradient | None = None


def batch_loss(model: MaskedLanguageModel, batch: MaskedBatch, reduction: str = "mean") -> torch.Tensor:
    """Negative log likelihood of the targets, nats: their mean, or of each, shape (P,), for "none".

    The head runs at the targets only.
    """
    hidden = model.hidden_states(batch.inputs, batch.attention_mask)
    logits = model.head(hidden.flatten(0, 1)[batch.places])
    return functional.cross_entropy(logits.float(), batch.labels, reduction=reduction)


@contextmanager
def sentence_on_memory(batch: MaskedBatch, config: TrainingConfig, when: str) -> Iterator[None]:
    """Around what a device computes of a batch: says what to do where its memory is too small for that.

    Args:
        batch: The batch.
        config: With the budget to lower.
        when: What the batch is of, such as "step 3".

    Raises:
        StageError: The device's memory is too small.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        rows, width = batch.inputs.shape
        now = config.token_budget if config.device_tokens is None else config.device_tokens
        raise StageError(
            f"The device has too little memory for {rows} sequences of {width} tokens ({when}). Lower the "
            f"training setting device_tokens (now {now}), which does a step of {config.token_budget} tokens "
            "in several parts, or the longest length of the sequences where one alone is too long."
        ) from error


@contextmanager
def sentence_on_optimiser(model: MaskedLanguageModel, step: int) -> Iterator[None]:
    """Around what a device does with whole gradients: says what to do where its memory is too small for that.

    Raises:
        StageError: The device's memory is too small.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"The device has too little memory for the gradients and the optimiser's state of "
            f"{model.parameters:,} parameters (step {step}): beside the weights they take 12 bytes each. "
            "Choose a smaller model, or a device with more memory."
        ) from error


def shared_loss(
    model: MaskedLanguageModel, corpus: Corpus, config: TrainingConfig, group: TrainingGroup
) -> float:
    """The `loss` of a measurement, each process measuring its share of the sequences; the same in all.

    Raises:
        StageError: The device's memory is too small.
    """
    total, targets = 0.0, 0
    with evaluation_mode(model):
        for batch in evaluation_batches(corpus, model.tokeniser, config, rank=group.rank, ranks=group.size):
            _, losses = _target_losses(model, batch, config)
            total += float(losses.double().sum())
            targets += len(batch.labels)
    total, count = group.sums([total, targets], model.device)
    return total / count


def entropy_of_targets(corpus: Corpus, model: MaskedLanguageModel, config: TrainingConfig) -> float:
    """The `composition_entropy` of a measurement, without the measurement."""
    letters = np.zeros(model.tokeniser.vocabulary_size, dtype=np.int64)
    for batch in evaluation_batches(corpus, model.tokeniser, config):
        letters += np.bincount(batch.labels.numpy(), minlength=len(letters))
    return _entropy(letters)


def measure(
    model: MaskedLanguageModel,
    corpus: Corpus,
    config: TrainingConfig,
    *,
    gradient: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Measurement:
    """Measure the masked loss of a corpus with the fixed masks of the configuration's seed.

    Args:
        model: In evaluation mode while it measures.
        corpus: n sequences.
        config: Seed and rate of the masks, token budget, precision.
        gradient: Whether to measure the gradient at the head too: one more pass over the head, none over
            the backbone.
        advance: Called with the number of sequences measured after each batch.

    Raises:
        StageError: The device's memory is too small.
    """
    sums = np.zeros(len(corpus))
    counts = np.zeros(len(corpus), dtype=np.int64)
    letters = np.zeros(model.tokeniser.vocabulary_size, dtype=np.int64)
    gradients = _GradientSum(model) if gradient else None
    done = 0
    with evaluation_mode(model):
        for batch in evaluation_batches(corpus, model.tokeniser, config):
            picked, losses = _target_losses(model, batch, config)
            if gradients is not None:
                with sentence_on_memory(batch, config, "measuring the loss"):
                    gradients.add(picked, batch.labels.to(model.device), batch.counts)
            starts = np.concatenate([[0], np.cumsum(batch.counts)[:-1]])
            sums[batch.rows] = np.add.reduceat(losses.double().cpu().numpy(), starts)
            counts[batch.rows] = batch.counts
            letters += np.bincount(batch.labels.numpy(), minlength=len(letters))
            done += len(batch.rows)
            advance(done)
    return Measurement(
        losses=sums / counts,
        targets=counts,
        loss=float(sums.sum() / counts.sum()),
        composition_entropy=_entropy(letters),
        gradient=None if gradients is None else gradients.result(),
    )


def _target_losses(
    model: MaskedLanguageModel, batch: MaskedBatch, config: TrainingConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of the head at the targets, float32, shape (P, width), and the losses there, nats, (P,)."""
    with sentence_on_memory(batch, config, "measuring the loss"):
        with torch.no_grad(), autocast(config.precision, model.device):
            on_device = batch.to(model.device)
            hidden = model.hidden_states(on_device.inputs, on_device.attention_mask).flatten(0, 1)
            picked = hidden[on_device.places].float()
        with torch.no_grad():
            losses = functional.cross_entropy(model.head(picked), on_device.labels, reduction="none")
    return picked, losses


class _GradientSum:
    """Sums over batches.

    With a_i, the inputs of the dense layer, and D_i, the gradients of the loss of sequence i at its outputs,
    g_i = D_i^T a_i, so |g_i|^2 = sum(D_i D_i^T * a_i a_i^T): no g_i is made.
    """

    def __init__(self, model: MaskedLanguageModel) -> None:
        self._head = model.head
        self._total = torch.zeros_like(self._head.dense.weight, dtype=torch.float64)
        self._norms = 0.0
        self._sequences = 0

    def add(self, hidden: torch.Tensor, labels: torch.Tensor, counts: NDArray[np.int64]) -> None:
        sizes = counts.tolist()
        inputs, deltas = self._at_dense(hidden, labels, torch.from_numpy(counts).to(hidden.device))
        self._total += deltas.T @ inputs
        a, d = (pad_sequence(list(torch.split(each, sizes)), batch_first=True) for each in (inputs, deltas))
        squares = ((a @ a.mT) * (d @ d.mT)).sum(dim=(1, 2))
        self._norms += float(squares.clamp(min=0).sqrt().sum())
        self._sequences += len(sizes)

    def _at_dense(
        self, hidden: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs of the dense layer and gradients at its output, float64, each (P, width)."""
        seen: list[torch.Tensor] = []

        def cut(_: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            seen.extend((inputs[0].detach(), output.detach().requires_grad_()))
            return seen[-1]

        hook = self._head.dense.register_forward_hook(cut)
        try:
            with torch.enable_grad():
                losses = functional.cross_entropy(self._head(hidden), labels, reduction="none")
                loss = (losses / torch.repeat_interleave(counts, counts)).sum()
                (delta,) = torch.autograd.grad(loss, seen[-1])
        finally:
            hook.remove()
        inputs, deltas = (each.flatten(0, -2).double() for each in (seen[0], delta))
        return inputs, deltas

    def result(self) -> HeadGradient:
        return HeadGradient(self._norms / self._sequences, float(self._total.norm()) / self._sequences)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
