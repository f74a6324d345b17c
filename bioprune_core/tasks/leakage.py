"""Test sequences that were seen before: identical and near-identical ones, measured and left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.near_identity import near_identical
from bioprune_core.tasks.task import Part, TaskData

__all__ = ["Leakage", "measure_leakage", "without_leaks"]

Near = Callable[[Sequence[str], Sequence[str], Alphabet], NDArray[np.bool_]]
"""Which of some sequences are near-identical to one of others, as `near_identical` says."""


@dataclass(frozen=True, slots=True)
class Leakage:
    """How much of a test part was seen before.

    Args:
        test: Test sequences.
        in_train: How many are identical to a training or validation sequence.
        near_train: How many are identical or near-identical to one.
        in_pool: How many are identical to a sequence of the pool; None where no pool was given.
        near_pool: How many are identical or near-identical to one.
    """

    test: int
    in_train: int
    near_train: int
    in_pool: int | None
    near_pool: int | None


def measure_leakage(data: TaskData, pool: Sequence[str] | None = None) -> Leakage:
    """Compare a task's test sequences with those trained on, and with a pool.

    Args:
        data: Any task; of pairs of sequences both count.
        pool: Normalised sequences that networks are pretrained on; None for no pool.
    """
    alphabet = data.task.alphabet
    test = _sequences(data, Part.TEST)
    train = [*_sequences(data, Part.TRAIN), *_sequences(data, Part.VALIDATION)]
    seen = set(train)
    pooled = None if pool is None else set(pool)
    return Leakage(
        len(test),
        sum(sequence in seen for sequence in test),
        int(near_identical(test, train, alphabet).sum()),
        None if pooled is None else sum(sequence in pooled for sequence in test),
        None if pool is None else int(near_identical(test, pool, alphabet).sum()),
    )


def without_leaks(data: TaskData, near: Near = near_identical) -> TaskData:
    """The same test part; training and validation without what is near-identical to any of it.

    Args:
        data: Any task; of pairs of sequences those go both of which are near-identical.
        near: What compares; one that keeps its results saves time.

    Raises:
        InputError: Nothing would be left of a part.
    """
    test = _sequences(data, Part.TEST)
    parts, removed = {Part.TEST: data.parts[Part.TEST]}, 0
    for part in (Part.TRAIN, Part.VALIDATION):
        examples = data.parts[part]
        leaks = near(examples.sequences, test, data.task.alphabet)
        if examples.partners is not None:
            leaks &= near(examples.partners, test, data.task.alphabet)
        if leaks.all():
            raise InputError(
                f"Task {data.task.name}: all {len(examples):,} examples of the {part.value} part are "
                "near-identical to test sequences, so nothing would be left of it. Divide the data "
                "in another way."
            )
        removed += int(leaks.sum())
        parts[part] = examples.take(np.flatnonzero(~leaks))
    source = f"{data.source} {removed:,} examples near-identical to test sequences were left out."
    return TaskData(data.task, {part: parts[part] for part in Part}, source)


def _sequences(data: TaskData, part: Part) -> list[str]:
    examples = data.parts[part]
    return [*examples.sequences, *(examples.partners or ())]
