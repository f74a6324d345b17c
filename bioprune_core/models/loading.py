"""From a name or a path to a model."""

from pathlib import Path

import torch

from bioprune_core.errors import ModelError, UnknownModelError
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.models.catalogue import check_model_name, find_card
from bioprune_core.models.checkpoint import WEIGHT_SUFFIXES, load_checkpoint
from bioprune_core.models.folder import is_transformers_folder, load_folder
from bioprune_core.models.places import fetch, hub_source, placed, placed_repository
from bioprune_core.models.saved import is_saved_model, load_saved

__all__ = ["load_model"]


def load_model(name_or_path: str | Path, device: torch.device | str = "cpu") -> MaskedLanguageModel:
    """Load a model, in evaluation mode.

    No code that comes with a model is run, and of pickles only weights are read.

    Args:
        name_or_path: In this order: an existing path (a folder written by `save_model`, a folder in the
            layout of the transformers library, an official RNA-FM or ESM-C weight file or a folder with
            one); a name of the catalogue ("rna-fm", "esm2-8m", "esmc-300m", ...), or an id of the Hugging
            Face hub ("owner/name"), either found in $BIOPRUNE_MODELS, in the workspace's `weights`, in the
            hub's cache, or fetched.
        device: Where to put it.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or its files cannot be used; says why and
            what to do.
    """
    path = Path(name_or_path)
    if path.exists():
        return _load_path(path, _name_of(path)).to(device)
    name = str(name_or_path)
    card = find_card(name)
    if card is not None:
        found = placed(card) or fetch(card.name, card.sources)
        return _load_path(found, card.name).to(device)
    check_model_name(name if isinstance(name_or_path, str) else str(path.absolute()))  # no path is a hub id
    try:
        found = placed_repository(name) or fetch(name, (hub_source(name),))
    except ModelError as error:
        raise UnknownModelError(f"There is no folder {name} here. {error.message}", error.detail) from error
    return _load_path(found, name).to(device)


def _load_path(path: Path, name: str) -> MaskedLanguageModel:
    if path.is_file():
        if path.suffix not in WEIGHT_SUFFIXES:
            raise ModelError(
                f"{path} is not a weight file ({', '.join(WEIGHT_SUFFIXES)}). Give a weight file or a folder."
            )
        return load_checkpoint(path, name)
    if is_saved_model(path):
        return load_saved(path)
    if is_transformers_folder(path):
        return load_folder(path, name)
    files = sorted(file for file in path.rglob("*.pth") if file.is_file())
    if len(files) == 1:
        return load_checkpoint(files[0], name)
    raise ModelError(
        f"{path} is no model folder: it has no config.json that names a model_type, and "
        f"{f'{len(files)} .pth files, so give one of them' if files else 'no .pth file'}."
    )


def _name_of(path: Path) -> str:
    resolved = path.resolve()
    return resolved.stem if resolved.is_file() else resolved.name
