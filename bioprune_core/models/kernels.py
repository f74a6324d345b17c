"""Kernels for GPUs, one pass over memory each: what stands between two products of a packed backbone, and the
sums of a gradient's squares.

They need Triton, which comes with torch for GPUs. The same in plain torch, for where they cannot be compiled,
is in `steps`, and for gradients where they are summed.
"""

import math

import torch
import triton
import triton.language as tl

__all__ = ["add_product", "attention", "gate", "gelu", "norm", "rotate", "row_squares"]

# Of an element-wise kernel's program.
_ELEMENTS = 1024
# Queries that attention takes at once. With 32 or 64 keys at a time that is 2.5 ns a token for RNAs of 98 nt
# (20 heads of 32) and 9.2 for proteins of 634 (18 of 64) on an H200; flash attention takes 5.0 and 11.7.
_QUERIES = 64


def add_product(
    residual: torch.Tensor, states: torch.Tensor, weight: torch.Tensor, scale: float
) -> torch.Tensor:
    """As `steps.add_product`, without rounding the product to bf16 before it is added."""
    torch.ops.aten.addmm.dtype_out(residual, states, weight.t(), torch.float32, alpha=scale, out=residual)
    return residual


def norm(
    residual: torch.Tensor,
    shift: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> torch.Tensor:
    """As `steps.norm`."""
    rows, width = residual.shape
    normed = torch.empty_like(residual, dtype=torch.bfloat16)
    block = triton.next_power_of_2(width)
    _norm[(rows,)](
        residual, shift, weight, bias, normed, width, epsilon,
        weight is not None, bias is not None, block, num_warps=max(1, block // 1024),
    )  # fmt: skip
    return normed


@triton.jit
def _norm(
    residual, shift, weight, bias, normed, width, epsilon,
    has_weight: tl.constexpr, has_bias: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    inside = columns < width
    x = tl.load(residual + row * width + columns, mask=inside, other=0.0)
    x += tl.load(shift + columns, mask=inside, other=0.0)
    centred = tl.where(inside, x - tl.sum(x, 0) / width, 0.0)
    x = centred * tl.rsqrt(tl.sum(centred * centred, 0) / width + epsilon)
    if has_weight:
        x *= tl.load(weight + columns, mask=inside, other=0.0)
    if has_bias:
        x += tl.load(bias + columns, mask=inside, other=0.0)
    tl.store(normed + row * width + columns, x.to(tl.bfloat16), mask=inside)


def gelu(states: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """As `steps.gelu`, in place, and off by 3.1e-6 at most before it is rounded."""
    rows, width = states.shape
    _gelu[(rows, triton.cdiv(width, _ELEMENTS))](states, bias, width, _ELEMENTS, num_warps=2)
    return states


@triton.jit
def _gelu(states, bias, width, block: tl.constexpr):
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < width
    places = states + tl.program_id(0).to(tl.int64) * width + columns
    x = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    x += tl.load(bias + columns, mask=inside, other=0.0)
    tl.store(places, _exact_gelu(x).to(tl.bfloat16), mask=inside)


@triton.jit
def _exact_gelu(x):
    # x / (1 + 2^-q): q is the polynomial next to log2 of the odds of the normal distribution, fitted to the
    # least largest error of the product over all x. It rises throughout, so the ends are 0 and x.
    y = x * x
    q = (((3.2290074e-6 * y - 8.8238875e-5) * y - 3.6026742e-4) * y + 0.10522668) * y + 2.3020454
    return tl.fdiv(x, 1.0 + tl.exp2(-x * q))


def gate(both: torch.Tensor) -> torch.Tensor:
    """As `steps.gate`."""
    rows, width = both.shape[0], both.shape[1] // 2
    gated = both.new_empty(rows, width)
    _gate[(rows, triton.cdiv(width, _ELEMENTS))](both, gated, width, _ELEMENTS, num_warps=4)
    return gated


@triton.jit
def _gate(both, gated, width, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < width
    first = tl.load(both + 2 * row * width + columns, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(both + (2 * row + 1) * width + columns, mask=inside, other=0.0).to(tl.float32)
    product = first / (1.0 + tl.exp(-first)) * second
    tl.store(gated + row * width + columns, product.to(tl.bfloat16), mask=inside)


def rotate(
    qkv: torch.Tensor,
    positions: torch.Tensor,
    cosine: torch.Tensor,
    sine: torch.Tensor,
    norms: tuple[torch.Tensor, torch.Tensor, float] | None = None,
) -> None:
    """As `steps.rotate`."""
    rows, _, heads, width = qkv.shape
    query_weight, key_weight, epsilon = norms or (None, None, 0.0)
    _rotate[(rows, 2)](
        qkv, positions, cosine, sine, query_weight, key_weight, heads, width // 2, epsilon,
        norms is not None, triton.next_power_of_2(heads), triton.next_power_of_2(width // 2), num_warps=2,
    )  # fmt: skip


@triton.jit
def _rotate(
    qkv, positions, cosine, sine, query_weight, key_weight, heads, half, epsilon,
    normed: tl.constexpr, head_block: tl.constexpr, half_block: tl.constexpr,
):  # fmt: skip
    row, which = tl.program_id(0).to(tl.int64), tl.program_id(1)
    head = tl.arange(0, head_block)[:, None]
    column = tl.arange(0, half_block)[None, :]
    inside = (head < heads) & (column < half)
    first = head * (2 * half) + column
    places = qkv + (row * 3 + which) * (heads * half * 2) + first
    a = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(places + half, mask=inside, other=0.0).to(tl.float32)
    if normed:
        count = heads * half * 2
        mean = (tl.sum(a) + tl.sum(b)) / count
        a = tl.where(inside, a - mean, 0.0)
        b = tl.where(inside, b - mean, 0.0)
        scale = tl.rsqrt((tl.sum(a * a) + tl.sum(b * b)) / count + epsilon)
        weight = query_weight if which == 0 else key_weight
        a *= scale * tl.load(weight + first, mask=inside, other=0.0)
        b *= scale * tl.load(weight + first + half, mask=inside, other=0.0)
    turn = tl.load(positions + row) * half + column
    c = tl.load(cosine + turn, mask=column < half, other=0.0)
    s = tl.load(sine + turn, mask=column < half, other=0.0)
    tl.store(places, (a * c - b * s).to(tl.bfloat16), mask=inside)
    tl.store(places + half, (b * c + a * s).to(tl.bfloat16), mask=inside)


def attention(qkv: torch.Tensor, offsets: torch.Tensor, longest: int) -> torch.Tensor:
    """As `steps.attention`."""
    rows, _, heads, width = qkv.shape
    attended = qkv.new_empty(rows, heads * width)
    blocks = triton.cdiv(longest, _QUERIES)
    grid = (blocks * (len(offsets) - 1), heads)  # only the first may exceed 65,535
    block = max(16, triton.next_power_of_2(width))
    scale = math.log2(math.e) / math.sqrt(width)
    keys = 32 if longest <= 128 else 64
    _attention[grid](
        qkv, attended, offsets, blocks, heads, width, scale, _QUERIES, keys, block, num_warps=4, num_stages=3
    )
    return attended


@triton.jit
def _attention(
    qkv, attended, offsets, blocks, heads, width, scale,
    queries: tl.constexpr, keys: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1)
    sequence = tl.program_id(0) // blocks
    start = tl.load(offsets + sequence).to(tl.int64)
    length = tl.load(offsets + sequence + 1) - start.to(tl.int32)
    first = tl.program_id(0) % blocks * queries
    if first < length:
        columns = tl.arange(0, block)
        token = first + tl.arange(0, queries)
        stride = 3 * heads * width
        base = qkv + start * stride + head * width
        query_mask = (token < length)[:, None] & (columns < width)[None, :]
        query = tl.load(base + token[:, None] * stride + columns[None, :], mask=query_mask, other=0.0)
        largest = tl.full([queries], float("-inf"), tl.float32)
        total = tl.zeros([queries], tl.float32)
        summed = tl.zeros([queries, block], tl.float32)
        for begin in range(0, length, keys):
            other = begin + tl.arange(0, keys)
            key_mask = (other < length)[:, None] & (columns < width)[None, :]
            places = base + other[:, None] * stride + columns[None, :]
            key = tl.load(places + heads * width, mask=key_mask, other=0.0)
            value = tl.load(places + 2 * heads * width, mask=key_mask, other=0.0)
            scores = tl.dot(query, tl.trans(key)) * scale
            scores = tl.where((other < length)[None, :], scores, float("-inf"))
            new_largest = tl.maximum(largest, tl.max(scores, 1))
            shares = tl.exp2(scores - new_largest[:, None])
            kept = tl.exp2(largest - new_largest)
            total = total * kept + tl.sum(shares, 1)
            summed = tl.dot(shares.to(value.dtype), value, summed * kept[:, None])
            largest = new_largest
        out = attended + (start + token[:, None]) * (heads * width) + head * width + columns[None, :]
        tl.store(out, (summed / total[:, None]).to(query.dtype), mask=query_mask)


def row_squares(gradients: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums over the last axis of gradients squared, and of gradients times scale squared.

    Args:
        gradients: float32, shape (n, out, in).
        scale: float32, shape (out, in).

    Returns:
        Both float32, shape (n, out).
    """
    count, height, width = gradients.shape
    plain, scaled = gradients.new_empty(2, count, height).unbind(0)
    block = min(1024, triton.next_power_of_2(width))
    _row_squares[(count, height)](gradients, scale, plain, scaled, height, width, block, num_warps=4)
    return plain, scaled


@triton.jit
def _row_squares(gradients, scale, plain, scaled, height, width, block: tl.constexpr):
    sequence, row = tl.program_id(0).to(tl.int64), tl.program_id(1)
    base = gradients + (sequence * height + row) * width
    sums = tl.zeros([block], tl.float32)
    scaled_sums = tl.zeros([block], tl.float32)
    for first in range(0, width, block):
        columns = first + tl.arange(0, block)
        g = tl.load(base + columns, mask=columns < width, other=0.0)
        s = g * tl.load(scale + row.to(tl.int64) * width + columns, mask=columns < width, other=0.0)
        sums += g * g
        scaled_sums += s * s
    tl.store(plain + sequence * height + row, tl.sum(sums, 0))
    tl.store(scaled + sequence * height + row, tl.sum(scaled_sums, 0))
