"""The language-model head, found by inspection: dense -> GELU -> LayerNorm -> decoder, or else unknown."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bioprune_core.errors import ModelError
from bioprune_core.models.network_head import NetworkHead, NetworkHeadLayout

__all__ = ["HeadLayout", "LanguageModelHead", "find_head", "head_at", "verified_head"]

# Logits of one float32 network along two paths differ by rounding only: below 2e-6 of their scale.
_AGREEMENT = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class LanguageModelHead:
    """The parts of a head, in the order in which they are applied. The activation is the exact (erf) GELU.

    Args:
        dense: d -> d'.
        norm: Over d'.
        decoder_weight: Shape (V, d'); the token embedding itself where the network ties them.
        decoder_bias: Shape (V,), or None.
        dense_parameter_name: Name of the dense weight among the network's parameters.
    """

    dense: nn.Linear
    norm: nn.LayerNorm
    decoder_weight: torch.Tensor
    decoder_bias: torch.Tensor | None
    dense_parameter_name: str

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits, shape (..., V), of hidden states, shape (..., d)."""
        activated = functional.gelu(self.dense(hidden))
        return functional.linear(self.norm(activated), self.decoder_weight, self.decoder_bias)


@dataclass(frozen=True, slots=True)
class HeadLayout:
    """Where in a network the parts of its head are.

    Args:
        dense: Name of the dense module.
        norm: Name of the LayerNorm.
        decoder: Name of the decoder module.
        bias: Name of the decoder's bias parameter; None where there is none.
    """

    dense: str
    norm: str
    decoder: str
    bias: str | None


def head_at(network: nn.Module, layout: HeadLayout | NetworkHeadLayout) -> LanguageModelHead | NetworkHead:
    """The head at a known place; its parts are the network's own, so training moves them."""
    if isinstance(layout, NetworkHeadLayout):
        return layout.head_of(network)
    dense, norm = network.get_submodule(layout.dense), network.get_submodule(layout.norm)
    weight = network.get_submodule(layout.decoder).weight
    if not (
        isinstance(dense, nn.Linear) and isinstance(norm, nn.LayerNorm) and isinstance(weight, torch.Tensor)
    ):
        raise TypeError(f"{layout} does not name the parts of a head of {type(network).__name__}")
    bias = None if layout.bias is None else network.get_parameter(layout.bias)
    return LanguageModelHead(dense, norm, weight, bias, f"{layout.dense}.weight")


def find_head(network: Any) -> HeadLayout | NetworkHeadLayout:
    """Find the head among the modules outside the backbone.

    Args:
        network: A masked language model of the transformers library.

    Returns:
        Its parts, where the modules outside the backbone are one dense layer, one LayerNorm and a decoder;
        otherwise its last linear layer.

    Raises:
        ModelError: The backbone is not a module of its own, or the decoder not a linear layer.
    """
    backbone = {id(module) for module in network.base_model.modules()}
    if id(network) in backbone:
        raise _unknown_head(network, "its backbone is not a module of its own")
    decoder = network.get_output_embeddings()
    modules = [(name, module) for name, module in network.named_modules() if id(module) not in backbone]
    decoders = [name for name, module in modules if module is decoder]
    dense = [name for name, module in modules if isinstance(module, nn.Linear) and module is not decoder]
    norms = [name for name, module in modules if isinstance(module, nn.LayerNorm)]
    if not isinstance(decoder, nn.Linear) or len(decoders) != 1:
        found = (
            ", ".join(f"{name} ({type(module).__name__})" for name, module in modules if name) or "nothing"
        )
        raise _unknown_head(network, f"outside its backbone there is {found}")
    if len(dense) != 1 or len(norms) != 1:
        return NetworkHeadLayout([*decoders, *dense][-1])
    # A bias may belong to the decoder or to the head; a tied one appears under one name only.
    biases = [
        name
        for name, parameter in network.named_parameters()
        if parameter.shape == (decoder.out_features,)
        and name.rpartition(".")[0] in {name for name, _ in modules}
    ]
    biases = [
        name for name in biases if name not in {f"{dense[0]}.bias", f"{norms[0]}.weight", f"{norms[0]}.bias"}
    ]
    if len(biases) > 1:
        return NetworkHeadLayout(dense[0])
    return HeadLayout(dense[0], norms[0], decoders[0], biases[0] if biases else None)


@torch.inference_mode()
def verified_head(
    network: Any, layout: HeadLayout | NetworkHeadLayout, tokens: torch.Tensor
) -> HeadLayout | NetworkHeadLayout:
    """The layout under which the head gives the network's own logits.

    Args:
        network: In evaluation mode.
        layout: As `find_head` found it; parts of a known head may be joined by another activation.
        tokens: A batch to try, int64, shape (B, T).

    Raises:
        ModelError: There is none: the logits are not a function of the backbone's last hidden state.
    """
    mask = torch.ones_like(tokens)
    expected = network(input_ids=tokens, attention_mask=mask).logits
    hidden = network.base_model(input_ids=tokens, attention_mask=mask).last_hidden_state
    scale = float(expected.abs().max())
    for candidate in (layout, NetworkHeadLayout(layout.dense)):
        difference = float((head_at(network, candidate)(hidden) - expected).abs().max())
        if difference <= _AGREEMENT * scale:
            return candidate
    raise _unknown_head(
        network, f"applied to the last hidden state of its backbone, it gives logits off by {difference:.2g}"
    )


def _unknown_head(network: object, reason: str) -> ModelError:
    return ModelError(
        f"The language-model head of {type(network).__name__} is not one that BioPrune knows: {reason}. "
        "It needs a backbone that is a module of its own, and a head that makes logits of the backbone's "
        "last hidden state by a linear decoder, as in BERT, RoBERTa, ESM and ESM-C."
    )
