"""Whose a training's folder is: by the weights it began with, its sequences and its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bioprune_core.errors import ConflictError
from bioprune_core.models import MaskedLanguageModel
from bioprune_core.storage import read_json, write_json
from bioprune_core.training.batches import Corpus
from bioprune_core.training.config import TrainingConfig
from bioprune_core.training.history import TrainingHistory

__all__ = ["claim"]

_IDENTITY = "training.json"


def claim(directory: Path, model: MaskedLanguageModel, corpus: Corpus, config: TrainingConfig) -> None:
    """Write down whose the directory is, or check that it is this training's.

    Of its settings all but `device_tokens` must be the same: where a device is too small for a step, the
    training goes on with the step in more parts.

    Raises:
        ConflictError: It is another's.
    """
    identity = {
        "model": model.content_hash,
        "sequences": corpus.digest(),
        "config": _of_any_device(config.to_json()),
    }
    path = directory / _IDENTITY
    if not path.is_file():
        write_json(path, identity)
        return
    stored = read_json(path)
    finished = TrainingHistory.read(directory)
    if finished is not None and identity["model"] == finished.content_hash:
        # The same model object, handed in again after it was trained here.
        identity["model"] = stored.get("model")
    # Older versions wrote all settings.
    stored["config"] = _of_any_device(stored.get("config", {}))
    for part, what in (("model", "weights"), ("sequences", "sequences"), ("config", "settings")):
        if stored.get(part) != identity[part]:
            raise ConflictError(
                f"{directory} holds a training of other {what}. Give the {what} it was started with (a model "
                "left half-trained by an interruption must be loaded again), or choose another folder."
            )


def _of_any_device(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "device_tokens"}
