"""What strata are made of: labels or clusters, lengths, and the letters of a sample of their sequences."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.queries.brush import CategoryColumn, Predicate
from app.queries.counting import EVERYTHING
from app.queries.relation import COLUMNS, WEIGHT, bucket_expression, columns_of, from_clause, number

__all__ = [
    "Categories",
    "CategoryShares",
    "category_shares",
    "largest_categories",
    "length_quantiles",
    "letters",
]

_QUANTILES = {"low": 0.05, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "high": 0.95}


@dataclass(frozen=True, slots=True)
class Categories:
    """The labels or clusters of a run.

    Args:
        total: How many there are, the sequences without a label counted as one.
        largest: The most frequent by falling count; None for the sequences without a label.
    """

    total: int
    largest: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class CategoryShares:
    """Rows per stratum and category.

    Args:
        names: The categories counted by themselves; None for the sequences without a label.
        counts: int64, shape (strata, categories).
        rest: Rows in none of these categories, int64, shape (strata,).
    """

    names: tuple[str | None, ...]
    counts: NDArray[np.int64]
    rest: NDArray[np.int64]


def largest_categories(
    connection: duckdb.DuckDBPyConnection, column: CategoryColumn, most: int
) -> Categories:
    """The categories of all rows of a run, at most `most` of them by name."""
    rows = connection.execute(
        f"SELECT {COLUMNS[column.value]}::VARCHAR AS category, count(*) AS count, count(*) OVER () "
        f"FROM scored GROUP BY category ORDER BY count DESC, category NULLS LAST LIMIT {most}"
    ).fetchall()
    return Categories(rows[0][2] if rows else 0, tuple(category for category, _, _ in rows))


def category_shares(
    connection: duckdb.DuckDBPyConnection,
    column: CategoryColumn,
    inner_edges: Sequence[float],
    shown: int = 8,
    selected: Predicate = EVERYTHING,
    named: Sequence[str | None] = (),
) -> CategoryShares:
    """Count the selected rows per stratum and category.

    Args:
        connection: With the run's views.
        column: Which category.
        inner_edges: Ascending influence edges between the strata.
        shown: Categories kept by name, the most frequent by falling count; the others are counted together.
        selected: Which rows.
        named: Categories to keep by name, in this order, instead of the most frequent.
    """
    strata = len(inner_edges) + 1
    rows = connection.execute(
        f"SELECT {_stratum(inner_edges)} AS stratum, {COLUMNS[column.value]}::VARCHAR AS category, "
        f"round(sum({WEIGHT}))::BIGINT AS count "
        f"FROM {from_clause(columns_of({'influence', column.value}, selected.columns), sample=True)} "
        f"WHERE {selected.sql} "
        "GROUP BY stratum, category",
        selected.parameters,
    ).fetchall()
    totals: Counter[str | None] = Counter()
    for _, category, count in rows:
        totals[category] += count
    names = tuple(named) or tuple(
        sorted(totals, key=lambda each: (-totals[each], each is None, each))[:shown]
    )
    place = {category: index for index, category in enumerate(names)}
    counts = np.zeros((strata, len(names) + 1), dtype=np.int64)
    for stratum, category, count in rows:
        counts[stratum, place.get(category, len(names))] += count
    return CategoryShares(names, counts[:, :-1], counts[:, -1])


def length_quantiles(
    connection: duckdb.DuckDBPyConnection, inner_edges: Sequence[float], selected: Predicate = EVERYTHING
) -> pd.DataFrame:
    """Lengths per stratum.

    Returns:
        Columns stratum, count, low (5 %), quarter, median, three_quarters, high (95 %), in letters; one row
        for each stratum that holds a selected row.
    """
    rows: pd.DataFrame = connection.execute(
        f"SELECT {_stratum(inner_edges)} AS stratum, {COLUMNS['length']} AS length, "
        f"round(sum({WEIGHT}))::BIGINT AS count "
        f"FROM {from_clause(columns_of({'influence', 'length'}, selected.columns), sample=True)} "
        f"WHERE {selected.sql} GROUP BY ALL ORDER BY ALL",
        selected.parameters,
    ).df()
    found = []
    for stratum, group in rows.groupby("stratum"):
        ends = group["count"].cumsum().to_numpy()
        places = np.searchsorted(ends, np.array(list(_QUANTILES.values())) * (ends[-1] - 1), side="right")
        lengths = group["length"].to_numpy()[np.minimum(places, len(group) - 1)]
        quantiles = dict(zip(_QUANTILES, lengths.tolist(), strict=True))
        found.append({"stratum": stratum, "count": int(ends[-1]), **quantiles})
    return pd.DataFrame(found, columns=["stratum", "count", *_QUANTILES])


def letters(
    connection: duckdb.DuckDBPyConnection,
    inner_edges: Sequence[float],
    alphabet: str,
    counts: NDArray[np.int64],
    limit: int = 20_000,
    selected: Predicate = EVERYTHING,
) -> NDArray[np.float64]:
    """Share of each letter per stratum, over a sample of each stratum's sequences.

    Args:
        connection: With the run's views.
        inner_edges: Ascending influence edges between the strata.
        alphabet: The letters to count; all others are left out of the shares.
        counts: Selected rows per stratum, which set the sampling shares.
        limit: Sequences to read in all, about; an equal number from every stratum.
        selected: Which rows.

    Returns:
        Shares that sum to 1 over the letters, NaN for an empty stratum; shape (strata, letters).
    """
    strata = len(inner_edges) + 1
    wanted = limit / max(1, int((counts > 0).sum()))
    shares = [number(2**32 * min(1.0, wanted / count)) if count else "0" for count in counts]
    threshold = bucket_expression(COLUMNS["influence"], list(inner_edges), shares)
    sums = ", ".join(
        f"sum(length(text) - length(replace(text, '{letter}', '')))::BIGINT" for letter in alphabet
    )
    rows = connection.execute(
        f"SELECT stratum, {sums} FROM (SELECT {_stratum(inner_edges)} AS stratum, "
        f"{COLUMNS['sequence']} AS text "
        f"FROM {from_clause(columns_of({'influence', 'sequence'}, selected.columns))} "
        f"WHERE ({COLUMNS['hash']} & 4294967295) < {threshold} AND ({selected.sql})) GROUP BY stratum",
        selected.parameters,
    ).fetchall()
    found = np.zeros((strata, len(alphabet)))
    for stratum, *amounts in rows:
        found[stratum] = amounts
    totals = found.sum(axis=1, keepdims=True)
    shares_found: NDArray[np.float64] = np.full_like(found, np.nan)
    np.divide(found, totals, out=shares_found, where=totals > 0)
    return shares_found


def _stratum(inner_edges: Sequence[float]) -> str:
    leaves = [str(index) for index in range(len(inner_edges) + 1)]
    return bucket_expression(COLUMNS["influence"], list(inner_edges), leaves)
