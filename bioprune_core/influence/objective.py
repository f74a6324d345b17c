"""Objectives as weighted token losses: L_i = sum_t weight_it * cross entropy(logits_it, target_it)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device, pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock

__all__ = ["LossTerms", "SequenceGroup", "unmasked_groups"]


@dataclass(frozen=True, slots=True, eq=False)
class LossTerms:
    """One forward pass as an objective sees it: C = B * copies rows of T tokens, sequence by sequence.

    Args:
        inputs: Token ids given to the model, int64, shape (C, T).
        attention_mask: True where attention may look, shape (C, T); or, where pads are attended to, what is
            added to the attention scores of each key, float32, shape (C, 1, 1, T).
        targets: Token ids to predict, int64, shape (C, T).
        weights: Weight of each token's cross entropy in its sequence's loss, float64, shape (C, T);
            0 at pads that do not count.
        copies: Rows of each sequence.
        even_copies: How many of them, the first ones, are of masks of even number; the rest is of odd.
    """

    inputs: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    copies: int = 1
    even_copies: int = 1

    def to(self, device: torch.device) -> "LossTerms":
        """The same on a device."""
        return replace(
            self,
            inputs=on_device(self.inputs, device),
            attention_mask=on_device(self.attention_mask, device),
            targets=on_device(self.targets, device),
            weights=on_device(self.weights, device),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SequenceGroup:
    """B sequences whose losses and gradients are computed, and finished, together.

    Args:
        rows: Which sequences of the block, int64, shape (B,).
        lengths: Tokens of each, cls and eos included, int64, shape (B,).
        extents: Columns of each that may have a weight, (B,).
        forwards: Their forward passes; several only where B is 1 and its copies exceed the token budget.
        windows: Windows of each; several only where B is 1. Copies are then windows of masks, mask by mask.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    extents: list[int]
    forwards: tuple[LossTerms, ...]
    windows: int = 1

    @property
    def copies(self) -> int:
        """Rows of each sequence in all of its forward passes."""
        return sum(forward.copies for forward in self.forwards)


def unmasked_groups(
    model: MaskedLanguageModel, tokens: TokenBlock, config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The objective `unmasked`: every real token, cls and eos included, predicts itself with equal weight.

    Args:
        model: Whose special tokens and device are used; it is not run.
        tokens: The sequences.
        config: Token budget.
    """
    lengths = tokens.lengths
    for rows in plan_batches(lengths, config.batch_tokens):
        batch = pad_batch(tokens, rows, model.tokeniser.pad_id).to(model.device)
        real = batch.attention_mask.to(torch.float64)
        weights = real / real.sum(dim=1, keepdim=True)
        terms = LossTerms(batch.tokens, batch.attention_mask, batch.tokens, weights)
        yield SequenceGroup(rows, lengths[rows], lengths[rows].tolist(), (terms,))
