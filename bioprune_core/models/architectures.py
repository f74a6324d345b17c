"""Architectures and their scales. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.vocabulary import CLS, EOS, ESMC_VOCABULARY, MASK, PAD, vocabulary_for

__all__ = [
    "Architecture",
    "Dimensions",
    "Scale",
    "dimensions",
    "from_scratch",
    "maximum_residues",
    "network_config",
    "parameter_count",
    "scratch_vocabulary",
]


class Architecture(StrEnum):
    """Families of masked language models."""

    RNA_FM = "rna-fm"
    """ESM-1b style: pre-LayerNorm, learned positions, LayerNorm after the embedding."""
    ESM_2 = "esm-2"
    """Rotary positions, token dropout."""
    ESM_C = "esm-c"
    """Rotary positions, LayerNorm on queries and keys, SwiGLU, scaled residual branches."""
    AUTO = "auto"
    """Any other masked language model of the transformers library."""


class Scale(StrEnum):
    """Sizes of networks made from scratch."""

    TINY = "tiny"
    """Under a million parameters: demonstrations and tests on CPU."""
    SMALL = "small"
    """A few million: hours on CPU, minutes on a GPU."""
    BASE = "base"
    """Tens of millions: one GPU."""
    FULL = "full"
    """The published size: RNA-FM 99.5 M, ESM-2 650 M, ESM-C 300 M."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The size of a transformer.

    Args:
        width: Hidden size d.
        layers: Transformer layers.
        heads: Attention heads; divides the width.
        feed_forward: Inner width of the feed-forward part.
    """

    width: int
    layers: int
    heads: int
    feed_forward: int

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.feed_forward) < 1 or self.width % self.heads:
            raise ModelError(
                f"A network of width {self.width} cannot have {self.heads} heads, {self.layers} layers and a "
                f"feed-forward width of {self.feed_forward}: all are at least 1 and heads divide the width."
            )


_DIMENSIONS = {
    Architecture.RNA_FM: {
        Scale.TINY: Dimensions(128, 3, 4, 512),
        Scale.SMALL: Dimensions(256, 6, 8, 1024),
        Scale.BASE: Dimensions(480, 12, 20, 1920),
        Scale.FULL: Dimensions(640, 12, 20, 5120),
    },
    # Small, base and full are the published 8 M, 35 M and 650 M networks.
    Architecture.ESM_2: {
        Scale.TINY: Dimensions(128, 3, 4, 512),
        Scale.SMALL: Dimensions(320, 6, 20, 1280),
        Scale.BASE: Dimensions(480, 12, 20, 1920),
        Scale.FULL: Dimensions(1280, 33, 20, 5120),
    },
    # The feed-forward width is 8/3 of the width, rounded up to a multiple of 256, as in the original.
    Architecture.ESM_C: {
        Scale.TINY: Dimensions(128, 3, 4, 512),
        Scale.SMALL: Dimensions(256, 6, 4, 768),
        Scale.BASE: Dimensions(512, 12, 8, 1536),
        Scale.FULL: Dimensions(960, 30, 15, 2560),
    },
}


def from_scratch(architecture: str, scale: str) -> tuple[Architecture, Scale]:
    """The family and the scale of a network that is to be made from scratch, by their names.

    Raises:
        ModelError: There is no such family or scale, or the family is `auto`, which has no scales.
    """
    for what, name, choices in (("architecture", architecture, _DIMENSIONS), ("scale", scale, Scale)):
        if name not in list(choices):
            names = ", ".join(choices)
            raise ModelError(f"There is no {what} {name} for a network from scratch; choose one of {names}.")
    return Architecture(architecture), Scale(scale)


def dimensions(architecture: Architecture, scale: Scale) -> Dimensions:
    """The size of an architecture at a scale; `auto` has none."""
    return _DIMENSIONS[architecture][scale]


def scratch_vocabulary(architecture: Architecture, alphabet: Alphabet) -> tuple[str, ...]:
    """The vocabulary of a network made from scratch: the family's own where the alphabet is its own."""
    if architecture is Architecture.ESM_C and alphabet is Alphabet.PROTEIN:
        return ESMC_VOCABULARY
    return vocabulary_for(alphabet)


def network_config(
    architecture: Architecture,
    size: Dimensions,
    vocabulary: tuple[str, ...],
    *,
    token_dropout: bool | None = None,
) -> dict[str, Any]:
    """The transformers configuration of a network, as a dictionary with its `model_type`.

    Dropout is zero, as in the published ESM-2 and ESM-C configurations.

    Args:
        architecture: RNA-FM, ESM-2 or ESM-C.
        size: Width, layers, heads, feed-forward width.
        vocabulary: Tokens by id.
        token_dropout: Whether mask tokens enter as zeros and the rest is rescaled; by default as the
            family does (ESM-2 only).

    Returns:
        Keyword arguments for `AutoConfig.for_model`.
    """
    ids = {token: index for index, token in enumerate(vocabulary)}
    shared = {
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": size.feed_forward,
        "pad_token_id": ids[PAD],
        "mask_token_id": ids[MASK],
        "bos_token_id": ids[CLS],
        "eos_token_id": ids[EOS],
        "initializer_range": 0.02,
    }
    if architecture is Architecture.ESM_C:
        # The published networks have 64 rows for 33 tokens.
        rows = -(-len(vocabulary) // 64) * 64 if vocabulary == ESMC_VOCABULARY else len(vocabulary)
        return {"model_type": "esmc", "vocab_size": rows, "max_position_embeddings": 2048, **shared}
    rotary = architecture is Architecture.ESM_2
    return {
        "model_type": "esm",
        "vocab_size": len(vocabulary),
        "max_position_embeddings": 1026,
        "position_embedding_type": "rotary" if rotary else "absolute",
        "emb_layer_norm_before": not rotary,
        "token_dropout": rotary if token_dropout is None else token_dropout,
        "layer_norm_eps": 1e-5,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "tie_word_embeddings": True,
        **shared,
    }


def parameter_count(config: Mapping[str, Any]) -> int:
    """How many parameters the network of a `network_config` has, tied ones once, without building it."""
    fields = ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads")
    width, layers, rows, inner, heads = (int(config[field]) for field in fields)
    if config["model_type"] == "esmc":
        # Query, key, value, output; gate, up, down; two LayerNorms with bias, two on query and key without.
        layer = 4 * width * width + 3 * width * inner + 6 * width
        head = width * width + 3 * width + rows * width + rows
        return rows * width + layers * layer + width + head
    embeddings = rows * width
    if config["position_embedding_type"] == "absolute":
        embeddings += int(config["max_position_embeddings"]) * width
    if config["emb_layer_norm_before"]:
        embeddings += 2 * width
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    head = width * width + 3 * width + rows
    # The network of the library also carries a contact head, one weight for every attention head.
    return embeddings + layers * layer + 2 * width + head + layers * heads + 1


def maximum_residues(architecture: Architecture | str) -> int:
    """The longest sequence that a network made from scratch takes, without cls and eos.

    cls and eos take two positions; learned positions start behind the pad's.
    """
    return 2046 if architecture == Architecture.ESM_C else 1022
