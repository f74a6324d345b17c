"""The official RNA-FM checkpoint as an `EsmForMaskedLM`.

Source: Chen et al. 2022 (arXiv 2204.00300); the checkpoint is fairseq's, the network an ESM-1b.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import Architecture, Dimensions, network_config
from bioprune_core.models.state import build_network, load_state
from bioprune_core.models.tokeniser import ByteTokeniser
from bioprune_core.models.vocabulary import MASK, RNA_VOCABULARY

__all__ = ["convert", "recognises"]

_EMBEDDING = "embed_tokens.weight"
_MASK_ID = RNA_VOCABULARY.index(MASK)
# Only a bare state dictionary lacks the number of heads; the one published network has heads of 32.
_HEAD_WIDTH = 32

_LAYER = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "LayerNorm",
}
_OUTSIDE = {
    "embed_tokens": "esm.embeddings.word_embeddings",
    "embed_positions": "esm.embeddings.position_embeddings",
    "emb_layer_norm_before": "esm.embeddings.layer_norm",
    "emb_layer_norm_after": "esm.encoder.emb_layer_norm_after",
    "contact_head.regression": "esm.contact_head.regression",
    "lm_head.dense": "lm_head.dense",
    "lm_head.layer_norm": "lm_head.layer_norm",
}


def recognises(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether the parameter names are those of fairseq's ESM-1b."""
    names = {_bare(name) for name in state}
    return {_EMBEDDING, "embed_positions.weight", "layers.0.self_attn.q_proj.weight"} <= names


def convert(
    state: Mapping[str, torch.Tensor], arguments: Mapping[str, Any], name: str, path: Path
) -> MaskedLanguageModel:
    """The model of an official checkpoint, in float32.

    The embedding of the mask token is zeroed, as the authors' loader does. The contact head, which
    published weights lack and nothing here uses, is zero where it is missing.

    Args:
        state: The checkpoint's "model".
        arguments: The fields of its "args"; may be empty for a bare state dictionary.
        name: What to call the model.
        path: For messages.

    Raises:
        ModelError: The checkpoint is not of the RNA vocabulary, or parts are missing.
    """
    bare = {_bare(key): tensor.float() for key, tensor in state.items()}
    embedding = bare[_EMBEDDING].clone()
    rows, width = embedding.shape
    if rows != len(RNA_VOCABULARY):
        raise ModelError(
            f"{path} has {rows} tokens; RNA-FM has {len(RNA_VOCABULARY)}, one a nucleotide. A model of "
            "codons (such as CDS-FM) or of proteins in this layout cannot be used."
        )
    tied = bare.pop("lm_head.weight", embedding)
    real = torch.arange(rows) != _MASK_ID
    if not torch.equal(tied[real], embedding[real]):
        raise ModelError(f"{path} has a decoder that differs from its token embedding; RNA-FM ties the two.")
    embedding[_MASK_ID] = 0
    bare[_EMBEDDING] = embedding
    layers = 1 + max(int(key.split(".")[1]) for key in bare if key.startswith("layers."))
    # Training arguments carry an "encoder_" in front of some names.
    plain = {key.removeprefix("encoder_"): value for key, value in arguments.items()}
    heads = int(plain.get("attention_heads", max(1, width // _HEAD_WIDTH)))
    size = Dimensions(width, layers, heads, len(bare["layers.0.fc1.weight"]))
    config = {
        **network_config(Architecture.RNA_FM, size, RNA_VOCABULARY),
        "token_dropout": bool(plain.get("token_dropout", False)),
        "max_position_embeddings": len(bare["embed_positions.weight"]),
        "emb_layer_norm_before": "emb_layer_norm_before.weight" in bare,
    }
    bare.setdefault("contact_head.regression.weight", torch.zeros(1, layers * heads))
    bare.setdefault("contact_head.regression.bias", torch.zeros(1))
    network = build_network(config, initialise=False)
    load_state(network, {_renamed(key): tensor for key, tensor in bare.items()}, str(path))
    return MaskedLanguageModel(
        name=name,
        architecture=Architecture.RNA_FM,
        alphabet=Alphabet.RNA,
        network=network,
        tokeniser=ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA),
        # Positions start behind the pad's id 1; cls and eos take two.
        maximum_residues=config["max_position_embeddings"] - 4,
    )


def _bare(name: str) -> str:
    return name.removeprefix("encoder.").removeprefix("sentence_encoder.")


def _renamed(name: str) -> str:
    if name == "lm_head.bias":
        return name
    module, _, kind = name.rpartition(".")
    if module.startswith("layers."):
        _, index, part = module.split(".", 2)
        return f"esm.encoder.layer.{index}.{_LAYER.get(part, part)}.{kind}"
    return f"{_OUTSIDE.get(module, module)}.{kind}"
