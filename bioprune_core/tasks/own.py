"""A task of one's own: a table with a column of sequences and one of labels."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from bioprune_core.alphabet import Alphabet
from bioprune_core.tasks.assembling import assemble
from bioprune_core.tasks.cells import number_of
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.readers.tabular import Columns, found_columns, records_of, split_records
from bioprune_core.tasks.records import Found
from bioprune_core.tasks.tables import Table, read_table
from bioprune_core.tasks.task import TargetKind, Task, TaskData

__all__ = ["OwnKind", "OwnTask", "guess_kind", "read_own_task"]

# So many distinct whole numbers or fewer are taken for numbers of classes.
_MOST_CLASSES = 20


class OwnKind(StrEnum):
    """What the labels of one's own table are."""

    CLASSIFICATION = "classification"
    """Names or numbers of classes."""
    REGRESSION = "regression"
    """Numbers to predict."""


_DECLARED = {
    OwnKind.CLASSIFICATION: (TargetKind.CLASS, ("accuracy", "macro_f1")),
    OwnKind.REGRESSION: (TargetKind.VALUE, ("spearman", "mse")),
}


@dataclass(frozen=True, slots=True, eq=False)
class OwnTask:
    """A task of one's own as it was read.

    Args:
        data: The task with its examples.
        guessed: What was guessed, in phrases; to be overridden where it is wrong.
    """

    data: TaskData
    guessed: tuple[str, ...]


def read_own_task(
    path: Path,
    alphabet: Alphabet,
    columns: Columns | None = None,
    kind: OwnKind | None = None,
    seed: int = 0,
    name: str = "",
) -> OwnTask:
    """The task in a table.

    Labels that are numbers, but not a few distinct whole ones, make a regression; all others classes. Without
    a column for the part, 10 % test, a tenth of the others, 9 %, validate and 81 % are trained on, drawn by
    seed from every class, of one with few examples at least one; equal sequences stay in one part.

    Args:
        path: A CSV or TSV file with a header row, packed or not.
        alphabet: Of the sequences.
        columns: Names of the columns, where the usual ones do not apply.
        kind: What the labels are; None to guess.
        seed: Of parts that are drawn.
        name: What to call the task; the file's name otherwise.

    Raises:
        InputError: A column is missing or a record is faulty; names the record.
    """
    named = columns or Columns()
    table = read_table(path)
    columns = found_columns(table, named)
    guessed = _guessed_columns(named, columns)
    if kind is None:
        kind, why = _guess(table, columns)
        guessed.append(why)
    target, metrics = _DECLARED[kind]
    title = name or path.name.split(".")[0]
    task = Task(title, title, alphabet, target, metrics, partners=columns.partner is not None)
    letters = Normaliser(alphabet)
    records = records_of(table, task, letters, columns)
    found = Found(split_records(table, records, columns), f"The table {path.name}")
    data = assemble(task, found, letters, seed)
    if kind is OwnKind.CLASSIFICATION and len(data.task.classes) == 2:
        data = replace(data, task=replace(data.task, metrics=("auc", "accuracy", "macro_f1")))
    return OwnTask(data, tuple(guessed))


def guess_kind(path: Path, columns: Columns | None = None) -> tuple[OwnKind, str]:
    """What the labels of a table seem to be, and the phrase that says why.

    Args:
        path: As for `read_own_task`.
        columns: As for `read_own_task`.

    Raises:
        InputError: The file is no table, or a column is missing.
    """
    table = read_table(path)
    return _guess(table, found_columns(table, columns or Columns()))


def _guessed_columns(named: Columns, found: Columns) -> list[str]:
    pairs = (
        ("sequences", named.sequence, found.sequence),
        ("labels", named.label, found.label),
        ("split", named.split, found.split),
    )
    return [f'{what} from the column "{read}"' for what, asked, read in pairs if read and not asked]


def _guess(table: Table, columns: Columns) -> tuple[OwnKind, str]:
    assert columns.label is not None
    place = table.needed((columns.label,), "the label")
    labels = [row[place].strip() for row in table.rows]
    try:
        numbers = {number_of(label) for label in labels}
    except ValueError:
        count = len(set(labels))
        why = f"classification with {count:,} classes, as the labels are not all numbers"
        return OwnKind.CLASSIFICATION, why
    whole = all(number == int(number) for number in numbers if abs(number) < 1e15)
    if whole and len(numbers) <= _MOST_CLASSES:
        why = f"classification, as the labels are {len(numbers)} different whole numbers"
        return OwnKind.CLASSIFICATION, why
    return OwnKind.REGRESSION, f"regression, as the labels are {len(numbers):,} different numbers"
