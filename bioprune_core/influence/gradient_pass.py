"""One pass over a block of sequences: their losses, and the squared gradient of every one for a sink."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.backoff import Backoff, within_memory
from bioprune_core.influence.configuration import InfluenceConfig, Objective
from bioprune_core.influence.gradient_engine import GradientEngine, gradient_engine
from bioprune_core.influence.masked_objective import masked_groups
from bioprune_core.influence.objective import LossTerms, SequenceGroup, unmasked_groups
from bioprune_core.influence.paper_code_objective import paper_code_groups, refuse_short_models
from bioprune_core.influence.sequence_gradients import GradientSink, GroupGradients
from bioprune_core.influence.windows import EncodedBlock, windowed_groups
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device
from bioprune_core.models.modes import evaluation_mode
from bioprune_core.models.tokeniser import TokenBlock
from bioprune_core.sequences.block import SequenceBlock

__all__ = [
    "Advance",
    "PassResult",
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


def gradient_pass(
    model: MaskedLanguageModel,
    engine: GradientEngine,
    encoded: EncodedBlock,
    block: SequenceBlock,
    config: InfluenceConfig,
    sink: GradientSink,
    pooled: bool = False,
    advance: Advance = ignore_advance,
    backoff: Backoff | None = None,
) -> PassResult:
    """Hand the squared gradients of all sequences of a block to a sink, in length-sorted batches.

    A batch for which there is no memory is halved and done again, and so are larger ones after it.

    Args:
        model: On any device; its weights are not changed.
        engine: Of this model, for the configuration's parameters.
        encoded: n sequences, n >= 1.
        block: The same sequences, for their hashes and positions.
        config: Objective and token budget.
        sink: Who sums the squares.
        pooled: Whether to pool the head's inputs.
        advance: Called after every batch.
        backoff: How far earlier blocks of the same pass have backed off; changed by this one.

    Raises:
        StageError: There is no memory for a single sequence alone; names its position.
        CannotForget: There was none for a batch of which the sink could not give up what it had taken; the
            block has to be done anew, with the `backoff` as it now is.
    """
    rows, losses, means = [], [], []
    with evaluation_mode(model), engine.opened():
        groups = within_memory(
            _groups(model, encoded, block.hashes, config),
            lambda group: _outcome(engine, group, sink, pooled),
            backoff or Backoff(),
            model.device,
            block,
            sink.forget,
        )
        for group, (loss, mean) in groups:
            rows.append(group.rows)
            losses.append(loss)
            if mean is not None:
                means.append(mean)
            advance(len(group.rows), int(group.lengths.sum()))
        order = torch.from_numpy(np.argsort(np.concatenate(rows))).to(model.device)
        return PassResult(torch.cat(losses)[order], torch.cat(means)[order] if pooled else None)


def _outcome(
    engine: GradientEngine, group: SequenceGroup, sink: GradientSink, pooled: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Losses and, where asked for, pooled embeddings of a group."""
    gradients = GroupGradients(group, sink)
    of_copies, pools = [], []
    for forward in group.forwards:
        loss, hidden = engine.run(forward, gradients)
        of_copies.append(loss.reshape(-1, forward.copies))
        if pooled:
            pools.append(_pool(hidden, group, forward))
    losses = torch.cat(of_copies, dim=1).sum(dim=1)
    return losses, torch.cat(pools, dim=1).mean(dim=1) if pooled else None


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
    model: MaskedLanguageModel, encoded: EncodedBlock, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """All groups of a block: sequences in windows first, since they are the longest, then the others."""
    if not encoded.windowed:
        yield from _groups_of_whole(model, encoded.tokens, hashes, config)
        return
    yield from windowed_groups(model, encoded, hashes, config)
    # Planned as if the others were not there, so that these do not change the bits of their scores.
    whole = np.flatnonzero(encoded.windows == 1)
    if len(whole):
        for group in _groups_of_whole(model, encoded.take(whole), hashes[whole], config):
            yield replace(group, rows=whole[group.rows])


def _groups_of_whole(
    model: MaskedLanguageModel, tokens: TokenBlock, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    if config.objective is Objective.MASKED:
        return masked_groups(model, tokens, hashes, config)
    if config.objective is Objective.PAPER_CODE:
        return paper_code_groups(model, tokens, config)
    return unmasked_groups(model, tokens, config)


def _pool(hidden: torch.Tensor, group: SequenceGroup, forward: LossTerms) -> torch.Tensor:
    """Mean over the residues: the real tokens without the first (cls) and the last (eos).

    Args:
        hidden: Of one of the group's forward passes, shape (C, T, d).
        group: B sequences.
        forward: That pass.

    Returns:
        Shape (B, copies, d). Their mean over all copies of all passes is that over all residues: a window
        counts by its residues.
    """
    copies = forward.copies
    if group.windows > 1:
        lengths = forward.attention_mask.sum(dim=1, keepdim=True)
        residues_in_all = int(group.lengths[0]) - 2 * group.windows
        shares = torch.full_like(lengths, residues_in_all, dtype=torch.float32) / group.windows
    else:
        lengths = on_device(torch.from_numpy(group.lengths), hidden.device)
        lengths = lengths.repeat_interleave(copies).unsqueeze(1)
        shares = (lengths - 2).clamp(min=1)
    columns = torch.arange(hidden.shape[1], device=hidden.device)
    residues = (columns >= 1) & (columns < lengths - 1)
    # Divided after the sum: in a product with tensor cores a share would be rounded for all entries alike.
    sums = torch.bmm(residues.float().unsqueeze(1), hidden) / shares.unsqueeze(-1)
    return sums.reshape(-1, copies, hidden.shape[-1])
