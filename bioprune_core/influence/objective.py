"""Objectives as weighted token losses: L_i = sum_t weight_it * cross entropy(logits_it, target_it)."""

from dataclasses import dataclass

import torch

__all__ = ["LossTerms", "unmasked_terms"]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """A batch as an objective sees it.

    Args:
        inputs: Token ids given to the model, int64, shape (B, T).
        attention_mask: True where attention may look, shape (B, T).
        targets: Token ids to predict, int64, shape (B, T).
        weights: Weight of each token's cross entropy in its sequence's loss, float64, shape (B, T);
            0 at pads.
    """

    inputs: torch.Tensor
    attention_mask: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def unmasked_terms(tokens: torch.Tensor, attention_mask: torch.Tensor) -> LossTerms:
    """The objective `unmasked`: every real token, cls and eos included, predicts itself with equal weight.

    Args:
        tokens: int64, shape (B, T).
        attention_mask: True at real tokens, bool, shape (B, T); at least one a row.
    """
    real = attention_mask.to(torch.float64)
    return LossTerms(tokens, attention_mask, tokens, real / real.sum(dim=1, keepdim=True))
