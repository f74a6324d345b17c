"""Test sequences that were seen before: identical and near-identical ones, measured and left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.near_identity import near_identical
from bioprune_core.tasks.task import Examples, Part, TaskData
from bioprune_core.tasks.telling import refuse_what_tells_nothing

__all__ = ["Leakage", "measure_leakage", "without_leaks"]

Near = Callable[[Sequence[str], Sequence[str], Alphabet], NDArray[np.bool_]]
"""Which of some sequences are near-identical to one of others, as `near_identical` says."""

_SEEN = (Part.TRAIN, Part.VALIDATION)


@dataclass(frozen=True, slots=True)
class Leakage:
    """How much of what a network sees of a task is known from the test part.

    Args:
        examples: Training and validation examples.
        identical: How many are identical to a test example.
        near: How many are near-identical to one, but not identical.
    """

    examples: int
    identical: int
    near: int


def measure_leakage(data: TaskData, near: Near = near_identical) -> Leakage:
    """Compare a task's training and validation examples with its test sequences.

    Args:
        data: Any task; of pairs of sequences those count both of which are found in the test part.
        near: What compares; one that keeps its results saves time.
    """
    test = _sequences(data)
    known = set(test)
    identical = close = 0
    for part in _SEEN:
        examples = data.parts[part]
        pairs = zip(examples.sequences, examples.partners or examples.sequences, strict=True)
        identical += sum(known.issuperset(pair) for pair in pairs)
        close += int(_leaks(examples, test, data.task.alphabet, near).sum())
    return Leakage(sum(len(data.parts[part]) for part in _SEEN), identical, close - identical)


def without_leaks(data: TaskData, near: Near = near_identical) -> TaskData:
    """The same test part; training and validation without what is near-identical to any of it.

    Args:
        data: Any task; of pairs of sequences those go both of which are near-identical.
        near: What compares; one that keeps its results saves time.

    Raises:
        InputError: Nothing would be left of a part, or one class or, of validation, value only.
    """
    test = _sequences(data)
    parts, removed = {Part.TEST: data.parts[Part.TEST]}, 0
    for part in _SEEN:
        examples = data.parts[part]
        leaks = _leaks(examples, test, data.task.alphabet, near)
        if leaks.all():
            raise InputError(
                f"Task {data.task.name}: all {len(examples):,} examples of the {part.value} part are "
                "near-identical to test sequences, so nothing would be left of it. Divide the data "
                "in another way."
            )
        removed += int(leaks.sum())
        parts[part] = examples.take(np.flatnonzero(~leaks))
    source = f"{data.source} {removed:,} examples near-identical to test sequences were left out."
    kept = TaskData(data.task, {part: parts[part] for part in Part}, source)
    refuse_what_tells_nothing(
        kept, "Those near-identical to test examples were left out: keep them, or divide the data anew."
    )
    return kept


def _leaks(examples: Examples, test: Sequence[str], alphabet: Alphabet, near: Near) -> NDArray[np.bool_]:
    leaks = near(examples.sequences, test, alphabet)
    if examples.partners is not None:
        leaks = leaks & near(examples.partners, test, alphabet)
    return leaks


def _sequences(data: TaskData) -> list[str]:
    """The test sequences; of pairs both."""
    test = data.parts[Part.TEST]
    return [*test.sequences, *(test.partners or ())]
