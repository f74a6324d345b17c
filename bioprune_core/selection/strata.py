"""Strata of scores: where their borders lie, which stratum a score is in, and how the budget flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import SelectionError

__all__ = ["Strata", "allocate", "equal_width", "log_width", "single"]


@dataclass(frozen=True, slots=True)
class Strata:
    """k intervals [edges[i], edges[i + 1]), the last one closed.

    Args:
        edges: Ascending borders, float64, shape (k + 1,); equal neighbours enclose nothing.
        scale: Strata per unit of score where they are equally wide; None otherwise. Then the stratum of x is
            trunc((x - edges[0]) * scale), and `edges` hold the smallest numbers for which this is so.
    """

    edges: NDArray[np.float64]
    scale: float | None = None

    def __len__(self) -> int:
        return len(self.edges) - 1

    def assign(self, values: NDArray[np.float64]) -> NDArray[np.unsignedinteger[Any]]:
        """The stratum of each value; values above the last edge go to the last stratum.

        uint16, which numpy sorts by radix; uint32 for more than 65,536 intervals, as the fine bins of
        adaptive strata can be.
        """
        kind = np.uint16 if len(self) <= 1 << 16 else np.uint32
        if len(self) == 1:
            return np.zeros(len(values), dtype=kind)
        if self.scale is None:
            return np.searchsorted(self.edges[1:-1], values, side="right").astype(kind)
        places: NDArray[np.float64] = (values - self.edges[0]) * self.scale
        np.minimum(places, len(self) - 1, out=places)
        return places.astype(kind)


def single(low: float, high: float) -> Strata:
    """One stratum that holds everything."""
    return Strata(np.array([low, high], dtype=np.float64))


def equal_width(low: float, high: float, count: int) -> Strata:
    """`count` strata of equal width over [low, high]; one when the scores are all equal.

    Raises:
        SelectionError: The range is too wide for a float64.
    """
    span = high - low
    if not np.isfinite(span):
        raise SelectionError(
            f"The scores range from {low:.6g} to {high:.6g}, more than a 64-bit float can span. Rescale them."
        )
    # Differences so small that their inverse overflows (below 1e-304) are no differences.
    with np.errstate(over="ignore", divide="ignore"):
        scale = float(np.float64(count) / np.float64(span))
    if count == 1 or not np.isfinite(scale):
        return single(low, high)
    inner = _first_reaching(low, high, scale, np.arange(1, count, dtype=np.float64))
    return Strata(np.concatenate([[low], inner, [high]]), scale)


def log_width(low: float, smallest_positive: float | None, high: float, count: int) -> Strata:
    """`count` strata of equal width in log score; zeros belong to the first.

    Raises:
        SelectionError: There are negative scores.
    """
    if low < 0:
        raise SelectionError(
            f"Strata of equal width in log score need scores of at least 0, and the smallest is {low:.6g}. "
            "Choose equal-width strata."
        )
    if smallest_positive is None or smallest_positive >= high or count == 1:
        return single(low, high)
    inner = np.geomspace(smallest_positive, high, count + 1)[1:-1]
    return Strata(np.concatenate([[low], np.clip(inner, smallest_positive, high), [high]]))


def allocate(counts: Sequence[int] | NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """How many sequences each stratum gives.

    Strata are visited from the smallest (equal ones by index); each gives min(count, remaining // strata
    left), and what it lacks flows on. Raising the budget by one raises exactly one stratum by one, hence
    nested coresets.

    Args:
        counts: Sequences per stratum, shape (k,).
        budget: B, at most the sum of `counts`.

    Returns:
        int64, shape (k,), summing to `budget`.

    Source: coverage-centric coreset selection, arXiv 2210.15809, algorithm 1.
    """
    counts = np.asarray(counts, dtype=np.int64)
    given = np.zeros(len(counts), dtype=np.int64)
    remaining = budget
    order = np.argsort(counts, kind="stable")
    for visited, stratum in enumerate(order):
        given[stratum] = min(int(counts[stratum]), remaining // (len(counts) - visited))
        remaining -= int(given[stratum])
    return given


def _first_reaching(
    low: float, high: float, scale: float, targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The smallest float64 x in [low, high] with (x - low) * scale >= target, for each target, by bisection.

    So the arithmetic and a comparison with the edges agree on every score, to the last bit: rounding is
    monotone, and bisection runs over the floats themselves in their order.
    """
    below = np.full(len(targets), _order_key(low))
    reached = np.full(len(targets), _order_key(high))
    for _ in range(64):
        middle = (below >> 1) + (reached >> 1) + (below & reached & 1)
        hit = (_from_order_key(middle) - low) * scale >= targets
        reached = np.where(hit, middle, reached)
        below = np.where(hit, below, middle)
    return _from_order_key(reached)


def _order_key(value: float) -> np.int64:
    """An integer that orders floats as their values do."""
    bits = np.float64(value).view(np.int64)
    return np.int64(bits if bits >= 0 else -(int(bits) & 0x7FFF_FFFF_FFFF_FFFF))


def _from_order_key(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    magnitude = np.abs(keys).view(np.float64)
    return np.where(keys < 0, -magnitude, magnitude)
