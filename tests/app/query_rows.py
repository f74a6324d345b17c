"""The rows that the explorer's queries are tried on, and brushes resolved over them without SQL."""

import numpy as np
import pandas as pd

from app.queries.brush import Brush, CategoryColumn

__all__ = ["BRUSHES", "EDGES", "SIZE", "brushed", "even_odd"]

SIZE = 10_000
EDGES = [1.0, 5.0, 20.0, 200.0]

BRUSHES = {
    "nothing": Brush(),
    "influence": Brush(influence=(2.0, 40.0)),
    "region": Brush(region=((-5.0, -5.0), (6.0, -4.0), (0.0, 7.0))),
    "label": Brush(category=(CategoryColumn.LABEL, "RF00003")),
    "no label": Brush(category=(CategoryColumn.LABEL, None)),
    "cluster": Brush(category=(CategoryColumn.CLUSTER, "5")),
    "search": Brush(search="SEQ-0000004"),
    "all": Brush(
        (0.5, 400.0), ((-9, -9), (9, -9), (9, 9), (-9, 9)), (CategoryColumn.CLUSTER, "5"), "seq-0000"
    ),
}


def even_odd(x: np.ndarray, y: np.ndarray, vertices: list[tuple[float, float]]) -> np.ndarray:
    inside = np.zeros(len(x), dtype=bool)
    for (x1, y1), (x2, y2) in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def brushed(rows: pd.DataFrame, brush: Brush) -> np.ndarray:
    mask = np.ones(len(rows), dtype=bool)
    if brush.influence:
        mask &= rows["influence"].between(*brush.influence).to_numpy()
    if brush.region:
        mask &= even_odd(rows["x"].to_numpy(float), rows["y"].to_numpy(float), list(brush.region))
    if brush.category:
        column, value = brush.category
        mask &= (rows[column].isna() if value is None else rows[column].astype(str) == value).to_numpy()
    if brush.search:
        mask &= rows["id"].str.contains(brush.search.lower(), regex=False).to_numpy()
    return mask
