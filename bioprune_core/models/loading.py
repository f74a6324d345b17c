"""From a name or a path to a model."""

from pathlib import Path

import torch

from bioprune_core.errors import ModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.saved import is_saved_model, load_saved

__all__ = ["load_model"]


def load_model(name_or_path: str | Path, device: torch.device | str = "cpu") -> MaskedLanguageModel:
    """Load a model for inference.

    Args:
        name_or_path: A folder written by `save_model`.
        device: Where to put it.

    Raises:
        ModelError: There is no such model, or its files do not fit together.
    """
    path = Path(name_or_path)
    if is_saved_model(path):
        return load_saved(path).to(device)
    raise ModelError(f"{name_or_path} is not a model folder.")
