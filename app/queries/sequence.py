"""One sequence of a run, with its rank."""

from dataclasses import dataclass

import duckdb

from bioprune_core.errors import NotFoundError

__all__ = ["ScoredSequence", "scored_sequence"]


@dataclass(frozen=True, slots=True)
class ScoredSequence:
    """A sequence with its scores.

    Args:
        position: Row in the pool.
        id: Its name in the file.
        label: Family or class, where the dataset has one.
        description: The rest of its header.
        sequence: The normalised letters.
        length: Letters.
        influence: Self-influence.
        loss: Per-sequence loss, nats a token.
        cluster: Number of its cluster on the map; None for a run without a map, as x and y.
        x: Horizontal place on the map.
        y: Vertical place on the map.
        rank: 1 for the largest influence of the run.
        total: Sequences of the run.
    """

    position: int
    id: str
    label: str | None
    description: str
    sequence: str
    length: int
    influence: float
    loss: float
    cluster: int | None
    x: float | None
    y: float | None
    rank: int
    total: int


def scored_sequence(connection: duckdb.DuckDBPyConnection, position: int) -> ScoredSequence:
    """Look one sequence up by its position.

    Raises:
        NotFoundError: The run has no score for such a position.
    """
    row = connection.execute(
        "WITH one AS ("
        "  SELECT position, scored.id, scored.label, pool.description, pool.sequence, scored.length, "
        "  scored.influence, scored.loss, scored.cluster, scored.x, scored.y "
        "  FROM scored JOIN pool USING (position) WHERE position = $position), "
        "above AS (SELECT count(*) FILTER (WHERE scored.influence > one.influence) + 1 AS rank, "
        "  count(*) AS total FROM scored, one) "
        "SELECT one.*, above.* FROM one, above",
        {"position": position},
    ).fetchone()
    if row is None:
        raise NotFoundError(f"This run has no score for a sequence at position {position}.")
    return ScoredSequence(*row)
