"""One pass over a block of sequences: their losses, and the squared gradient of every one for a sink."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.configuration import PAPER_CODE_TOKENS, InfluenceConfig, Objective, TooLong
from bioprune_core.influence.gradient_engine import GradientEngine, gradient_engine
from bioprune_core.influence.masked_objective import masked_groups
from bioprune_core.influence.objective import SequenceGroup, unmasked_groups
from bioprune_core.influence.paper_code_objective import paper_code_groups, refuse_short_models
from bioprune_core.influence.sequence_gradients import GroupSquares, SquareSink
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.tokeniser import TokenBlock
from bioprune_core.sequences.block import SequenceBlock

__all__ = [
    "Advance",
    "PassResult",
    "encode_block",
    "gradient_pass",
    "ignore_advance",
    "refuse_unsupported",
]

Advance = Callable[[int, int], None]
"""Told the numbers of sequences and tokens just finished."""


def ignore_advance(_sequences: int, _tokens: int) -> None:
    """For a caller that does not want to know."""


@dataclass(frozen=True, slots=True, eq=False)
class PassResult:
    """What the forward passes tell about the n sequences of a block, in its order.

    Args:
        losses: float64, shape (n,), on the model's device.
        pooled: Mean input of the head over the residues, float32, shape (n, in), on the device; None where
            not asked for.
    """

    losses: torch.Tensor
    pooled: torch.Tensor | None


def encode_block(model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig) -> TokenBlock:
    """Tokenise a block under the configuration's policy for long sequences.

    Raises:
        InputError: The policy is `refuse` and a sequence is longer than the limit of the model or objective.
    """
    longest, who = model.maximum_residues, model.name
    if config.objective is Objective.PAPER_CODE and longest > PAPER_CODE_TOKENS - 2:
        longest, who = PAPER_CODE_TOKENS - 2, f"the objective {config.objective}"
    tokens = model.tokeniser.encode(block, longest)
    if tokens.truncated and config.too_long is TooLong.REFUSE:
        row = int(block.lengths.argmax())
        raise InputError(
            f"{tokens.truncated:,} sequences are longer than the {longest:,} residues that "
            f"{who} takes, such as the one at position {block.positions[row]} with "
            f"{block.lengths[row]:,}. Leave them out, split them, or have them truncated (too_long=truncate)."
        )
    return tokens


def gradient_pass(
    model: MaskedLanguageModel,
    engine: GradientEngine,
    tokens: TokenBlock,
    hashes: NDArray[np.uint64],
    config: InfluenceConfig,
    sink: SquareSink,
    pooled: bool = False,
    advance: Advance = ignore_advance,
) -> PassResult:
    """Hand the squared gradients of all sequences of a block to a sink, in length-sorted batches.

    Args:
        model: On any device; its weights are not changed.
        engine: Of this model, for the configuration's parameters.
        tokens: n sequences, n >= 1.
        hashes: Their hashes, uint64, shape (n,).
        config: Objective and token budget.
        sink: Who sums the squares.
        pooled: Whether to pool the head's inputs.
        advance: Called after every batch.
    """
    rows, losses, means = [], [], []
    with _evaluation_mode(model), engine.opened():
        for group in _groups(model, tokens, hashes, config):
            squares = GroupSquares(group, sink)
            of_copies, pools = [], []
            for forward in group.forwards:
                loss, hidden = engine.run(forward, squares)
                of_copies.append(loss.reshape(-1, forward.copies))
                if pooled:
                    pools.append(_pool(hidden, group))
            rows.append(group.rows)
            losses.append(torch.cat(of_copies, dim=1).sum(dim=1))
            if pooled:
                means.append(torch.cat(pools, dim=1).mean(dim=1))
            advance(len(group.rows), int(group.lengths.sum()))
        order = torch.from_numpy(np.argsort(np.concatenate(rows))).to(model.device)
        return PassResult(torch.cat(losses)[order], torch.cat(means)[order] if pooled else None)


def refuse_unsupported(model: MaskedLanguageModel, config: InfluenceConfig) -> None:
    """Stop before anything is computed where a model cannot be scored under a configuration.

    Raises:
        InputError: A name of a linear layer matches none, or the objective wants more tokens than the model
            takes.
        ModelError: The network uses a linear layer in a way that has no per-sequence gradient.
    """
    gradient_engine(model, config)
    if config.objective is Objective.PAPER_CODE:
        refuse_short_models(model)


def _groups(
    model: MaskedLanguageModel, tokens: TokenBlock, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    if config.objective is Objective.MASKED:
        return masked_groups(model, tokens, hashes, config)
    if config.objective is Objective.PAPER_CODE:
        return paper_code_groups(model, tokens, config)
    return unmasked_groups(model, tokens, config)


def _pool(hidden: torch.Tensor, group: SequenceGroup) -> torch.Tensor:
    """Mean over the residues: the real tokens without the first (cls) and the last (eos).

    Args:
        hidden: Of one of the group's forward passes, shape (C, T, d).
        group: B sequences.

    Returns:
        Shape (B, copies, d).
    """
    copies = len(hidden) // len(group.rows)
    lengths = torch.from_numpy(group.lengths).to(hidden.device).repeat_interleave(copies).unsqueeze(1)
    columns = torch.arange(hidden.shape[1], device=hidden.device)
    residues = (columns >= 1) & (columns < lengths - 1)
    weights = residues.float() / (lengths - 2).clamp(min=1)
    return torch.bmm(weights.unsqueeze(1), hidden).reshape(-1, copies, hidden.shape[-1])


@contextmanager
def _evaluation_mode(model: MaskedLanguageModel) -> Iterator[None]:
    training = model.network.training
    model.network.eval()
    try:
        yield
    finally:
        model.network.train(training)
