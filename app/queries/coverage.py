"""How a selection covers a pool: labels, clusters and lengths, against random of the same size.

A selection is a SQL expression over the rows: 1 for those that are in, 0 for those that are not, or the
probability of being in. Every comparison is one pass; no selection is written out to be looked at. Histograms
are drawn from the run's sample and hold expected counts. Categories are counted over all rows, since a sample
has lost the rare ones and an expected count does not tell whether a category is met: a probability decides by
the row's hash.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.queries.brush import CategoryColumn
from app.queries.distribution import Extent
from app.queries.relation import COLUMNS, WEIGHT, bucket_expression, number, text
from bioprune_core.workspace.views import plain_path

__all__ = [
    "CategoryCoverage",
    "Overlap",
    "category_coverage",
    "influence_coverage",
    "length_coverage",
    "overlap",
]


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


@dataclass(frozen=True, slots=True, eq=False)
class CategoryCoverage:
    """How many categories of a run selections meet, and how evenly.

    Args:
        total: Categories in the pool, the sequences without a label counted as one.
        met: Categories with a row in each selection.
        effective: Hill number of order 1 of each selection: the exponential of the Shannon entropy.
        largest: The most frequent categories by falling count: columns category (missing for the sequences
            without a label), pool, and one for each selection.
    """

    total: int
    met: Mapping[str, int]
    effective: Mapping[str, float]
    largest: pd.DataFrame


def category_coverage(
    connection: duckdb.DuckDBPyConnection,
    column: CategoryColumn,
    selections: Mapping[str, str],
    most: int = 1_000,
) -> CategoryCoverage:
    """Rows of the pool and of each selection per category, over all rows.

    Args:
        connection: With the run's table.
        column: Label or cluster.
        selections: Expressions by name: whether, or how probably, a row is in. A probability is drawn: the
            row is in when the low half of its hash lies below that share of its range, every time the same.
        most: Categories to list.
    """
    drawn = "".join(
        f', count(*) FILTER (({COLUMNS["hash"]} & 4294967295) < 4294967296 * ({share})) AS "{name}"'
        for name, share in selections.items()
    )
    summed = "".join(
        f', count(*) FILTER ("{name}" > 0) AS "{name} met", sum("{name}") AS "{name} size", '
        f'sum("{name}" * ln(greatest("{name}", 1))) AS "{name} logs"'
        for name in selections
    )
    rows: pd.DataFrame = connection.execute(
        # As text only once counted: clusters of 23 M rows took 2.2 s of processor time, and take 1.2 s.
        f"WITH counted AS MATERIALIZED (SELECT {COLUMNS[column.value]} AS category, "
        f"count(*) AS pool{drawn} FROM scored GROUP BY category), "
        f"whole AS (SELECT count(*) AS total{summed} FROM counted) "
        "SELECT * REPLACE (category::VARCHAR AS category) FROM counted, whole "
        f"ORDER BY pool DESC, category NULLS LAST LIMIT {most}"
    ).df()
    whole = rows.iloc[0] if len(rows) else pd.Series(0, index=rows.columns)
    return CategoryCoverage(
        total=int(whole["total"]),
        met={name: int(whole[f"{name} met"]) for name in selections},
        effective={name: _effective(whole[f"{name} size"], whole[f"{name} logs"]) for name in selections},
        largest=rows[["category", "pool", *selections]],
    )


def _effective(size: int, logs: float) -> float:
    """The effective number of categories from sum c and sum c ln c over their counts; 0 for no row."""
    return math.exp(math.log(size) - logs / size) if size else 0.0


def length_coverage(
    connection: duckdb.DuckDBPyConnection, selections: Mapping[str, str], bins: int = 40
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
    return edges, _binned(connection, placed, bins, selections)


def influence_coverage(
    connection: duckdb.DuckDBPyConnection, extent: Extent, selections: Mapping[str, str], bins: int = 120
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]]]:
    """Histograms of influence of the pool and of each selection, in bins of equal width in its logarithm.

    Returns:
        Bin edges as decimal logarithms, shape (bins + 1,); counts by name, "pool" first, shape (bins,) each.
        Influences of 0 are in the first bin.
    """
    low, high = np.log10(extent.positive_low or 1.0), np.log10(extent.high or 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    influence = COLUMNS["influence"]
    place = f"floor((log10({influence}) - {number(low)}) / {number(edges[1] - edges[0])})"
    placed = f"CASE WHEN {influence} > 0 THEN least(greatest({place}, 0), {bins - 1}) ELSE 0 END"
    return edges, _binned(connection, placed, bins, selections)


def overlap(connection: duckdb.DuckDBPyConnection, selection: str, members: Path) -> Overlap:
    """How many rows a selection shares with a saved coreset of the same run.

    Args:
        connection: With the run's table.
        selection: Condition on its rows.
        members: The coreset's members.parquet.
    """
    row = connection.execute(
        f"SELECT count(*) FILTER ({selection} AND member), count(*) FILTER ({selection} AND NOT member), "
        f"count(*) FILTER (member AND NOT ({selection})) "
        f"FROM (SELECT scored.*, saved.place IS NOT NULL AS member FROM scored LEFT JOIN "
        f"(SELECT position AS place FROM read_parquet({text(plain_path(members))})) AS saved "
        "ON position = saved.place)"
    ).fetchone()
    assert row is not None, "an aggregate without GROUP BY returns one row"
    return Overlap(*(int(count) for count in row))


def _binned(
    connection: duckdb.DuckDBPyConnection, bucket: str, bins: int, selections: Mapping[str, str]
) -> dict[str, NDArray[np.int64]]:
    """Rows of the pool and of each selection per bucket."""
    rows = connection.execute(
        f"SELECT ({bucket})::INTEGER AS bin, {_counts(selections)} FROM sampled AS scored GROUP BY bin"
    ).fetchall()
    counts = {name: np.zeros(bins, dtype=np.int64) for name in ("pool", *selections)}
    for place, *found in rows:
        for name, count in zip(counts, found, strict=True):
            counts[name][place] = count
    return counts


def _counts(selections: Mapping[str, str]) -> str:
    """Counts of the pool and of each selection as columns of a grouped query."""
    sums = {"pool": "1", **selections}
    return ", ".join(f'round(sum({WEIGHT} * ({share})))::BIGINT AS "{name}"' for name, share in sums.items())
