"""The diagonal empirical Fisher of the subset."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.backoff import Backoff
from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.influence.gradient_pass import (
    Advance,
    gradient_pass,
    ignore_advance,
)
from bioprune_core.influence.head_inputs import RecordingEngine
from bioprune_core.influence.sequence_gradients import CannotForget, squared_lengths, sum_of_squares
from bioprune_core.influence.unscored import Unscored, find_unscored, refuse_unscored
from bioprune_core.influence.windows import EncodedBlock, encode_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["FisherPart", "accumulate_fisher", "fisher_diagonal"]


@dataclass(frozen=True, slots=True, eq=False)
class FisherPart:
    """What a part of the subset contributes to the Fisher diagonal.

    Args:
        sum_squared: sum_m g_m^2, float64, shape (out, in) of the head or (P,) of linear layers.
        sequences: M', the sequences in the sum.
        unscored: Those left out, because their loss or gradient is NaN or infinite.
    """

    sum_squared: NDArray[np.float64]
    sequences: int
    unscored: tuple[Unscored, ...] = ()


def accumulate_fisher(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: InfluenceConfig,
    advance: Advance = ignore_advance,
    leave_out: bool = False,
    backoff: Backoff | None = None,
    kept_inputs: NDArray[Any] | None = None,
    encoded: EncodedBlock | None = None,
) -> FisherPart:
    """Sum of the squared gradients of a part of the subset.

    Args:
        model: The adapted model.
        block: M' sequences of the subset, M' >= 1.
        config: Objective, parameters, batching.
        advance: Called after every batch.
        leave_out: Whether sequences with a loss or gradient that is NaN or infinite are left out of the sum,
            and counted, instead of refused.
        backoff: How far earlier parts of the same pass have backed off for want of memory; changed here.
        kept_inputs: Where to write the head's inputs of all tokens, shape (tokens, d), if at all.
        encoded: The block's tokens, of who has them already.

    Raises:
        InputError: The block is empty or a sequence is too long for the policy.
        StageError: A loss or gradient is NaN or infinite, and `leave_out` is not set; or there is no memory
            for a single sequence.
    """
    if not len(block):
        raise InputError("The Fisher diagonal needs at least one sequence in the subset.")
    engine = gradient_engine(model, config)
    backoff = backoff or Backoff()
    encoded = encoded or encode_block(model, block, config)
    if kept_inputs is not None:
        engine = RecordingEngine(engine, encoded.tokens.offsets, kept_inputs)
    once = _Once(advance)
    while True:
        sink = _SumOverSequences(math.prod(engine.shape), len(block), model.device)
        try:
            result = gradient_pass(
                model, engine, encoded, block, config, sink, advance=once.tell, backoff=backoff
            )
            break
        except CannotForget:
            # Again from the start, in batches half the size; what was told before is not told twice.
            once.repeat()
    values = {"loss": result.losses.cpu().numpy(), "gradient": sink.norms.cpu().numpy()}
    unscored = find_unscored(block, values)
    if not unscored:
        return FisherPart(sink.total.reshape(engine.shape).cpu().numpy(), len(block))
    if not leave_out:
        refuse_unscored(unscored, block, "loss or gradient")
    return _without(unscored, model, block, config, backoff, engine.shape)


def _without(
    unscored: tuple[Unscored, ...],
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: InfluenceConfig,
    backoff: Backoff,
    shape: tuple[int, ...],
) -> FisherPart:
    """The sum once more, without the sequences that have spoiled it."""
    bad = np.array([each.position for each in unscored])
    rows = np.flatnonzero(~np.isin(block.positions, bad))
    if not len(rows):
        return FisherPart(np.zeros(shape), 0, unscored)
    rest = accumulate_fisher(model, block.take(rows), config, leave_out=True, backoff=backoff)
    return FisherPart(rest.sum_squared, rest.sequences, (*unscored, *rest.unscored))


class _SumOverSequences:
    """The sum of squared gradients over the sequences of a block, parameter by parameter."""

    halves = False

    def __init__(self, parameters: int, sequences: int, device: torch.device) -> None:
        self.total = torch.zeros(parameters, dtype=torch.float64, device=device)
        self.norms = torch.zeros(sequences, dtype=torch.float64, device=device)
        self._taken = np.zeros(sequences, dtype=bool)

    def take(self, parameters: slice, rows: NDArray[np.int64], gradients: torch.Tensor) -> None:
        # First, since the sums may fail for want of memory with one of the two done.
        self._taken[rows] = True
        chosen = on_device(torch.from_numpy(rows), self.norms.device)
        self.norms[chosen] += squared_lengths(gradients[0])
        self.total[parameters] += sum_of_squares(gradients[0]).flatten()

    def forget(self, rows: NDArray[np.int64]) -> None:
        if self._taken[rows].any():
            raise CannotForget


class _Once:
    """Hands on the progress of a pass that may start anew, each sequence once.

    Args:
        advance: Who is told.
    """

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._told = 0
        self._done = 0

    def tell(self, sequences: int, tokens: int) -> None:
        """Some more sequences of this attempt."""
        self._done += sequences
        news = min(sequences, max(0, self._done - self._told))
        if news:
            self._told = self._done
            self._advance(news, tokens * news // sequences)

    def repeat(self) -> None:
        """A new attempt begins."""
        self._done = 0


def fisher_diagonal(parts: Iterable[FisherPart]) -> NDArray[np.float64]:
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
    for part in parts:
        if total is None:
            total = part.sum_squared.copy()
        else:
            total += part.sum_squared
        count += part.sequences
    if total is None or not count:
        raise InputError("The Fisher diagonal needs at least one sequence in the subset.")
    total /= count
    return total
