"""Which relation a column lives in, and SQL pieces that every query is made of.

`scored` is the run's table of narrow columns and `sampled` a sample of it with weights (see `run_table`);
`pool` holds the letters and headers of its sequences. A query names its columns and joins the pool only when
it reads text. Pictures are drawn from the sample, rows and their number come from the whole table.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["COLUMNS", "WEIGHT", "bucket_expression", "columns_of", "from_clause", "number", "text"]

_RELATIONS = {
    "scored": (
        "hash",
        "influence",
        "loss",
        "tokens",
        "length",
        "label",
        "id",
        "x",
        "y",
        "cluster",
    ),
    "pool": ("source", "description", "duplicates", "sequence"),
}

COLUMNS: dict[str, str] = {
    column: f"{relation}.{column}" for relation, names in _RELATIONS.items() for column in names
}
"""Every column of a run but `position`, by name, qualified with its relation."""


WEIGHT = "scored.weight"
"""How many rows of the run a row of the sample stands for; only with `from_clause(..., sample=True)`."""


def from_clause(columns: Iterable[str], *, sample: bool = False) -> str:
    """The FROM clause over the relations that hold `columns`, joined on `position`.

    Args:
        columns: Names of COLUMNS, or "position".
        sample: The sample, under the name of the whole table, instead of the whole table.

    Returns:
        "scored", or "scored JOIN pool USING (position)" where text is read.
    """
    source = "sampled AS scored" if sample else "scored"
    return f"{source} JOIN pool USING (position)" if set(columns) & set(_RELATIONS["pool"]) else source


def columns_of(*groups: Iterable[str]) -> set[str]:
    """The union of several sets of column names."""
    return set().union(*groups)


def number(value: float) -> str:
    """A finite float as a SQL literal that reads back as the same double."""
    return f"{float(value)!r}::DOUBLE"


def text(value: str | Path) -> str:
    """A string or path as a SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def bucket_expression(value: str, edges: Sequence[float], leaves: Sequence[str]) -> str:
    """Map a number to one of several expressions by the bucket it falls in.

    A balanced tree of CASEs compares about log2(k) edges a row, where a flat CASE compares k.

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
