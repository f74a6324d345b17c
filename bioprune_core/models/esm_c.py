"""The ESM-C checkpoints of December 2024 as `EsmcForMaskedLM`.

Their blocks fuse query, key and value with the LayerNorm before them, and gate and up projection. Both
layouts divide every residual branch by sqrt(layers / 36).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import Architecture, Dimensions, network_config
from bioprune_core.models.state import build_network, load_state
from bioprune_core.models.tokeniser import ByteTokeniser
from bioprune_core.models.vocabulary import ESMC_VOCABULARY

__all__ = ["convert", "recognises"]

# The files do not say how many heads there are; every published ESM-C has heads of 64.
_HEAD_WIDTH = 64
_BLOCK = "transformer.blocks."
_OUTSIDE = {
    "embed": "esmc.embed_tokens",
    "transformer.norm": "esmc.norm",
    "sequence_head.0": "lm_head.dense",
    "sequence_head.2": "lm_head.layer_norm",
    "sequence_head.3": "lm_head.decoder",
}
_PARTS = {
    "attn.layernorm_qkv.0": "input_layernorm",
    "attn.out_proj": "self_attn.o_proj",
    "attn.q_ln": "self_attn.q_norm",
    "attn.k_ln": "self_attn.k_norm",
    "ffn.0": "post_attention_layernorm",
    "ffn.3": "mlp.down_proj",
}
_FUSED = {
    "attn.layernorm_qkv.1": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "ffn.1": ("mlp.gate_proj", "mlp.up_proj"),
}


def recognises(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether the parameter names are those of the layout of 2024."""
    return {
        "embed.weight",
        f"{_BLOCK}0.attn.layernorm_qkv.1.weight",
        "sequence_head.3.weight",
    } <= state.keys()


def convert(state: Mapping[str, torch.Tensor], name: str, path: Path) -> MaskedLanguageModel:
    """The model of a checkpoint of 2024, in float32.

    Args:
        state: The checkpoint.
        name: What to call the model.
        path: For messages.

    Raises:
        ModelError: The width is no multiple of 64, or parts are missing or of another shape.
    """
    width = state["embed.weight"].shape[1]
    if width % _HEAD_WIDTH:
        raise ModelError(
            f"{path} is {width} wide; ESM-C has heads of {_HEAD_WIDTH}, so it must be a multiple."
        )
    indices = {int(key.removeprefix(_BLOCK).split(".")[0]) for key in state if key.startswith(_BLOCK)}
    inner = len(state[f"{_BLOCK}0.ffn.1.weight"]) // 2
    size = Dimensions(width, 1 + max(indices), width // _HEAD_WIDTH, inner)
    config = network_config(Architecture.ESM_C, size, ESMC_VOCABULARY)
    network = build_network(config, initialise=False)
    converted = {
        new: tensor.float().contiguous() for key, old in state.items() for new, tensor in _renamed(key, old)
    }
    load_state(network, converted, str(path))
    return MaskedLanguageModel(
        name=name,
        architecture=Architecture.ESM_C,
        alphabet=Alphabet.PROTEIN,
        network=network,
        tokeniser=ByteTokeniser.from_vocabulary(ESMC_VOCABULARY, Alphabet.PROTEIN),
        maximum_residues=config["max_position_embeddings"] - 2,
    )


def _renamed(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    module, _, kind = name.rpartition(".")
    if not module.startswith(_BLOCK):
        yield f"{_OUTSIDE.get(module, module)}.{kind}", tensor
        return
    index, part = module.removeprefix(_BLOCK).split(".", 1)
    if part in _FUSED:
        targets = _FUSED[part]
        for target, piece in zip(targets, tensor.chunk(len(targets)), strict=True):
            yield f"esmc.layers.{index}.{target}.{kind}", piece
    else:
        yield f"esmc.layers.{index}.{_PARTS.get(part, part)}.{kind}", tensor
