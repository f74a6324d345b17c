"""What turns one forward pass into gradients: in closed form for the head, by hooks for any linear layers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Protocol

import torch

from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet, Precision
from bioprune_core.influence.head_gradient import HeadGradient
from bioprune_core.influence.linear_layers import LinearEngine, linear_layers
from bioprune_core.influence.objective import LossTerms
from bioprune_core.influence.sequence_gradients import GroupGradients
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.half_precision import bf16_backbone, computes_in_bf16

__all__ = ["GradientEngine", "gradient_engine", "resolved_precision"]


class GradientEngine(Protocol):
    """Gradients of the parameters under study."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a gradient and of the Fisher diagonal: (out, in) of the head, (P,) of linear layers."""
        ...

    def opened(self) -> AbstractContextManager[None]:
        """Prepares the network, and leaves it as it was."""
        ...

    def run(self, forward: LossTerms, gradients: GroupGradients) -> tuple[torch.Tensor, torch.Tensor]:
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
        return _HeadEngine(model, resolved_precision(config, model.device))
    return LinearEngine(model, linear_layers(model, config.parameters))


def resolved_precision(config: InfluenceConfig, device: torch.device) -> Precision:
    """What `auto` means on a device: bf16 where it is quicker and the ranks stay the same."""
    if config.precision is not Precision.AUTO:
        return config.precision
    return Precision.BF16 if config.allows_bf16 and computes_in_bf16(device) else Precision.FLOAT32


class _HeadEngine:
    """Gradients of the head's dense weight in closed form; the backbone is not differentiated."""

    def __init__(self, model: MaskedLanguageModel, precision: Precision) -> None:
        self._model = model
        self._precision = precision
        self._backbone: Callable[[], AbstractContextManager[None]] = nullcontext
        self._head = HeadGradient.of(model.head)
        self.shape = tuple(self._head.dense_weight.shape)
        self._parameters = slice(0, self._head.dense_weight.numel())

    @contextmanager
    def opened(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._precision is Precision.BF16:
                self._backbone = stack.enter_context(bf16_backbone(self._model))
            stack.enter_context(torch.inference_mode())
            yield

    def run(self, forward: LossTerms, gradients: GroupGradients) -> tuple[torch.Tensor, torch.Tensor]:
        with self._backbone():
            hidden = self._model.hidden_states(forward.inputs, forward.attention_mask).float()
        losses, delta = self._head.deltas(hidden, forward.targets, forward.weights)
        gradients.add(self._parameters, delta, hidden, forward)
        return losses, hidden
