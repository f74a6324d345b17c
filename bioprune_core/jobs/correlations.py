"""How much of the influence is length, loss or gradient norm: rank correlations, always reported."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.ranks import rank_correlation
from bioprune_core.selection import fit_length_adjustment

__all__ = ["score_correlations"]

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
        halves of the masks: how much of the ranking is not an accident of the masks. Under
        "length_adjusted" the same of length-adjusted influence, with its own with influence; None where no
        influence is above 0.

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
    return found | {"rows": len(values["influence"]), "length_adjusted": _adjusted(values)}


def _adjusted(values: dict[str, NDArray[np.float64]]) -> dict[str, float | None] | None:
    try:
        adjustment = fit_length_adjustment(values["influence"], values["tokens"])
    except SelectionError:
        return None
    adjusted = adjustment.apply(values["influence"], values["tokens"])
    return {name: rank_correlation(adjusted, values[name]) for name in ("influence", *_OTHERS)}
