"""Full fine-tuning on a task: the head and all weights, until the validation part gets no better."""

import copy
import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import StageError
from bioprune_core.evaluation.embed import encode
from bioprune_core.evaluation.heads import TaskBatch, TaskNetwork
from bioprune_core.evaluation.probe import Probed
from bioprune_core.evaluation.protocol import FineTuneSettings
from bioprune_core.evaluation.scoring import Measure, gain, refuse_nan
from bioprune_core.evaluation.task_targets import (
    TargetScale,
    as_predictions,
    loss_weights,
    summed_loss,
    target_tensors,
)
from bioprune_core.models import MaskedLanguageModel, TokenBatch, TokenBlock, pad_batch, plan_batches
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.tasks.task import Examples, Part, Predictions, TargetKind, TaskData
from bioprune_core.training import Precision, TrainingConfig
from bioprune_core.training.optimisation import autocast, learning_rate, make_optimiser

__all__ = ["fine_tune"]

_STAGE = "fine-tune"
_MAPS = (TargetKind.PAIRS, TargetKind.PAIR_VALUES)
_PER_RESIDUE = (TargetKind.RESIDUE_CLASS, *_MAPS)
# Sequences of so many steps are sorted by length together, so that a step's are of like length.
_BUCKET_STEPS = 50
# A training counts as diverged where its mean loss over so many steps is that many times the first such mean.
_WINDOW = 20
_DIVERGED = 10.0


def fine_tune(
    model: MaskedLanguageModel,
    data: TaskData,
    settings: FineTuneSettings,
    seed: int,
    measure: Measure,
    report: Reporter = discard,
) -> Probed:
    """Train a copy of a model with the task's head, and predict with its best state.

    The state with the best first metric on the validation part counts; the untrained one does not compete.

    Args:
        model: Left as it is; the copy is in float32 on its device.
        data: No sequence longer than the model takes.
        settings: Schedule and sizes.
        seed: Of the head's weights, of the order and of dropout.
        measure: The task's metrics.
        report: Told after every step, with loss, learning_rate and the latest validation metric.

    Raises:
        InputError: All real targets of the training part are equal.
        StageError: Loss, gradient or predictions are not finite, or the loss grows; names the step. Or the
            device's memory is too small.
    """
    device = model.device
    with torch.random.fork_rng(devices=[device.index] if device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(seed)
        return _FineTuning(model, data, settings, seed, measure).run(report)


@dataclass(frozen=True, slots=True, eq=False)
class _PartData:
    """One part, tokenised: n examples with their targets."""

    examples: Examples
    sequences: TokenBlock
    partners: TokenBlock | None
    targets: list[torch.Tensor]
    weights: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of the longer sequence of each example, int64, shape (n,)."""
        if self.partners is None:
            return self.sequences.lengths
        return np.maximum(self.sequences.lengths, self.partners.lengths)


class _FineTuning:
    def __init__(
        self,
        model: MaskedLanguageModel,
        data: TaskData,
        settings: FineTuneSettings,
        seed: int,
        measure: Measure,
    ) -> None:
        self._task, self._settings, self._measure, self._name = data.task, settings, measure, model.name
        self._model = copy.deepcopy(model).to(model.device, torch.float32)
        self._model.network.requires_grad_(True)
        self._scale = TargetScale.of(data.task, data.parts[Part.TRAIN])
        self._parts = {part: self._tokenised(examples) for part, examples in data.parts.items()}
        self._network = TaskNetwork(self._model, data.task, settings).to(model.device)
        train = self._parts[Part.TRAIN]
        self._order = np.random.default_rng(seed)
        self._steps_an_epoch = -(-len(train.examples) // settings.batch_size)
        self._steps = settings.epochs * self._steps_an_epoch
        self._schedule = TrainingConfig(
            steps=self._steps,
            learning_rate=settings.learning_rate,
            warmup_fraction=settings.warmup_fraction,
            weight_decay=settings.weight_decay,
            gradient_clip=settings.gradient_clip,
            token_budget=settings.token_budget,
        )
        self._optimiser = make_optimiser(self._network, self._schedule)
        self._losses: deque[float] = deque(maxlen=_WINDOW)
        self._first_loss: float | None = None

    def run(self, report: Reporter) -> Probed:
        every = self._settings.evaluate_every_steps or self._steps_an_epoch
        best, best_step, best_state = -math.inf, 0, self._state()
        step, latest, waited, first = 0, math.nan, 0, math.inf
        for _ in range(self._settings.epochs):
            for rows in self._epoch():
                step += 1
                loss, rate = self._step(rows, step)
                if step % every == 0 or step == self._steps:
                    latest = self._validate()
                    # Patience begins with the first gain: the F1 of rare pairs stays 0 for a while.
                    waited += best > first
                    if latest > best:
                        best, best_step, best_state, waited = latest, step, self._state(), 0
                    first = min(first, latest)
                metrics = {"loss": loss, "learning_rate": rate}
                if math.isfinite(latest):
                    metrics["validation"] = latest
                report(Progress(_STAGE, step, self._steps, "steps", metrics))
                if waited >= self._settings.patience:
                    break
            if waited >= self._settings.patience:
                break
        self._network.load_state_dict(best_state)
        chosen = {"best_step": float(best_step), "steps": float(step)}
        return Probed(self._predictions(Part.VALIDATION), self._predictions(Part.TEST), chosen)

    def _tokenised(self, examples: Examples) -> _PartData:
        one_a_letter = self._task.target in _PER_RESIDUE
        targets = target_tensors(self._task, examples, self._scale)
        return _PartData(
            examples,
            encode(self._model, examples.sequences, one_a_letter=one_a_letter),
            None if examples.partners is None else encode(self._model, examples.partners),
            targets,
            loss_weights(self._task, targets),
        )

    def _epoch(self) -> list[NDArray[np.int64]]:
        """The examples of every step: of like length within a step, in an order drawn anew."""
        size = self._settings.batch_size
        lengths = self._parts[Part.TRAIN].lengths
        shuffled = self._order.permutation(len(lengths))
        steps = []
        for start in range(0, len(shuffled), size * _BUCKET_STEPS):
            bucket = shuffled[start : start + size * _BUCKET_STEPS]
            bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            steps += [bucket[place : place + size] for place in range(0, len(bucket), size)]
        return [steps[index] for index in self._order.permutation(len(steps))]

    def _step(self, rows: NDArray[np.int64], number: int) -> tuple[float, float]:
        """One optimiser step; its loss and learning rate."""
        train = self._parts[Part.TRAIN]
        rate = learning_rate(number - 1, self._steps, self._schedule)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._network.train()
        weight, total = max(1, int(train.weights[rows].sum())), 0.0
        for batch in self._divided(train, rows):
            targets = [train.targets[row].to(self._model.device) for row in batch]
            with self._enough_memory(train, batch):
                loss = summed_loss(self._task, self._outputs(train, batch), targets) / weight
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._settings.gradient_clip)
        self._refuse_divergence(total, norm.item(), number)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return total, rate

    def _divided(self, part: _PartData, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Forward passes of a step: under the token budget, maps one by one."""
        if self._task.target in _MAPS:
            return [rows[place : place + 1] for place in range(len(rows))]
        return [rows[plan] for plan in plan_batches(part.lengths[rows], self._settings.token_budget)]

    def _outputs(self, part: _PartData, rows: NDArray[np.int64]) -> list[torch.Tensor]:
        batch = TaskBatch(
            self._padded(part.sequences, rows),
            None if part.partners is None else self._padded(part.partners, rows),
        ).to(self._model.device)
        with autocast(Precision.AUTO, self._model.device):
            return [output.float() for output in self._network(batch)]

    @contextmanager
    def _enough_memory(self, part: _PartData, rows: NDArray[np.int64]) -> Iterator[None]:
        """Out of memory, said in words."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise StageError(
                f"The device {self._model.device} has too little memory for {len(rows)} examples of up to "
                f"{int(part.lengths[rows].max())} tokens. Lower token_budget of fine-tuning (now "
                f"{self._settings.token_budget}), or leave out the longest sequences.",
                str(error),
            ) from error

    def _padded(self, tokens: TokenBlock, rows: NDArray[np.int64]) -> TokenBatch:
        return pad_batch(tokens, rows, self._model.tokeniser.pad_id, self._schedule.length_multiple)

    def _refuse_divergence(self, loss: float, norm: float, step: int) -> None:
        self._losses.append(loss)
        mean = sum(self._losses) / len(self._losses)
        if self._first_loss is None and len(self._losses) == _WINDOW:
            self._first_loss = mean
        grown = self._first_loss is not None and mean > _DIVERGED * self._first_loss
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if not math.isfinite(value) or grown:
                raise StageError(
                    f"Fine-tuning {self._name} on {self._task.name} diverged: the {name} is {value:g} at "
                    f"step {step} of {self._steps}. Start it anew with a lower learning rate (now "
                    f"{self._settings.learning_rate:g}) or a longer warm-up."
                )

    def _validate(self) -> float:
        examples = self._parts[Part.VALIDATION].examples
        figures = self._measure(self._task, examples.targets, self._predictions(Part.VALIDATION))
        return gain(self._task, figures)

    def _predictions(self, part: Part) -> Predictions:
        of_part = self._parts[part]
        self._network.eval()
        outputs: list[torch.Tensor] = [torch.empty(0)] * len(of_part.examples)
        with torch.inference_mode():
            for rows in self._divided(of_part, np.arange(len(of_part.examples))):
                with self._enough_memory(of_part, rows):
                    found = [output.cpu() for output in self._outputs(of_part, rows)]
                for row, output in zip(rows, found, strict=True):
                    outputs[row] = output
            predictions = as_predictions(self._task, outputs, self._scale)
        refuse_nan(of_part.examples, predictions, self._name)
        return predictions

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self._network.state_dict().items()}
