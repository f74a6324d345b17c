"""How a selection covers a pool: labels, clusters, lengths and map cells, against random of the same size.

A selection is a table or view of positions in the same connection, such as the one the selection package
writes; the sets compared are named by the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.queries.brush import CategoryColumn
from app.queries.composition import UNLABELLED
from app.queries.counting import count_by
from app.queries.relation import COLUMNS, bucket_expression, from_clause

__all__ = ["Overlap", "category_coverage", "length_coverage", "overlap", "strata_overlap"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two selections beside each other.

    Args:
        both: Rows in both.
        first_only: Rows only in the first.
        second_only: Rows only in the second.
    """

    both: int
    first_only: int
    second_only: int

    @property
    def jaccard(self) -> float:
        """Rows in both over rows in either; 1 for two empty selections."""
        union = self.both + self.first_only + self.second_only
        return self.both / union if union else 1.0


def category_coverage(
    connection: duckdb.DuckDBPyConnection, column: CategoryColumn, selections: Sequence[str]
) -> pd.DataFrame:
    """Rows of the pool and of each selection per category, by falling count in the pool.

    Args:
        connection: With the run's views and the selections.
        column: Label or cluster.
        selections: Names of tables with a column position.

    Returns:
        Columns category, pool, and one for each selection.
    """
    name = f"coalesce({COLUMNS[column.value]}::VARCHAR, '{UNLABELLED}')"
    parts = [f"SELECT {name} AS category, 'pool' AS source FROM {from_clause({column.value})}"]
    parts += [
        f"SELECT {name} AS category, '{selection}' AS source "
        f"FROM {selection} JOIN {from_clause({column.value})} USING (position)"
        for selection in selections
    ]
    sums = ", ".join(
        f"(count(*) FILTER (WHERE source = '{source}'))::BIGINT AS \"{source}\""
        for source in ("pool", *selections)
    )
    counts: pd.DataFrame = connection.execute(
        f"SELECT category, {sums} FROM ({' UNION ALL '.join(parts)}) GROUP BY category "
        "ORDER BY pool DESC, category"
    ).df()
    return counts


def length_coverage(
    connection: duckdb.DuckDBPyConnection, selections: Sequence[str], bins: int = 40
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]]]:
    """Histograms of length of the pool and of each selection, in bins of about equal width in log length.

    Returns:
        Bin edges in letters, whole numbers, shape (n + 1,) with n <= bins; counts by name, "pool" first,
        shape (n,) each.
    """
    row = connection.execute("SELECT min(length), max(length) FROM scored").fetchone()
    low, high = (1, 1) if row is None or row[0] is None else row
    # Whole numbers, each once: between fractions of a letter some bins could hold nothing at all.
    edges = np.unique(np.floor(np.geomspace(max(1, low), max(1, high) + 1, bins + 1)))
    bins = len(edges) - 1
    placed = bucket_expression(COLUMNS["length"], edges[1:-1].tolist(), [str(index) for index in range(bins)])
    counts: dict[str, NDArray[np.int64]] = {}
    for name in ("pool", *selections):
        source = "scored" if name == "pool" else f"{name} JOIN scored USING (position)"
        counts[name] = count_by(connection, placed, bins, source)
    return edges, counts


def overlap(connection: duckdb.DuckDBPyConnection, first: str, second: str) -> Overlap:
    """How many rows two selections share.

    Args:
        connection: With both selections.
        first: Table, view or table function with a column position, without repeats.
        second: The same.
    """
    row = connection.execute(
        f"SELECT (SELECT count(*) FROM {first}), (SELECT count(*) FROM {second}), "
        f"(SELECT count(*) FROM {first} SEMI JOIN {second} USING (position))"
    ).fetchone()
    assert row is not None, "a SELECT without FROM returns one row"
    in_first, in_second, both = (int(count) for count in row)
    return Overlap(both, in_first - both, in_second - both)


def strata_overlap(
    connection: duckdb.DuckDBPyConnection, selection: str, stratum: str, strata: int
) -> NDArray[np.int64]:
    """Rows of a selection per stratum.

    Args:
        connection: With the run's views and the selection.
        selection: Table with a column position.
        stratum: SQL expression of the stratum's index, over scored.influence.
        strata: How many strata there are.

    Returns:
        int64, shape (strata,).
    """
    return count_by(connection, stratum, strata, f"{selection} JOIN scored USING (position)")
