"""The diagonal empirical Fisher of the subset."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.influence.gradient_pass import (
    Advance,
    encode_block,
    gradient_pass,
    ignore_advance,
    refuse_positions,
)
from bioprune_core.influence.sequence_gradients import squared_lengths
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["accumulate_fisher", "fisher_diagonal"]


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
        sum_m g_m^2, shape (out, in) of the head or (P,) of linear layers, and M'.

    Raises:
        InputError: The block is empty or a sequence is too long for the policy.
        StageError: A loss or gradient is NaN or infinite.
    """
    if not len(block):
        raise InputError("The Fisher diagonal needs at least one sequence in the subset.")
    engine = gradient_engine(model, config)
    sink = _SumOverSequences(math.prod(engine.shape), len(block), model.device)
    tokens = encode_block(model, block, config)
    result = gradient_pass(model, engine, tokens, block.hashes, config, sink, advance=advance)
    finite = torch.isfinite(result.losses + sink.norms).cpu().numpy()
    refuse_positions(~finite, block, "loss or gradient")
    return sink.total.reshape(engine.shape).cpu().numpy(), len(block)


class _SumOverSequences:
    """The sum of squared gradients over the sequences of a block, parameter by parameter."""

    halves = False

    def __init__(self, parameters: int, sequences: int, device: torch.device) -> None:
        self.total = torch.zeros(parameters, dtype=torch.float64, device=device)
        self.norms = torch.zeros(sequences, dtype=torch.float64, device=device)

    def take(self, parameters: slice, rows: NDArray[np.int64], gradients: torch.Tensor) -> None:
        self.norms[torch.from_numpy(rows).to(self.norms.device)] += squared_lengths(gradients[0])
        # float32 for the few sequences of a chunk; a square below what it holds is 1e-30 of the damping.
        first, *others = gradients[0]
        squares = first.square()
        for other in others:
            squares.addcmul_(other, other)
        self.total[parameters] += squares.flatten()


def fisher_diagonal(parts: Iterable[tuple[NDArray[np.float64], int]]) -> NDArray[np.float64]:
    """Join the parts of the subset: F = sum of all parts / number of all sequences.

    Args:
        parts: What `accumulate_fisher` gave for each part, in the order of the parts; the order fixes the
            rounding.

    Returns:
        The shape of the parts, >= 0.

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
