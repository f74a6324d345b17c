"""The Fisher pass over a subset: parts on disk, each finished or absent, summed in fixed order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from bioprune_core.errors import InputError, StorageError
from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet
from bioprune_core.influence.fisher import accumulate_fisher, fisher_diagonal
from bioprune_core.influence.linear_layers import LinearLayer, linear_layers
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.storage import atomic_path

__all__ = ["read_fisher", "read_fisher_tensors", "run_fisher"]


def run_fisher(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
    report: Reporter = discard,
) -> NDArray[np.float64]:
    """Compute the Fisher diagonal of a subset, or what of it is missing in `directory`.

    Writes `part-00000.safetensors` ... (sum_squared, count), a receipt beside each, and `fisher.safetensors`
    (fisher_diagonal of the head, or one tensor for each weight and bias of linear layers, by their names).
    May be killed anywhere and called again.

    Args:
        model: The adapted model.
        pool: The pool.
        subset_positions: Positions of the subset in the pool, int64, shape (M,), M >= 1, sorted and distinct.
        config: Objective, parameters, batching, size of a part.
        directory: Of this run's Fisher alone.
        report: Told sequences done and throughput.

    Returns:
        F, float64, shape (out, in) of the head or (P,) of linear layers.

    Raises:
        InputError: The positions are empty, out of range, unsorted or repeated.
        StageError: A loss or gradient is NaN or infinite; names the positions.
        StorageError: The disk is full or not writable.
    """
    positions = checked_positions(subset_positions, len(pool))
    facts = {"stage": "fisher", "config": config.to_json(), "model": model.content_hash}
    meter = ThroughputMeter("fisher", len(positions), report)
    parts = []
    for index, start in enumerate(range(0, len(positions), config.shard_size)):
        block = pool.take(positions[start : start + config.shard_size])
        path = directory / f"part-{index:05d}.safetensors"
        receipt = path.with_suffix(".json")
        origin = origin_of(facts, block.positions, block.hashes)
        if find_receipt(receipt, origin, {"part": path}) is None:
            total, count = accumulate_fisher(model, block, config, meter.advance)
            _write(path, {"sum_squared": total, "count": np.array(count, dtype=np.int64)})
            write_receipt(receipt, origin, {"part": path}, {"sequences": count})
        else:
            meter.skip(len(block))
            part = load_file(path)
            total, count = part["sum_squared"], int(part["count"])
        parts.append((total, count))
    fisher = fisher_diagonal(parts)
    metadata = {"digest": origin_of({}, fisher)}
    tensors = {"fisher_diagonal": fisher}
    if config.parameters is not ParameterSet.HEAD:
        tensors = _by_layer(fisher, linear_layers(model, config.parameters))
        metadata["order"] = json.dumps([*tensors])
    _write(directory / "fisher.safetensors", tensors, metadata)
    meter.finish()
    return fisher


def read_fisher(directory: Path) -> NDArray[np.float64]:
    """The Fisher diagonal that `run_fisher` left in a directory, as it returned it.

    Raises:
        StorageError: It is missing or damaged.
    """
    tensors = read_fisher_tensors(directory)
    if [*tensors] == ["fisher_diagonal"]:
        return tensors["fisher_diagonal"]
    return _joined(tensors)


def read_fisher_tensors(directory: Path) -> dict[str, NDArray[np.float64]]:
    """The tensors of a Fisher diagonal by name: `fisher_diagonal` of the head, or those of linear layers.

    Raises:
        StorageError: It is missing or damaged.
    """
    path = directory / "fisher.safetensors"
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            names = json.loads(metadata.get("order", '["fisher_diagonal"]'))
            tensors = {name: stream.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError) as error:
        raise StorageError(
            f"Could not read {path}: it is missing or damaged. Run the Fisher stage again.", detail=str(error)
        ) from error
    whole = tensors["fisher_diagonal"] if "order" not in metadata else _joined(tensors)
    if metadata.get("digest") != origin_of({}, whole):
        raise StorageError(f"{path} is damaged: its content has changed. Run the Fisher stage again.")
    return tensors


def _by_layer(fisher: NDArray[np.float64], layers: tuple[LinearLayer, ...]) -> dict[str, NDArray[np.float64]]:
    tensors = {}
    for layer in layers:
        tensors[f"{layer.name}.weight"] = fisher[layer.weight].reshape(layer.shape)
        if layer.bias.stop > layer.bias.start:
            tensors[f"{layer.name}.bias"] = fisher[layer.bias]
    return tensors


def _joined(tensors: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([tensor.ravel() for tensor in tensors.values()])


def checked_positions(positions: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Positions of a subset as int64, refused unless they are distinct, sorted and inside the pool.

    Raises:
        InputError: Names the offending position and the bound.
    """
    given = np.asarray(positions)
    if given.ndim != 1 or not len(given):
        raise InputError("The subset is empty; it needs at least one position.")
    if given.dtype.kind not in "iu":
        raise InputError(f"Positions of a subset are whole numbers; got {given.dtype}.")
    for position in (given.min(), given.max()):
        if not 0 <= position < total:
            raise InputError(f"Position {position} of the subset is outside the pool: 0 to {total - 1}.")
    if (falling := np.flatnonzero(np.diff(given) <= 0)).size:
        row = int(falling[0])
        raise InputError(
            f"Positions of a subset are sorted and distinct; {given[row]} is followed by {given[row + 1]}."
        )
    return given.astype(np.int64)


def _write(path: Path, tensors: dict[str, NDArray[Any]], metadata: dict[str, str] | None = None) -> None:
    with atomic_path(path) as part:
        # Written here and not by the library, whose own error does not say that a disk is full.
        part.write_bytes(save(tensors, metadata))
