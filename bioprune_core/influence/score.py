"""Self-influence of sequences, given the Fisher diagonal."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.influence.backoff import Backoff
from bioprune_core.influence.configuration import InfluenceConfig, Objective
from bioprune_core.influence.damping import FisherScale, fisher_scale
from bioprune_core.influence.gradient_engine import GradientEngine, gradient_engine
from bioprune_core.influence.gradient_pass import (
    Advance,
    PassResult,
    gradient_pass,
    ignore_advance,
)
from bioprune_core.influence.head_inputs import HeadInputs, RecallingEngine
from bioprune_core.influence.sequence_gradients import both_squared_lengths, squared_lengths
from bioprune_core.influence.unscored import Unscored, find_unscored, refuse_unscored
from bioprune_core.influence.windows import EncodedBlock, encode_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import on_device
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["ScoreBlock", "begin_scores", "score_block"]

LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreBlock:
    """Scores of n sequences, in the order of their block; those without a score have no row.

    Args:
        influence: Self-influence I, >= 0, float64, shape (n,).
        loss: Loss L, in nats a token, float32, shape (n,).
        tokens: Tokens scored, cls and eos included, int32, shape (n,).
        gradient_norm: L2 norm of the gradient, float64, shape (n,).
        embedding: Mean input of the head over the residues, float16, shape (n, d); None where not asked for.
        truncated: Sequences of which only the first residues were scored.
        clipped: Sequences with an embedding entry beyond the range of float16, stored as its largest number.
        halves: Influence by the masks of even number alone and by those of odd number alone, against the same
            Fisher, float64, shape (2, n); None unless the objective is `masked` with two masks or more. How
            well the two rank alike tells whether the masks are enough.
        unscored: Sequences of the block without a row.
        windowed: Sequences that were scored in several windows.
    """

    influence: NDArray[np.float64]
    loss: NDArray[np.float32]
    tokens: NDArray[np.int32]
    gradient_norm: NDArray[np.float64]
    embedding: NDArray[np.float16] | None
    truncated: int
    clipped: int
    halves: NDArray[np.float64] | None = None
    unscored: tuple[Unscored, ...] = ()
    windowed: int = 0


def score_block(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    fisher_diagonal: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    embeddings: bool = True,
    advance: Advance = ignore_advance,
    leave_out: bool = False,
    backoff: Backoff | None = None,
) -> ScoreBlock:
    """Score a block: I_i = sum_j g_ij^2 / (F_j + damping).

    Args:
        model: The adapted model.
        block: n sequences, n >= 1.
        fisher_diagonal: F, shape (out, in) of the head or (P,) of linear layers; or its scale, by who scores
            many blocks or has no memory for F.
        config: Objective, parameters, damping, batching.
        embeddings: Whether to pool embeddings from the same forward pass.
        advance: Called after every batch.
        leave_out: Whether sequences of which a value is NaN or infinite get no row, and are named, instead of
            being refused.
        backoff: How far earlier blocks of the same pass have backed off for want of memory; changed here.

    Raises:
        InputError: The block is empty, a sequence is too long for the policy, or F has another shape than the
            parameters or entries that no Fisher diagonal has.
        StageError: An influence, loss, gradient or embedding is NaN or infinite, and `leave_out` is not set;
            names the positions; or there is no memory for a single sequence.

    Source: method, section 3.
    """
    return begin_scores(model, block, fisher_diagonal, config, embeddings, advance, leave_out, backoff)()


def begin_scores(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    fisher_diagonal: NDArray[np.float64] | FisherScale,
    config: InfluenceConfig,
    embeddings: bool = True,
    advance: Advance = ignore_advance,
    leave_out: bool = False,
    backoff: Backoff | None = None,
    kept_inputs: HeadInputs | None = None,
    encoded: EncodedBlock | None = None,
) -> Callable[[], ScoreBlock]:
    """As `score_block`, but a GPU has only been given the work.

    Args:
        kept_inputs: Inputs of the head that the Fisher pass has kept; the backbone is not run for those
            sequences of the block that are among them.
        encoded: The block's tokens, of who has them already.

    Returns:
        Waits for it and gives the scores; in any thread, so that the GPU can be given the next block
        meanwhile. Raises StageError for what is NaN or infinite.
    """
    if not len(block):
        raise InputError("There are no sequences to score.")
    engine = gradient_engine(model, config)
    scale = fisher_scale(fisher_diagonal, config.damping)
    if scale.shape != engine.shape:
        raise InputError(
            f"The Fisher diagonal has shape {scale.shape}, the parameters under study have {engine.shape}: "
            "it belongs to another model. Compute it with this one."
        )
    encoded = encoded or encode_block(model, block, config)

    def begin(part: SequenceBlock, tokens: EncodedBlock, engine: GradientEngine) -> Callable[[], ScoreBlock]:
        sink = _SumOverParameters(scale.values, len(part), model.device, config)
        result = gradient_pass(model, engine, tokens, part, config, sink, embeddings, advance, backoff)
        return partial(_scores, part, tokens, result, sink.sums(), leave_out)

    kept = np.zeros(len(block), dtype=bool) if kept_inputs is None else kept_inputs.among(block.positions)
    if kept_inputs is None or not kept.any():
        return begin(block, encoded, engine)
    if kept.all():
        return begin(block, encoded, RecallingEngine(model, kept_inputs.of(block.positions)))
    rows, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    known, new = block.take(rows), block.take(others)
    of_known = begin(known, encoded.part(rows), RecallingEngine(model, kept_inputs.of(known.positions)))
    of_new = begin(new, encoded.part(others), engine)
    truncated = encoded.tokens.truncated
    return lambda: _joined((known, of_known()), (new, of_new()), truncated)


def _joined(
    one: tuple[SequenceBlock, ScoreBlock], other: tuple[SequenceBlock, ScoreBlock], truncated: int
) -> ScoreBlock:
    """The scores of two parts of a block of ascending positions, of which so many were truncated."""
    positions = [
        block.positions[~np.isin(block.positions, [each.position for each in scores.unscored])]
        for block, scores in (one, other)
    ]
    order = np.argsort(np.concatenate(positions))
    (_, a), (_, b) = one, other

    def both(name: str) -> NDArray[Any]:
        joined: NDArray[Any] = np.concatenate([getattr(a, name), getattr(b, name)])[order]
        return joined

    return ScoreBlock(
        influence=both("influence"),
        loss=both("loss"),
        tokens=both("tokens"),
        gradient_norm=both("gradient_norm"),
        embedding=None if a.embedding is None else both("embedding"),
        truncated=truncated,
        clipped=a.clipped + b.clipped,
        unscored=tuple(sorted((*a.unscored, *b.unscored), key=lambda each: each.position)),
    )


@torch.inference_mode()
def _scores(
    block: SequenceBlock,
    encoded: EncodedBlock,
    result: PassResult,
    sums: "_Sums",
    leave_out: bool,
) -> ScoreBlock:
    """What a pass has found, without the sequences of which a value is not finite."""
    influence, norms = sums.influence.cpu().numpy(), sums.norms.cpu().numpy()
    loss = result.losses.cpu().numpy().astype(np.float32)
    values: dict[str, NDArray[Any]] = {"loss": loss, "influence": influence, "gradient": norms}
    halves = sums.influence_of_halves()
    if halves is not None:
        values["influence by half of the masks"] = halves.T
    if result.pooled is not None:
        # To the host first: nothing here may need memory on a device that has the next block already.
        values["embedding"] = result.pooled.cpu().numpy()
    unscored = find_unscored(block, values)
    if not leave_out:
        refuse_unscored(unscored, block, "influence, loss or embedding")
    kept = ~np.isin(block.positions, [each.position for each in unscored])
    embedding, clipped = None, 0
    if result.pooled is not None:
        embedding, clipped = _half(values["embedding"][kept])
    return ScoreBlock(
        influence=influence[kept],
        loss=loss[kept],
        tokens=encoded.lengths.astype(np.int32)[kept],
        gradient_norm=np.sqrt(norms[kept]),
        embedding=embedding,
        truncated=encoded.tokens.truncated,
        windowed=encoded.windowed,
        clipped=clipped,
        halves=None if halves is None else halves[:, kept],
        unscored=unscored,
    )


class _SumOverParameters:
    """I_i and |g_i|^2 of the sequences of a block, summed over the parameters as they come.

    Args:
        scale: 1 / sqrt(F + damping), float32, shape (P,). Gradients are multiplied by it before they are
            squared: F spans 11 decades, g / sqrt F does not.
        sequences: In the block.
        device: Where the gradients are.
        config: Objective and masks.
    """

    def __init__(
        self, scale: NDArray[np.float32], sequences: int, device: torch.device, config: InfluenceConfig
    ) -> None:
        self.scale = torch.from_numpy(scale).to(device)
        self.influence = torch.zeros(sequences, dtype=torch.float64, device=device)
        self.norms = torch.zeros_like(self.influence)
        self.halves = config.objective is Objective.MASKED and config.masks > 1
        self._masks = config.masks
        self._of_halves = torch.zeros((2, sequences), dtype=torch.float64, device=device)

    def take(self, parameters: slice, rows: NDArray[np.int64], gradients: torch.Tensor) -> None:
        chosen = on_device(torch.from_numpy(rows), self.norms.device)
        scale = self.scale[parameters].view(gradients.shape[-2:])
        whole = gradients[0] if len(gradients) == 1 else gradients[0] + gradients[1]
        norms, influence = both_squared_lengths(whole, scale)
        self.norms[chosen] += norms
        self.influence[chosen] += influence
        if self.halves:
            self._of_halves[:, chosen] += squared_lengths(gradients.mul_(scale))

    def forget(self, rows: NDArray[np.int64]) -> None:
        chosen = torch.from_numpy(rows).to(self.norms.device)
        self.norms[chosen] = self.influence[chosen] = 0.0
        self._of_halves[:, chosen] = 0.0

    def sums(self) -> "_Sums":
        """What was summed, without the scale, which is as large as the parameters."""
        return _Sums(self.influence, self.norms, self._of_halves if self.halves else None, self._masks)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """I_i and |g_i|^2 of n sequences, float64, shape (n,), and I_i of both halves of the masks, (2, n)."""

    influence: torch.Tensor
    norms: torch.Tensor
    of_halves: torch.Tensor | None
    masks: int

    def influence_of_halves(self) -> NDArray[np.float64] | None:
        """Influence by the even and by the odd masks, shape (2, n), where the halves were wanted."""
        if self.of_halves is None:
            return None
        # A half's gradient is the mean over its own masks; it came as their share in the mean over all.
        odd = self.masks // 2
        scale = np.array([[self.masks / (self.masks - odd)], [self.masks / odd]])
        found: NDArray[np.float64] = self.of_halves.cpu().numpy() * scale**2
        return found


def _half(pooled: NDArray[np.float32]) -> tuple[NDArray[np.float16], int]:
    """Embeddings in float16, and how many were clipped: an infinity would spoil every distance."""
    clipped = int(np.count_nonzero(np.abs(pooled).max(axis=1) > LARGEST_HALF))
    return np.clip(pooled, -LARGEST_HALF, LARGEST_HALF).astype(np.float16), clipped
