"""A label as one cell of a table has it."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.tasks.structures import dot_bracket_map
from bioprune_core.tasks.task import TargetKind, Task

__all__ = ["number_of", "parse_label"]

_UNSCORED = frozenset(".-_?*~")
_MISSING = frozenset(("", "na", "nan", "none", "null"))
_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0*)?")


def parse_label(cell: str, task: Task, length: int, where: str) -> Any:
    """The target that a cell stands for.

    CLASS: the name, of whole numbers without a fraction. VALUE: a number. LABELS: 0 and 1 for each class, by
    spaces or commas. RESIDUE_CLASS: one sign a residue, or numbers of classes by spaces; '.', '-', '_', '?'
    and -1 are not scored. PAIRS: dot-bracket.

    Args:
        cell: As the table has it.
        task: Kind of the target, names of the classes.
        length: Of the sequence.
        where: File and record, for messages.

    Raises:
        InputError: The cell is empty or does not fit.
    """
    text = cell.strip()
    if text.lower() in _MISSING:
        remedy = "Give it, or leave the record out"
        if text and task.target is TargetKind.CLASS:
            remedy += ", or, where a class is called so, write its name in another way"
        raise InputError(f"{where}: the label is missing ({cell!r}). {remedy}.")
    if task.target is TargetKind.CLASS:
        # "1" and "1.0" are one class, as a table gets them where some labels were missing.
        return str(int(text.partition(".")[0])) if _WHOLE.fullmatch(text) else text
    if task.target is TargetKind.VALUE:
        return _number(text, where)
    if task.target is TargetKind.LABELS:
        return _labels(text, task, where)
    if task.target is TargetKind.RESIDUE_CLASS:
        return _residues(text, task, length, where)
    if task.target is TargetKind.PAIRS:
        return dot_bracket_map(text, length, where)
    raise InputError(f"{where}: maps of values cannot stand in a table; give one .npy file an example.")


def number_of(text: str) -> float:
    """The number that a cell stands for.

    Raises:
        ValueError: It is none. Python would read "1_2" as 12.
    """
    if "_" in text:
        raise ValueError(f"{text!r} is no number")
    return float(text)


def _number(text: str, where: str) -> float:
    try:
        value = number_of(text)
    except ValueError:
        raise InputError(
            f"{where}: the label {text[:40]!r} is no number. Correct it, or read the task as classification."
        ) from None
    if not np.isfinite(value):
        raise InputError(f"{where}: the label is {text}, not a finite number. Correct it or leave it out.")
    return value


def _labels(text: str, task: Task, where: str) -> NDArray[np.bool_]:
    signs = text.replace(",", " ").split()
    if len(signs) != len(task.classes) or set(signs) - {"0", "1"}:
        raise InputError(
            f"{where}: the label {text[:40]!r} is not {len(task.classes)} times 0 or 1, one for each of "
            f"{', '.join(task.classes)}."
        )
    return np.array([sign == "1" for sign in signs])


def _residues(text: str, task: Task, length: int, where: str) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(task.classes)}
    signs = text.split() if " " in text else list(text)
    if len(signs) != length:
        raise InputError(
            f"{where}: the label has {len(signs):,} signs, the sequence {length:,} letters. They must be "
            "equal."
        )
    found = np.empty(length, dtype=np.int64)
    for place, sign in enumerate(signs):
        if sign in numbers:
            found[place] = numbers[sign]
        elif sign in _UNSCORED or sign == "-1":
            found[place] = -1
        elif sign.isdecimal() and int(sign) < len(task.classes):
            found[place] = int(sign)
        else:
            raise InputError(
                f"{where}: {sign!r} at place {place + 1} of the label is none of {', '.join(task.classes)}."
            )
    return found
