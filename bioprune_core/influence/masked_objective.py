"""The objective `masked`: K seeded masks of every sequence, whose gradients are averaged before squaring."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.influence.configuration import InfluenceConfig
from bioprune_core.influence.objective import LossTerms, SequenceGroup, length_multiple
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import TokenBatch, pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock
from bioprune_core.training.masking import mask_tokens

__all__ = ["copies_in_passes", "masked_copies", "masked_groups"]


def masked_groups(
    model: MaskedLanguageModel, tokens: TokenBlock, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The K masked copies of every sequence; each counts against the token budget.

    The copies of a sequence that exceed the budget alone are spread over several forward passes, each of
    masks of even or of odd number.

    Args:
        model: Whose special tokens, residues and device are used; it is not run.
        tokens: n sequences.
        hashes: Their hashes, uint64, shape (n,).
        config: Masks, their seed, token budget.
    """
    lengths, multiple = tokens.lengths, length_multiple(model, config)
    for rows in plan_batches(lengths * config.masks, config.batch_tokens, 1, multiple * config.masks):
        batch = pad_batch(tokens, rows, model.tokeniser.pad_id, multiple)
        whole = masked_copies(model, batch, hashes[rows], config)
        pieces = [whole]
        if len(rows) == 1:
            pieces = list(copies_in_passes(whole, max(1, config.batch_tokens // whole.inputs.shape[1])))
        yield SequenceGroup(
            rows, lengths[rows], lengths[rows].tolist(), tuple(piece.to(model.device) for piece in pieces)
        )


def masked_copies(
    model: MaskedLanguageModel, batch: TokenBatch, hashes: NDArray[np.uint64], config: InfluenceConfig
) -> LossTerms:
    """All copies of a batch's sequences, those of even masks before those of odd ones.

    Args:
        model: Whose special tokens and residues are used.
        batch: B sequences, on the CPU.
        hashes: What their masks are drawn by, uint64, shape (B,).
        config: Masks and their seed.
    """
    real, padded = batch.attention_mask.numpy(), batch.tokens.numpy()
    flat = padded[real]
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int64)
    draws = [*range(0, config.masks, 2), *range(1, config.masks, 2)]
    width = padded.shape[1]
    inputs = np.repeat(padded[:, None], config.masks, axis=1)
    chosen = np.zeros(inputs.shape, dtype=bool)
    for copy, draw in enumerate(draws):
        masked = mask_tokens(
            flat,
            offsets,
            hashes,
            residue_ids=model.tokeniser.residue_ids,
            mask_id=model.tokeniser.mask_id,
            seed=config.mask_seed,
            draw=draw,
        )
        inputs[:, copy][real] = masked.inputs
        chosen[:, copy][real] = masked.targets
    # Only a sequence of ambiguous letters alone has no targets.
    counts = np.maximum(chosen.sum(axis=2, keepdims=True), 1)
    weights = chosen / (counts * float(config.masks))
    return LossTerms(
        inputs=torch.from_numpy(inputs.reshape(-1, width)),
        attention_mask=batch.attention_mask.repeat_interleave(config.masks, dim=0),
        targets=batch.tokens.repeat_interleave(config.masks, dim=0),
        weights=torch.from_numpy(weights.reshape(-1, width)),
        copies=config.masks,
        even_copies=(config.masks + 1) // 2,
    )


def copies_in_passes(whole: LossTerms, size: int) -> Iterator[LossTerms]:
    """The copies of one sequence in passes of at most `size`; of several, none has masks of both halves."""
    if whole.copies <= size:
        yield whole
        return
    for first, stop, even in (
        (0, whole.even_copies, True),
        (whole.even_copies, whole.copies, False),
    ):
        for start in range(first, stop, size):
            part = slice(start, min(start + size, stop))
            count = part.stop - part.start
            yield LossTerms(
                inputs=whole.inputs[part],
                attention_mask=whole.attention_mask[part],
                targets=whole.targets[part],
                weights=whole.weights[part],
                copies=count,
                even_copies=count if even else 0,
            )
