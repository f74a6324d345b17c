"""Rows per bucket: the one aggregate under every histogram, density and bar of the explorer."""

import duckdb
import numpy as np
from numpy.typing import NDArray

from app.queries.brush import Predicate

__all__ = ["EVERYTHING", "count_by"]

EVERYTHING = Predicate()
"""The condition that holds for every row."""


def count_by(
    connection: duckdb.DuckDBPyConnection,
    bucket: str,
    buckets: int,
    source: str,
    selected: Predicate = EVERYTHING,
) -> NDArray[np.int64]:
    """Count the selected rows per bucket.

    Args:
        connection: With the run's views.
        bucket: SQL expression of a row's bucket, an integer in 0..buckets - 1.
        buckets: How many there are.
        source: FROM clause with all columns that `bucket` and `selected` read.
        selected: Which rows.

    Returns:
        int64, shape (buckets,).
    """
    rows = connection.execute(
        f"SELECT ({bucket})::INTEGER AS bucket, count(*) AS count FROM {source} "
        f"WHERE {selected.sql} GROUP BY bucket",
        selected.parameters,
    ).fetchall()
    counts = np.zeros(buckets, dtype=np.int64)
    for place, count in rows:
        counts[place] = count
    return counts
