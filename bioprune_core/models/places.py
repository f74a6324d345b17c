"""Where the weights of a published model are on this machine, and fetching them where there is a network."""

import json
import os
from pathlib import Path

from huggingface_hub import snapshot_download

from bioprune_core.errors import ModelError
from bioprune_core.models.catalogue import ModelCard, Source

__all__ = ["fetch", "hub_source", "model_folders", "placed", "placed_repository"]

_HUB_FILES = ("*.json", "*.txt", "*.safetensors")


def model_folders() -> list[Path]:
    """Where models placed by hand are looked for: $BIOPRUNE_MODELS, then `weights` in the workspace."""
    chosen = os.environ.get("BIOPRUNE_MODELS")
    workspace = Path(os.environ.get("BIOPRUNE_WORKSPACE", "data/workspace"))
    return [*([Path(chosen)] if chosen else []), workspace / "weights"]


def placed(card: ModelCard) -> Path | None:
    """The file or folder of a model that was placed by hand; None where there is none.

    Looked for under the model's name, the repository's name, and the name of its weight file.
    """
    names = [card.name]
    for source in card.sources:
        names.append(source.repository.split("/")[1])
        names += [Path(file).name for file in source.files if file.endswith(".pth")]
    return _first(names)


def placed_repository(repository: str) -> Path | None:
    """The folder of a hub model outside the catalogue, placed by hand under its name without the owner."""
    return _first([repository.split("/")[1]])


def _first(names: list[str]) -> Path | None:
    return next(
        (folder / name for folder in model_folders() for name in names if (folder / name).exists()), None
    )


def fetch(name: str, sources: tuple[Source, ...]) -> Path:
    """The folder of a model of the hub: from the local cache if it is there, from the network otherwise.

    Args:
        name: For the message.
        sources: The preferred first.

    Raises:
        ModelError: It is in no cache and cannot be fetched; says which files to place where.
    """
    reasons = []
    for local in (True, False):
        for source in sources:
            try:
                folder = Path(
                    snapshot_download(
                        source.repository, allow_patterns=list(source.files), local_files_only=local
                    )
                )
            # The hub's client lets through errors of the library that it asks the network by.
            except Exception as error:  # noqa: BLE001
                reasons.append(f"{source.repository}: {error}")
                continue
            # A cache may hold the small files of a repository only, or some of its shards.
            if _has_weights(folder):
                return folder
            reasons.append(f"{source.repository}: no or not all weights in {folder}")
    raise ModelError(_by_hand(name, sources), detail="\n".join(reasons))


def hub_source(repository: str) -> Source:
    """What to fetch of a repository that is not in the catalogue: configuration, tokeniser, safetensors."""
    return Source(repository, _HUB_FILES)


def _has_weights(folder: Path) -> bool:
    for index in folder.glob("*.safetensors.index.json"):
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / shard).exists() for shard in shards)
    return any(folder.rglob("*.safetensors")) or any(folder.rglob("*.pth"))


def _by_hand(name: str, sources: tuple[Source, ...]) -> str:
    source = sources[0]
    single = [Path(file).name for file in source.files if file.endswith(".pth")]
    if single:
        what, target = single[0], f"as {model_folders()[0] / single[0]}"
    else:
        what = "config.json, model.safetensors and the tokeniser files"
        target = f"in {model_folders()[0] / source.repository.split('/')[1]}/"
    return (
        f"The weights of {name} are not on this machine and could not be fetched. Where there is a network, "
        f"get {what} of {source.repository} from the Hugging Face hub, place it {target} and try again. "
        "The folder can be chosen with BIOPRUNE_MODELS."
    )
