"""A selection rule as SQL: true for the selected rows, wherever they are joined or filtered."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.selection.expressions import number
from bioprune_core.selection.planning import SelectionRule
from bioprune_core.selection.ranking import seeded_rank_sql
from bioprune_core.selection.source import Cut
from bioprune_core.selection.strata import Strata

__all__ = ["rule_sql"]


def rule_sql(rule: SelectionRule, column: str) -> str:
    """The rule as a boolean DuckDB expression over position, hash and the score column."""
    score, cut = f"({column})::DOUBLE", rule.occupancy.cut
    parts = []
    if cut is not None:
        parts.append(_inside(cut, score) if rule.inside_cut else f"NOT {_inside(cut, score)}")
    if rule.ranked and not rule.is_whole:
        index = _stratum(rule.occupancy.strata, score)
        rank = seeded_rank_sql("hash::UBIGINT", rule.occupancy.config.seed)
        threshold = _lookup(rule.thresholds, index, ~rule.empty)
        if rule.tie_positions is None:
            parts.append(f"{rank} <= {threshold}")
        else:
            last = _lookup(rule.tie_positions, index)
            parts.append(f"({rank} < {threshold} OR ({rank} = {threshold} AND position <= {last}))")
    return f"coalesce({' AND '.join(parts)}, false)" if parts else "true"


def _inside(cut: Cut, score: str) -> str:
    value = number(cut.value)
    if cut.last is None:
        return f"({score} >= {value})"
    sequence_hash, position = cut.last
    return (
        f"({score} > {value} OR ({score} = {value} AND (hash::UBIGINT < {sequence_hash}::UBIGINT OR "
        f"(hash::UBIGINT = {sequence_hash}::UBIGINT AND position <= {position}))))"
    )


def _stratum(strata: Strata, score: str) -> str:
    if len(strata) == 1:
        return "0"
    if strata.scale is None:
        return _search(strata.edges[1:-1].tolist(), 0, score)
    place = f"({score} - {number(strata.edges[0])}) * {number(strata.scale)}"
    return f"least(trunc({place}), {len(strata) - 1})"


def _search(borders: list[float], first: int, score: str) -> str:
    """A binary search as nested CASEs: the number of borders <= score, plus `first`."""
    if not borders:
        return str(first)
    middle = len(borders) // 2
    lower = _search(borders[:middle], first, score)
    upper = _search(borders[middle + 1 :], first + middle + 1, score)
    return f"CASE WHEN {score} < {number(borders[middle])} THEN {lower} ELSE {upper} END"


def _lookup(values: NDArray[Any], index: str, present: NDArray[np.bool_] | None = None) -> str:
    """An entry of a constant list by stratum; NULL where it is not present, which no comparison passes."""
    kind = "UBIGINT" if values.dtype == np.uint64 else "BIGINT"
    shown = np.ones(len(values), dtype=np.bool_) if present is None else present
    entries = [f"{value}" if there else "NULL" for value, there in zip(values.tolist(), shown, strict=True)]
    if len(entries) == 1:
        return f"{entries[0]}::{kind}"
    return f"([{', '.join(entries)}]::{kind}[])[({index})::INTEGER + 1]"
