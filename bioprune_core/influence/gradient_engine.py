"""What turns one forward pass into gradients: in closed form for the head, by hooks for any linear layers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Protocol

import torch

from bioprune_core.errors import ModelError
from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet, Precision
from bioprune_core.influence.head_gradient import HeadGradient
from bioprune_core.influence.linear_layers import HeadWeightEngine, LinearEngine, linear_layers
from bioprune_core.influence.objective import LossTerms
from bioprune_core.influence.sequence_gradients import GroupGradients
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.half_precision import bf16_backbone, computes_in_bf16
from bioprune_core.models.head import LanguageModelHead

__all__ = ["GradientEngine", "HeadOnly", "gradient_engine", "resolved_precision"]


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
    if config.parameters is not ParameterSet.HEAD:
        return LinearEngine(model, linear_layers(model, config.parameters))
    if isinstance(model.head, LanguageModelHead):
        return _HeadEngine(model, resolved_precision(config, model))
    if config.precision is Precision.BF16:
        raise ModelError(
            f"The head of {model.name} is not one that BioPrune knows in closed form, so it is scored in "
            f"float32; choose the precision {Precision.FLOAT32} or {Precision.AUTO}."
        )
    return HeadWeightEngine(model)


def resolved_precision(config: InfluenceConfig, model: MaskedLanguageModel) -> Precision:
    """What `auto` means for a model on its device: bf16 where it is quicker and the ranks stay the same."""
    if config.precision is not Precision.AUTO:
        return config.precision
    allowed = config.allows_bf16 and isinstance(model.head, LanguageModelHead)
    return Precision.BF16 if allowed and computes_in_bf16(model.device) else Precision.FLOAT32


class HeadOnly:
    """Gradients of the head's dense weight in closed form, from the head's inputs.

    Args:
        model: With a head of a known kind.
    """

    def __init__(self, model: MaskedLanguageModel) -> None:
        head = model.head
        assert isinstance(head, LanguageModelHead)
        self._head = HeadGradient.of(head)
        self.shape = tuple(self._head.dense_weight.shape)
        self._parameters = slice(0, self._head.dense_weight.numel())

    def gradients_of(
        self, hidden: torch.Tensor, forward: LossTerms, gradients: GroupGradients
    ) -> torch.Tensor:
        """Hand on the gradients of a forward pass with the given inputs, float32, shape (C, T, d).

        Returns:
            Losses, float64, shape (C,).
        """
        losses, delta = self._head.deltas(hidden, forward.targets, forward.weights)
        gradients.add(self._parameters, delta, hidden, forward)
        return losses


class _HeadEngine:
    """Gradients of the head's dense weight; the backbone is run and not differentiated."""

    def __init__(self, model: MaskedLanguageModel, precision: Precision) -> None:
        self._model = model
        self._precision = precision
        self._backbone: Callable[[], AbstractContextManager[None]] = nullcontext
        self._head = HeadOnly(model)
        self.shape = self._head.shape

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
        return self._head.gradients_of(hidden, forward, gradients), hidden
