"""Saving a model and reading it back bit for bit.

The folder holds `model.safetensors` with the raw state dictionary and `config.json`. The library's own
`save_pretrained` renames the LayerNorm weights of ESM networks, so that a plain load resets them.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError, StorageError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.architectures import Architecture
from bioprune_core.models.state import build_network, load_state, unique_state
from bioprune_core.models.tokeniser import ByteTokeniser
from bioprune_core.storage import atomic_path, read_json, write_json

__all__ = ["is_saved_model", "load_saved", "os_errors", "save_model", "save_tensors"]

_FORMAT = "bioprune-network"
_VERSION = 1
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def save_model(model: MaskedLanguageModel, directory: Path | str) -> None:
    """Write a model so that `load_model(directory)` gives it back bit for bit.

    Args:
        model: On any device; weights keep their type.
        directory: Made if need be. The configuration is written last.

    Raises:
        StorageError: The folder cannot be written.
    """
    directory = Path(directory)
    state = {name: tensor.cpu().contiguous() for name, tensor in unique_state(model.network).items()}
    save_tensors(state, directory / _WEIGHTS)
    config = {"format": _FORMAT, "version": _VERSION, "name": model.name, **model.description()}
    write_json(directory / _CONFIG, config)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file, whole or not at all, without a copy of it in memory.

    Raises:
        StorageError: The disk is full or not writable.
    """
    with atomic_path(path) as part:
        # The library writes to a name of its own beside its target, for the owner alone, and renames that. In
        # a folder that is named as half-written it is found by who clears up after a killed process.
        folder = part.with_name(f"{part.stem}.folder.part")
        try:
            folder.mkdir(exist_ok=True)
            with os_errors():
                safetensors.torch.save_file(dict(tensors), folder / path.name)
            part.touch()  # as readable to others as every new file
            (folder / path.name).chmod(part.stat().st_mode)
            (folder / path.name).replace(part)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def os_errors() -> Iterator[None]:
    """Around writing by safetensors: its errors of the operating system become those.

    Raises:
        OSError: The disk is full or not writable.
    """
    try:
        yield
    except SafetensorError as error:
        # It wraps the operating system's error in text; the number tells a full disk from the rest.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number.group(1)), str(error)) from error


def is_saved_model(directory: Path) -> bool:
    """Whether a folder was written by `save_model`."""
    path = directory / _CONFIG
    if not path.is_file():
        return False
    config = read_json(path)
    return isinstance(config, dict) and config.get("format") == _FORMAT


def load_saved(directory: Path) -> MaskedLanguageModel:
    """Read a model written by `save_model`, onto the CPU.

    Raises:
        ModelError: The folder was written by a newer version, or is incomplete or damaged.
    """
    config: dict[str, Any] = read_json(directory / _CONFIG)
    try:
        return _restore(directory, config)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{directory / _CONFIG} is damaged: {error!r}. Save the model again.", detail=str(error)
        ) from error


def _restore(directory: Path, config: dict[str, Any]) -> MaskedLanguageModel:
    if config["version"] > _VERSION:
        raise ModelError(
            f"{directory} was written by a newer BioPrune (format {config['version']}, this one reads up to "
            f"{_VERSION}). Update BioPrune."
        )
    alphabet = Alphabet(config["alphabet"])
    tokeniser = ByteTokeniser.from_description(config["tokeniser"], alphabet)
    network = build_network(config["network"], initialise=False)
    try:
        state = safetensors.torch.load_file(directory / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"Could not read {directory / _WEIGHTS}: it is missing or damaged.", detail=str(error)
        ) from error
    load_state(network, state, str(directory))
    return MaskedLanguageModel(
        name=config["name"],
        architecture=Architecture(config["architecture"]),
        alphabet=alphabet,
        network=network,
        tokeniser=tokeniser,
        maximum_residues=config["maximum_residues"],
    )
