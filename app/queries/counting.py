"""Rows per bucket: the one aggregate under every histogram, density and bar of the explorer."""

from collections.abc import Iterable

import duckdb
import numpy as np
from numpy.typing import NDArray

from app.queries.brush import Predicate
from app.queries.relation import WEIGHT, columns_of, from_clause

__all__ = ["EVERYTHING", "count_by"]

EVERYTHING = Predicate()
"""The condition that holds for every row."""


def count_by(
    connection: duckdb.DuckDBPyConnection,
    bucket: str,
    buckets: int,
    columns: Iterable[str],
    selected: Predicate = EVERYTHING,
) -> NDArray[np.int64]:
    """Count the selected rows per bucket, as the run's sample has them.

    Args:
        connection: With the run's views.
        bucket: SQL expression of a row's bucket, an integer in 0..buckets - 1.
        buckets: How many there are.
        columns: The columns that `bucket` reads.
        selected: Which rows.

    Returns:
        int64, shape (buckets,).
    """
    rows = connection.execute(
        f"SELECT ({bucket})::INTEGER AS bucket, round(sum({WEIGHT}))::BIGINT AS count "
        f"FROM {from_clause(columns_of(columns, selected.columns), sample=True)} "
        f"WHERE {selected.sql} GROUP BY bucket",
        selected.parameters,
    ).fetchall()
    counts = np.zeros(buckets, dtype=np.int64)
    for place, count in rows:
        counts[place] = count
    return counts
