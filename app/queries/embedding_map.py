"""The map of embeddings: density over all rows, a stratified sample of points, a point's neighbours."""

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.queries.brush import Predicate
from app.queries.counting import EVERYTHING, count_by
from app.queries.distribution import Extent
from app.queries.relation import COLUMNS, columns_of, from_clause, number
from app.queries.sampling import InfluenceBuckets, sampling_fractions

__all__ = [
    "Density",
    "MapExtent",
    "density",
    "map_extent",
    "neighbours",
    "sample_points",
]

POINT_COLUMNS = ("influence", "loss", "length", "label", "cluster", "x", "y")


@dataclass(frozen=True, slots=True)
class MapExtent:
    """The corners of the map with a margin, in map units."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


@dataclass(frozen=True, slots=True)
class Density:
    """Rows per cell of the map.

    Args:
        x: Cell centres, shape (columns,).
        y: Cell centres, shape (rows,).
        counts: int64, shape (rows, columns).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    counts: NDArray[np.int64]


def map_extent(connection: duckdb.DuckDBPyConnection, margin: float = 0.04) -> MapExtent | None:
    """The extent of the whole map plus a margin as a share of each side; None for a run without a map."""
    row = connection.execute("SELECT min(x), max(x), min(y), max(y) FROM scored").fetchone()
    if row is None or row[0] is None:
        return None
    x_low, x_high, y_low, y_high = (float(value) for value in row)
    dx, dy = margin * ((x_high - x_low) or 1.0), margin * ((y_high - y_low) or 1.0)
    return MapExtent(x_low - dx, x_high + dx, y_low - dy, y_high + dy)


def density(
    connection: duckdb.DuckDBPyConnection,
    extent: MapExtent,
    cells: int = 160,
    selected: Predicate = EVERYTHING,
) -> Density:
    """Count the selected rows in a grid of cells by cells over the map."""
    width, height = (extent.x_high - extent.x_low) / cells, (extent.y_high - extent.y_low) / cells
    column = f"floor(({COLUMNS['x']} - {number(extent.x_low)}) / {number(width)})"
    row = f"floor(({COLUMNS['y']} - {number(extent.y_low)}) / {number(height)})"
    counts = count_by(connection, f"{row} * {cells} + {column}", cells * cells, {"x", "y"}, selected)
    centres = np.arange(cells, dtype=np.float64) + 0.5
    return Density(
        extent.x_low + width * centres, extent.y_low + height * centres, counts.reshape(cells, cells)
    )


def sample_points(
    connection: duckdb.DuckDBPyConnection,
    extent: Extent,
    limit: int = 50_000,
    selected: Predicate = EVERYTHING,
) -> pd.DataFrame:
    """At most `limit` of the selected rows, with equal shares from every step of influence.

    Args:
        connection: With the run's table.
        extent: The run's influence extent.
        limit: Most rows to return.
        selected: Which rows to draw from.

    Returns:
        Columns position, x, y, influence, loss, length, label, cluster; by position, so that what is drawn
        on top of what says nothing.
    """
    buckets = InfluenceBuckets.over(extent.positive_low, extent.high)
    source = from_clause(columns_of(POINT_COLUMNS, selected.columns), sample=True)
    found = connection.execute(
        f"SELECT ({buckets.index})::INTEGER AS bucket, count(*) FROM {source} "
        f"WHERE {selected.sql} GROUP BY bucket",
        selected.parameters,
    ).fetchall()
    counts = np.zeros(len(buckets), dtype=np.int64)
    for place, count in found:
        counts[place] = count
    drawn = "true" if counts.sum() <= limit else buckets.drawn(sampling_fractions(counts, limit))
    points: pd.DataFrame = connection.execute(
        f"SELECT position, {', '.join(COLUMNS[name] for name in POINT_COLUMNS)} "
        f"FROM {source} WHERE ({selected.sql}) AND {drawn}",
        selected.parameters,
    ).df()
    if len(points) > limit:
        points = points.nlargest(limit, "influence")
    return points.sort_values("position", ignore_index=True)


def neighbours(connection: duckdb.DuckDBPyConnection, position: int, count: int = 8) -> pd.DataFrame:
    """The rows nearest to a point on the map, itself first.

    Returns:
        Columns position, id, label, length, influence, x, y, distance (map units); at most count + 1 rows.
    """
    centre = connection.execute("SELECT x, y FROM scored WHERE position = ?", [position]).fetchone()
    if centre is None or centre[0] is None:
        return _near(connection, f"position = {int(position)}", 0.0, 0.0, position, 1)
    x, y = (float(value) for value in centre)
    # The nearest of the sample bound the distance of the nearest of all; only a box that wide is then sorted.
    reach = connection.execute(
        f"SELECT max(d) FROM (SELECT {_DISTANCE} AS d FROM sampled AS scored ORDER BY d LIMIT $count)",
        {"x": x, "y": y, "count": count + 1},
    ).fetchone()
    far = float(reach[0]) * (1 + 1e-6) if reach and reach[0] is not None else 0.0
    box = (
        f"scored.x BETWEEN {number(x - far)} AND {number(x + far)} "
        f"AND scored.y BETWEEN {number(y - far)} AND {number(y + far)}"
    )
    return _near(connection, box, x, y, position, count + 1)


_DISTANCE = "sqrt((scored.x - $x) ** 2 + (scored.y - $y) ** 2)"


def _near(
    connection: duckdb.DuckDBPyConnection, within: str, x: float, y: float, position: int, count: int
) -> pd.DataFrame:
    found: pd.DataFrame = connection.execute(
        "SELECT scored.position, scored.id, scored.label, scored.length, scored.influence, "
        f"scored.x, scored.y, {_DISTANCE} AS distance FROM scored WHERE {within} "
        "ORDER BY scored.position <> $position, distance, scored.position LIMIT $count",
        {"x": x, "y": y, "position": position, "count": count},
    ).df()
    return found
