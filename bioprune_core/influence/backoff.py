"""What happens where a batch does not fit into the device's memory: it is halved, and so are later ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bioprune_core.errors import StageError
from bioprune_core.heap import trim_heap
from bioprune_core.influence.objective import LossTerms, SequenceGroup
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import read_json

__all__ = [
    "Backoff",
    "backoff_facts",
    "backoffs_of",
    "halved",
    "is_out_of_memory",
    "read_backoffs",
    "within_memory",
]

Computed = TypeVar("Computed")

_FACT = "backoffs"
_GROUPS_BETWEEN_TRIMS = 2

# What is said where the error is a plain RuntimeError: on the CPU, when cuBLAS finds no workspace, and when a
# kernel is loaded.
_PHRASES = (
    "can't allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Triton Error [CUDA]: out of memory",
)


@dataclass(slots=True)
class Backoff:
    """How far a pass has backed off; one for a whole pass, so that not every batch fails anew.

    Args:
        budget: Most tokens of a forward pass, pads included; None for as many as were planned.
        times: How often a batch did not fit.
    """

    budget: int | None = None
    times: int = 0

    def note(self, group: SequenceGroup) -> None:
        """A group did not fit: from now on take half of its tokens."""
        self.times += 1
        half = max(1, _tokens(group) // 2)
        self.budget = half if self.budget is None else min(half, self.budget)

    def fitted(self, group: SequenceGroup) -> list[SequenceGroup]:
        """The group itself, or its parts within the budget where that is smaller."""
        if self.budget is None or _tokens(group) <= self.budget:
            return [group]
        return [piece for half in halved(group) for piece in self.fitted(half)] or [group]


def within_memory(
    groups: Iterable[SequenceGroup],
    compute: Callable[[SequenceGroup], Computed],
    backoff: Backoff,
    device: torch.device,
    block: SequenceBlock,
    forget: Callable[[NDArray[np.int64]], None] = lambda _: None,
) -> Iterator[tuple[SequenceGroup, Computed]]:
    """Compute groups; one for which there is no memory is done again in halves, and so are larger ones after.

    Args:
        groups: As planned.
        compute: Computes one.
        backoff: How far has been backed off before; changed here.
        device: That computes.
        block: What the groups' rows are of, for the error.
        forget: Gives up what a failed attempt has left of some rows.

    Yields:
        Each group that was computed, and what came of it; all sequences are in one of them.

    Raises:
        StageError: There is no memory for a single sequence alone; names its position.
    """
    for number, planned in enumerate(groups, 1):
        if device.type == "cpu" and number % _GROUPS_BETWEEN_TRIMS == 0:
            trim_heap()
        waiting = [planned]
        while waiting:
            group, *later = backoff.fitted(waiting.pop(0))
            waiting = [*later, *waiting]
            failure = ""
            try:
                computed = compute(group)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = str(error) or type(error).__name__
            if not failure:
                yield group, computed
                continue
            # Here, where the failed batch's own tensors are gone: the error kept them alive.
            if device.type == "cuda":
                torch.cuda.empty_cache()
            waiting = [*_divided(group, device, block, failure), *waiting]
            backoff.note(group)
            forget(group.rows)


def _divided(
    group: SequenceGroup, device: torch.device, block: SequenceBlock, detail: str
) -> tuple[SequenceGroup, ...]:
    """The halves of a group for which there was no memory.

    Raises:
        StageError: It is a single sequence.
    """
    halves = halved(group)
    if not halves:
        row = int(group.rows[0])
        raise StageError(
            f"The sequence at position {block.positions[row]}, of {block.lengths[row]:,} residues, does not "
            f"fit into the memory of the device {device}, though it was computed alone. Ingest the "
            "dataset with a shorter maximum length, have long sequences scored in windows (too_long=window), "
            "or choose a smaller model or a device with more memory. Finished shards are kept.",
            detail,
        )
    return halves


def halved(group: SequenceGroup) -> tuple[SequenceGroup, ...]:
    """Half of a group's sequences each; of a single one its copies in twice as many forward passes.

    Returns:
        Empty where it is one sequence with one copy a pass, which nothing can divide.
    """
    count = len(group.rows)
    if count > 1:
        parts = (slice(0, count // 2), slice(count // 2, count))
        return tuple(_sequences(group, part) for part in parts)
    if all(forward.copies == 1 for forward in group.forwards):
        return ()
    forwards = tuple(piece for forward in group.forwards for piece in _half_copies(forward))
    return (replace(group, forwards=forwards),)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _PHRASES)


def backoff_facts(times: int) -> dict[str, int]:
    """What the receipt of a part says of it; nothing where every batch fitted."""
    return {_FACT: times} if times else {}


def backoffs_of(facts: Mapping[str, Any]) -> int:
    """How often a receipt says that a batch did not fit."""
    return int(facts.get(_FACT, 0))


def read_backoffs(directory: Path) -> int:
    """How often a batch of a finished pass did not fit, from the receipts of its parts.

    Args:
        directory: Of the scores or of the Fisher.

    Raises:
        StorageError: A receipt is damaged.
    """
    return sum(backoffs_of(read_json(path)["facts"]) for path in directory.glob("part-*.json"))


def _tokens(group: SequenceGroup) -> int:
    return max(forward.inputs.numel() for forward in group.forwards)


def _sequences(group: SequenceGroup, part: slice) -> SequenceGroup:
    extents = group.extents[part]
    # A forward pass of its own does not need the pads of the longer half.
    width = max(extents)
    return replace(
        group,
        rows=np.ascontiguousarray(group.rows[part]),
        lengths=group.lengths[part],
        extents=extents,
        forwards=tuple(
            _rows(forward, slice(part.start * forward.copies, part.stop * forward.copies), width)
            for forward in group.forwards
        ),
    )


def _half_copies(forward: LossTerms) -> list[LossTerms]:
    middle = forward.copies // 2
    if not middle:
        return [forward]
    pieces = []
    for start, stop in ((0, middle), (middle, forward.copies)):
        even = min(max(forward.even_copies - start, 0), stop - start)
        piece = _rows(forward, slice(start, stop), forward.inputs.shape[1])
        pieces.append(replace(piece, copies=stop - start, even_copies=even))
    return pieces


def _rows(forward: LossTerms, rows: slice, width: int) -> LossTerms:
    return replace(
        forward,
        inputs=forward.inputs[rows, :width],
        attention_mask=forward.attention_mask[rows, ..., :width],
        targets=forward.targets[rows, :width],
        weights=forward.weights[rows, :width],
    )
