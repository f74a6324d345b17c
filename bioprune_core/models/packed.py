"""The backbones of ESM and ESM-C in bf16 on a GPU: sequences behind one another, without pads.

What the library's modules compute, in fewer passes over memory: query, key and value are one product, the
last product of a branch is added to the residual stream as it is made, and what stands between two products
(LayerNorm, activation, rotation, attention) is one kernel each. Residual stream and norms are float32,
products and attention bf16.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.esm.modeling_esm import EsmModel
from transformers.models.esmc.modeling_esmc import EsmcModel

from bioprune_core.models import steps

__all__ = ["Packing", "gpu_kernels", "pack", "packed_backbone", "packs"]

logger = logging.getLogger(__name__)

# Flash attention takes heads whose width is a multiple of this.
_HEAD_MULTIPLE = 8
# Wider ones take more shared memory than most GPUs have.
_WIDEST_HEAD = 128


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """Where the N real tokens of a padded batch are.

    Args:
        places: Of each in the batch laid out flat, int64, shape (N,).
        rows: Sequence of each, int64, shape (N,).
        positions: Place of each in its sequence, int64, shape (N,).
        offsets: Where each sequence begins, and N; int32, shape (B + 1,).
        longest: Tokens of a sequence at most.
    """

    places: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor
    offsets: torch.Tensor
    longest: int


def pack(attention_mask: torch.Tensor) -> Packing:
    """The packing of a batch.

    Args:
        attention_mask: True, or not 0, at real tokens, which are the first ones of each row; shape (B, T).
    """
    mask = attention_mask.bool()
    width = mask.shape[1]
    places = mask.flatten().nonzero().squeeze(1)
    rows = places // width
    offsets = functional.pad(mask.sum(dim=1).cumsum(0), (1, 0)).int()
    return Packing(places, rows, places - rows * width, offsets, width)


class _Backbone(Protocol):
    """An architecture over packed tokens."""

    def states(self, tokens: torch.Tensor, packing: Packing, every: bool) -> Iterator[torch.Tensor]:
        """The embedding and the output of every layer, where wanted, and last that of the final norm.

        Args:
            tokens: Padded, int64, shape (B, T).
            packing: Of their mask.
            every: Whether more than the last is wanted.

        Yields:
            float32, shape (N, d); what was yielded may be overwritten by the next.
        """
        ...


def packs(network: Any) -> bool:
    """Whether a network is of a kind that can be computed packed, and in float32."""
    base, config = network.base_model, network.config
    if type(base) not in (EsmModel, EsmcModel):
        return False
    if any(parameter.dtype != torch.float32 for parameter in base.parameters()):
        return False
    width = config.hidden_size // config.num_attention_heads
    if width % _HEAD_MULTIPLE or width > _WIDEST_HEAD:
        return False
    if type(base) is EsmcModel:
        return bool(
            config.hidden_act == "silu"
            and not (config.attention_bias or config.mlp_bias)
            and config.num_key_value_heads == config.num_attention_heads
            and base.rotary_emb.rope_type == "default"
        )
    return not (config.is_decoder or config.add_cross_attention)


@contextmanager
def packed_backbone(network: Any) -> Iterator[None]:
    """Let the backbone of a network that `packs` compute packed for the duration of the block.

    It is called as before, with a mask of two dimensions whose pads are behind the tokens, and in evaluation
    mode; there are no gradients. Its outputs are float32, and 0 at pads.

    Args:
        network: On its device; it keeps its own weights, and copies in bf16 are made beside them.
    """
    base = network.base_model
    compute: _Backbone = _Esm(base) if type(base) is EsmModel else _EsmC(base)

    def forward(
        input_ids: torch.Tensor, attention_mask: torch.Tensor, output_hidden_states: bool = False
    ) -> BaseModelOutput:
        packing = pack(attention_mask)
        device = input_ids.device

        def padded(states: torch.Tensor) -> torch.Tensor:
            flat = states.new_zeros(input_ids.numel(), states.shape[-1])
            return flat.index_copy_(0, packing.places, states).view(*input_ids.shape, -1)

        # Kernels are launched on the current device, wherever their tensors are.
        launched = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
        with launched, torch.autocast(device.type, enabled=False):
            states = [padded(each) for each in compute.states(input_ids, packing, output_hidden_states)]
        # As the library gives them: the embedding and every layer, of which the last has passed the norm.
        every = (*states[:-2], states[-1]) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=every)

    base.forward = forward
    try:
        yield
    finally:
        del base.forward


class _Esm:
    """ESM-1b (RNA-FM), with absolute positions, and ESM-2, with rotary ones."""

    def __init__(self, base: Any) -> None:
        config = base.config
        self._embeddings = base.embeddings
        self._final = base.encoder.emb_layer_norm_after
        self._frequencies = base.rotary_embeddings.inv_freq if base.rotary_embeddings is not None else None
        self._heads = config.num_attention_heads
        self._steps = gpu_kernels(base.device) or steps
        shift = torch.zeros(config.hidden_size, device=base.device)
        self._layers = []
        for layer in base.encoder.layer:
            attention, output = layer.attention, layer.attention.output.dense
            project = _joined(*(getattr(attention.self, name) for name in ("query", "key", "value")))
            widen, narrow = layer.intermediate.dense, layer.output.dense
            branches = (
                _Norm(attention.LayerNorm, shift),
                _Norm(layer.LayerNorm, shift := shift + output.bias.detach()),
            )
            shift = shift + narrow.bias.detach()
            widening = _joined(widen)[0], widen.bias.detach()
            self._layers.append((branches, project, _joined(output)[0], widening, _joined(narrow)[0], shift))

    def states(self, tokens: torch.Tensor, packing: Packing, every: bool) -> Iterator[torch.Tensor]:
        step = self._steps
        residual = self._embedded(tokens, packing)
        angles = None if self._frequencies is None else _angles(self._frequencies, packing)
        if every:
            yield residual
        for (first, second), project, output, widen, narrow, shift in self._layers:
            normed = first.of(residual, step)
            qkv = functional.linear(normed, *project).view(len(normed), 3, self._heads, -1)
            if angles is not None:
                step.rotate(qkv, packing.positions, *angles)
            attended = step.attention(qkv, packing.offsets, packing.longest)
            residual = step.add_product(residual, attended, output, 1.0)
            widened = step.gelu(functional.linear(second.of(residual, step), widen[0]), widen[1])
            residual = step.add_product(residual, widened, narrow, 1.0)
            if every:
                yield residual + shift
        residual = residual + shift
        yield residual if self._final is None else _norm(residual, self._final)

    def _embedded(self, tokens: torch.Tensor, packing: Packing) -> torch.Tensor:
        embeddings = self._embeddings
        real = tokens.flatten()[packing.places]
        states: torch.Tensor = embeddings.word_embeddings.weight[real]
        if embeddings.token_dropout:
            # Mask tokens enter as zeros, and the rest is scaled from the share of them in a sequence to that
            # in the training of ESM: 80 % of 15 %.
            masked = tokens == embeddings.mask_token_id
            lengths = packing.offsets.diff()
            unmasked = 1 - masked.sum(dim=1).float() / lengths
            factors = (1 - 0.15 * 0.8) / unmasked
            factors = factors[packing.rows].masked_fill(real == embeddings.mask_token_id, 0.0)
            states = states * factors[:, None]
        if embeddings.position_embedding_type == "absolute":
            # As the library counts: an id that the configuration calls a pad takes no position.
            counted = tokens != embeddings.padding_idx
            places = (counted.cumsum(dim=1) * counted + embeddings.padding_idx).flatten()[packing.places]
            states = states + embeddings.position_embeddings.weight[places]
        return states if embeddings.layer_norm is None else _norm(states, embeddings.layer_norm)


class _EsmC:
    """ESM-C: rotary positions, LayerNorm on query and key, gated units, scaled residual branches."""

    def __init__(self, base: Any) -> None:
        config = base.config
        self._embedding = base.embed_tokens
        self._final = base.norm
        self._frequencies = base.rotary_emb.inv_freq
        self._heads = config.num_attention_heads
        self._steps = gpu_kernels(base.device) or steps
        none = torch.zeros(config.hidden_size, device=base.device)
        self._layers = []
        for layer in base.layers:
            attention, units = layer.self_attn, layer.mlp
            project = _joined(attention.q_proj, attention.k_proj, attention.v_proj)[0]
            output, narrow = _joined(attention.o_proj)[0], _joined(units.down_proj)[0]
            widen = _joined(units.gate_proj, units.up_proj)[0]
            branches = _Norm(layer.input_layernorm, none), _Norm(layer.post_attention_layernorm, none)
            norms = attention.q_norm.weight, attention.k_norm.weight, attention.q_norm.eps
            scale = 1 / layer.scaling_factor
            self._layers.append((branches, project, norms, output, widen, narrow, scale))

    def states(self, tokens: torch.Tensor, packing: Packing, every: bool) -> Iterator[torch.Tensor]:
        step = self._steps
        residual: torch.Tensor = self._embedding.weight[tokens.flatten()[packing.places]]
        angles = _angles(self._frequencies, packing)
        if every:
            yield residual
        for (first, second), project, norms, output, widen, narrow, scale in self._layers:
            normed = first.of(residual, step)
            qkv = functional.linear(normed, project).view(len(normed), 3, self._heads, -1)
            step.rotate(qkv, packing.positions, *angles, norms)
            attended = step.attention(qkv, packing.offsets, packing.longest)
            residual = step.add_product(residual, attended, output, scale)
            gated = step.gate(functional.linear(second.of(residual, step), widen))
            residual = step.add_product(residual, gated, narrow, scale)
            if every:
                yield residual
        yield _norm(residual, self._final)


class _Norm:
    """The LayerNorm before a branch of a layer.

    Args:
        norm: Of the network.
        shift: Biases that the residual stream would have got from the branches before, float32, shape (d,).
    """

    def __init__(self, norm: nn.LayerNorm, shift: torch.Tensor) -> None:
        self._arguments = shift, norm.weight, norm.bias, norm.eps

    def of(self, residual: torch.Tensor, step: ModuleType) -> torch.Tensor:
        """The normed residual stream, bf16, shape (N, d)."""
        normed = step.norm(residual, *self._arguments)
        assert isinstance(normed, torch.Tensor)
        return normed


def _joined(*layers: nn.Linear) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of linear layers of one input, as one layer's, in bf16."""
    weight = torch.cat([layer.weight.detach() for layer in layers]).bfloat16()
    biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
    return weight, torch.cat(biases).bfloat16() if biases else None


def _angles(frequencies: torch.Tensor, packing: Packing) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of the rotation at each place of a sequence, float32, shape (T, width / 2)."""
    places = torch.arange(packing.longest, device=frequencies.device, dtype=torch.float32)
    turns = torch.outer(places, frequencies.float())
    return turns.cos(), turns.sin()


def _norm(states: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    return functional.layer_norm(states, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def gpu_kernels(device: torch.device) -> ModuleType | None:
    """The module of kernels for a device; None for a processor, and where they cannot be compiled.

    Raises:
        OutOfMemoryError: There is no memory on it to try them.
    """
    if device.type != "cuda":
        return None
    return _compiled_kernels(torch.cuda.current_device() if device.index is None else device.index)


@cache
def _compiled_kernels(index: int) -> ModuleType | None:
    try:
        from bioprune_core.models import kernels

        with torch.cuda.device(index):
            qkv = torch.zeros(2, 3, 1, _WIDEST_HEAD, device="cuda", dtype=torch.bfloat16)
            kernels.attention(qkv, torch.tensor([0, 2], device="cuda", dtype=torch.int32), 200)
            kernels.gelu(qkv.flatten(1), torch.zeros(3 * _WIDEST_HEAD, device="cuda"))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - compilers and loaders raise what they like; all of it is told
        logger.warning(
            "Kernels for this GPU cannot be compiled, so scoring is slower; the results are the same but for "
            "rounding. Needed are Triton, a C compiler and Python's headers. %s: %s",
            type(error).__name__,
            error,
        )
        return None
    return kernels
