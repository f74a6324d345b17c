"""The gradient of a sequence's loss with respect to the head's dense weight, in closed form.

The head is y = W a + b, u = GELU(y), x = (u - mean u) * r with r = 1 / sqrt(var u + eps),
z = D (gamma * x + beta) + c, and L = sum_t weight_t * cross entropy(z_t, target_t). Then

    dL/dz = weight * (softmax(z) - onehot(target))                      V numbers a token
    dL/du = r * (E^T dL/dz - x * (dL/dz . E x) / d)                      E = D gamma, rows centred
    delta = dL/dy = dL/du * GELU'(y)
    G     = dL/dW = sum_t delta_t a_t^T

Centring the rows of E takes care of the mean in the backward of LayerNorm, and E x is z without its
constant part, so both reductions of that backward are done over the V tokens of the vocabulary (25 to 64)
rather than over the width. D is not under study: where it is tied to the embedding, nothing flows through it.
Source: method, sections 2 and 3.
"""

from dataclasses import dataclass

import torch
from torch import nn

from bioprune_core.models.head import LanguageModelHead

__all__ = ["HeadGradient"]


@dataclass(frozen=True, slots=True)
class HeadGradient:
    """The head of a model, prepared for gradients of its dense weight.

    Args:
        dense_weight: W, float32, shape (out, in).
        dense_bias: b, float32, shape (out,), or None.
        readout: E, the decoder with the scale of the norm folded in and its rows centred, float32,
            shape (V, out).
        offset: D beta + c, the part of the logits that does not depend on the input, float32, shape (V,).
        epsilon: eps of the norm.
    """

    dense_weight: torch.Tensor
    dense_bias: torch.Tensor | None
    readout: torch.Tensor
    offset: torch.Tensor
    epsilon: float

    @classmethod
    def of(cls, head: LanguageModelHead) -> "HeadGradient":
        """Read the weights of a head: Linear, exact GELU, LayerNorm, decoder."""
        with torch.no_grad():
            decoder = head.decoder_weight.double()
            width = decoder.shape[1]
            gamma = torch.ones(width) if head.norm.weight is None else head.norm.weight
            beta = torch.zeros(width) if head.norm.bias is None else head.norm.bias
            readout = decoder * gamma.to(decoder)
            offset = decoder @ beta.to(decoder)
            if head.decoder_bias is not None:
                offset = offset + head.decoder_bias.double()
            return cls(
                dense_weight=head.dense.weight.detach().float(),
                dense_bias=None if head.dense.bias is None else head.dense.bias.detach().float(),
                readout=(readout - readout.mean(dim=1, keepdim=True)).float(),
                offset=offset.float(),
                epsilon=head.norm.eps,
            )

    def deltas(
        self, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of a batch and their gradients at the output of the dense layer.

        Args:
            hidden: Input a of the head, float32, shape (B, T, in). Finite at pads.
            targets: Token ids to predict, int64, shape (B, T).
            weights: Weight of each token in its sequence's loss, float64, shape (B, T).

        Returns:
            Losses, float64, shape (B,), and delta, float32, shape (B, T, out); delta is exactly 0 where the
            weight is.
        """
        dense = nn.functional.linear(hidden, self.dense_weight, self.dense_bias)
        width = dense.shape[-1]
        # aten operators because the public functions keep neither r nor the derivative of GELU.
        normalised, _, inverse_deviation = torch.native_layer_norm(
            nn.functional.gelu(dense), [width], None, None, self.epsilon
        )
        varying = nn.functional.linear(normalised, self.readout)
        # float64 in the vocabulary, which is small: an unmasked token is often predicted with a probability
        # so near 1 that 1 - p has few digits left in float32.
        log_probabilities = torch.log_softmax(varying.double() + self.offset, dim=-1)
        targets = targets.unsqueeze(-1)
        losses = -(log_probabilities.gather(-1, targets).squeeze(-1) * weights).sum(dim=1)
        gradient = log_probabilities.exp_()
        gradient.scatter_add_(-1, targets, torch.full_like(targets, -1, dtype=gradient.dtype))
        gradient *= weights.unsqueeze(-1) * inverse_deviation
        projection = (gradient * varying).sum(dim=-1, keepdim=True) / width
        delta = gradient.float() @ self.readout
        delta.addcmul_(normalised, projection.float(), value=-1)
        return losses, torch.ops.aten.gelu_backward(delta, dense)
