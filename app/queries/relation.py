"""Which relation a column lives in, and SQL pieces that every query is made of.

`scored` is the run's table of narrow columns and `sampled` a sample of it with weights (see `run_table`);
`pool` holds the letters and headers of its sequences. A query names its columns and joins the pool only when
it reads text. Pictures are drawn from the sample, rows and their number come from the whole table.
"""

from collections.abc import Iterable
from pathlib import Path

from bioprune_core.selection.expressions import bucket_expression, number

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


def text(value: str | Path) -> str:
    """A string or path as a SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"
