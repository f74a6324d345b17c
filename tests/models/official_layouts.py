"""Networks in the layouts of their authors: random weights, and a plain forward pass to compare with.

Written from the descriptions of the architectures, on bare tensors, so that it shares no code with the
transformers library.
"""

import math

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]


def _norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state.get(f"{name}.bias"), 1e-5)


def _linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Attention of (B, heads, T, w) over the real keys, joined to (B, T, d)."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    weights = scores.masked_fill(~real[:, None, None, :], -math.inf).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class _Weights:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def add(self, name: str, *shape: int, deviation: float = 0.2, mean: float = 0.0) -> None:
        self.state[name] = mean + deviation * torch.randn(*shape, generator=self.generator)

    def linear(self, name: str, outputs: int, inputs: int, bias: bool = True) -> None:
        self.add(f"{name}.weight", outputs, inputs)
        if bias:
            self.add(f"{name}.bias", outputs)

    def norm(self, name: str, width: int, bias: bool = True) -> None:
        self.add(f"{name}.weight", width, mean=1.0)
        if bias:
            self.add(f"{name}.bias", width)


def rna_fm_state(width: int = 40, layers: int = 2, feed_forward: int = 80, seed: int = 0) -> State:
    """The "model" of an official RNA-FM file: fairseq's names, decoder tied to the embedding."""
    weights = _Weights(seed)
    encoder = "encoder.sentence_encoder"
    weights.add(f"{encoder}.embed_tokens.weight", 25, width)
    weights.add(f"{encoder}.embed_positions.weight", 1026, width)
    weights.norm(f"{encoder}.emb_layer_norm_before", width)
    weights.norm(f"{encoder}.emb_layer_norm_after", width)
    for index in range(layers):
        layer = f"{encoder}.layers.{index}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{part}", width, width)
        weights.norm(f"{layer}.self_attn_layer_norm", width)
        weights.linear(f"{layer}.fc1", feed_forward, width)
        weights.linear(f"{layer}.fc2", width, feed_forward)
        weights.norm(f"{layer}.final_layer_norm", width)
    weights.linear("encoder.lm_head.dense", width, width)
    weights.norm("encoder.lm_head.layer_norm", width)
    weights.add("encoder.lm_head.bias", 25)
    weights.state["encoder.lm_head.weight"] = weights.state[f"{encoder}.embed_tokens.weight"]
    return weights.state


def rna_fm_logits(
    state: State, tokens: torch.Tensor, heads: int, token_dropout: bool = False
) -> torch.Tensor:
    """The authors' forward pass: (B, T) token ids to (B, T, 25) logits."""
    state = {name.removeprefix("encoder.").removeprefix("sentence_encoder."): t for name, t in state.items()}
    embedding = state["embed_tokens.weight"].clone()
    embedding[24] = 0  # "For token drop", as the authors' loader says
    real = tokens != 1
    x = embedding[tokens]
    if token_dropout:
        masked = tokens == 24
        x = x.masked_fill(masked[..., None], 0)
        observed = masked.sum(-1) / real.sum(-1)
        x = x * (1 - 0.15 * 0.8) / (1 - observed)[:, None, None]
    positions = torch.cumsum(real.long(), 1) * real + 1
    x = _norm(state, "emb_layer_norm_before", x + state["embed_positions.weight"][positions])
    x = x * real[..., None]
    for index in range(sum(name.endswith("fc1.weight") for name in state)):
        layer = f"layers.{index}"
        a = _norm(state, f"{layer}.self_attn_layer_norm", x)
        q, k, v = (_split(_linear(state, f"{layer}.self_attn.{p}_proj", a), heads) for p in "qkv")
        x = x + _linear(state, f"{layer}.self_attn.out_proj", _attend(q, k, v, real))
        a = _norm(state, f"{layer}.final_layer_norm", x)
        x = x + _linear(state, f"{layer}.fc2", _gelu(_linear(state, f"{layer}.fc1", a)))
    x = _norm(state, "emb_layer_norm_after", x)
    x = _norm(state, "lm_head.layer_norm", _gelu(_linear(state, "lm_head.dense", x)))
    return x @ embedding.T + state["lm_head.bias"]


def esm_c_state(width: int = 128, layers: int = 2, feed_forward: int = 96, seed: int = 0) -> State:
    """An ESM-C file of December 2024."""
    weights = _Weights(seed)
    weights.add("embed.weight", 64, width)
    for index in range(layers):
        block = f"transformer.blocks.{index}"
        weights.norm(f"{block}.attn.layernorm_qkv.0", width)
        weights.linear(f"{block}.attn.layernorm_qkv.1", 3 * width, width, bias=False)
        weights.linear(f"{block}.attn.out_proj", width, width, bias=False)
        weights.norm(f"{block}.attn.q_ln", width, bias=False)
        weights.norm(f"{block}.attn.k_ln", width, bias=False)
        weights.norm(f"{block}.ffn.0", width)
        weights.linear(f"{block}.ffn.1", 2 * feed_forward, width, bias=False)
        weights.linear(f"{block}.ffn.3", width, feed_forward, bias=False)
    weights.norm("transformer.norm", width, bias=False)
    weights.linear("sequence_head.0", width, width)
    weights.norm("sequence_head.2", width)
    weights.linear("sequence_head.3", 64, width)
    return weights.state


def _rotate(x: torch.Tensor) -> torch.Tensor:
    """Turn the halves of each head, (B, heads, T, w), by position times inverse frequency."""
    half = x.shape[-1] // 2
    frequencies = 10000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(x.shape[2])[:, None] * frequencies
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1
    )


def esm_c_logits(state: State, tokens: torch.Tensor) -> torch.Tensor:
    """The authors' forward pass: (B, T) token ids to (B, T, 64) logits."""
    real = tokens != 1
    x = state["embed.weight"][tokens]
    heads = x.shape[-1] // 64
    layers = sum(name.endswith("ffn.1.weight") for name in state)
    scale = math.sqrt(layers / 36)
    for index in range(layers):
        block = f"transformer.blocks.{index}"
        qkv = _linear(
            state, f"{block}.attn.layernorm_qkv.1", _norm(state, f"{block}.attn.layernorm_qkv.0", x)
        )
        q, k, v = qkv.chunk(3, dim=-1)
        q = _rotate(_split(_norm(state, f"{block}.attn.q_ln", q), heads))
        k = _rotate(_split(_norm(state, f"{block}.attn.k_ln", k), heads))
        x = x + _linear(state, f"{block}.attn.out_proj", _attend(q, k, _split(v, heads), real)) / scale
        gate, up = _linear(state, f"{block}.ffn.1", _norm(state, f"{block}.ffn.0", x)).chunk(2, dim=-1)
        x = x + _linear(state, f"{block}.ffn.3", gate * torch.sigmoid(gate) * up) / scale
    x = _gelu(_linear(state, "sequence_head.0", _norm(state, "transformer.norm", x)))
    return _linear(state, "sequence_head.3", _norm(state, "sequence_head.2", x))
