"""What a downstream task is, and its examples once they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.alphabet import Alphabet

__all__ = ["Examples", "Part", "Predictions", "TargetKind", "Targets", "Task", "TaskData"]

# One row per example, or where examples differ in size one array each.
Targets = NDArray[Any] | tuple[NDArray[Any], ...]
Predictions = NDArray[Any] | tuple[NDArray[Any], ...]


class TargetKind(StrEnum):
    """What is predicted for an example."""

    CLASS = "class"
    VALUE = "value"
    LABELS = "labels"
    RESIDUE_CLASS = "residue-class"
    PAIRS = "pairs"
    PAIR_VALUES = "pair-values"

    @property
    def is_ragged(self) -> bool:
        """Whether every example has an array of its own, of the size of its sequence."""
        return self in (TargetKind.RESIDUE_CLASS, TargetKind.PAIRS, TargetKind.PAIR_VALUES)


class Part(StrEnum):
    """The part of a data set that an example belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Task:
    """A downstream task, declared.

    Args:
        name: Short name: "rna-type".
        title: What a person reads.
        alphabet: Alphabet of its sequences.
        target: What is predicted.
        metrics: Names of `metrics.METRICS`; models are chosen by the first.
        classes: Names of the classes or labels, in the order of their numbers; empty for values and maps.
        partners: Whether an example is a pair of sequences.
        stand_in: For what original data these stand in; empty for the original.
    """

    name: str
    title: str
    alphabet: Alphabet
    target: TargetKind
    metrics: tuple[str, ...]
    classes: tuple[str, ...] = ()
    partners: bool = False
    stand_in: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The n examples of one part.

    Args:
        sequences: Normalised: upper case, T or U as the alphabet has it.
        partners: The second sequence of each example; None where there is only one.
        targets: By the task's `target`.
            CLASS: int64, shape (n,). VALUE: float64, shape (n,). LABELS: bool, shape (n, classes).
            RESIDUE_CLASS: n arrays of int64, shape (L,); -1 is not scored.
            PAIRS: n arrays of int8, shape (L, L), symmetric; -1 is not scored.
            PAIR_VALUES: n arrays of float32, shape (L, L); NaN is not scored.
        ids: Names of the examples as their file has them; they need not differ.
    """

    sequences: tuple[str, ...]
    partners: tuple[str, ...] | None
    targets: Targets
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, positions: Sequence[int] | NDArray[np.integer]) -> "Examples":
        """The examples at the given positions, in the order given."""
        places = [int(place) for place in positions]
        targets = self.targets
        return Examples(
            tuple(self.sequences[place] for place in places),
            None if self.partners is None else tuple(self.partners[place] for place in places),
            tuple(targets[place] for place in places)
            if isinstance(targets, tuple)
            else targets[np.asarray(places, dtype=np.int64)],
            tuple(self.ids[place] for place in places),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TaskData:
    """A task with its examples.

    Args:
        task: The task; its classes are those of these data.
        parts: Training, validation and test examples.
        source: What was read, in words, with counts of what was left out and why.
    """

    task: Task
    parts: Mapping[Part, Examples]
    source: str
