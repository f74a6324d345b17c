"""One forward pass over a block of sequences, and with it the squared gradient of every sequence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError, StageError
from bioprune_core.influence.configuration import InfluenceConfig, TooLong
from bioprune_core.influence.head_gradient import HeadGradient, squared_gradients
from bioprune_core.influence.objective import unmasked_terms
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import TokenBatch, pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock
from bioprune_core.sequences.block import SequenceBlock

__all__ = [
    "Advance",
    "GradientChunk",
    "encode_block",
    "gradient_chunks",
    "ignore_advance",
    "refuse_positions",
]

Advance = Callable[[int, int], None]
"""Told the numbers of sequences and tokens just finished."""

NAMED_POSITIONS = 10


def ignore_advance(_sequences: int, _tokens: int) -> None:
    """For a caller that does not want to know."""


@dataclass(frozen=True, slots=True, eq=False)
class GradientChunk:
    """What a forward pass tells about k sequences.

    Args:
        rows: Which sequences of the block, int64, shape (k,).
        losses: float64, shape (k,), on the model's device.
        squared: Squared gradients, float64, shape (k, out, in), on the device; overwritten by the next
            chunk.
        pooled: Mean input of the head over the residues, float32, shape (k, in), on the device; None where
            not asked for.
    """

    rows: NDArray[np.int64]
    losses: torch.Tensor
    squared: torch.Tensor
    pooled: torch.Tensor | None


def encode_block(model: MaskedLanguageModel, block: SequenceBlock, config: InfluenceConfig) -> TokenBlock:
    """Tokenise a block under the configuration's policy for long sequences.

    Raises:
        InputError: The policy is `refuse` and a sequence is longer than the model's limit.
    """
    tokens = model.tokeniser.encode(block, model.maximum_residues)
    if tokens.truncated and config.too_long is TooLong.REFUSE:
        row = int(block.lengths.argmax())
        raise InputError(
            f"{tokens.truncated:,} sequences are longer than the {model.maximum_residues:,} residues that "
            f"{model.name} takes, such as the one at position {block.positions[row]} with "
            f"{block.lengths[row]:,}. Leave them out, split them, or have them truncated (too_long=truncate)."
        )
    return tokens


def gradient_chunks(
    model: MaskedLanguageModel,
    tokens: TokenBlock,
    config: InfluenceConfig,
    pooled: bool = False,
    advance: Advance = ignore_advance,
) -> Iterator[GradientChunk]:
    """Squared gradients of all sequences of a block, in length-sorted batches, each exactly once.

    To be consumed under `torch.inference_mode()`, which a generator cannot hold for itself.

    Args:
        model: On any device; its weights are not changed.
        tokens: The sequences.
        config: Objective, parameters and token budget.
        pooled: Whether to pool the head's inputs.
        advance: Called after every batch.
    """
    head = HeadGradient.of(model.head)
    lengths = tokens.lengths
    with _evaluation_mode(model):
        for rows in plan_batches(lengths, config.token_budget):
            batch = pad_batch(tokens, rows, model.tokeniser.pad_id).to(model.device)
            terms = unmasked_terms(batch.tokens, batch.attention_mask)
            hidden = model.hidden_states(terms.inputs, terms.attention_mask).float()
            losses, delta = head.deltas(hidden, terms.targets, terms.weights)
            means = _pool(hidden, batch) if pooled else None
            for part, squared in squared_gradients(delta, hidden, lengths[rows].tolist()):
                yield GradientChunk(rows[part], losses[part], squared, None if means is None else means[part])
            advance(len(rows), int(lengths[rows].sum()))


def refuse_positions(bad: NDArray[np.bool_], block: SequenceBlock, what: str) -> None:
    """Stop where a value of some sequences is not finite.

    Raises:
        StageError: `bad`, shape (n,), is true somewhere; names the positions in the pool.
    """
    if not bad.any():
        return
    positions = block.positions[bad]
    named = ", ".join(str(position) for position in positions[:NAMED_POSITIONS])
    more = f" and {len(positions) - NAMED_POSITIONS:,} more" if len(positions) > NAMED_POSITIONS else ""
    raise StageError(
        f"The {what} of {len(positions):,} of {len(bad):,} sequences is NaN or infinite "
        f"(positions {named}{more}); nothing was written for them. "
        "The model's weights are damaged or its training diverged: check its training loss and start from "
        "an earlier checkpoint."
    )


def _pool(hidden: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    """Mean over the residues: the real tokens without the first (cls) and the last (eos)."""
    lengths = batch.attention_mask.sum(dim=1, keepdim=True)
    columns = torch.arange(hidden.shape[1], device=hidden.device)
    residues = (columns >= 1) & (columns < lengths - 1)
    weights = residues.float() / (lengths - 2).clamp(min=1)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1)


@contextmanager
def _evaluation_mode(model: MaskedLanguageModel) -> Iterator[None]:
    training = model.network.training
    model.network.eval()
    try:
        yield
    finally:
        model.network.train(training)
