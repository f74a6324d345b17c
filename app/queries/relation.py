"""Which view a column lives in, and the smallest join that holds the columns a query needs.

A run's views are `pool` (sequences), `scores` and `map`; `position` is the key of all three. At 23 M rows
a join costs more than everything else in a query, so a query states its columns and joins only their views.
"""

from collections.abc import Iterable, Sequence

__all__ = ["COLUMNS", "bucket_expression", "columns_of", "from_clause", "number"]

_VIEWS = {
    "scores": ("influence", "loss", "tokens", "gradient_norm", "hash"),
    "map": ("x", "y", "cluster"),
    "pool": ("id", "label", "length", "source", "description", "duplicates", "sequence"),
}

COLUMNS: dict[str, str] = {column: f"{view}.{column}" for view, names in _VIEWS.items() for column in names}
"""Every column of a run but `position`, by name, qualified with its view."""


def from_clause(columns: Iterable[str]) -> str:
    """The FROM clause over the views that hold `columns`, joined on `position`.

    Args:
        columns: Names of COLUMNS, or "position", which every view has.

    Returns:
        Such as "scores JOIN map USING (position)"; "scores" where only positions are asked for.
    """
    wanted = set(columns)
    views = [view for view, names in _VIEWS.items() if wanted & set(names)] or ["scores"]
    return views[0] + "".join(f" JOIN {view} USING (position)" for view in views[1:])


def columns_of(*groups: Iterable[str]) -> set[str]:
    """The union of several sets of column names."""
    return set().union(*groups)


def number(value: float) -> str:
    """A float as a SQL literal that reads back as the same double."""
    return f"{float(value)!r}::DOUBLE"


def bucket_expression(value: str, edges: Sequence[float], leaves: Sequence[str]) -> str:
    """Map a number to one of several expressions by the bucket it falls in.

    A balanced tree of CASEs: about log2(k) comparisons a row, where a flat CASE takes k. Over 23 M rows and
    50 buckets that is the difference between 0.3 and 2 s on two cores.

    Args:
        value: SQL expression of the number.
        edges: Inner edges in ascending order; bucket i holds edges[i - 1] <= value < edges[i].
        leaves: The SQL expression for each bucket, one more than there are edges.
    """
    if len(leaves) != len(edges) + 1:
        raise ValueError(f"{len(edges)} inner edges make {len(edges) + 1} buckets, not {len(leaves)}")
    if not edges:
        return leaves[0]
    middle = len(edges) // 2
    low = bucket_expression(value, edges[:middle], leaves[: middle + 1])
    high = bucket_expression(value, edges[middle + 1 :], leaves[middle + 1 :])
    return f"CASE WHEN {value} < {number(edges[middle])} THEN {low} ELSE {high} END"
