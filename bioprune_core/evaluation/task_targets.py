"""Targets as the losses of fine-tuning take them, and outputs as predictions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bioprune_core.errors import InputError
from bioprune_core.tasks.task import Examples, Predictions, TargetKind, Task

__all__ = ["TargetScale", "as_predictions", "loss_weights", "summed_loss", "target_tensors"]

_REAL = (TargetKind.VALUE, TargetKind.PAIR_VALUES)


@dataclass(frozen=True, slots=True)
class TargetScale:
    """What brings real targets to mean 0 and deviation 1 in the training part; 0 and 1 for other kinds."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, task: Task, train: Examples) -> "TargetScale":
        """The scale of a training part.

        Raises:
            InputError: All real targets are equal.
        """
        if task.target not in _REAL:
            return cls()
        if task.target is TargetKind.VALUE:
            values = np.asarray(train.targets, dtype=np.float64)
        else:
            values = np.concatenate([target[np.isfinite(target)] for target in train.targets]).astype(
                np.float64
            )
        # Rounding leaves equal values a little deviation.
        deviation = float(values.std()) if len(values) and np.ptp(values) != 0 else 0.0
        if not math.isfinite(deviation) or deviation == 0:
            raise InputError(
                f"All {len(values):,} targets of the training part of the task {task.name} are equal, so "
                "there is nothing to learn. Check the column of the labels."
            )
        return cls(float(values.mean()), deviation)


def target_tensors(task: Task, examples: Examples, scale: TargetScale) -> list[torch.Tensor]:
    """The target of every example: int64 of classes, float32 of everything else, real ones scaled."""
    if task.target in (TargetKind.CLASS, TargetKind.RESIDUE_CLASS):
        return [torch.as_tensor(target, dtype=torch.int64) for target in examples.targets]
    if task.target in _REAL:
        return [
            torch.as_tensor((target - scale.mean) / scale.deviation, dtype=torch.float32)
            for target in examples.targets
        ]
    return [torch.as_tensor(target, dtype=torch.float32) for target in examples.targets]


def loss_weights(task: Task, targets: Sequence[torch.Tensor]) -> NDArray[np.int64]:
    """How much each example counts in the mean loss of a step: sequences and maps as one, residues singly."""
    if task.target is TargetKind.RESIDUE_CLASS:
        counts = [int((target >= 0).sum()) for target in targets]
    elif task.target is TargetKind.PAIRS:
        counts = [int((target >= 0).any()) for target in targets]
    elif task.target is TargetKind.PAIR_VALUES:
        counts = [int(torch.isfinite(target).any()) for target in targets]
    else:
        counts = [1] * len(targets)
    return np.array(counts, dtype=np.int64)


def summed_loss(task: Task, outputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum of the losses that `loss_weights` counts; what is marked as not scored has none."""
    kind = task.target
    if kind is TargetKind.CLASS:
        return functional.cross_entropy(
            torch.stack(list(outputs)), torch.stack(list(targets)), reduction="sum"
        )
    if kind is TargetKind.RESIDUE_CLASS:
        return functional.cross_entropy(
            torch.cat(list(outputs)), torch.cat(list(targets)), ignore_index=-1, reduction="sum"
        )
    losses = [_mean_loss(kind, output, target) for output, target in zip(outputs, targets, strict=True)]
    return torch.stack(losses).sum()


def as_predictions(task: Task, outputs: Sequence[torch.Tensor], scale: TargetScale) -> Predictions:
    """Probabilities, or values in their own unit, of outputs on the CPU."""
    if task.target in (TargetKind.CLASS, TargetKind.RESIDUE_CLASS, TargetKind.LABELS):
        # In float32 all beyond odds of 10 million are 1, and no AUC could tell them apart.
        outputs = [output.double() for output in outputs]
    if task.target in (TargetKind.CLASS, TargetKind.RESIDUE_CLASS):
        arrays = [output.softmax(dim=-1).numpy() for output in outputs]
    elif task.target in _REAL:
        arrays = [(output * scale.deviation + scale.mean).numpy() for output in outputs]
    else:
        arrays = [output.sigmoid().numpy() for output in outputs]
    if task.target in (TargetKind.CLASS, TargetKind.LABELS, TargetKind.VALUE):
        return np.stack(arrays)
    return tuple(arrays)


def _mean_loss(kind: TargetKind, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Over the cells, labels or the one value of an example; zero where none is scored."""
    scored: Any = torch.isfinite(target) if kind in _REAL else target >= 0
    if not scored.any():
        return output.sum() * 0.0
    if kind in _REAL:
        return functional.mse_loss(output[scored], target[scored])
    return functional.binary_cross_entropy_with_logits(output[scored], target[scored])
