"""How much of the influence is length, loss or gradient norm: rank correlations, always reported."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["rank_correlation", "score_correlations"]

_ROWS = 2_000_000
"""From a larger pool every n-th sequence is taken: the error of a correlation is then below 0.002."""

_OTHERS = ("tokens", "loss", "gradient_norm")
_HALVES = ("influence_even", "influence_odd")
"""Influence by either half of the masks, where the objective draws several."""


def score_correlations(parts: Sequence[Path], rows: int) -> dict[str, Any]:
    """Rank correlation (Spearman) of influence with length, loss and gradient norm.

    Args:
        parts: The score shards in order.
        rows: Rows of all of them.

    Returns:
        The correlations by column, None where one is constant, and the number of rows taken. Where the
        objective drew several masks also `mask_halves`, the rank correlation of the influences by the two
        halves of the masks: how much of the ranking is not an accident of the masks.

    Source: design method, section 3.
    """
    stride = math.ceil(rows / _ROWS)
    halves = _HALVES if parts and set(_HALVES) <= set(pq.read_schema(parts[0]).names) else ()
    names = ("influence", *_OTHERS, *halves)
    columns: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for part in parts:
        table = pq.read_table(part, columns=["position", *columns])
        chosen = table["position"].to_numpy() % stride == 0
        for name, pieces in columns.items():
            pieces.append(table[name].to_numpy()[chosen].astype(np.float64))
    values = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    found: dict[str, Any] = {name: rank_correlation(values["influence"], values[name]) for name in _OTHERS}
    if halves:
        found["mask_halves"] = rank_correlation(*(values[name] for name in halves))
    return found | {"rows": len(values["influence"])}


def rank_correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation; ties have their mean rank. None where one side is constant.

    Args:
        left: float64, shape (n,).
        right: float64, shape (n,).
    """
    ranks = [_ranks(values) for values in (left, right)]
    centred = [values - values.mean() for values in ranks]
    scale = math.sqrt(float(centred[0] @ centred[0]) * float(centred[1] @ centred[1]))
    return float(centred[0] @ centred[1]) / scale if scale > 0 else None


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2).astype(np.float64)
    ranks: NDArray[np.float64] = mean[inverse]
    return ranks
