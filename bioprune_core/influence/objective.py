"""Objectives as weighted token losses: L_i = sum_t weight_it * cross entropy(logits_it, target_it)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.configuration import InfluenceConfig, Precision
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device, pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock

__all__ = ["LossTerms", "SequenceGroup", "length_multiple", "unmasked_groups"]

# Products and attention in bf16 are compiled for every shape that comes, on processors, and kept. Scale tiny,
# one core with AMX, score pass over 2,000 and 8,000 RNAs: 1,037 and 1,625 MB without pads but the fewest;
# with lengths in multiples of 8 1,109 over 8,000 and 1,151 over 16,000, in float32 995 over 8,000. Multiples
# of 16 take 938 and 978, but a network of full size computes twice the pads.
_BF16_MULTIPLE = 8


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


def length_multiple(model: MaskedLanguageModel, config: InfluenceConfig) -> int:
    """What the padded lengths of batches are multiples of: 1 in float32, which needs no pads but the fewest.

    Args:
        model: Where the longest input is no multiple, lengths stay as they are: no pad is beyond it.
        config: With a definite precision.
    """
    fits = (model.maximum_residues + 2) % _BF16_MULTIPLE == 0
    return _BF16_MULTIPLE if config.precision is Precision.BF16 and fits else 1


def unmasked_groups(
    model: MaskedLanguageModel, tokens: TokenBlock, config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The objective `unmasked`: every real token, cls and eos included, predicts itself with equal weight.

    Args:
        model: Whose special tokens and device are used; it is not run.
        tokens: The sequences.
        config: Token budget.
    """
    lengths, multiple = tokens.lengths, length_multiple(model, config)
    for rows in plan_batches(lengths, config.batch_tokens, 1, multiple):
        batch = pad_batch(tokens, rows, model.tokeniser.pad_id, multiple).to(model.device)
        real = batch.attention_mask.to(torch.float64)
        weights = real / real.sum(dim=1, keepdim=True)
        terms = LossTerms(batch.tokens, batch.attention_mask, batch.tokens, weights)
        yield SequenceGroup(rows, lengths[rows], lengths[rows].tolist(), (terms,))
