"""The Fisher pass over a subset: parts on disk, each finished or absent, summed in fixed order."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bioprune_core.claims import finish_together
from bioprune_core.errors import InputError
from bioprune_core.influence.backoff import Backoff, backoff_facts
from bioprune_core.influence.configuration import InfluenceConfig, ParameterSet
from bioprune_core.influence.fisher import FisherPart, accumulate_fisher, fisher_diagonal
from bioprune_core.influence.fisher_file import write_fisher, write_tensors
from bioprune_core.influence.gradient_engine import gradient_engine
from bioprune_core.influence.head_inputs import recording
from bioprune_core.influence.linear_layers import linear_layers
from bioprune_core.influence.plan import PassPlan, make_plan, read_plan
from bioprune_core.influence.pool import SequencePool
from bioprune_core.influence.receipt import find_receipt, origin_of, write_receipt
from bioprune_core.influence.throughput import ThroughputMeter
from bioprune_core.influence.unscored import UnscoredTally, unscored_facts, unscored_of
from bioprune_core.influence.windows import EncodedBlock, encode_block
from bioprune_core.models.adapter import MaskedLanguageModel
from bioprune_core.progress import Reporter, discard
from bioprune_core.sequences.block import SequenceBlock

__all__ = ["checked_positions", "help_fisher", "part_sequences", "run_fisher"]

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
    tell: Callable[[str], None] = lambda _: None,
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
        tell: Told in a sentence when parts of helpers that hang are computed here.

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
        finish_together(
            summer.parts, summer.read, partial(summer.compute, meter), claims, wait=True, tell=tell
        )
    finally:
        # A helper that looks for more to do may make it again; an empty folder harms nobody.
        shutil.rmtree(claims, ignore_errors=True)
    fisher = fisher_diagonal(summer.sum_of(index) for index in range(summer.parts))
    head = config.parameters is ParameterSet.HEAD
    write_fisher(directory, fisher, () if head else linear_layers(model, config.parameters))
    meter.finish()
    return fisher


def help_fisher(
    model: MaskedLanguageModel,
    pool: SequencePool,
    subset_positions: NDArray[np.int64],
    config: InfluenceConfig,
    directory: Path,
) -> int | None:
    """Compute parts of a Fisher diagonal beside the process that does it, until all are done or claimed.

    Does nothing before that process has written down its plan, or where that is for another type of device:
    a processor would take for a part as long as a GPU for many, with other last bits.

    Args, errors: as of `run_fisher`.

    Returns:
        How many it computed; None where there is no plan yet.
    """
    plan = read_plan(directory, config)
    if plan is None:
        return None
    if not plan.suits(model.device):
        return 0
    summer = _summer(model, pool, subset_positions, plan, directory)
    meter = ThroughputMeter("fisher", len(summer.positions), discard)
    computed = finish_together(
        summer.parts,
        summer.read,
        partial(summer.compute, meter),
        directory / _CLAIMS,
        wait=False,
        seems_finished=summer.seems_finished,
    )
    return sum(filter(None, computed))


def part_sequences(config: InfluenceConfig) -> int:
    """Sequences in a part of the pass. Fewer parts of linear layers: each is as large as the model."""
    head = config.parameters is ParameterSet.HEAD
    return min(config.shard_size, _PART_SEQUENCES) if head else config.shard_size


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
    backoff = Backoff(plan.most_tokens(model.device))
    return _PartSummer(model, pool, positions, plan, directory, facts, tally, backoff)


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
    def parts(self) -> int:
        """Parts in all."""
        return -(-len(self.positions) // part_sequences(self.plan.config))

    def seems_finished(self, index: int) -> bool:
        """Whether part `index` has a receipt; whether that is right is found out in `compute`."""
        return _receipt(self._files(index)).exists()

    def read(self, index: int) -> "_Part":
        """Read and tokenise part `index`."""
        size = part_sequences(self.plan.config)
        block = self.pool.take(self.positions[index * size : (index + 1) * size])
        origin = origin_of(self.facts, block.positions, block.hashes)
        return _Part(block, origin, encode_block(self.model, block, self.plan.config))

    def compute(
        self, meter: ThroughputMeter, index: int, part: "_Part", stack: ExitStack
    ) -> Callable[[], bool]:
        """Compute a part unless it is there. Returns what writes it and says whether there was need to."""
        files = self._files(index)
        found = find_receipt(_receipt(files), part.origin, files)
        if found is not None:
            self.tally.add(unscored_of(found))
            meter.skip(len(part.block))
            return lambda: False
        before = self.backoff.times
        recorded = stack.enter_context(ExitStack())
        with meter.computing():
            summed = accumulate_fisher(
                self.model,
                part.block,
                self.plan.config,
                meter.advance,
                leave_out=True,
                backoff=self.backoff,
                kept_inputs=self._recording(part.encoded, files, recorded),
                encoded=part.encoded,
            )
        self.tally.add(summed.unscored)
        facts = backoff_facts(self.backoff.times - before)
        write = partial(_write_part, part, summed, files, recorded, facts)
        if self.plan.config.parameters is ParameterSet.HEAD:
            return write
        # As large as the model: it is not kept in memory while the next is summed.
        write()
        return lambda: True

    def _recording(
        self, encoded: EncodedBlock, files: Mapping[str, Path], stack: ExitStack
    ) -> NDArray[Any] | None:
        """Where to write the head's inputs, a file that appears when the stack is left; None to keep none."""
        if self.plan.kept is None:
            return None
        tokens = int(encoded.tokens.offsets[-1])
        width = gradient_engine(self.model, self.plan.config).shape[1]
        return stack.enter_context(recording(files["inputs"], tokens, width, self.plan.kept))

    def sum_of(self, index: int) -> FisherPart:
        """Sum and count of a finished part."""
        part = load_file(self._files(index)["part"])
        return FisherPart(part["sum_squared"], int(part["count"]))

    def _files(self, index: int) -> dict[str, Path]:
        files = {"part": self.directory / f"part-{index:05d}.safetensors"}
        if self.plan.head_inputs:
            files["inputs"] = self.directory / f"inputs-{index:05d}.npy"
        return files


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What a part is computed from.

    Args:
        block: Its sequences.
        origin: Digest of all that determines its bytes.
        encoded: The tokens.
    """

    block: SequenceBlock
    origin: str
    encoded: EncodedBlock


def _receipt(files: Mapping[str, Path]) -> Path:
    return files["part"].with_suffix(".json")


def _write_part(
    part: _Part, summed: FisherPart, files: Mapping[str, Path], recorded: ExitStack, facts: Mapping[str, Any]
) -> bool:
    """Put the head's inputs into place, where they are kept, then write the sum and, last, the receipt."""
    recorded.close()
    tensors = {"sum_squared": summed.sum_squared, "count": np.array(summed.sequences, dtype=np.int64)}
    if "inputs" in files:
        tensors |= {"positions": part.block.positions, "offsets": part.encoded.tokens.offsets}
    write_tensors(files["part"], tensors)
    facts = {"sequences": summed.sequences, **unscored_facts(summed.unscored), **facts}
    write_receipt(_receipt(files), part.origin, files, facts)
    return True


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
