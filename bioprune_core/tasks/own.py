"""A task of one's own: a table with a column of sequences and one of labels."""

from dataclasses import dataclass, replace
from pathlib import Path

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.tasks.assembling import assemble
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.readers.tabular import Columns, records_of, split_records
from bioprune_core.tasks.records import Found
from bioprune_core.tasks.tables import Table, read_table
from bioprune_core.tasks.task import TargetKind, Task, TaskData

__all__ = ["OwnTask", "read_own_task"]

# So many distinct whole numbers or fewer are taken for numbers of classes.
_MOST_CLASSES = 20
_METRICS = {
    TargetKind.CLASS: ("accuracy", "macro_f1"),
    TargetKind.VALUE: ("spearman", "mse"),
}


@dataclass(frozen=True, slots=True, eq=False)
class OwnTask:
    """A task of one's own as it was read.

    Args:
        data: The task with its examples.
        guessed: What was guessed, in sentences; to be overridden where it is wrong.
    """

    data: TaskData
    guessed: tuple[str, ...]


def read_own_task(
    path: Path,
    alphabet: Alphabet,
    columns: Columns | None = None,
    kind: TargetKind | None = None,
    seed: int = 0,
    name: str = "",
) -> OwnTask:
    """The task in a table.

    Labels that are numbers, but not a few distinct whole ones, make a regression; all others classes. Without
    a column for the part, 80 % are trained on, 10 % validate and 10 % test, drawn by seed from every class.

    Args:
        path: A CSV or TSV file with a header row, packed or not.
        alphabet: Of the sequences.
        columns: Names of the columns, where the usual ones do not apply.
        kind: `CLASS` or `VALUE`; None to guess.
        seed: Of parts that are drawn.
        name: What to call the task; the file's name otherwise.

    Raises:
        InputError: A column is missing or a record is faulty; names the record.
    """
    columns = columns or Columns()
    table = read_table(path)
    guessed = []
    if kind is None:
        kind, why = _guess(table, columns)
        guessed.append(why)
    if kind not in _METRICS:
        raise InputError(f"A table of one's own can be classification or regression, not {kind.value}.")
    title = name or path.name.split(".")[0]
    task = Task(title, title, alphabet, kind, _METRICS[kind], partners=columns.partner is not None)
    letters = Normaliser(alphabet)
    records = records_of(table, task, letters, columns)
    found = Found(split_records(table, records, columns), f"The table {path.name}")
    data = assemble(task, found, letters, seed)
    if kind is TargetKind.CLASS and len(data.task.classes) == 2:
        data = replace(data, task=replace(data.task, metrics=("auc", "accuracy", "macro_f1")))
    return OwnTask(data, tuple(guessed))


def _guess(table: Table, columns: Columns) -> tuple[TargetKind, str]:
    place = table.needed(
        (columns.label,) if columns.label else ("label", "labels", "target", "class", "value", "score", "y"),
        "the label",
    )
    labels = [row[place].strip() for row in table.rows]
    try:
        numbers = {float(label) for label in labels}
    except ValueError:
        count = len(set(labels))
        return TargetKind.CLASS, f"The labels are not all numbers: classification with {count:,} classes."
    whole = all(number == int(number) for number in numbers if abs(number) < 1e15)
    if whole and len(numbers) <= _MOST_CLASSES:
        return TargetKind.CLASS, f"The labels are {len(numbers)} distinct whole numbers: classification."
    return TargetKind.VALUE, f"The labels are {len(numbers):,} distinct numbers: regression."
