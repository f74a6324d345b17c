"""What stands between two products of a packed backbone, in plain torch: what the kernels for GPUs compute.

For where those cannot be compiled, and what they are tested against.
"""

from itertools import pairwise

import torch
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

__all__ = ["add_product", "attention", "gate", "gelu", "norm", "rotate"]


def add_product(
    residual: torch.Tensor, states: torch.Tensor, weight: torch.Tensor, scale: float
) -> torch.Tensor:
    """residual + scale * states @ weight^T, in place; residual float32, (N, out), the others bf16."""
    return residual.add_(functional.linear(states, weight).float(), alpha=scale)


def norm(
    residual: torch.Tensor,
    shift: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> torch.Tensor:
    """LayerNorm of residual + shift, bf16.

    Args:
        residual: float32, shape (N, d).
        shift: float32, shape (d,).
        weight: float32, shape (d,), or None for ones.
        bias: Likewise, or None for zeros.
        epsilon: Of the norm.
    """
    return functional.layer_norm(residual + shift, shift.shape, weight, bias, epsilon).bfloat16()


def gelu(states: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The exact GELU of states + bias: bf16, (N, h), and float32, (h,), to bf16. May be in place."""
    return functional.gelu(states.float() + bias).bfloat16()


def gate(both: torch.Tensor) -> torch.Tensor:
    """silu(first half) * second half, bf16, shape (N, 2 h) to (N, h)."""
    first, second = both.float().chunk(2, dim=-1)
    return (functional.silu(first) * second).bfloat16()


def rotate(
    qkv: torch.Tensor,
    positions: torch.Tensor,
    cosine: torch.Tensor,
    sine: torch.Tensor,
    norms: tuple[torch.Tensor, torch.Tensor, float] | None = None,
) -> None:
    """Turn query and key of each token by the angles of its position, in place; before, norm them.

    Source: arXiv 2104.09864, with an entry of a head paired with that half a head further.

    Args:
        qkv: bf16, shape (N, 3, heads, width).
        positions: int64, shape (N,).
        cosine: float32, shape (T, width / 2).
        sine: Likewise.
        norms: Weights of a LayerNorm over all heads of queries and of keys, float32, shape (heads * width,),
            and its epsilon.
    """
    cosine, sine = cosine[positions][:, None], sine[positions][:, None]
    for index in (0, 1):
        states = qkv[:, index].float()
        if norms is not None:
            flat, weight = states.flatten(1), norms[0] if index == 0 else norms[1]
            states = functional.layer_norm(flat, flat.shape[1:], weight, None, norms[2]).view_as(states)
        first, second = states.chunk(2, dim=-1)
        turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        qkv[:, index] = turned.bfloat16()


def attention(qkv: torch.Tensor, offsets: torch.Tensor, longest: int) -> torch.Tensor:
    """Attention within each sequence, bf16, shape (N, 3, heads, width) to (N, heads * width).

    Args:
        qkv: Query, key and value of each token.
        offsets: Where each sequence begins, and N; int32, shape (B + 1,).
        longest: Tokens of a sequence at most.
    """
    if qkv.is_cuda:
        query, key, value = qkv.unbind(1)
        attended = varlen_attn(query, key, value, offsets, offsets, longest, longest)
        assert isinstance(attended, torch.Tensor)
        return attended.flatten(1)
    alone = [
        functional.scaled_dot_product_attention(*qkv[start:stop].permute(1, 2, 0, 3)).transpose(0, 1)
        for start, stop in pairwise(offsets.tolist())
    ]
    return torch.cat(alone).flatten(1)
