"""A network with the head of a task on it, as it is fine-tuned.

Sequences: linear on the pooled state; under cls an RNA-FM has a dense layer and tanh before. Two sequences:
linear on both pooled states, end to end. Residues: linear. Pairs: products h_i * h_j (L x L x d), a 3x3
convolution to 48 channels, residual blocks of LayerNorm, ReLU, dropout 0.25 and convolution, 3x3 and then
5x5, a LayerNorm, a ReLU and a linear layer to one number; the mean of the map and its transpose is the
result, as targets are symmetric.

Source: BEACON (arXiv 2406.10391), section 4 and its structure predictor, whose map is not made symmetric.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from bioprune_core.evaluation.protocol import FineTuneSettings, Pooling
from bioprune_core.models import Architecture, MaskedLanguageModel, TokenBatch
from bioprune_core.tasks.task import TargetKind, Task

__all__ = ["TaskBatch", "TaskNetwork"]

_CHANNELS = 48
_DROPOUT = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class TaskBatch:
    """B examples.

    Args:
        sequences: Their tokens.
        partners: The tokens of the second sequences, in the same order; None where there are none.
    """

    sequences: TokenBatch
    partners: TokenBatch | None

    def to(self, device: torch.device) -> "TaskBatch":
        """The same batch on a device."""
        return TaskBatch(
            self.sequences.to(device), None if self.partners is None else self.partners.to(device)
        )


class TaskNetwork(nn.Module):
    """The network of a model with the head of a task.

    Args:
        model: Its network is a part of this one and is trained with it.
        task: Which head.
        settings: Pooling and blocks.
    """

    def __init__(self, model: MaskedLanguageModel, task: Task, settings: FineTuneSettings) -> None:
        super().__init__()
        width = int(model.network.config.hidden_size)
        # The backbone alone: the masked-LM head has no part in the task and would only be decayed.
        self.backbone = model.network.base_model
        self._model = (model,)  # in a tuple, so that its network is not registered
        self._kind = task.target
        self._pooling = settings.pooling
        self._maps = task.target in (TargetKind.PAIRS, TargetKind.PAIR_VALUES)
        self.dense: nn.Module = nn.Identity()
        self.head: nn.Module
        if self._maps:
            self.head = _MapHead(width, settings.blocks)
        elif task.target is TargetKind.RESIDUE_CLASS:
            self.head = nn.Linear(width, len(task.classes))
        else:
            if settings.pooling is Pooling.CLS and model.architecture is Architecture.RNA_FM:
                self.dense = nn.Sequential(nn.Linear(width, width), nn.Tanh())
            outputs = 1 if task.target is TargetKind.VALUE else len(task.classes)
            self.head = nn.Linear(width * (2 if task.partners else 1), outputs)

    def forward(self, batch: TaskBatch) -> list[torch.Tensor]:
        """Logits or values of every example: (classes,), (), (L, classes) or (L, L) by the task's kind."""
        hidden = self._states(batch.sequences)
        mask = batch.sequences.attention_mask
        if self._kind is TargetKind.RESIDUE_CLASS:
            logits = self.head(hidden)
            lengths = mask.sum(dim=1).tolist()
            return [row[1 : length - 1] for row, length in zip(logits, lengths, strict=True)]
        if self._maps:
            lengths = mask.sum(dim=1).tolist()
            return [self.head(row[1 : length - 1]) for row, length in zip(hidden, lengths, strict=True)]
        pooled = self.dense(self._pooled(hidden, mask))
        if batch.partners is not None:
            other = self.dense(self._pooled(self._states(batch.partners), batch.partners.attention_mask))
            pooled = torch.cat([pooled, other], dim=1)
        outputs = self.head(pooled)
        return list(outputs.squeeze(1) if self._kind is TargetKind.VALUE else outputs)

    def _states(self, tokens: TokenBatch) -> torch.Tensor:
        return self._model[0].hidden_states(tokens.tokens, tokens.attention_mask)

    def _pooled(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._pooling is Pooling.CLS:
            return hidden[:, 0]
        lengths = mask.sum(dim=1, keepdim=True)
        columns = torch.arange(hidden.shape[1], device=hidden.device)
        residues = (columns >= 1) & (columns < lengths - 1)
        weights = residues.to(hidden.dtype) / (lengths - 2)
        return torch.bmm(weights[:, None], hidden).squeeze(1)


class _MapHead(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(width, _CHANNELS, 3, padding=1)
        self.blocks = nn.ModuleList(_Block() for _ in range(blocks))
        self.norm = nn.LayerNorm(_CHANNELS)
        self.out = nn.Linear(_CHANNELS, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The map, shape (L, L), of one sequence's states, shape (L, d)."""
        columns = hidden.T
        cells = self.enter((columns[:, :, None] * columns[:, None, :])[None])
        for block in self.blocks:
            cells = block(cells)
        numbers = self.out(functional.relu(self.norm(cells.permute(0, 2, 3, 1))))[0, :, :, 0]
        symmetric: torch.Tensor = (numbers + numbers.T) / 2
        return symmetric


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(_CHANNELS) for _ in range(2))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(_CHANNELS, _CHANNELS, size, padding=size // 2, bias=False) for size in (3, 5)
        )
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """Cells, shape (1, channels, L, L), with the branch added."""
        branch = cells
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            scaled = norm(branch.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            branch = convolution(self.dropout(functional.relu(scaled)))
        added: torch.Tensor = cells + branch
        return added
