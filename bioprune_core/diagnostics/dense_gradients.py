"""The two factors of every sequence's gradient of the head's dense weight: G = sum_t delta_t a_t^T."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.diagnostics.configuration import MOST_TOKENS
from bioprune_core.errors import ModelError
from bioprune_core.influence import InfluenceConfig, Objective, ParameterSet, TooLong
from bioprune_core.influence.backoff import Backoff, within_memory
from bioprune_core.influence.head_gradient import HeadGradient
from bioprune_core.influence.objective import SequenceGroup, unmasked_groups
from bioprune_core.influence.windows import encode_block
from bioprune_core.models import LanguageModelHead, MaskedLanguageModel
from bioprune_core.models.modes import evaluation_mode
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["DenseGradient", "dense_gradients", "is_supported"]


@dataclass(frozen=True, slots=True, eq=False)
class DenseGradient:
    """One sequence of T tokens.

    Args:
        row: Which sequence of the block.
        deltas: Gradient of its loss at the output of the dense layer, float64, shape (T, out).
        inputs: Input of the dense layer, float64, shape (T, in).
    """

    row: int
    deltas: NDArray[np.float64]
    inputs: NDArray[np.float64]

    @property
    def gradient(self) -> NDArray[np.float64]:
        """G, float64, shape (out, in)."""
        product: NDArray[np.float64] = self.deltas.T @ self.inputs
        return product


def is_supported(model: MaskedLanguageModel, config: InfluenceConfig) -> bool:
    """Whether a configuration's gradient is the one made here: unmasked loss, dense weight, no windows."""
    return (
        isinstance(model.head, LanguageModelHead)
        and config.objective is Objective.UNMASKED
        and config.parameters is ParameterSet.HEAD
        and config.too_long is not TooLong.WINDOW
    )


def dense_gradients(
    model: MaskedLanguageModel,
    block: SequenceBlock,
    config: InfluenceConfig,
    advance: Callable[[int], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Iterator[DenseGradient]:
    """The gradient of every sequence of a block, each exactly once, in batches of like length.

    Args:
        model: On any device; its weights are not changed.
        block: n sequences.
        config: Policy for long sequences and token budget, of which at most 8,192 are taken: a GPU's may be a
            hundred times that, of which the factors would be gigabytes; `is_supported`.
        advance: Called with the number of sequences just finished.
        backoff: How far earlier blocks have backed off for want of memory; changed here.

    Raises:
        ModelError: The model's head is not known in closed form.
        StageError: There is no memory for a single sequence alone; names its position.
    """
    if not isinstance(model.head, LanguageModelHead):
        raise ModelError(f"The head of {model.name} is not known in closed form; nothing to compare it with.")
    head = HeadGradient.of(model.head)
    config = replace(config, token_budget=min(config.batch_tokens, MOST_TOKENS))
    tokens = encode_block(model, block, config).tokens

    def factors(group: SequenceGroup) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        (terms,) = group.forwards
        # Not around the yields: what the consumer does in between is its own affair.
        with torch.inference_mode():
            hidden = model.hidden_states(terms.inputs, terms.attention_mask).float()
            _, deltas = head.deltas(hidden, terms.targets, terms.weights)
            return deltas.double().cpu().numpy(), hidden.double().cpu().numpy()

    with evaluation_mode(model):
        planned = unmasked_groups(model, tokens, config)
        found = within_memory(planned, factors, backoff or Backoff(), model.device, block)
        for group, (outputs, inputs) in found:
            lengths = group.lengths.tolist()
            for place, (row, length) in enumerate(zip(group.rows.tolist(), lengths, strict=True)):
                yield DenseGradient(row, outputs[place, :length], inputs[place, :length])
            advance(len(group.rows))
