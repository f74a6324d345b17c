"""Pieces of SQL that conditions on a run's rows are made of."""

from collections.abc import Sequence

__all__ = ["bucket_expression", "number"]


def number(value: float) -> str:
    """A finite float as a SQL literal that reads back as the same double."""
    # As text, because a plain literal with a point is a DECIMAL there, which need not become the same double.
    return f"'{float(value)!r}'::DOUBLE"


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
