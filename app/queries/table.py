"""The table of sequences: one page by SQL, its length, and the download of what is filtered."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd

from app.queries.brush import Predicate
from app.queries.counting import EVERYTHING
from app.queries.relation import COLUMNS, columns_of, from_clause, text
from bioprune_core.errors import InputError

__all__ = ["SortKey", "TableOrder", "count_letters", "count_rows", "export_rows", "table_page"]

TABLE_COLUMNS = ("id", "label", "length", "influence", "loss", "cluster", "sequence")
_PREVIEW_LETTERS = 60


class SortKey(StrEnum):
    """Columns that the table can be sorted by."""

    INFLUENCE = "influence"
    LOSS = "loss"
    LENGTH = "length"
    ID = "id"
    LABEL = "label"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class TableOrder:
    """How the table is sorted; rows that tie are in pool order."""

    key: SortKey = SortKey.INFLUENCE
    descending: bool = True

    @property
    def sql(self) -> str:
        """The ORDER BY clause."""
        direction = "DESC" if self.descending else "ASC"
        return f"ORDER BY {COLUMNS[self.key.value]} {direction} NULLS LAST, position"


def count_rows(connection: duckdb.DuckDBPyConnection, selected: Predicate = EVERYTHING) -> int:
    """How many rows are selected."""
    row = connection.execute(
        f"SELECT count(*) FROM {from_clause(selected.columns)} WHERE {selected.sql}", selected.parameters
    ).fetchone()
    return int(row[0]) if row else 0


def count_letters(connection: duckdb.DuckDBPyConnection, selected: Predicate = EVERYTHING) -> int:
    """How many letters the selected rows have together, without reading any."""
    row = connection.execute(
        f"SELECT coalesce(sum({COLUMNS['length']}), 0) "
        f"FROM {from_clause(columns_of({'length'}, selected.columns))} WHERE {selected.sql}",
        selected.parameters,
    ).fetchone()
    return int(row[0]) if row else 0


def table_page(
    connection: duckdb.DuckDBPyConnection,
    page: int,
    size: int = 25,
    order: TableOrder | None = None,
    selected: Predicate = EVERYTHING,
) -> pd.DataFrame:
    """One page of the selected rows.

    The page's positions are found with the sort column alone; only then are names and letters read, for
    these rows. Otherwise a sort would drag every sequence of the pool through memory.

    Args:
        connection: With the run's views.
        page: From 0.
        size: Rows a page.
        order: How to sort; by falling influence when None.
        selected: Which rows.

    Returns:
        Columns position, id, label, length, influence, loss, cluster, sequence (its first letters).
    """
    order = order or TableOrder()
    offset = max(0, page) * size
    found = connection.execute(
        f"SELECT position FROM {from_clause(columns_of({order.key.value}, selected.columns))} "
        f"WHERE {selected.sql} {order.sql} LIMIT {int(size)} OFFSET {int(offset)}",
        selected.parameters,
    ).fetchall()
    positions = ", ".join(str(int(row[0])) for row in found)
    if not positions:
        positions = "-1"
    columns = ", ".join(COLUMNS[name] for name in TABLE_COLUMNS if name != "sequence")
    rows: pd.DataFrame = connection.execute(
        f"SELECT position, {columns}, CASE WHEN length(sequence) > {_PREVIEW_LETTERS} "
        f"THEN substr(sequence, 1, {_PREVIEW_LETTERS}) || '…' ELSE sequence END AS sequence "
        f"FROM {from_clause(TABLE_COLUMNS)} WHERE position IN ({positions}) {order.sql}"
    ).df()
    return rows


def export_rows(
    connection: duckdb.DuckDBPyConnection,
    selected: Predicate,
    order: TableOrder,
    limit: int,
    block: int = 1 << 20,
) -> Iterator[bytes]:
    """The selected rows as CSV with whole sequences, in blocks of bytes.

    Raises:
        InputError: More rows are selected than `limit`.
    """
    count = count_rows(connection, selected)
    if count > limit:
        raise InputError(
            f"{count:,} sequences are selected; a table download holds at most {limit:,}. "
            "Narrow the selection, or save a coreset and export that."
        )
    columns = ", ".join(COLUMNS[name] for name in TABLE_COLUMNS)
    with TemporaryDirectory(prefix="bioprune-table-") as folder:
        target = Path(folder) / "rows.csv"
        connection.execute(
            f"COPY (SELECT position, {columns} "
            f"FROM {from_clause(columns_of(TABLE_COLUMNS, selected.columns))} "
            f"WHERE {selected.sql} {order.sql}) TO {text(target)} (FORMAT csv, HEADER)",
            selected.parameters,
        )
        with target.open("rb") as stream:
            while data := stream.read(block):
                yield data
