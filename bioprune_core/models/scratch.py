"""Networks with random weights, at a choice of scales."""

import torch

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import (
    Architecture,
    Scale,
    dimensions,
    from_scratch,
    maximum_residues,
    network_config,
    scratch_vocabulary,
)
from bioprune_core.models.state import build_network
from bioprune_core.models.tokeniser import ByteTokeniser

__all__ = ["create_model"]


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
    architecture, scale = from_scratch(architecture, scale)
    if alphabet not in list(Alphabet):
        raise ModelError(f"There is no alphabet {alphabet}; choose one of {', '.join(Alphabet)}.")
    alphabet = Alphabet(alphabet)
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
        maximum_residues=maximum_residues(architecture),
    )
