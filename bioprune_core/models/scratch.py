"""Networks with random weights, at a choice of scales."""

from enum import StrEnum
from typing import TypeVar

import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import (
    Architecture,
    Scale,
    dimensions,
    network_config,
    scratch_vocabulary,
)
from bioprune_core.models.state import build_network
from bioprune_core.models.tokeniser import ByteTokeniser

__all__ = ["create_model"]

Choice = TypeVar("Choice", bound=StrEnum)


def create_model(
    architecture: Architecture | str, scale: Scale | str, alphabet: Alphabet | str, seed: int
) -> MaskedLanguageModel:
    """Make a network from scratch.

    Weights are normal with deviation 0.02, biases zero, LayerNorms one. The global random state is left as
    it was.

    Args:
        architecture: "rna-fm", "esm-2" or "esm-c".
        scale: "tiny", "small", "base" or "full".
        alphabet: The residues to model; any architecture takes any alphabet.
        seed: Of the weights.

    Returns:
        The model on the CPU, in evaluation mode, named "<architecture>-<scale>".

    Raises:
        ModelError: The architecture, scale or alphabet does not exist, or the architecture has no scales.
    """
    architecture = _parsed(Architecture, architecture)
    scale, alphabet = _parsed(Scale, scale), _parsed(Alphabet, alphabet)
    vocabulary = scratch_vocabulary(architecture, alphabet)
    config = network_config(architecture, dimensions(architecture, scale), vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
    return MaskedLanguageModel(
        name=f"{architecture}-{scale}",
        architecture=architecture,
        alphabet=alphabet,
        network=network,
        tokeniser=ByteTokeniser.from_vocabulary(
            vocabulary, alphabet, fuses_unknown=architecture is Architecture.ESM_2
        ),
        # cls and eos take two positions; learned positions start behind the pad's.
        maximum_residues=2046 if architecture is Architecture.ESM_C else 1022,
    )


def _parsed(kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError as error:
        raise ModelError(
            f"There is no {kind.__name__.lower()} {value}; choose one of {', '.join(kind)}."
        ) from error
