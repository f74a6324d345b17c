"""From records to a task's data: classes numbered, parts made, everything checked."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.splits import divide
from bioprune_core.tasks.task import Examples, Part, TargetKind, Targets, Task, TaskData
from bioprune_core.tasks.telling import listed, refuse_what_tells_nothing

__all__ = ["assemble"]

_VALIDATION_SHARE = 0.1
_TEST_SHARE = 0.1
_COIL = "C"


def assemble(task: Task, found: Found, letters: Normaliser, seed: int) -> TaskData:
    """A task's data.

    Where there is no validation or test part, a tenth of what is left is drawn for it by seed, for the test
    part first. Where the test part is drawn, equal sequences stay in one part: a validation part that the
    data name loses those of the test part. Where data stand in for others, what is trained on contains no
    sequence of the test part.

    Args:
        task: As declared; classes that it does not name are those of the records.
        found: What was read.
        letters: What the sequences were normalised by.
        seed: Of parts that are drawn.

    Raises:
        InputError: A part is empty or has one class or value only, one that is measured on has no class of
            the training part, or a target does not fit its sequence; names it.
    """
    notes = list(found.notes)
    parts = _parts(found, seed, notes)
    if found.stand_in or not found.parts.get(Part.TEST):
        parts = _without_test(parts, notes)
    for part in Part:
        if not parts.get(part):
            remedy = "Check the files or the split."
            if task.target is TargetKind.CLASS and part not in found.parts:
                remedy = "Its classes have too few examples: check whether the labels are to be numbers."
            raise InputError(
                f"Task {task.name}: the {part.value} part has no example ({found.layout}). {remedy}"
            )
    if letters.replaced:
        notes.append(
            f"In {letters.replaced:,} sequences letters that are not {letters.alphabet.value} became "
            f"{letters.alphabet.wildcard}."
        )
    if letters.stripped:
        notes.append(
            f"Of {letters.stripped:,} sequences gaps, white space or a trailing * were removed, as in pools."
        )
    declared = replace(task, stand_in=found.stand_in or task.stand_in)
    if task.target is TargetKind.CLASS:
        declared = replace(declared, classes=_classes(task, parts))
    if task.target is TargetKind.RESIDUE_CLASS:
        _tell_unscored(task, parts, notes)
    if task.target is TargetKind.CLASS:
        _tell_untrained(parts, notes)
    examples = {part: _examples(declared, parts[part]) for part in Part}
    data = TaskData(declared, examples, " ".join([f"{found.layout}.", *notes]))
    refuse_what_tells_nothing(data)
    return data


def _parts(found: Found, seed: int, notes: list[str]) -> dict[Part, list[Record]]:
    parts = {part: list(records) for part, records in found.parts.items() if records}
    # Parts that others drew stay as they are, so with them the validation part is drawn record by record.
    equal_together = Part.TEST not in parts
    for part, share in ((Part.TEST, _TEST_SHARE), (Part.VALIDATION, _VALIDATION_SHARE)):
        if part not in parts and len(parts.get(Part.TRAIN, ())) > 1:
            records = parts[Part.TRAIN]
            parts[Part.TRAIN], parts[part] = divide(records, share, seed, equal_together)
            repeated = len({(each.sequence, each.partner) for each in records}) < len(records)
            how = "equal sequences together, " if equal_together and repeated else ""
            notes.append(f"The {part.value} part was drawn from the training part, {how}with seed {seed}.")
    return parts


def _without_test(parts: dict[Part, list[Record]], notes: list[str]) -> dict[Part, list[Record]]:
    # Of a pair, the order does not matter.
    tested = {frozenset((record.sequence, record.partner)) for record in parts.get(Part.TEST, ())}
    cleaned, removed = {}, 0
    for part, records in parts.items():
        kept = [
            record
            for record in records
            if part is Part.TEST or frozenset((record.sequence, record.partner)) not in tested
        ]
        removed += len(records) - len(kept)
        cleaned[part] = kept
    if removed:
        notes.append(
            f"{removed:,} examples whose sequences are in the test part were left out of the others."
        )
    return cleaned


def _classes(task: Task, parts: dict[Part, list[Record]]) -> tuple[str, ...]:
    found = {str(record.target) for records in parts.values() for record in records}
    if not task.classes:
        numeric = all(name.removeprefix("-").isdecimal() for name in found)
        return tuple(sorted(found, key=int) if numeric else sorted(found))
    numbers = {str(number) for number in range(len(task.classes))}
    if found <= numbers:  # tables often have the classes' numbers
        return task.classes
    if strange := sorted(found - set(task.classes)):
        raise InputError(
            f"Task {task.name}: {strange[0]!r} is none of its classes: {', '.join(task.classes)}. Correct "
            "the label."
        )
    return task.classes


def _tell_untrained(parts: dict[Part, list[Record]], notes: list[str]) -> None:
    found = {part: {str(record.target) for record in records} for part, records in parts.items()}
    if untrained := set.union(*found.values()) - found[Part.TRAIN]:
        notes.append(f"Classes that no training example has: {listed(untrained)}.")


def _tell_unscored(task: Task, parts: dict[Part, list[Record]], notes: list[str]) -> None:
    for part, records in parts.items():
        labels = np.concatenate([record.target for record in records])
        unscored = int((labels < 0).sum())
        if not unscored:
            continue
        # DSSP writes coil as a blank or "-", and files made from it "_" or "."; no proteins are without.
        if _COIL in task.classes and not (labels == task.classes.index(_COIL)).any():
            raise InputError(
                f"Task {task.name}: {unscored:,} of {len(labels):,} residues of the {part.value} part have a "
                f"sign for not scored, and none is {_COIL}. Where the sign means coil, write {_COIL} instead."
            )
        notes.append(f"Of {len(labels):,} residues of the {part.value} part {unscored:,} are not scored.")


def _examples(task: Task, records: Sequence[Record]) -> Examples:
    for record in records:
        _check(task, record)
    targets: Targets
    if task.target is TargetKind.CLASS:
        numbers = {str(number): number for number in range(len(task.classes))}
        numbers |= {name: number for number, name in enumerate(task.classes)}
        targets = np.array([numbers[str(record.target)] for record in records], dtype=np.int64)
    elif task.target is TargetKind.VALUE:
        targets = np.array([record.target for record in records], dtype=np.float64)
    elif task.target is TargetKind.LABELS:
        targets = np.stack([record.target for record in records]).astype(bool)
    else:
        targets = tuple(record.target for record in records)
    partners = tuple(record.partner or "" for record in records) if task.partners else None
    return Examples(
        tuple(record.sequence for record in records),
        partners,
        targets,
        tuple(record.name for record in records),
    )


def _check(task: Task, record: Record) -> None:
    if task.partners and not record.partner:
        raise InputError(f"Task {task.name}: the example {record.name} has no second sequence. Add it.")
    if task.target is TargetKind.VALUE and not np.isfinite(record.target):
        raise InputError(
            f"Task {task.name}: the label of {record.name} is {record.target}, not a finite number."
        )
    shape = np.shape(record.target)
    length = len(record.sequence)
    wanted: tuple[int, ...] = ()
    if task.target is TargetKind.LABELS:
        wanted = (len(task.classes),)
    elif task.target is TargetKind.RESIDUE_CLASS:
        wanted = (length,)
    elif task.target in (TargetKind.PAIRS, TargetKind.PAIR_VALUES):
        wanted = (length, length)
    if shape != wanted:
        raise InputError(
            f"Task {task.name}: the label of {record.name} has the shape {shape}; for its sequence of "
            f"{length:,} letters it must be {wanted}. Check that label and sequence belong together."
        )
