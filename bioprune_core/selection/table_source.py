"""Scores in a DuckDB view, as a source for the selection.

Streaming queries, no Python function inside, no whole column in memory.
"""

import re
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection.planning import SelectionRule
from bioprune_core.selection.ranking import sample_key_sql, seeded_rank_sql
from bioprune_core.selection.source import (
    SAMPLE_ROWS,
    Bracket,
    Candidates,
    Cut,
    ScoreProfile,
    Tail,
    sample_limit,
)
from bioprune_core.selection.strata import Strata
from bioprune_core.selection.validation import require_finite, require_rows

__all__ = ["TableScores"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class TableScores:
    """A score source over a DuckDB view.

    Args:
        connection: Where the view is.
        source: Its name, with columns position, hash and `column`.
        column: The score: influence, or tokens for the length control.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: str, column: str) -> None:
        if not _NAME.fullmatch(source):
            raise SelectionError(f"{source!r} is no name of a view; give one such as scores.")
        self._connection = connection
        self._source = source
        self._score = f"{column}::DOUBLE"
        self._name = "lengths" if column == "tokens" else "influence scores"

    def profile(self) -> ScoreProfile:
        """One pass over the scores; see ScoreSource."""
        rows = int(self._one(f"SELECT count(*) FROM {self._source}")[0])
        require_rows(rows)
        chosen = (
            "true"
            if rows <= SAMPLE_ROWS
            else f"{sample_key_sql('hash::UBIGINT')} < {sample_limit(rows)}::UBIGINT"
        )
        present, low, high, positive, sample = self._one(
            f"SELECT count(s), min(s), max(s), min(s) FILTER (s > 0), list(s) FILTER ({chosen}) "
            f"FROM (SELECT hash, {self._score} AS s FROM {self._source})"
        )
        # NaN counts as the greatest number there, so it shows in the extremes as infinities do.
        if present < rows or not (np.isfinite(low) and np.isfinite(high)):
            bad = f"{self._score} IS NULL OR NOT isfinite({self._score})"
            count = self._one(f"SELECT count(*) FROM {self._source} WHERE {bad}")[0]
            require_finite(int(count), rows, self._name)
        return ScoreProfile(rows, low, high, positive, np.sort(np.array(sample or [], dtype=np.float64)))

    def tail(self, low: float, high: float) -> Tail:
        """How many rows have score > high, and the rows with low <= score <= high."""
        # Positions are not read: decoding that column costs as much as the scores themselves.
        found = self._arrow(
            f"SELECT count(*) FILTER (s > {_double(high)}) AS above, "
            f"list({{'s': s, 'h': hash::UBIGINT}}) FILTER (s <= {_double(high)}) AS inside "
            f"FROM (SELECT {self._score} AS s, hash FROM {self._source}) WHERE s >= {_double(low)}"
        )
        inside = found["inside"].combine_chunks().values
        return Tail(found["above"][0].as_py(), _numbers(inside, "s"), _numbers(inside, "h"))

    def histogram(self, strata: Strata, cut: Cut | None) -> NDArray[np.int64]:
        """Rows per stratum beyond the cut."""
        beyond = self._beyond(cut)
        counts = np.zeros(len(strata), dtype=np.int64)
        if strata.scale is None and len(strata) > 1:
            # Bins there are open below and closed above, strata the other way round: hence the signs.
            borders = ", ".join(_double(-edge) for edge in strata.edges[-2::-1])
            heights = f"map_values(histogram(-{self._score}, [{borders}]))"
            [bins] = self._one(f"SELECT {heights} FROM {self._source} WHERE {beyond}")
            counts[:] = bins[len(strata) - 1 :: -1]
            return counts
        index = self._stratum(strata)
        found = self._connection.execute(
            f"SELECT {index} AS i, count(*) AS n FROM {self._source} WHERE {beyond} GROUP BY i"
        ).fetchnumpy()
        counts[found["i"]] = found["n"]
        return counts

    def bracket(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        interval: tuple[NDArray[np.uint64], NDArray[np.uint64]],
        wanted: NDArray[np.bool_],
    ) -> Bracket:
        """The rows beyond the cut whose seeded rank lies in their stratum's interval."""
        lowest, highest = interval
        index, rank = self._stratum(strata), seeded_rank_sql("hash::UBIGINT", seed)
        found = self._arrow(
            f"SELECT i::BIGINT AS i, count(*) FILTER (r < lowest) AS below, "
            f"list({{'r': r, 'h': h}}) FILTER (r >= lowest) AS inside FROM "
            f"(SELECT {index} AS i, {rank} AS r, hash::UBIGINT AS h, {_lookup(lowest, index)} AS lowest "
            f"FROM {self._source} WHERE {self._beyond(cut)} AND {rank} <= {_lookup(highest, index, wanted)}) "
            "GROUP BY i"
        )
        below = np.zeros(len(strata), dtype=np.int64)
        inside = found["inside"].combine_chunks()
        groups = found["i"].to_numpy()
        below[groups] = found["below"].to_numpy()
        sizes = inside.value_lengths().fill_null(0).to_numpy()
        rows = inside.flatten()
        return Bracket(below, np.repeat(groups, sizes), _numbers(rows, "r"), _numbers(rows, "h"))

    def candidates(
        self,
        strata: Strata,
        cut: Cut | None,
        seed: int,
        highest: NDArray[np.uint64],
        wanted: NDArray[np.bool_],
    ) -> Candidates:
        """The rows beyond the cut whose seeded rank is within their stratum's bound."""
        index, rank = self._stratum(strata), seeded_rank_sql("hash::UBIGINT", seed)
        found = self._arrow(
            f"SELECT {index}::USMALLINT AS i, {rank} AS r, hash::UBIGINT AS h, position::BIGINT AS p "
            f"FROM {self._source} WHERE {self._beyond(cut)} AND {rank} <= {_lookup(highest, index, wanted)}"
        )
        return Candidates(*(found[name].to_numpy() for name in ("i", "r", "h", "p")))

    def copies(self, sequence_hash: int, low: float, high: float, cut: Cut | None) -> NDArray[np.int64]:
        """Positions of the rows of one sequence with low <= score <= high, beyond the cut."""
        found = self._connection.execute(
            f"SELECT position::BIGINT AS p FROM {self._source} "
            f"WHERE hash::UBIGINT = {sequence_hash}::UBIGINT AND {self._beyond(cut)} "
            f"AND {self._score} BETWEEN {_double(low)} AND {_double(high)} ORDER BY p"
        ).fetchnumpy()
        return np.asarray(found["p"])

    def condition(self, rule: SelectionRule) -> str:
        """The rule as a boolean SQL expression over the columns of the view."""
        cut = rule.occupancy.cut
        parts = []
        if cut is not None:
            parts.append(self._inside(cut) if rule.inside_cut else self._beyond(cut))
        if rule.ranked:
            index = self._stratum(rule.occupancy.strata)
            rank = seeded_rank_sql("hash::UBIGINT", rule.occupancy.config.seed)
            threshold = _lookup(rule.thresholds, index, ~rule.empty)
            if rule.tie_positions is None:
                parts.append(f"{rank} <= {threshold}")
            else:
                last = _lookup(rule.tie_positions, index)
                parts.append(f"({rank} < {threshold} OR ({rank} = {threshold} AND position <= {last}))")
        return f"coalesce({' AND '.join(parts)}, false)" if parts else "true"

    def _arrow(self, query: str) -> pa.Table:
        return self._connection.sql(query).to_arrow_table()

    def _inside(self, cut: Cut) -> str:
        value, score = _double(cut.value), self._score
        if not cut.is_tied:
            return f"{score} >= {value}"
        tie = f"hash::UBIGINT <= {cut.sequence_hash}::UBIGINT"
        if cut.position is not None:
            tie += f" AND (hash::UBIGINT < {cut.sequence_hash}::UBIGINT OR position <= {cut.position})"
        return f"({score} > {value} OR ({score} = {value} AND {tie}))"

    def _beyond(self, cut: Cut | None) -> str:
        if cut is None:
            return "true"
        if not cut.is_tied:
            return f"{self._score} < {_double(cut.value)}"
        # The plain comparison in front is pushed into the Parquet scan.
        return f"({self._score} <= {_double(cut.value)} AND NOT {self._inside(cut)})"

    def _stratum(self, strata: Strata) -> str:
        if len(strata) == 1:
            return "0"
        if strata.scale is None:
            return _search(strata.edges[1:-1].tolist(), 0, self._score)
        place = f"({self._score} - {_double(strata.edges[0])}) * {_double(strata.scale)}"
        return f"least(trunc({place}), {len(strata) - 1})::USMALLINT"

    def _one(self, query: str) -> tuple[Any, ...]:
        # All rows, because a result not read to its end blocks the connection.
        [row] = self._connection.execute(query).fetchall()
        return row


def _numbers(rows: pa.StructArray, field: str) -> NDArray[Any]:
    return np.asarray(rows.field(field).to_numpy(zero_copy_only=False))


def _double(value: float) -> str:
    # As text, because a plain literal with a point is a DECIMAL there and not the same number.
    return f"'{float(value)!r}'::DOUBLE"


def _search(borders: list[float], first: int, score: str) -> str:
    """A binary search as nested CASEs: the number of borders <= score, plus `first`."""
    if not borders:
        return f"{first}::USMALLINT"
    middle = len(borders) // 2
    lower = _search(borders[:middle], first, score)
    upper = _search(borders[middle + 1 :], first + middle + 1, score)
    return f"CASE WHEN {score} < {_double(borders[middle])} THEN {lower} ELSE {upper} END"


def _lookup(values: NDArray[Any], index: str, present: NDArray[np.bool_] | None = None) -> str:
    """An entry of a constant list by stratum; NULL where it is not present, which no comparison passes."""
    kind = "UBIGINT" if values.dtype == np.uint64 else "BIGINT"
    shown = np.ones(len(values), dtype=np.bool_) if present is None else present
    if len(values) == 1:
        return f"{values[0]}::{kind}" if shown[0] else f"NULL::{kind}"
    entries = ", ".join(
        str(value) if there else "NULL" for value, there in zip(values.tolist(), shown, strict=True)
    )
    return f"([{entries}]::{kind}[])[({index})::INTEGER + 1]"
