"""Which columns of a table hold the sequences, the ids and the labels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bioprune_core.errors import InputError
from bioprune_core.sequences.formats import UnrecognisedError
from bioprune_core.sequences.options import IngestOptions

__all__ = [
    "DESCRIPTION_NAMES",
    "ID_NAMES",
    "LABEL_NAMES",
    "SEQUENCE_NAMES",
    "Columns",
    "choose_columns",
    "looks_like_sequences",
]

# In order of preference; compared in lower case.
SEQUENCE_NAMES = ("sequence", "seq", "sequences", "rna_sequence", "rna", "dna", "protein", "input")
ID_NAMES = (
    "id", "seq_id", "sequence_id", "identifier", "accession",
    "pdb_id", "name", "rna_name", "header", "entry", "title",
)  # fmt: skip
DESCRIPTION_NAMES = ("description",)
LABEL_NAMES = ("label", "class", "family")
# What a message says of the columns: so many names, so many letters of each.
_NAMES_LISTED, _NAME_LETTERS = 20, 40
_CELL = re.compile(r"[A-Za-z.*\-]+")
# Repeats are masked in lower case; hardly any word of a language has these letters alone.
_MASKED_CELL = re.compile(r"[ACGTUNacgtun.*\-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read, as indices from 0.

    Args:
        sequence: Column of the sequences.
        id: Column of the ids, None when there is none.
        description: Column of the descriptions, None when there is none.
        label: Column of the labels, None when there is none.
    """

    sequence: int
    id: int | None
    description: int | None
    label: int | None

    @property
    def wanted(self) -> list[int]:
        """The columns that are read, each once."""
        roles = (self.sequence, self.id, self.description, self.label)
        return list(dict.fromkeys(place for place in roles if place is not None))


def choose_columns(
    file: str, names: Sequence[str], rows: Sequence[Sequence[str]], options: IngestOptions, has_header: bool
) -> Columns:
    """Take the columns the options name and guess the others.

    Args:
        file: Name of the file, for messages.
        names: Column names; "1", "2", ... where the file has no header.
        rows: Some rows of the table.
        options: May name columns, by name or by number from 1.
        has_header: Whether `names` come from the file.

    Raises:
        InputError: A named column does not exist, or no column looks like sequences.
    """
    sequence = _named(file, names, options.sequence_column, "sequence")
    if sequence is None:
        sequence = _guess_sequence(file, names, rows)
    identifier = _named(file, names, options.id_column, "id")
    if identifier is None:
        identifier = _guess_id(names, rows, sequence, has_header)
    label = _named(file, names, options.label_column, "label")
    if label is None and options.label_pattern is None and not options.label_from_file_name:
        label = _first_of(LABEL_NAMES, names)
    return Columns(sequence, identifier, _first_of(DESCRIPTION_NAMES, names), label)


def looks_like_sequences(cells: Sequence[str], mixed: bool = False) -> bool:
    """Whether at least nine of ten filled cells are words of letters, gaps and stops.

    Args:
        cells: The cells of a column.
        mixed: Whether any word may have both cases; else only one of nucleotides may.
    """

    def fits(cell: str) -> bool:
        if mixed or _MASKED_CELL.fullmatch(cell):
            cell = cell.upper()
        return _CELL.fullmatch(cell) is not None and (cell.isupper() or cell.islower())

    filled = [cell.strip() for cell in cells if cell.strip()]
    return bool(filled) and sum(map(fits, filled)) >= 0.9 * len(filled)


def _named(file: str, names: Sequence[str], wanted: str | None, role: str) -> int | None:
    if wanted is None:
        return None
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise InputError(f"{file} has no column {wanted!r} for the {role}. Its columns are {_listed(names)}.")


def _guess_sequence(file: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    cells = [[row[place] for row in rows if place < len(row)] for place in range(len(names))]
    good = [place for place in range(len(names)) if looks_like_sequences(cells[place])]
    lowered = [name.strip().lower() for name in names]
    for name in SEQUENCE_NAMES:
        if name not in lowered:
            continue
        place = lowered.index(name)
        # What is called a sequence may be a masked protein; a column "protein" may hold names of proteins.
        if not rows or place in good or ("seq" in name and looks_like_sequences(cells[place], mixed=True)):
            return place
    # Sequences differ from row to row and are long; categories and per-residue tracks repeat themselves.
    found = [place for place in good if _mean_length(cells[place]) >= 8]
    if not found:
        raise UnrecognisedError(
            f"{file}: no column looks like sequences. Its columns are {_listed(names)}; say which one "
            "holds them (sequence_column)."
        )
    return max(
        found,
        key=lambda place: (
            "seq" in lowered[place],
            round(len(set(cells[place])) / len(cells[place]), 1),
            _mean_length(cells[place]),
            -place,
        ),
    )


def _guess_id(
    names: Sequence[str], rows: Sequence[Sequence[str]], sequence: int, has_header: bool
) -> int | None:
    if has_header:
        return _first_of(ID_NAMES, names)
    firsts = [row[0].strip() for row in rows if row]
    if sequence != 0 and firsts and all(firsts) and len(set(firsts)) == len(firsts):
        return 0
    return None


def _listed(names: Sequence[str]) -> str:
    short = [name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…" for name in names]
    listed = ", ".join(f"{place} {name!r}" for place, name in enumerate(short[:_NAMES_LISTED], 1))
    return listed if len(names) <= _NAMES_LISTED else f"{listed} and {len(names) - _NAMES_LISTED:,} more"


def _first_of(wanted: Sequence[str], names: Sequence[str]) -> int | None:
    lowered = [name.strip().lower() for name in names]
    return next((lowered.index(name) for name in wanted if name in lowered), None)


def _mean_length(cells: Sequence[str]) -> float:
    return sum(len(cell) for cell in cells) / len(cells) if cells else 0.0
