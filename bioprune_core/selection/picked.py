"""Subsets that a person picks by hand: everything that lies in a brush."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import duckdb

from bioprune_core.errors import SelectionError
from bioprune_core.selection.brush import MOST_CORNERS, Brush
from bioprune_core.selection.config import SelectionConfig

__all__ = ["PICKED", "PickedSelection", "Selection", "pick_in_duckdb", "selection_from_json"]

PICKED = "picked"
"""What a manifest calls the strategy of a subset picked by hand."""

_POOL_COLUMNS = frozenset({"id", "label"})
_MAP_COLUMNS = frozenset({"x", "y", "cluster"})


@dataclass(frozen=True, slots=True)
class PickedSelection:
    """Everything that, with a run, determines a subset picked by hand.

    Args:
        brush: What was brushed.

    Raises:
        SelectionError: Nothing is brushed, or the outline has too many corners.
    """

    brush: Brush

    def __post_init__(self) -> None:
        if not self.brush:
            raise SelectionError(
                "Nothing is brushed, so there is nothing to save. Drag over the distribution, draw around "
                "points on the map, or search for an id first."
            )
        if self.brush.region and len(self.brush.region) > MOST_CORNERS:
            raise SelectionError(
                f"The brushed outline has {len(self.brush.region):,} corners; at most {MOST_CORNERS:,} are "
                "possible. Draw a simpler one."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {"strategy": PICKED, "brush": self.brush.to_json()}


Selection: TypeAlias = SelectionConfig | PickedSelection
"""How a coreset was selected: by a strategy, or picked by hand."""


def selection_from_json(value: Mapping[str, Any]) -> Selection:
    """The selection that the `to_json` of either kind wrote.

    Raises:
        SelectionError: A field is unknown or outside its bounds.
    """
    if value.get("strategy") == PICKED:
        return PickedSelection(Brush.from_json(value.get("brush")))
    return SelectionConfig.from_json(value)


def pick_in_duckdb(connection: duckdb.DuckDBPyConnection, picked: PickedSelection) -> duckdb.DuckDBPyRelation:
    """The brushed rows by one query over the views of a run.

    Args:
        connection: With the views `scores`, `pool` and, where the run has one, `map`.
        picked: What to pick.

    Returns:
        Columns position and hash, ascending by position.

    Raises:
        SelectionError: The brush needs the map of a run that was made without one.
    """
    predicate = picked.brush.predicate()
    columns = ["position", "scores.hash", "scores.influence"]
    source = "scores"
    if predicate.columns & _POOL_COLUMNS:
        columns += ["pool.id", "pool.label"]
        source += " JOIN pool USING (position)"
    if predicate.columns & _MAP_COLUMNS:
        if not _has_map(connection):
            raise SelectionError(
                "This run was made without a map of embeddings, so no region of it and no cluster can be "
                "picked. Brush influence, labels or ids instead."
            )
        columns += ["map.x", "map.y", "map.cluster"]
        source += " JOIN map USING (position)"
    return connection.sql(
        f"SELECT position, hash FROM (SELECT {', '.join(columns)} FROM {source}) AS scored "
        f"WHERE {predicate.sql} ORDER BY position",
        params=list(predicate.parameters),
    )


def _has_map(connection: duckdb.DuckDBPyConnection) -> bool:
    # All rows are fetched, because a result not read to its end blocks the connection.
    return bool(connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'map'").fetchall())
