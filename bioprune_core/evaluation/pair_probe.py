"""A small head for pairs of residues on frozen features.

Architecture: the scaled features h of every residue are projected, z = h P, to width r. Cell (i, j) has the r
products z_i * z_j; a linear layer takes them to 32 values, to which a learned vector for the distance |i - j|
(one for each of 0..15, then one an octave) is added; then a GELU and a linear layer to one logit or value. It
is symmetric in i and j, so it is trained on the upper triangle alone.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from bioprune_core.errors import InputError, StageError
from bioprune_core.evaluation.features import ResidueFeatures, Scaling
from bioprune_core.evaluation.probe import Probed
from bioprune_core.evaluation.protocol import ProbeSettings
from bioprune_core.evaluation.scoring import Measure, gain
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.tasks import OF_THE_HIGHEST
from bioprune_core.tasks.task import Part, TargetKind, TaskData

__all__ = ["PairHead", "probe_pairs"]

_INNER = 32
_NEAR = 16
_BINS = _NEAR + 8
_MAPS_A_STEP = 8
# Cells computed at once where whole maps are predicted: 65,536 x 32 numbers are 8 MB.
_CELLS_AT_ONCE = 65_536
_STAGE = "probe"
# Shifts of the logit to choose from. Hardly any cell of a map is a pair, so the probabilities of a weak head
# stay below 0.5, where the metrics cut: without a shift all weak heads would score the same 0. A precision
# among the highest cells must not choose one: it is best where hardly any cell is predicted, so that heads
# would be compared at different numbers of cells (173 of 9,660 and 600 of them were seen).
_SHIFTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)


class PairHead(nn.Module):
    """From the features of two residues to one number; see the module."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, rank, bias=False)
        self.combine = nn.Linear(rank, _INNER)
        self.distance = nn.Embedding(_BINS, _INNER)
        self.out = nn.Linear(_INNER, 1)
        nn.init.normal_(self.distance.weight, std=0.1)

    def forward(self, left: torch.Tensor, right: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        """The number of each of n cells, shape (n,).

        Args:
            left: Projected features of residue i, shape (n, r).
            right: Likewise of residue j.
            apart: |i - j|, int64, shape (n,).
        """
        near = apart.clamp(max=_NEAR - 1)
        octave = torch.log2(apart.clamp(min=_NEAR).float() / _NEAR).long()
        bins = torch.where(apart < _NEAR, near, (_NEAR + octave).clamp(max=_BINS - 1))
        inner = functional.gelu(self.combine(left * right) + self.distance(bins))
        numbers: torch.Tensor = self.out(inner).squeeze(-1)
        return numbers


def probe_pairs(
    data: TaskData,
    features: Mapping[Part, ResidueFeatures],
    settings: ProbeSettings,
    seed: int,
    measure: Measure,
    report: Reporter = discard,
) -> Probed:
    """Train the head for pairs, keep its best pass by validation loss, and place the threshold.

    For binary maps the loss is the cross-entropy, for real ones the squared error in units of their deviation
    in the training part. Of large maps every step sees all pairs and a sample of the other cells, weighted
    so that the expected loss is that of all cells. The threshold of pairs is the validation part's best;
    where the task's metric looks at the highest cells there is none, and all of these count.

    Args:
        data: Of kind PAIRS or PAIR_VALUES.
        features: By part.
        settings: Rank, cells, epochs, patience, learning rate.
        seed: Of the weights, the order and the samples.
        measure: The task's metrics.
        report: Told after every pass.

    Raises:
        InputError: No cell of the training part is scored.
        StageError: The loss is not finite; names the pass.
    """
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = _Trainer(data, features, settings, np.random.default_rng(seed))
        chosen = trainer.train(report)
        validation, test = trainer.maps(Part.VALIDATION), trainer.maps(Part.TEST)
    if data.task.target is TargetKind.PAIR_VALUES:
        return Probed(tuple(map(trainer.unscaled, validation)), tuple(map(trainer.unscaled, test)), chosen)
    if data.task.metrics[0] in OF_THE_HIGHEST:
        return Probed(_above_one_half(validation), _above_one_half(test), chosen)
    targets = data.parts[Part.VALIDATION].targets
    gains = [
        gain(data.task, measure(data.task, targets, _probabilities(validation, shift))) for shift in _SHIFTS
    ]
    shift = _SHIFTS[int(np.argmax(gains))]
    chosen["logit_shift"] = shift
    return Probed(_probabilities(validation, shift), _probabilities(test, shift), chosen)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Operations here take microseconds, so that threads wait for each other more than they compute.

    400 maps of bpRNA (mean length 78) on 2 cores beside a busy process: 1.1 s of processor time in one
    thread, 3 to 6 s in two.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _probabilities(logits: tuple[NDArray[np.float32], ...], shift: float) -> tuple[NDArray[np.float32], ...]:
    return tuple((0.5 * (1 + np.tanh(0.5 * (values + np.float32(shift))))) for values in logits)


def _above_one_half(logits: tuple[NDArray[np.float32], ...]) -> tuple[NDArray[np.float64], ...]:
    """Numbers between a half and one in the order of the logits."""
    # Below -30 the last digit of a half would swallow the difference.
    return tuple(0.75 + 0.25 * np.tanh(0.5 * np.maximum(values, -30).astype(np.float64)) for values in logits)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Cells of the upper triangle of one map: places int64 (n,), targets and weights float32 (n,)."""

    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


class _Trainer:
    def __init__(
        self,
        data: TaskData,
        features: Mapping[Part, ResidueFeatures],
        settings: ProbeSettings,
        random: np.random.Generator,
    ) -> None:
        self._data, self._features, self._settings, self._random = data, features, settings, random
        self._binary = data.task.target is TargetKind.PAIRS
        train = features[Part.TRAIN]
        self._scaling = Scaling.of(train.values)
        self._mean, self._deviation = self._statistics()
        self._head = PairHead(train.width, settings.rank)
        if self._binary:
            # The head starts from how often a cell is a pair, not from one in two.
            nn.init.constant_(self._head.out.bias, math.log(self._mean / (1 - self._mean)))

    def train(self, report: Reporter) -> dict[str, float]:
        """Passes until the validation loss falls no more; the best weights are then the head's."""
        settings = self._settings
        optimiser = torch.optim.AdamW(self._head.parameters(), lr=settings.learning_rate, weight_decay=0.01)
        best, best_epoch, best_state = math.inf, 0, copy.deepcopy(self._head.state_dict())
        for epoch in range(1, settings.epochs + 1):
            self._pass(optimiser)
            loss = self._validation_loss()
            if not math.isfinite(loss):
                raise StageError(
                    f"The probe diverged: its validation loss is {loss} after pass {epoch}. Choose a lower "
                    f"learning rate of the probe (now {settings.learning_rate:g})."
                )
            if loss < best:
                best, best_epoch, best_state = loss, epoch, copy.deepcopy(self._head.state_dict())
            report(Progress(_STAGE, epoch, settings.epochs, "passes", {"validation_loss": loss}))
            if epoch - best_epoch >= settings.patience:
                break
        self._head.load_state_dict(best_state)
        return {"epochs": float(best_epoch), "validation_loss": best}

    def maps(self, part: Part) -> tuple[NDArray[np.float32], ...]:
        """Logits or scaled values of all cells of all maps of a part."""
        with torch.inference_mode():
            return tuple(self._map(part, index) for index in range(len(self._features[part])))

    def unscaled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled values of a real map in the map's own unit."""
        return values * np.float32(self._deviation) + np.float32(self._mean)

    def _pass(self, optimiser: torch.optim.Optimizer) -> None:
        order = self._random.permutation(len(self._features[Part.TRAIN]))
        for start in range(0, len(order), _MAPS_A_STEP):
            loss = self._loss(order[start : start + _MAPS_A_STEP])
            if loss is not None:
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                optimiser.zero_grad()

    def _loss(self, indices: NDArray[np.int64]) -> torch.Tensor | None:
        """Mean loss of maps of the training part that have a scored cell; None where none has.

        The maps go through the head end to end: one by one they took a third more processor time.
        """
        targets = self._data.parts[Part.TRAIN].targets
        drawn = [(index, self._draw(np.asarray(targets[index]))) for index in indices.tolist()]
        drawn = [(index, cells) for index, cells in drawn if len(cells.rows)]
        if not drawn:
            return None
        projected = self._project(Part.TRAIN, [index for index, _ in drawn])
        lengths = np.diff(self._features[Part.TRAIN].offsets)[[index for index, _ in drawn]]
        starts = np.cumsum(lengths) - lengths
        rows = torch.cat([cells.rows + int(start) for start, (_, cells) in zip(starts, drawn, strict=True)])
        apart = torch.cat([cells.columns - cells.rows for _, cells in drawn])
        weights = torch.cat([cells.weights / cells.weights.sum() for _, cells in drawn])
        # index_select, because the gradient of indexing with a tensor is summed more slowly.
        left, right = projected.index_select(0, rows), projected.index_select(0, rows + apart)
        losses = self._losses(
            self._head(left, right, apart), torch.cat([cells.targets for _, cells in drawn])
        )
        return (losses * weights).sum() / len(drawn)

    def _losses(self, values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self._binary:
            return functional.binary_cross_entropy_with_logits(values, targets, reduction="none")
        return functional.mse_loss(values, targets, reduction="none")

    def _validation_loss(self) -> float:
        total, count = 0.0, 0
        targets = self._data.parts[Part.VALIDATION].targets
        for values, target in zip(self.maps(Part.VALIDATION), targets, strict=True):
            scored = self._scored(target)
            own, true = torch.from_numpy(values[scored]), torch.from_numpy(self._scaled(target[scored]))
            total += float(self._losses(own, true).double().sum())
            count += int(scored.sum())
        return total / max(count, 1)

    def _draw(self, target: NDArray[Any]) -> _Cells:
        """The cells of a step: all where they are few; else all pairs and a weighted sample of the others."""
        rows, columns = np.nonzero(np.triu(self._scored(target)))
        values = target[rows, columns]
        weights = np.ones(len(rows), dtype=np.float32)
        if len(rows) > self._settings.cells:
            kept = values == 1 if self._binary else np.zeros(len(rows), dtype=bool)
            others = np.flatnonzero(~kept)
            wanted = min(len(others), max(self._settings.cells - int(kept.sum()), self._settings.cells // 2))
            drawn = self._random.choice(others, wanted, replace=False)
            weights[drawn] = len(others) / max(wanted, 1)
            chosen = np.sort(np.concatenate([np.flatnonzero(kept), drawn]))
            rows, columns, values, weights = rows[chosen], columns[chosen], values[chosen], weights[chosen]
        return _Cells(
            torch.from_numpy(rows),
            torch.from_numpy(columns),
            torch.from_numpy(self._scaled(values)),
            torch.from_numpy(weights),
        )

    def _map(self, part: Part, index: int) -> NDArray[np.float32]:
        projected = self._project(part, [index])
        length = len(projected)
        rows, columns = torch.triu_indices(length, length)
        whole = torch.empty(length, length)
        for start in range(0, len(rows), _CELLS_AT_ONCE):
            one, other = rows[start : start + _CELLS_AT_ONCE], columns[start : start + _CELLS_AT_ONCE]
            numbers = self._head(
                projected.index_select(0, one), projected.index_select(0, other), other - one
            )
            whole[one, other] = whole[other, one] = numbers
        cells: NDArray[np.float32] = whole.numpy()
        return cells

    def _project(self, part: Part, indices: Sequence[int]) -> torch.Tensor:
        """Projected features of the residues of maps, end to end."""
        scaled = [self._scaling(self._features[part].of(index)) for index in indices]
        projected: torch.Tensor = self._head.project(torch.from_numpy(np.concatenate(scaled)))
        return projected

    def _scored(self, target: NDArray[Any]) -> NDArray[np.bool_]:
        scored: NDArray[np.bool_] = target >= 0 if self._binary else np.isfinite(target)
        return scored

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.float32]:
        if self._binary:
            return values.astype(np.float32)
        return ((values - self._mean) / self._deviation).astype(np.float32)

    def _statistics(self) -> tuple[float, float]:
        """Mean and deviation of the scored cells of the training part."""
        count, total, squares, largest = 0, 0.0, 0.0, 0.0
        for target in self._data.parts[Part.TRAIN].targets:
            values = target[self._scored(target)].astype(np.float64)
            count, total, squares = count + len(values), total + values.sum(), squares + (values**2).sum()
            largest = max(largest, float(np.abs(values).max(initial=0.0)))
        deviation = math.sqrt(max(squares / count - (total / count) ** 2, 0.0)) if count else 0.0
        # Rounding of the sums leaves equal cells a deviation: 1.2e-7 of their value in 20,000 maps.
        if deviation <= 1e-6 * largest:
            raise InputError(
                f"All {count:,} scored cells of the training part of the task {self._data.task.name} have "
                "one value, so there is nothing to learn. Check the maps and their masks."
            )
        return total / count, deviation
