"""Influence without its length: the residual of log influence on log length, the same in numpy and in SQL.

Sums are taken over whole numbers (logarithms in steps of 2^-24), the coefficients are rounded to six decimals
and the residuals to 2^-20. So the scores depend neither on the order of the rows nor on the last bit of
somebody's logarithm, and equal ones stay equal.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError
from bioprune_core.selection.expressions import number
from bioprune_core.selection.validation import require_finite, require_rows

__all__ = ["LengthAdjustment", "fit_in_duckdb", "fit_length_adjustment"]

_LOG_STEPS = 1 << 24
_SCORE_STEPS = 1 << 20
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class LengthAdjustment:
    """The line log I = intercept + slope * log T, by least squares over a pool.

    Args:
        intercept: To six decimals.
        slope: To six decimals; 0 where all sequences are equally long.
        floor: Smallest influence above 0 in the pool; zeros are taken as this, for they have no logarithm.
    """

    intercept: float
    slope: float
    floor: float

    def apply(
        self, influence: NDArray[np.float64], tokens: NDArray[np.float64] | NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The residuals, in steps of 2^-20, float64, shape (n,).

        Args:
            influence: Shape (n,), >= 0.
            tokens: Tokens of each sequence, shape (n,), >= 1.
        """
        residual = np.log(np.maximum(influence, self.floor)) - (self.intercept + self.slope * np.log(tokens))
        stepped: NDArray[np.float64] = np.floor(residual * _SCORE_STEPS + 0.5) / _SCORE_STEPS
        return stepped

    def sql(self, influence: str = "influence", tokens: str = "tokens") -> str:
        """`apply` as a DuckDB expression of type DOUBLE over two columns."""
        line = f"({number(self.intercept)} + {number(self.slope)} * ln({tokens}::DOUBLE))"
        residual = f"(ln(greatest({influence}::DOUBLE, {number(self.floor)})) - {line})"
        return f"(floor({residual} * {_SCORE_STEPS}::DOUBLE + 0.5::DOUBLE) / {_SCORE_STEPS}::DOUBLE)"

    def to_json(self) -> dict[str, Any]:
        """The coefficients for a manifest."""
        return asdict(self)


def fit_length_adjustment(influence: NDArray[np.float64], tokens: NDArray[np.float64]) -> LengthAdjustment:
    """Fit the line to arrays.

    Args:
        influence: Float64, shape (N,).
        tokens: Tokens of each sequence, whole numbers, float64, shape (N,).

    Raises:
        SelectionError: There are no rows, influences that are negative, NaN or infinite, lengths below 1, or
            no influence above 0.
    """
    count = len(influence)
    require_rows(count)
    require_finite(int(np.count_nonzero(~np.isfinite(influence))), count, "influence scores")
    require_finite(int(np.count_nonzero(~np.isfinite(tokens))), count, "lengths")
    positive = influence[influence > 0]
    floor = float(positive.min()) if len(positive) else None
    _refuse(count, int(np.count_nonzero(influence < 0)), int(np.count_nonzero(tokens < 1)), floor)
    assert floor is not None
    steps = np.floor(np.log(np.maximum(influence, floor)) * _LOG_STEPS + 0.5).astype(np.int64)
    lengths, rows, counts = np.unique(tokens, return_inverse=True, return_counts=True)
    sums = np.zeros(len(lengths), dtype=np.int64)
    np.add.at(sums, rows, steps)
    return _fit(zip(lengths.tolist(), counts.tolist(), sums.tolist(), strict=True), floor)


def fit_in_duckdb(connection: duckdb.DuckDBPyConnection, source: str) -> LengthAdjustment:
    """Fit the line to a view with columns influence and tokens; as `fit_length_adjustment`.

    Args:
        connection: Where the view is.
        source: Its plain name.
    """
    [[count, missing, short, negative, unknown, floor]] = connection.execute(
        "SELECT count(*), count(*) FILTER (influence IS NULL OR NOT isfinite(influence::DOUBLE)), "
        "count(*) FILTER (tokens < 1), count(*) FILTER (influence < 0), "
        "count(*) FILTER (tokens IS NULL OR NOT isfinite(tokens::DOUBLE)), "
        f"min(influence::DOUBLE) FILTER (influence > 0) FROM {source}"
    ).fetchall()
    require_rows(count)
    require_finite(missing, count, "influence scores")
    require_finite(unknown, count, "lengths")
    _refuse(count, negative, short, floor)
    log = f"ln(greatest(influence::DOUBLE, {number(floor)}))"
    steps = f"floor({log} * {_LOG_STEPS}::DOUBLE + 0.5::DOUBLE)::BIGINT"
    rows = connection.execute(
        f"SELECT tokens::DOUBLE AS length, count(*), sum({steps}) FROM {source} "
        "GROUP BY length ORDER BY length"
    ).fetchall()
    return _fit(((length, count, int(total)) for length, count, total in rows), float(floor))


def _refuse(count: int, negative: int, short: int, floor: float | None) -> None:
    if negative:
        raise SelectionError(
            f"{negative:,} of {count:,} influence scores are negative, and these have no logarithm. "
            "Self-influence is never negative: check where the scores come from."
        )
    if short:
        raise SelectionError(f"{short:,} of {count:,} lengths are below 1; every sequence has a length.")
    if floor is None:
        raise SelectionError(
            "No influence score is above 0, so there is nothing to adjust for length. "
            "Use the measure influence."
        )


def _fit(groups: Iterable[tuple[float, int, int]], floor: float) -> LengthAdjustment:
    """Least squares from length, rows and sum of log influence in steps, of every length."""
    lengths, counts, sums = (list(column) for column in zip(*groups, strict=True))
    rows = sum(counts)
    logs = [math.log(length) for length in lengths]
    mean_length = math.fsum(n * x for n, x in zip(counts, logs, strict=True)) / rows
    mean_influence = sum(sums) / _LOG_STEPS / rows
    spread = math.fsum(n * (x - mean_length) ** 2 for n, x in zip(counts, logs, strict=True))
    together = math.fsum(
        (total / _LOG_STEPS - n * mean_influence) * (x - mean_length)
        for n, total, x in zip(counts, sums, logs, strict=True)
    )
    slope = round(together / spread, _DECIMALS) if len(lengths) > 1 and spread > 0 else 0.0
    return LengthAdjustment(round(mean_influence - slope * mean_length, _DECIMALS), slope, floor)
