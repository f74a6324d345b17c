"""The Fisher pass over a subset: parts on disk, each finished or absent, summed in fixed order."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from bioprune_core.claims import finish_together
from bioprune_core.errors import InputError, StorageError
from bioprune_core.influence.backoff import Backoff, backoff_facts
from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet
from bioprune_core.influence.fisher import FisherPart, accumulate_fisher, fisher_diagonal
from bioprune_core.influence.linear_layers import LinearLayer, linear_layers
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally, unscored_facts, unscored_of
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.storage import atomic_path

__all__ = ["help_fisher", "read_fisher", "read_fisher_tensors", "run_fisher"]

_CLAIMS = ".claims"
_PART_SEQUENCES = 512
"""Of the subset in a part of the head's Fisher: a subset of 2,000 keeps four workers busy."""


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
    A sequence whose loss or gradient is NaN or infinite counts neither in the sum nor in M; the receipts name
    it (`read_unscored`). May be killed anywhere and called again.

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
        StageError: The loss or gradient of more sequences than `unscored_limit` allows is NaN or infinite;
            names the positions.
        StorageError: The disk is full or not writable.
    """
    summer = _summer(model, pool, subset_positions, config, directory)
    meter = ThroughputMeter("fisher", len(summer.positions), report)
    claims = directory / _CLAIMS
    try:
        finish_together(summer.parts, lambda index: summer.finish(index, meter), claims, wait=True)
    finally:
        # A helper that looks for more to do may make it again; an empty folder harms nobody.
        shutil.rmtree(claims, ignore_errors=True)
    fisher = fisher_diagonal(summer.read(index) for index in range(summer.parts))
    metadata = {"digest": origin_of({}, fisher)}
    tensors = {"fisher_diagonal": fisher}
    if config.parameters is not ParameterSet.HEAD:
        tensors = _by_layer(fisher, linear_layers(model, config.parameters))
        metadata["order"] = json.dumps([*tensors])
    _write(directory / "fisher.safetensors", tensors, metadata)
    meter.finish()
    return fisher


def help_fisher(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
) -> None:
    """Compute parts of a Fisher diagonal beside the process that does it, until all are done or claimed.

    Args, errors: as of `run_fisher`.
    """
    summer = _summer(model, pool, subset_positions, config, directory)
    meter = ThroughputMeter("fisher", len(summer.positions), discard)
    finish_together(summer.parts, lambda index: summer.finish(index, meter), directory / _CLAIMS, wait=False)


def _summer(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
) -> "_PartSummer":
    positions = checked_positions(subset_positions, len(pool))
    facts = {"stage": "fisher", "config": config.to_json(), "model": model.content_hash}
    tally = UnscoredTally(config.unscored_limit, len(positions))
    return _PartSummer(model, pool, positions, config, directory, facts, tally, Backoff())


@dataclass(frozen=True, slots=True, eq=False)
class _PartSummer:
    """Finishes any one part of a subset, independently of the others.

    Args:
        model: The adapted model.
        pool: The pool.
        positions: Of the subset, checked.
        config: Of the pass.
        directory: Of the parts.
        facts: What all parts are computed from, as JSON values.
        tally: Of the sequences left out.
        backoff: How far this process has backed off for want of memory.
    """

    model: MaskedLanguageModel
    pool: SequencePool
    positions: NDArray[np.int64]
    config: InfluenceConfig
    directory: Path
    facts: dict[str, Any]
    tally: UnscoredTally
    backoff: Backoff

    @property
    def size(self) -> int:
        """Sequences in a part. The parts of linear layers are as large as the model, so there are fewer."""
        small = self.config.parameters is ParameterSet.HEAD
        return min(self.config.shard_size, _PART_SEQUENCES) if small else self.config.shard_size

    @property
    def parts(self) -> int:
        """Parts in all."""
        return -(-len(self.positions) // self.size)

    def finish(self, index: int, meter: ThroughputMeter) -> None:
        """Compute part `index` unless it is there."""
        block = self.pool.take(self.positions[index * self.size : (index + 1) * self.size])
        path = self._path(index)
        receipt = path.with_suffix(".json")
        origin = origin_of(self.facts, block.positions, block.hashes)
        found = find_receipt(receipt, origin, {"part": path})
        if found is not None:
            self.tally.add(unscored_of(found))
            meter.skip(len(block))
            return
        before = self.backoff.times
        part = accumulate_fisher(
            self.model, block, self.config, meter.advance, leave_out=True, backoff=self.backoff
        )
        self.tally.add(part.unscored)
        count = np.array(part.sequences, dtype=np.int64)
        _write(path, {"sum_squared": part.sum_squared, "count": count})
        times = self.backoff.times - before
        facts = {"sequences": part.sequences, **unscored_facts(part.unscored), **backoff_facts(times)}
        write_receipt(receipt, origin, {"part": path}, facts)

    def read(self, index: int) -> FisherPart:
        """Sum and count of a finished part."""
        part = load_file(self._path(index))
        return FisherPart(part["sum_squared"], int(part["count"]))

    def _path(self, index: int) -> Path:
        return self.directory / f"part-{index:05d}.safetensors"


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
