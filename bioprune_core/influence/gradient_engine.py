"""What turns one forward pass into gradients: in closed form for the head, by hooks for any linear layers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet
from bioprune_core.influence.head_gradient import HeadGradient
from bioprune_core.influence.linear_layers import HeadWeightEngine, LinearEngine, linear_layers
from bioprune_core.influence.objective import LossTerms
from bioprune_core.influence.sequence_gradients import GroupSquares
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.head import LanguageModelHead

__all__ = ["GradientEngine", "gradient_engine"]


class GradientEngine(Protocol):
    """Gradients of the parameters under study."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a gradient and of the Fisher diagonal: (out, in) of the head, (P,) of linear layers."""
        ...

    def opened(self) -> AbstractContextManager[None]:
        """Prepares the network, and leaves it as it was."""
        ...

    def run(self, forward: LossTerms, squares: GroupSquares) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute one forward pass and hand its gradients on.

        Returns:
            Losses, float64, shape (C,), and the head's inputs, float32, shape (C, T, d).
        """
        ...


def gradient_engine(model: MaskedLanguageModel, config: InfluenceConfig) -> GradientEngine:
    """The engine for a configuration's parameters.

    Raises:
        InputError: A name of a linear layer matches none that the logits depend on.
        ModelError: The network uses a linear layer in a way that has no per-sequence gradient.
    """
    if config.parameters is ParameterSet.HEAD:
        head = model.head
        return _HeadEngine(model, head) if isinstance(head, LanguageModelHead) else HeadWeightEngine(model)
    return LinearEngine(model, linear_layers(model, config.parameters))


class _HeadEngine:
    """Gradients of the head's dense weight in closed form; the backbone is not differentiated."""

    def __init__(self, model: MaskedLanguageModel, head: LanguageModelHead) -> None:
        self._model = model
        self._head = HeadGradient.of(head)
        self.shape = tuple(self._head.dense_weight.shape)
        self._parameters = slice(0, self._head.dense_weight.numel())

    @contextmanager
    def opened(self) -> Iterator[None]:
        with torch.inference_mode():
            yield

    def run(self, forward: LossTerms, squares: GroupSquares) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self._model.hidden_states(forward.inputs, forward.attention_mask).float()
        losses, delta = self._head.deltas(hidden, forward.targets, forward.weights)
        squares.add(self._parameters, delta, hidden, forward)
        return losses, hidden
