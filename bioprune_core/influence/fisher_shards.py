"""The Fisher pass over a subset: parts on disk, each finished or absent, summed in fixed order."""

import json
import math
import shutil
from dataclasses import dataclass
from functools import partial
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
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.influence.head_inputs import recording
from bioprune_core.influence.linear_layers import LinearLayer, linear_layers
from bioprune_core.influence.plan import PassPlan, make_plan, read_plan
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally, unscored_facts, unscored_of
from bioprune_core.influence.windows import encode_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock
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
    keep_inputs: bool = False,
) -> NDArray[np.float64]:
    """Compute the Fisher diagonal of a subset, or what of it is missing in `directory`.

    Writes `plan.json` first; then `part-00000.safetensors` ... (sum_squared, count), beside each the head's
    inputs, where the plan says so, and a receipt; last `fisher.safetensors` (fisher_diagonal of the head, or
    one tensor for each weight and bias of linear layers, by their names). A sequence whose loss or gradient
    is NaN or infinite counts neither in the sum nor in M; the receipts name it (`read_unscored`).
    May be killed anywhere and called again.

    Args:
        model: The adapted model.
        pool: The pool.
        subset_positions: Positions of the subset in the pool, int64, shape (M,), M >= 1, sorted and distinct.
        config: Objective, parameters, batching, size of a part.
        directory: Of this run's Fisher alone.
        report: Told sequences done and throughput.
        keep_inputs: Whether to keep the head's inputs for a score pass over the pool, where the plan finds
            them worth it. They are the caller's to remove.

    Returns:
        F, float64, shape (out, in) of the head or (P,) of linear layers.

    Raises:
        InputError: The positions are empty, out of range, unsorted or repeated.
        StageError: The loss or gradient of more sequences than `unscored_limit` allows is NaN or infinite;
            names the positions.
        StorageError: The disk is full or not writable.
    """
    checked_positions(subset_positions, len(pool))
    plan = make_plan(model, pool, subset_positions, config, directory, keep_inputs)
    summer = _summer(model, pool, subset_positions, plan, directory)
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

    Does nothing before that process has written down its plan.

    Args, errors: as of `run_fisher`.
    """
    plan = read_plan(directory, config)
    if plan is None:
        return
    summer = _summer(model, pool, subset_positions, plan, directory)
    meter = ThroughputMeter("fisher", len(summer.positions), discard)
    finish_together(summer.parts, lambda index: summer.finish(index, meter), directory / _CLAIMS, wait=False)


def _summer(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    plan: PassPlan,
    directory: Path,
) -> "_PartSummer":
    positions = checked_positions(subset_positions, len(pool))
    facts = {
        "stage": "fisher",
        "config": plan.config.to_json(),
        "head_inputs": plan.head_inputs,
        "model": model.content_hash,
    }
    tally = UnscoredTally(plan.config.unscored_limit, len(positions))
    return _PartSummer(model, pool, positions, plan, directory, facts, tally, Backoff())


@dataclass(frozen=True, slots=True, eq=False)
class _PartSummer:
    """Finishes any one part of a subset, independently of the others.

    Args:
        model: The adapted model.
        pool: The pool.
        positions: Of the subset, checked.
        plan: Of the pass.
        directory: Of the parts.
        facts: What all parts are computed from, as JSON values.
        tally: Of the sequences left out.
        backoff: How far this process has backed off for want of memory.
    """

    model: MaskedLanguageModel
    pool: SequencePool
    positions: NDArray[np.int64]
    plan: PassPlan
    directory: Path
    facts: dict[str, Any]
    tally: UnscoredTally
    backoff: Backoff

    @property
    def size(self) -> int:
        """Sequences in a part. The parts of linear layers are as large as the model, so there are fewer."""
        config = self.plan.config
        small = config.parameters is ParameterSet.HEAD
        return min(config.shard_size, _PART_SEQUENCES) if small else config.shard_size

    @property
    def parts(self) -> int:
        """Parts in all."""
        return -(-len(self.positions) // self.size)

    def finish(self, index: int, meter: ThroughputMeter) -> None:
        """Compute part `index` unless it is there."""
        block = self.pool.take(self.positions[index * self.size : (index + 1) * self.size])
        files = self._files(index)
        receipt = files["part"].with_suffix(".json")
        origin = origin_of(self.facts, block.positions, block.hashes)
        found = find_receipt(receipt, origin, files)
        if found is not None:
            self.tally.add(unscored_of(found))
            meter.skip(len(block))
            return
        before = self.backoff.times
        part, index_of_inputs = self._sum(block, files.get("inputs"), meter)
        self.tally.add(part.unscored)
        count = np.array(part.sequences, dtype=np.int64)
        _write(files["part"], {"sum_squared": part.sum_squared, "count": count, **index_of_inputs})
        times = self.backoff.times - before
        facts = {"sequences": part.sequences, **unscored_facts(part.unscored), **backoff_facts(times)}
        write_receipt(receipt, origin, files, facts)

    def _sum(
        self, block: SequenceBlock, inputs: Path | None, meter: ThroughputMeter
    ) -> tuple[FisherPart, dict[str, NDArray[np.int64]]]:
        """The sum over a block, and where in the file of its head inputs, if there is one, its tokens are."""
        work = partial(
            accumulate_fisher,
            self.model,
            block,
            self.plan.config,
            meter.advance,
            leave_out=True,
            backoff=self.backoff,
        )
        if inputs is None or self.plan.kept is None:
            return work(), {}
        offsets = encode_block(self.model, block, self.plan.config).tokens.offsets
        width = gradient_engine(self.model, self.plan.config).shape[1]
        with recording(inputs, int(offsets[-1]), width, self.plan.kept) as kept:
            return work(kept_inputs=kept), {"positions": block.positions, "offsets": offsets}

    def read(self, index: int) -> FisherPart:
        """Sum and count of a finished part."""
        part = load_file(self._files(index)["part"])
        return FisherPart(part["sum_squared"], int(part["count"]))

    def _files(self, index: int) -> dict[str, Path]:
        files = {"part": self.directory / f"part-{index:05d}.safetensors"}
        if self.plan.head_inputs:
            files["inputs"] = self.directory / f"inputs-{index:05d}.npy"
        return files


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
