"""The diagonal empirical Fisher of the subset."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.gradient_pass import (
    Advance,
    encode_block,
    gradient_chunks,
    ignore_advance,
    refuse_positions,
)
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["accumulate_fisher", "fisher_diagonal"]


@torch.inference_mode()
def accumulate_fisher(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: InfluenceConfig,
    advance: Advance = ignore_advance,
) -> tuple[NDArray[np.float64], int]:
    """Sum of the squared gradients of a part of the subset.

    Args:
        model: The adapted model.
        block: M' sequences of the subset, M' >= 1.
        config: Objective, parameters, batching.
        advance: Called after every batch.

    Returns:
        sum_m g_m^2, shape (out, in), and M'.

    Raises:
        InputError: The block is empty or a sequence is too long for the policy.
        StageError: A loss or gradient is NaN or infinite.
    """
    if not len(block):
        raise InputError("The Fisher diagonal needs at least one sequence in the subset.")
    weight = model.head.dense.weight
    total = torch.zeros(weight.shape, dtype=torch.float64, device=weight.device)
    rows, losses, norms = [], [], []
    for chunk in gradient_chunks(model, encode_block(model, block, config), config, advance=advance):
        total += chunk.squared.sum(dim=0)
        rows.append(chunk.rows)
        losses.append(chunk.losses)
        norms.append(chunk.squared.sum(dim=(1, 2)))
    finite = np.empty(len(block), dtype=bool)
    finite[np.concatenate(rows)] = torch.isfinite(torch.cat(losses) + torch.cat(norms)).cpu().numpy()
    refuse_positions(~finite, block, "loss or gradient")
    return total.cpu().numpy(), len(block)


def fisher_diagonal(parts: Iterable[tuple[NDArray[np.float64], int]]) -> NDArray[np.float64]:
    """Join the parts of the subset: F = sum of all parts / number of all sequences.

    Args:
        parts: What `accumulate_fisher` gave for each part, in the order of the parts; the order fixes the
            rounding.

    Returns:
        Shape (out, in), >= 0.

    Raises:
        InputError: There are no sequences.

    Source: method, section 3.
    """
    total: NDArray[np.float64] | None = None
    count = 0
    for part, sequences in parts:
        total = part.copy() if total is None else total + part
        count += sequences
    if total is None or not count:
        raise InputError("The Fisher diagonal needs at least one sequence in the subset.")
    return total / count
