"""Tables with a header row: comma, semicolon or tab separated."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioprune_core.errors import InputError
from bioprune_core.tasks.places import read_first_line, read_text

__all__ = ["Table", "read_header", "read_table"]

_LONGEST_CELL = 1 << 30


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Args:
        name: Of its file, for messages.
        columns: Names of the header row.
        rows: n rows of as many cells.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, names: Sequence[str]) -> int | None:
        """Place of the first of these columns; None where there is none.

        Where no column has a name as it is written, its case does not matter.
        """
        written = [column.strip() for column in self.columns]
        lowered = [column.lower() for column in written]
        for name in map(str.strip, names):
            if name in written:
                return written.index(name)
            if name.lower() in lowered:
                return lowered.index(name.lower())
        return None

    def needed(self, names: Sequence[str], what: str) -> int:
        """As `column`.

        Raises:
            InputError: There is none.
        """
        place = self.column(names)
        if place is None:
            raise InputError(
                f"{self.name} has no column with {what}; looked for {', '.join(names)}, found "
                f"{', '.join(self.columns)}. Rename the column, or name it in the columns of your own task."
            )
        return place

    def where(self, row: int) -> str:
        """File and record of a row, for messages."""
        return f"{self.name}, record {row + 1}"


def read_header(path: Path) -> Table:
    """A table without its rows, whose file is read no further than the header row.

    Raises:
        InputError: It cannot be read, or has no header row.
    """
    first = read_first_line(path)
    columns = next(csv.reader([first], delimiter=_delimiter(first)), [])
    if not columns:
        raise InputError(f"{path.name} has no header row. Name its columns in the first line.")
    return Table(path.name, tuple(columns), ())


def read_table(path: Path) -> Table:
    """A table, packed or not.

    Raises:
        InputError: It cannot be read, is empty, or a row has another number of cells than the header.
    """
    text = read_text(path)
    delimiter = _delimiter(text.partition("\n")[0])
    csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        raise InputError(f"{path.name} is no table: {error}.") from error
    if len(rows) < 2:
        raise InputError(f"{path.name} has no rows. A table has a header row and one row for each example.")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path.name}, record {number}: {len(row)} cells where the header has {len(rows[0])}. Quote "
                f"cells that contain {delimiter!r}."
            )
    return Table(path.name, rows[0], tuple(rows[1:]))


def _delimiter(header: str) -> str:
    return max(",\t;", key=header.count)
