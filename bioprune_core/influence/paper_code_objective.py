"""The objective `paper-code`: what the released code of arXiv 2512.12932 computes.

Every sequence is padded to 1,024 tokens with the pad token; pads are attended to, are predicted, and count
in the mean over all 1,024 positions.

Where all pads of a sequence have the same hidden state (RNA-FM: pads share the padding position), one pad
stands for all n of them, exactly: as a key it carries a bias of log n, for sum_j exp(s) = exp(s + log n) over
n equal keys, and its loss has the weight n / 1,024. With rotary positions (ESM-2, ESM-C) pads differ by their
place, so all 1,024 tokens are computed. Source: method, section 2.
"""

from collections.abc import Iterator

import numpy as np
import torch

from bioprune_core.errors import InputError
from bioprune_core.influence.configuration import PAPER_CODE_TOKENS, InfluenceConfig
from bioprune_core.influence.objective import LossTerms, SequenceGroup
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.batching import pad_batch, plan_batches
from bioprune_core.models.tokeniser import TokenBlock

__all__ = ["paper_code_groups", "refuse_short_models"]


def paper_code_groups(
    model: MaskedLanguageModel, tokens: TokenBlock, config: InfluenceConfig
) -> Iterator[SequenceGroup]:
    """The forward passes of the objective `paper-code`.

    Args:
        model: Whose special tokens and device are used; it is not run.
        tokens: Sequences of at most 1,024 tokens.
        config: Token budget.

    Raises:
        InputError: The model does not take the 1,024 tokens that it would have to be given.
    """
    refuse_short_models(model)
    compact = model.pads_are_alike
    lengths = tokens.lengths
    extents = (
        np.minimum(lengths + 1, PAPER_CODE_TOKENS) if compact else np.full_like(lengths, PAPER_CODE_TOKENS)
    )
    for rows in plan_batches(extents, config.batch_tokens):
        batch = pad_batch(tokens, rows, model.tokeniser.pad_id)
        width = int(extents[rows].max())
        inputs = torch.full((len(rows), width), model.tokeniser.pad_id, dtype=torch.int64)
        inputs[:, : batch.tokens.shape[1]] = batch.tokens
        pads = PAPER_CODE_TOKENS - torch.from_numpy(lengths[rows]).unsqueeze(1)
        terms = _compact(inputs, pads) if compact else _padded(inputs)
        yield SequenceGroup(rows, lengths[rows], extents[rows].tolist(), (terms.to(model.device),))


def refuse_short_models(model: MaskedLanguageModel) -> None:
    """Refuse a model that does not take the 1,024 tokens that the objective would have to give it.

    Raises:
        InputError: It does not.
    """
    if not model.pads_are_alike and model.maximum_residues + 2 < PAPER_CODE_TOKENS:
        raise InputError(
            f"The objective paper-code pads to {PAPER_CODE_TOKENS:,} tokens, but {model.name} takes "
            f"{model.maximum_residues + 2:,}. Choose another objective or model."
        )


def _padded(inputs: torch.Tensor) -> LossTerms:
    weights = torch.full(inputs.shape, 1 / PAPER_CODE_TOKENS, dtype=torch.float64)
    return LossTerms(inputs, torch.ones_like(inputs, dtype=torch.bool), inputs, weights)


def _compact(inputs: torch.Tensor, pads: torch.Tensor) -> LossTerms:
    """The first pad behind each sequence stands for all of its `pads`, (B, 1); others do not count."""
    columns = torch.arange(inputs.shape[1])
    lengths = PAPER_CODE_TOKENS - pads
    counts = (columns < lengths).double() + (columns == lengths) * pads
    # log 1 = 0 at real tokens, log 0 = -inf behind the pad.
    bias = counts.log().float()[:, None, None, :]
    return LossTerms(inputs, bias, inputs, counts / PAPER_CODE_TOKENS)
