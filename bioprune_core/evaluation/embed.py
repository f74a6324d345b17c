"""Features of a frozen model: of whole sequences, or of every residue."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import InputError, StageError
from bioprune_core.evaluation.features import ResidueFeatures
from bioprune_core.evaluation.protocol import Pooling
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.models import MaskedLanguageModel, TokenBlock, pad_batch, plan_batches
from bioprune_core.models.half_precision import bf16_backbone
from bioprune_core.models.modes import evaluation_mode
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.training.config import Precision
from bioprune_core.training.optimisation import uses_bf16

__all__ = ["encode", "pooled_features", "residue_features"]

_TOKEN_BUDGET = 8192
# As in training from scratch: batches are padded to multiples of 8 tokens.
_LENGTH_MULTIPLE = 8
_STAGE = "embed"


def pooled_features(
    model: MaskedLanguageModel,
    sequences: Sequence[str],
    pooling: Pooling,
    report: Reporter = discard,
    *,
    token_budget: int = _TOKEN_BUDGET,
    precision: Precision = Precision.FLOAT32,
) -> NDArray[np.float32]:
    """One vector a sequence from the hidden states.

    Args:
        model: Not changed.
        sequences: n normalised sequences; longer ones than the model takes count by their first residues.
        pooling: What stands for a sequence.
        report: Told of the stage "embed".
        token_budget: Most tokens of a forward pass; the features do not depend on it but for rounding.
        precision: Number format of the backbone.

    Returns:
        float32, shape (n, d), or (n, (layers + 1) d) for all layers.

    Raises:
        InputError: There is no sequence, one is empty, or the device does not have the precision.
        StageError: A feature is NaN or infinite; names the sequence.
    """
    of_layers = pooling is Pooling.LAYERS
    tokens = encode(model, sequences)
    width = _width(model) * (1 + int(model.network.config.num_hidden_layers) if of_layers else 1)
    features = np.empty((len(sequences), width), dtype=np.float32)
    for rows, states, lengths in _states(
        model, tokens, token_budget, report, precision, all_layers=of_layers
    ):
        if pooling is Pooling.CLS:
            features[rows] = states[-1][:, 0].cpu().numpy()
            continue
        residues = torch.arange(states[0].shape[1], device=lengths.device) < (lengths - 1)[:, None]
        residues[:, 0] = False
        features[rows] = torch.cat([_mean(hidden, residues) for hidden in states], dim=1).cpu().numpy()
    return features


def residue_features(
    model: MaskedLanguageModel,
    sequences: Sequence[str],
    report: Reporter = discard,
    *,
    token_budget: int = _TOKEN_BUDGET,
    precision: Precision = Precision.FLOAT32,
) -> ResidueFeatures:
    """The last hidden state of every residue, one row a letter.

    Args and errors as for `pooled_features`.

    Returns:
        float16: the states come from a LayerNorm, whose values are far from float16's bounds.
    """
    tokens = encode(model, sequences, one_a_letter=True)
    offsets = np.concatenate([[0], np.cumsum(tokens.lengths - 2)]).astype(np.int64)
    values = np.empty((int(offsets[-1]), _width(model)), dtype=np.float16)
    for rows, (hidden,), lengths in _states(model, tokens, token_budget, report, precision):
        halves = hidden.half().cpu().numpy()
        for row, states, length in zip(rows, halves, lengths.tolist(), strict=True):
            values[offsets[row] : offsets[row + 1]] = states[1 : length - 1]
    return ResidueFeatures(values, offsets)


def encode(model: MaskedLanguageModel, sequences: Sequence[str], *, one_a_letter: bool = False) -> TokenBlock:
    """The tokens of sequences.

    Args:
        model: Whose tokeniser and maximum length apply.
        sequences: n >= 1 normalised sequences.
        one_a_letter: Whether every letter is a token, also where the model fuses runs of unknown ones, so
            that tokens and targets of residues stand in the same places.

    Raises:
        InputError: There is no sequence, or one is empty.
    """
    empty = [index for index, sequence in enumerate(sequences) if not sequence]
    if empty or not sequences:
        what = f"sequence {empty[0]} is empty" if empty else "there is no sequence"
        raise InputError(f"Nothing can be predicted: {what}. Leave empty sequences out of the task's data.")
    tokeniser = replace(model.tokeniser, fuses_unknown=False) if one_a_letter else model.tokeniser
    return tokeniser.encode(SequenceBlock.from_strings(sequences), model.maximum_residues)


def _states(
    model: MaskedLanguageModel,
    tokens: TokenBlock,
    token_budget: int,
    report: Reporter,
    precision: Precision,
    *,
    all_layers: bool = False,
) -> Iterator[tuple[NDArray[np.int64], list[torch.Tensor], torch.Tensor]]:
    """Rows (B,), hidden states float32 (B, T, d) and lengths with cls and eos (B,), batch by batch.

    The states are those of the last layer, or of the embedding and of every layer.
    """
    meter = ThroughputMeter(_STAGE, len(tokens), report)
    in_bf16 = uses_bf16(precision, model.device)
    backbone = bf16_backbone(model) if in_bf16 else nullcontext(nullcontext)
    with evaluation_mode(model), backbone as at_precision, torch.inference_mode():
        for rows in plan_batches(tokens.lengths, token_budget, 1, _LENGTH_MULTIPLE):
            batch = pad_batch(tokens, rows, model.tokeniser.pad_id, _LENGTH_MULTIPLE).to(model.device)
            try:
                with at_precision():
                    found = (
                        model.layer_states(batch.tokens, batch.attention_mask)
                        if all_layers
                        else [model.hidden_states(batch.tokens, batch.attention_mask)]
                    )
            except torch.OutOfMemoryError as error:
                raise StageError(
                    f"The device {model.device} has too little memory for {len(rows)} sequences of "
                    f"{batch.tokens.shape[1]} tokens. Give a smaller token_budget (now {token_budget}).",
                    str(error),
                ) from error
            # Rows at pads carry no meaning and may hold anything.
            states = [each.float().masked_fill(~batch.attention_mask[..., None], 0.0) for each in found]
            for each in states:
                _refuse_what_is_not_finite(model, each, rows)
            yield rows, states, batch.attention_mask.sum(dim=1)
            meter.advance(len(rows), int(tokens.lengths[rows].sum()))
    meter.finish()


def _mean(hidden: torch.Tensor, residues: torch.Tensor) -> torch.Tensor:
    """Mean over the residues, shape (B, d), of states (B, T, d) where `residues` (B, T) is True."""
    sums = torch.bmm(residues.float()[:, None], hidden).squeeze(1)
    return sums / residues.sum(dim=1, keepdim=True)


def _refuse_what_is_not_finite(
    model: MaskedLanguageModel, hidden: torch.Tensor, rows: NDArray[np.int64]
) -> None:
    finite = torch.isfinite(hidden).flatten(1).all(dim=1).cpu().numpy()
    if not finite.all():
        raise StageError(
            f"The model {model.name} gives NaN or infinite features for sequence {int(rows[~finite][0])} of "
            "the task's data: its weights diverged or are damaged. Train it anew with a lower learning rate; "
            "nothing was measured."
        )


def _width(model: MaskedLanguageModel) -> int:
    return int(model.network.config.hidden_size)
