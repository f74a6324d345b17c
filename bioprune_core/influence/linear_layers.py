"""Per-sequence gradients of linear layers anywhere in a network, at the cost of about a training step.

All parameters are frozen. A hook on each layer keeps its input a and, in the backward pass, meets the
gradient delta at its output: G_i = sum_t delta_it a_it^T is formed, squared and handed on, and dropped before
the next layer's. There is one backward pass a batch, of the sum of the sequences' losses, since no loss
depends on another sequence. Where nothing upstream needs a gradient, a layer's output becomes a leaf: nothing
is differentiated below the first layer under study, and nothing flows into the lookup of the embedding, to
which a decoder may be tied. Source: method, section 3.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from bioprune_core.errors import InputError, ModelError
from bioprune_core.influence.configuration import ParameterSet
from bioprune_core.influence.objective import LossTerms
from bioprune_core.influence.sequence_gradients import GroupGradients
from bioprune_core.models.adapter import MaskedLanguageModel

__all__ = ["HeadWeightEngine", "LinearEngine", "LinearLayer", "linear_layers"]


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """A linear layer under study, and the places of its parameters in a gradient of shape (P,).

    Args:
        name: Of the module in the network.
        shape: Of its weight, (out, in).
        weight: Places of the weight, row by row.
        bias: Places of the bias, behind the weight; empty where it has none.
    """

    name: str
    shape: tuple[int, int]
    weight: slice
    bias: slice


def linear_layers(
    model: MaskedLanguageModel, parameters: ParameterSet | tuple[str, ...]
) -> tuple[LinearLayer, ...]:
    """Find the layers that a configuration names, by running the network on one short sequence.

    Layers that the network has but does not use, such as ESM's contact head, are none.

    Args:
        model: The model.
        parameters: `all-linear`, or names of modules with wildcards.

    Returns:
        The layers in the network's own order.

    Raises:
        InputError: A name matches none of them.
        ModelError: The network calls a layer several times, or not with all tokens of its sequences.
    """
    used, once = _used_layers(model)
    patterns = ("*",) if parameters is ParameterSet.ALL_LINEAR else tuple(parameters)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in used):
            raise InputError(
                f"The parameters {pattern} match no linear layer of {model.name}. It uses {len(used)}, such "
                f"as {', '.join([*used][:2])} and {[*used][-1]}."
            )
    layers, place = [], 0
    for name, module in used.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            if name not in once:
                raise ModelError(
                    f"The linear layer {name} of {model.name} is not applied exactly once to every token, so "
                    "its gradient cannot be formed by sequence. Choose the parameters head, or other layers."
                )
            weight = slice(place, place + module.weight.numel())
            place = weight.stop + (0 if module.bias is None else module.bias.numel())
            shape = (module.out_features, module.in_features)
            layers.append(LinearLayer(name, shape, weight, slice(weight.stop, place)))
    return tuple(layers)


class LinearEngine:
    """Gradients of linear layers by hooks.

    Args:
        model: The model; between passes it is as it was.
        layers: From `linear_layers`, at least one.
    """

    def __init__(self, model: MaskedLanguageModel, layers: tuple[LinearLayer, ...]) -> None:
        self._model = model
        self._layers = layers
        self._inputs: dict[str, torch.Tensor] = {}
        self._current: tuple[LossTerms, GroupGradients] | None = None
        self._hidden: torch.Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(P,), weight and bias of each layer in turn."""
        return (self._layers[-1].bias.stop,)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Freezes the network and hooks into it, then undoes both."""
        network = self._model.network
        learning = {parameter: parameter.requires_grad for parameter in network.parameters()}
        with ExitStack() as stack, torch.inference_mode(False), torch.enable_grad():
            for layer in self._layers:
                handle = network.get_submodule(layer.name).register_forward_hook(self._watcher(layer))
                stack.callback(handle.remove)
            stack.callback(network.base_model.register_forward_hook(self._keep_hidden).remove)
            try:
                network.requires_grad_(False)
                yield
            finally:
                for parameter, learns in learning.items():
                    parameter.requires_grad_(learns)

    def run(self, forward: LossTerms, gradients: GroupGradients) -> tuple[torch.Tensor, torch.Tensor]:
        """See `GradientEngine`."""
        self._current = forward, gradients
        try:
            arguments = self._model.network_arguments(forward.inputs, forward.attention_mask)
            logits = self._model.network(**arguments).logits
            # float64 in the vocabulary, which is small: 1 - p has few digits in float32 where p is near 1.
            log_probabilities = torch.log_softmax(logits.double(), dim=-1)
            predicted = log_probabilities.gather(-1, forward.targets.unsqueeze(-1)).squeeze(-1)
            losses = -(predicted * forward.weights).sum(dim=1)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            assert self._hidden is not None
            return losses.detach(), self._hidden
        finally:
            # Of a batch that failed for want of memory, these would keep what its halves need.
            self._forget()

    def _forget(self) -> None:
        self._inputs.clear()
        self._current = self._hidden = None

    def _watcher(self, layer: LinearLayer) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
        def watch(_module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            self._inputs[layer.name] = inputs[0].detach()
            if not output.requires_grad:
                output = output.detach().requires_grad_()
            hooked: Any = output  # its method carries no types
            hooked.register_hook(lambda delta: self._take(layer, delta))
            return output

        return watch

    def _take(self, layer: LinearLayer, delta: torch.Tensor) -> None:
        assert self._current is not None
        forward, gradients = self._current
        inputs = self._inputs.pop(layer.name).float()
        delta = delta.detach().float()
        gradients.add(layer.weight, delta, inputs, forward)
        if layer.bias.stop > layer.bias.start:
            gradients.add(layer.bias, delta, delta.new_ones((*delta.shape[:2], 1)), forward)

    def _keep_hidden(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        self._hidden = output.last_hidden_state.detach().float()


class HeadWeightEngine(LinearEngine):
    """Gradients of the weight under study of a head that is not known in closed form, by a hook.

    Args:
        model: The model; between passes it is as it was.

    Raises:
        ModelError: The network does not apply that layer exactly once to every token.
    """

    def __init__(self, model: MaskedLanguageModel) -> None:
        (layer,) = linear_layers(model, (model.head.dense_parameter_name.removesuffix(".weight"),))
        end = layer.weight.stop
        super().__init__(model, (replace(layer, bias=slice(end, end)),))
        self._matrix = layer.shape

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in), as of a head that is known."""
        return self._matrix


def _used_layers(model: MaskedLanguageModel) -> tuple[dict[str, nn.Linear], set[str]]:
    """The linear layers that a forward pass calls, and which of them it calls once, with every token."""
    tokeniser = model.tokeniser
    ids = [tokeniser.cls_id, *tokeniser.residue_ids.tolist(), tokeniser.eos_id]
    tokens = torch.tensor([ids], device=model.device)
    calls: dict[str, list[tuple[int, ...]]] = {}

    def noted(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, inputs: calls.setdefault(name, []).append(tuple(inputs[0].shape[:-1]))

    linear = {name: m for name, m in model.network.named_modules() if isinstance(m, nn.Linear)}
    with ExitStack() as stack, torch.inference_mode():
        for name, module in linear.items():
            stack.callback(module.register_forward_pre_hook(noted(name)).remove)
        model.network(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    once = {name for name, shapes in calls.items() if shapes == [tuple(tokens.shape)]}
    return {name: module for name, module in linear.items() if name in calls}, once
