"""The tasks of an experiment: read, and compared with their own test parts. Imports no torch."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.experiments import TaskChoice
from bioprune_core.laboratory.comparisons import Comparisons
from bioprune_core.sequences import IngestOptions
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.normalise import Normaliser
from bioprune_core.sequences.records import RecordBlock
from bioprune_core.sequences.report import Tally
from bioprune_core.tasks import Part, TaskData, measure_leakage, read_own_task, read_task, without_leaks

__all__ = ["compare_parts", "read_tasks", "tested_sequences"]


def read_tasks(
    choices: Sequence[TaskChoice], base: Path, alphabet: Alphabet
) -> tuple[dict[str, TaskData], tuple[str, ...]]:
    """The data of each task by name, and a sentence on each: what was read, left out, drawn and guessed.

    Args:
        choices: The tasks of the experiment.
        base: Folder that their paths are relative to.
        alphabet: Of the pool.

    Raises:
        InputError: A task's data are missing or faulty, or of another alphabet.
    """
    tasks, notes = {}, []
    for choice in choices:
        place = base / Path(choice.folder).expanduser()
        if place.is_file():
            data, guessed = _own(choice, place, alphabet)
        else:
            data, guessed = _known(choice, place), ""
        notes.append(f"Task {choice.name}: {data.source}{guessed}")
        if data.task.alphabet is not alphabet:
            raise InputError(
                f"The task {choice.name} has {data.task.alphabet.value}, the dataset {alphabet.value}. "
                "Leave it out, or choose another dataset."
            )
        tasks[choice.name] = data
    return tasks, tuple(notes)


def tested_sequences(tasks: Mapping[str, TaskData], alphabet: Alphabet, options: IngestOptions) -> list[str]:
    """The distinct test sequences of all tasks, as they are and as the pool has them.

    Args:
        tasks: Data of each task by name.
        alphabet: Of the pool.
        options: How the pool was ingested: ambiguous letters may be replaced, long sequences cut.
    """
    tests = [data.parts[Part.TEST] for data in tasks.values()]
    texts = sorted({text for each in tests for text in (*each.sequences, *(each.partners or ()))})
    count = len(texts)
    nameless = ByteStrings.empty(count)
    letters = ByteStrings.from_list([text.encode() for text in texts])
    block = RecordBlock(np.arange(count), nameless, nameless, None, letters)
    pooled = Normaliser(alphabet, options, Tally())(block, "tests")
    return sorted({*texts, *(text.decode() for each in pooled for text in each.letters.tolist())})


def compare_parts(
    tasks: Mapping[str, TaskData], comparisons: Comparisons, bound: float, *, leave_out: bool
) -> tuple[dict[str, TaskData], tuple[str, ...]]:
    """The tasks, and a sentence for each on examples that are known from its test part.

    Args:
        tasks: Data of each task by name.
        comparisons: What compares, and keeps its results.
        bound: Least Jaccard index of what is near-identical.
        leave_out: Whether training and validation examples near-identical to test examples go.

    Raises:
        InputError: Nothing would be left of a part.
    """
    kept, notes = {}, []
    near = partial(comparisons.near, bound=bound)
    for name, data in tasks.items():
        found = measure_leakage(data, near)
        known = found.identical + found.near
        if leave_out:
            kept[name] = without_leaks(data, near)
            notes.append(
                f"Task {name}: {known:,} of {found.examples:,} training and validation examples are "
                f"near-identical to test examples (Jaccard index of k-mers from {bound:g}) and left out."
            )
            continue
        kept[name] = data
        remedy = " The setting leave_out_leaks leaves them out." if known else ""
        notes.append(
            f"Task {name}: of {found.examples:,} training and validation examples {found.identical:,} are "
            f"identical to a test example, and {found.near:,} more near-identical (Jaccard index of k-mers "
            f"from {bound:g}).{remedy}"
        )
    return kept, tuple(notes)


def _own(choice: TaskChoice, table: Path, alphabet: Alphabet) -> tuple[TaskData, str]:
    own = read_own_task(table, alphabet, choice.columns, choice.kind, name=choice.name)
    note = f" Guessed: {'; '.join(own.guessed)}. Where this is wrong, set its kind or columns."
    return own.data, note if own.guessed else ""


def _known(choice: TaskChoice, folder: Path) -> TaskData:
    if not folder.exists():
        raise MissingFileError(f"Task {choice.name}: there is no {folder}. Correct its `folder`.")
    if choice.is_own:
        raise InputError(
            f"Task {choice.name}: `kind` and `columns` say how a table of your own is read, but {folder} is "
            "a folder, whose layout is known. Leave them out, or name the table's file."
        )
    return read_task(choice.name, folder)
