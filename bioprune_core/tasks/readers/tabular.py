"""Tables of sequences and labels: one a part, or one with a column for the part (BEACON, PEER, one's own)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bioprune_core.errors import InputError
from bioprune_core.tasks.cells import parse_label
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.tables import Table, read_table
from bioprune_core.tasks.task import Part, TargetKind, Task

__all__ = [
    "PART_NAMES",
    "Columns",
    "found_columns",
    "part_files",
    "records_of",
    "split_records",
    "tabular",
    "usual_columns",
]

PART_NAMES: Mapping[Part, tuple[str, ...]] = {
    Part.TRAIN: ("train", "training", "tr"),
    Part.VALIDATION: ("validation", "valid", "val", "dev"),
    Part.TEST: ("test", "testing"),
}
_PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
_SEQUENCE = ("sequence", "seq", "primary", "text", "input")
_FIRST = ("sequence1", "seq1", "sequence_1", "seq_1", "primary_1", "protein1_sequence", *_SEQUENCE)
_SECOND = ("sequence2", "seq2", "sequence_2", "seq_2", "primary_2", "protein2_sequence", "partner")
_LABEL = ("label", "labels", "target", "class", "value", "score", "y", "structure", "interaction", "affinity")
_ID = ("id", "name", "accession", "file_name")
_SPLIT = ("split", "part", "set", "partition", "stage")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table to read, by name; None for those that are usual.

    Args:
        sequence: The (first) sequence.
        label: The label.
        partner: The second sequence.
        split: The part: train, validation or test; empty for none, so that parts are drawn.
    """

    sequence: str | None = None
    label: str | None = None
    partner: str | None = None
    split: str | None = None


def part_files(*endings: str) -> dict[Part, list[str]]:
    """Names of the file of each part, with one of these endings."""
    return {
        part: [f"{name}.{end}" for name in names for end in endings] for part, names in PART_NAMES.items()
    }


def tabular(folder: Folder, task: Task, letters: Normaliser) -> Found | None:
    """train, validation (or valid, val) and test as .csv or .tsv; or one table with a column for the part."""
    if task.target is TargetKind.PAIR_VALUES:
        return None
    paths = folder.parts(part_files("csv", "tsv"))
    if paths:
        parts = {part: records_of(read_table(path), task, letters) for part, path in paths.items()}
        return Found(parts, f"Tables of {', '.join(part.value for part in parts)}")
    path = folder.file(*[f"{name}.{ending}" for name in (task.name, "data") for ending in ("csv", "tsv")])
    if path is None:
        return None
    table = read_table(path)
    records = records_of(table, task, letters)
    return Found(split_records(table, records, Columns()), f"The table {path.name}")


def usual_columns(table: Table) -> Columns:
    """The columns of a table that have usual names, as the header spells them; None for what has none.

    Where the table was read with its rows, a column is of the part only if a value of it names one.
    """
    places = [table.column(_SEQUENCE), table.column(_LABEL), _usual_split(table)]
    sequence, label, split = (None if place is None else table.columns[place] for place in places)
    return Columns(sequence, label, split=split)


def found_columns(table: Table, columns: Columns) -> Columns:
    """The names of all columns that are read, as the header spells them; None for one that there is not.

    Of the part an empty name stands for none.

    Args:
        table: The table.
        columns: Those that are named; examples are pairs where `partner` is.

    Raises:
        InputError: A column is missing.
    """
    places = _places(table, columns, columns.partner is not None)
    sequence, label, partner = (None if place is None else table.columns[place] for place in places)
    split = _split(table, columns)
    return Columns(sequence, label, partner, "" if split is None else table.columns[split])


def records_of(table: Table, task: Task, letters: Normaliser, columns: Columns | None = None) -> list[Record]:
    """The records of a table, in its order.

    Raises:
        InputError: A column is missing, a sequence or label does not fit; names the record.
    """
    sequence, label, second = _places(table, columns or Columns(), task.partners)
    name = table.column(_ID)
    found = []
    for row, cells in enumerate(table.rows):
        where = table.where(row)
        text = letters(cells[sequence], where)
        partner = None if second is None else letters(cells[second], where)
        shown = cells[name] if name is not None and cells[name] else where
        found.append(Record(shown, text, parse_label(cells[label], task, len(text), where), partner))
    return found


def split_records(table: Table, records: Sequence[Record], columns: Columns) -> dict[Part, list[Record]]:
    """Records by the table's column for the part; all for training where it has none.

    Raises:
        InputError: The column has a value that names no part.
    """
    place = _split(table, columns)
    if place is None:
        return {Part.TRAIN: list(records)}
    parts: dict[Part, list[Record]] = {}
    for row, (cells, record) in enumerate(zip(table.rows, records, strict=True)):
        part = _part(cells[place])
        if part is None:
            raise InputError(
                f"{table.where(row)}: the column {table.columns[place]} is {cells[place]!r}, which is no "
                "part; write train, validation or test, or rename the column where it says something else. "
                'Of your own table parts are drawn where its columns have split = "".'
            )
        parts.setdefault(part, []).append(record)
    return parts


def _places(table: Table, columns: Columns, partners: bool) -> tuple[int, int, int | None]:
    """Where sequence, label and, of pairs, the second sequence are."""
    usual = _FIRST if partners else _SEQUENCE
    sequence = table.needed((columns.sequence,) if columns.sequence else usual, "the sequence")
    label = table.needed((columns.label,) if columns.label else _LABEL, "the label")
    second = None
    if partners:
        second = table.needed((columns.partner,) if columns.partner else _SECOND, "the second sequence")
    return sequence, label, second


def _split(table: Table, columns: Columns) -> int | None:
    if columns.split is None:
        return _usual_split(table)
    return table.needed((columns.split,), "the part") if columns.split else None


def _usual_split(table: Table) -> int | None:
    """One strange value among parts is an error to be told, so that one that names a part is enough."""
    for name in _SPLIT:
        place = table.column((name,))
        if place is not None and (not table.rows or any(_part(row[place]) for row in table.rows)):
            return place
    return None


def _part(cell: str) -> Part | None:
    return _PART_OF.get(cell.strip().lower())
