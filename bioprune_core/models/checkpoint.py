"""Weight files of the models' authors: read without running code, recognised by their parameter names."""

import argparse
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from bioprune_core.errors import ModelError
from bioprune_core.models import esm_c, rna_fm
from bioprune_core.models.adapter import MaskedLanguageModel

__all__ = ["WEIGHT_SUFFIXES", "load_checkpoint", "more_than_weights"]

WEIGHT_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    state: dict[str, torch.Tensor]
    arguments: Mapping[str, Any]


def load_checkpoint(path: Path, name: str) -> MaskedLanguageModel:
    """Load the official RNA-FM `.pth` or an ESM-C file of the layout of 2024.

    Pickles are read as weights only; of classes, `argparse.Namespace` alone is allowed.

    Args:
        path: The weight file.
        name: What to call the model.

    Raises:
        ModelError: The file is damaged, holds code, or is of no known layout.
    """
    checkpoint = _read(path)
    if rna_fm.recognises(checkpoint.state):
        return rna_fm.convert(checkpoint.state, checkpoint.arguments, name, path)
    if esm_c.recognises(checkpoint.state):
        return esm_c.convert(checkpoint.state, name, path)
    shown = ", ".join(sorted(checkpoint.state)[:3]) or "none at all"
    raise ModelError(
        f"{path} is of no weight layout that BioPrune knows: its parameters are {shown}, ... Known are the "
        "official RNA-FM_pretrained.pth and esmc_*_2024_12_v0.pth. For any other model give the folder that "
        "holds its config.json and model.safetensors."
    )


def _read(path: Path) -> _Checkpoint:
    if path.suffix == ".safetensors":
        try:
            return _Checkpoint(safetensors.torch.load_file(path), {})
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from error
    content = _unpickle(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__} instead of named weights.")
    arguments = content.get("args")
    weights = content.get("model", content)
    if not isinstance(weights, dict):
        raise ModelError(f"{path} holds a {type(weights).__name__} instead of named weights.")
    state = {name: tensor for name, tensor in weights.items() if isinstance(tensor, torch.Tensor)}
    return _Checkpoint(state, vars(arguments) if isinstance(arguments, argparse.Namespace) else {})


def _unpickle(path: Path) -> Any:
    try:
        # The official RNA-FM file is 1.2 GB, two thirds of it optimiser state that mapping leaves unread.
        mapped = zipfile.is_zipfile(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise more_than_weights(path, error) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def more_than_weights(path: Path, error: pickle.UnpicklingError) -> ModelError:
    """The error for a pickle with anything but tensors and plain values."""
    return ModelError(
        f"{path} holds more than weights, and BioPrune runs no code from model files. Save its weights "
        "alone (as safetensors, or a dictionary of tensors) and load that.",
        detail=str(error),
    )


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"Could not read the weights in {path}: the file is missing or damaged. Fetch it again and compare "
        "its size with the original's.",
        detail=str(error),
    )
