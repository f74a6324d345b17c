"""Examples cut to what a model takes: sequences lose their end, and targets of residues with it."""

from dataclasses import dataclass

from bioprune_core.tasks.task import Examples, Part, TargetKind, Targets, TaskData

__all__ = ["Cropped", "crop"]

_PER_RESIDUE = (TargetKind.RESIDUE_CLASS, TargetKind.PAIRS, TargetKind.PAIR_VALUES)


@dataclass(frozen=True, slots=True, eq=False)
class Cropped:
    """A task's data as a model sees it.

    Args:
        data: No sequence is longer than the model takes.
        truncated: How many examples of each part lost residues.
    """

    data: TaskData
    truncated: dict[Part, int]


def crop(data: TaskData, maximum_residues: int) -> Cropped:
    """Cut every sequence to its first residues.

    Residues and pairs beyond are neither trained on nor scored; a class or value stays that of the whole.

    Args:
        data: Of any kind.
        maximum_residues: Most residues of a sequence, >= 1.

    Source: BEACON (arXiv 2406.10391), structure tasks.
    """
    parts, truncated = {}, {}
    for part, examples in data.parts.items():
        long = [
            index
            for index in range(len(examples))
            if max(len(text) for text in _texts(examples, index)) > maximum_residues
        ]
        truncated[part] = len(long)
        parts[part] = _cropped(examples, data.task.target, maximum_residues) if long else examples
    return Cropped(TaskData(data.task, parts, data.source), truncated)


def _texts(examples: Examples, index: int) -> list[str]:
    sequence = examples.sequences[index]
    return [sequence] if examples.partners is None else [sequence, examples.partners[index]]


def _cropped(examples: Examples, kind: TargetKind, most: int) -> Examples:
    targets: Targets = examples.targets
    if kind in _PER_RESIDUE:
        targets = tuple(target[(slice(most),) * target.ndim] for target in targets)
    return Examples(
        tuple(text[:most] for text in examples.sequences),
        None if examples.partners is None else tuple(text[:most] for text in examples.partners),
        targets,
        examples.ids,
    )
