"""Data that tell no network from another are refused."""

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.tasks.task import Part, TargetKind, TaskData

__all__ = ["listed", "refuse_what_tells_nothing"]

_SHOWN = 5
_ALIKE, _ANEW = "which tells no network from another", "Divide the data anew."
_CALLED = {Part.TRAIN: "training", Part.VALIDATION: "validation", Part.TEST: "test"}
_WHY = {Part.TRAIN: "so there is nothing to learn", Part.VALIDATION: _ALIKE, Part.TEST: _ALIKE}
_REMEDIES = {Part.TRAIN: "Check the column of the labels.", Part.VALIDATION: _ANEW, Part.TEST: _ANEW}


def refuse_what_tells_nothing(data: TaskData, remedy: str = "") -> None:
    """Refuse classes of which there is one only or none that is trained on, and measuring on one value.

    Whatever a network predicts of one class or value, metrics are alike: 0.5 for an AUC.

    Args:
        data: A task's; none of its parts is empty.
        remedy: What to do about it where parts were made smaller; empty where the data came so.

    Raises:
        InputError: A part has one class, or no value at all, or one that is measured on has one value or no
            class trained on.
    """
    task = data.task
    if task.target is TargetKind.PAIR_VALUES:
        for part in Part:
            if not any(np.isfinite(values).any() for values in data.parts[part].targets):
                raise InputError(
                    f"Task {task.name}: none of the {len(data.parts[part]):,} maps of the {part.value} part "
                    f"has a value, {_WHY[part]}. {remedy or 'Check the files of the maps.'}"
                )
    if task.target not in (TargetKind.CLASS, TargetKind.VALUE):
        return
    classes = task.target is TargetKind.CLASS
    what = "class" if classes else "value"
    found = {part: _names(data, part) for part in Part}
    for part in Part:
        # A training part of one value is refused where it is measured, by every protocol.
        if len(found[part]) < 2 and (classes or part is not Part.TRAIN):
            raise InputError(
                f"Task {task.name}: all {len(data.parts[part]):,} {_CALLED[part]} examples have one {what}, "
                f"{next(iter(found[part]))!r}, {_WHY[part]}. {remedy or _REMEDIES[part]}"
            )
        if classes and not found[part] & found[Part.TRAIN]:
            raise InputError(
                f"Task {task.name}: no class of the {part.value} part is one of the training part: "
                f"{listed(found[part])}, but {listed(found[Part.TRAIN])}. "
                f"{remedy or 'Give both labels of one kind.'}"
            )


def listed(names: set[str]) -> str:
    """The first of them in a sentence, and how many more there are."""
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"


def _names(data: TaskData, part: Part) -> set[str]:
    distinct = np.unique(data.parts[part].targets).tolist()
    return {
        data.task.classes[each] if data.task.target is TargetKind.CLASS else str(each) for each in distinct
    }
