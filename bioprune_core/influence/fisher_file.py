"""The finished Fisher diagonal on disk: of the head, or of linear layers by their names."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bioprune_core.errors import StorageError
from bioprune_core.influence.linear_layers import LinearLayer
from bioprune_core.influence.receipt import origin_of
from bioprune_core.storage import atomic_path

__all__ = ["read_fisher", "read_fisher_tensors", "write_fisher", "write_tensors"]


def write_fisher(directory: Path, fisher: NDArray[np.float64], layers: tuple[LinearLayer, ...]) -> None:
    """Write `fisher.safetensors`.

    Args:
        directory: Of this run's Fisher alone.
        fisher: F, shape (out, in) of the head or (P,) of linear layers.
        layers: Those layers; none for the head.

    Raises:
        StorageError: The disk is full or not writable.
    """
    metadata = {"digest": origin_of({}, fisher)}
    tensors = {"fisher_diagonal": fisher}
    if layers:
        tensors = _by_layer(fisher, layers)
        metadata["order"] = json.dumps([*tensors])
    write_tensors(directory / "fisher.safetensors", tensors, metadata)


def read_fisher(directory: Path) -> NDArray[np.float64]:
    """The Fisher diagonal that `run_fisher` left in a directory, as it returned it.

    Raises:
        StorageError: It is missing or damaged.
    """
    return _read(directory)[0]


def read_fisher_tensors(directory: Path) -> dict[str, NDArray[np.float64]]:
    """The tensors of a Fisher diagonal by name: `fisher_diagonal` of the head, or those of linear layers.

    Raises:
        StorageError: It is missing or damaged.
    """
    return _read(directory)[1]


def _read(directory: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """F in one array, and its tensors as views into that: it may be as large as the model."""
    path = directory / "fisher.safetensors"
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            names = json.loads(metadata.get("order", '["fisher_diagonal"]'))
            shapes = {name: tuple(stream.get_slice(name).get_shape()) for name in names}
            places = np.cumsum([0, *map(math.prod, shapes.values())])
            whole = np.empty(places[-1])
            tensors = {}
            for (name, shape), start, end in zip(shapes.items(), places[:-1], places[1:], strict=True):
                whole[start:end] = stream.get_tensor(name).reshape(-1)
                tensors[name] = whole[start:end].reshape(shape)
    except (OSError, SafetensorError, ValueError) as error:
        raise StorageError(
            f"Could not read {path}: it is missing or damaged. Run the Fisher stage again.", detail=str(error)
        ) from error
    if "order" not in metadata:
        whole = tensors["fisher_diagonal"]
    if metadata.get("digest") != origin_of({}, whole):
        raise StorageError(f"{path} is damaged: its content has changed. Run the Fisher stage again.")
    return whole, tensors


def _by_layer(fisher: NDArray[np.float64], layers: tuple[LinearLayer, ...]) -> dict[str, NDArray[np.float64]]:
    tensors = {}
    for layer in layers:
        tensors[f"{layer.name}.weight"] = fisher[layer.weight].reshape(layer.shape)
        if layer.bias.stop > layer.bias.start:
            tensors[f"{layer.name}.bias"] = fisher[layer.bias]
    return tensors


def write_tensors(
    path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file; it appears whole or not at all."""
    with atomic_path(path) as part:
        # Written here and not by the library, whose own error does not say that a disk is full.
        part.write_bytes(save(tensors, metadata))
