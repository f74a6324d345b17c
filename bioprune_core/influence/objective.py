"""Objectives as weighted token losses: L_i = sum_t weight_it * cross entropy(logits_it, target_it)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock

__all__ = ["LossTerms", "SequenceGroup", "loss_groups"]


@dataclass(frozen=True, slots=True, eq=False)
class LossTerms:
    """One forward pass as an objective sees it: C = B * copies rows of T tokens.

    Args:
        inputs: Token ids given to the model, int64, shape (C, T); copies of a sequence are neighbours.
        attention_mask: True where attention may look, shape (C, T).
        targets: Token ids to predict, int64, shape (C, T).
        weights: Weight of each token's cross entropy in its sequence's loss, float64, shape (C, T);
            0 at pads.
    """

    inputs: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SequenceGroup:
    """B sequences whose losses and gradients are computed, and finished, together.

    Args:
        rows: Which sequences of the block, int64, shape (B,).
        lengths: Tokens of each, cls and eos included, int64, shape (B,).
        extents: Columns of each that may have a weight, (B,).
        forward: Their forward pass.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    extents: list[int]
    forward: LossTerms


def loss_groups(
    model: MaskedLanguageModel, tokens: TokenBlock, config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The forward passes that give every sequence of a block its loss, the longest sequences first.

    Args:
        model: Whose special tokens and device are used; it is not run.
        tokens: The sequences.
        config: Objective and token budget.
    """
    lengths = tokens.lengths
    for rows in plan_batches(lengths, config.token_budget):
        batch = pad_batch(tokens, rows, model.tokeniser.pad_id).to(model.device)
        terms = _unmasked_terms(batch.tokens, batch.attention_mask)
        yield SequenceGroup(rows, lengths[rows], lengths[rows].tolist(), terms)


def _unmasked_terms(tokens: torch.Tensor, attention_mask: torch.Tensor) -> LossTerms:
    """The objective `unmasked`: every real token, cls and eos included, predicts itself with equal weight.

    Args:
        tokens: int64, shape (B, T).
        attention_mask: True at real tokens, bool, shape (B, T); at least one a row.
    """
    real = attention_mask.to(torch.float64)
    return LossTerms(tokens, attention_mask, tokens, real / real.sum(dim=1, keepdim=True))
