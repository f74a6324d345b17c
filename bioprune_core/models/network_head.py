"""A language-model head of parts that BioPrune does not know, applied by the network itself."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

__all__ = ["NetworkHead", "NetworkHeadLayout"]


@dataclass(frozen=True, slots=True)
class NetworkHeadLayout:
    """Where the layer under study of an unknown head is.

    Args:
        dense: Name of the last linear layer before the decoder, or of the decoder where there is none.
    """

    dense: str

    def head_of(self, network: Any) -> "NetworkHead":
        """The head; its parts are the network's own, so training moves them."""
        dense = network.get_submodule(self.dense)
        if not isinstance(dense, nn.Linear):
            raise TypeError(f"{self.dense} of {type(network).__name__} is not a linear layer")
        return NetworkHead(network, dense, f"{self.dense}.weight")


@dataclass(frozen=True, slots=True, eq=False)
class NetworkHead:
    """Whatever the network does to the last hidden state of its backbone, token by token.

    Args:
        network: A masked language model of the transformers library.
        dense: The layer under study.
        dense_parameter_name: Name of its weight among the network's parameters.
    """

    network: Any
    dense: nn.Linear
    dense_parameter_name: str

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits, shape (..., V), of hidden states, shape (..., d)."""
        states = hidden.reshape(1, -1, hidden.shape[-1])
        given = BaseModelOutput(last_hidden_state=states)
        backbone = self.network.base_model
        own = backbone.__dict__.get("forward")
        # The network's code for its head is a part of its forward pass: that runs, on a backbone that only
        # hands these states on.
        backbone.forward = lambda *_args, **_arguments: given
        try:
            tokens = torch.zeros(states.shape[:2], dtype=torch.int64, device=hidden.device)
            logits = self.network(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        finally:
            if own is None:
                del backbone.forward
            else:
                backbone.forward = own
        assert isinstance(logits, torch.Tensor)
        return logits.reshape(*hidden.shape[:-1], -1)
