"""Folders in the layout of the transformers library: config.json, weights, tokeniser files."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForMaskedLM

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import Architecture
from bioprune_core.models.checkpoint import more_than_weights
from bioprune_core.models.probe import probe_tokeniser
from bioprune_core.models.state import fuse
from bioprune_core.models.tokeniser import ByteTokeniser
from bioprune_core.models.vocabulary import ESM2_VOCABULARY, ESMC_VOCABULARY, RNA_VOCABULARY

__all__ = ["is_transformers_folder", "load_folder"]

_TOKENISER_FILES = ("vocab.txt", "tokenizer.json", "vocab.json", "spiece.model")
# Parts of a checkpoint that no masked language model needs, so that a file may lack them.
_OPTIONAL = ("contact_head", "pooler", "position_ids", "inv_freq")


def is_transformers_folder(directory: Path) -> bool:
    """Whether a folder has a config.json that names a `model_type`."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "model_type" in config


def load_folder(directory: Path, name: str) -> MaskedLanguageModel:
    """Load a masked language model from its folder, in float32 on the CPU. No code in the folder is run.

    Args:
        directory: With config.json, model.safetensors (or pytorch_model.bin, of which only weights are read)
            and, unless the model is an ESM, tokeniser files.
        name: What to call the model.

    Raises:
        ModelError: The model type is not the library's own, weights are missing, the tokeniser is not of
            single letters, or the head cannot be applied to the backbone's output.
    """
    network = _load_network(directory)
    config = network.config
    tokeniser, alphabet = _tokeniser(directory, config)
    if len(network.get_input_embeddings().weight) <= int(tokeniser.table.max()):
        raise ModelError(
            f"The tokeniser in {directory} has ids up to {tokeniser.table.max()}, the network only "
            f"{len(network.get_input_embeddings().weight)} embeddings. Check that the files belong together."
        )
    return MaskedLanguageModel(
        name=name,
        architecture=_architecture(config, alphabet),
        alphabet=alphabet,
        network=network,
        tokeniser=tokeniser,
        maximum_residues=_maximum_residues(network, directory),
    )


def _load_network(directory: Path) -> Any:
    library: Any = AutoModelForMaskedLM  # its methods carry no types
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        network, found = library.from_pretrained(
            directory,
            config=config,
            dtype=torch.float32,
            attn_implementation="sdpa",
            trust_remote_code=False,
            weights_only=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except pickle.UnpicklingError as error:
        raise more_than_weights(directory, error) from error
    except (OSError, ValueError, RuntimeError, SafetensorError, KeyError) as error:
        raise ModelError(
            f"Could not load a masked language model from {directory}: {str(error).splitlines()[0]}. The "
            "folder needs a config.json of an architecture that the installed transformers library has "
            "(code that comes with a model is never run) and its model.safetensors.",
            detail=str(error),
        ) from error
    missing = [key for key in sorted(found["missing_keys"]) if not any(part in key for part in _OPTIONAL)]
    if missing:
        raise ModelError(
            f"The weights in {directory} lack {', '.join(missing[:3])}"
            f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}, which a masked language model "
            "needs. Use weights that were saved with their language-model head."
        )
    # The library draws them anew at every load, and the content hash would never be the same twice.
    for key, parameter in network.named_parameters():
        if key in found["missing_keys"]:
            torch.nn.init.zeros_(parameter)
    fuse(network)
    return network.eval()


def _tokeniser(directory: Path, config: Any) -> tuple[ByteTokeniser, Alphabet]:
    if any((directory / file).is_file() for file in _TOKENISER_FILES):
        return probe_tokeniser(directory)
    # Converted weights often come without tokeniser files; these vocabularies are fixed.
    if config.model_type == "esm" and config.vocab_size == len(ESM2_VOCABULARY):
        tokeniser = ByteTokeniser.from_vocabulary(ESM2_VOCABULARY, Alphabet.PROTEIN, fuses_unknown=True)
        return tokeniser, Alphabet.PROTEIN
    if config.model_type == "esm" and config.vocab_size == len(RNA_VOCABULARY):
        return ByteTokeniser.from_vocabulary(RNA_VOCABULARY, Alphabet.RNA), Alphabet.RNA
    if config.model_type == "esmc" and config.vocab_size >= len(ESMC_VOCABULARY):
        return ByteTokeniser.from_vocabulary(ESMC_VOCABULARY, Alphabet.PROTEIN), Alphabet.PROTEIN
    raise ModelError(
        f"{directory} has no tokeniser files. Put {' or '.join(_TOKENISER_FILES[:2])} beside its config.json."
    )


def _architecture(config: Any, alphabet: Alphabet) -> Architecture:
    if config.model_type == "esmc":
        return Architecture.ESM_C
    if config.model_type == "esm":
        rotary = config.position_embedding_type == "rotary"
        if rotary:
            return Architecture.ESM_2
        if alphabet is not Alphabet.PROTEIN and config.emb_layer_norm_before:
            return Architecture.RNA_FM
    return Architecture.AUTO


def _maximum_residues(network: Any, directory: Path) -> int:
    positions = getattr(network.config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 3:
        raise ModelError(
            f"The config.json in {directory} does not say how long a sequence may be; add "
            "max_position_embeddings (tokens, cls and eos included)."
        )
    # Learned positions of the RoBERTa kind start behind the pad's id. ESM-2's rotary ones have no such table,
    # but were trained and published under the same bound.
    learned = [
        module.padding_idx
        for module in network.base_model.modules()
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == positions
    ]
    pad = network.config.pad_token_id if network.config.model_type == "esm" else next(iter(learned), None)
    return positions - 2 - (0 if pad is None else pad + 1)
